"""A step that was taken apart (see step.py), told stage by stage: sentences, formulas, figures, the
lines of Python and the kernels.

    for stage in stages(step, Choice(sequence=0, position=3, tensor="wte", row=5, column=0)):
        print(stage.title, stage.says)

Where figures are computed from others in sight, they are computed from what is shown, so that a
reader with a calculator finds every digit. Beside them stands what the device has, in float32.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from .. import sources
from .step import Part, Step

TOP = 8  # characters that are told of a prediction
CHANNELS = 4  # that are told of a vector
NEAR = 4  # characters on each side of the chosen one
SEEN = "On the device"


@dataclass(frozen=True)
class Choice:
    """What the reader has chosen: a character of the batch, and a weight."""

    sequence: int = 0
    position: int = 0
    tensor: str = ""  # the first, unless it is one of the model's
    row: int = 0
    column: int = 0


@dataclass(frozen=True)
class Table:
    """Figures. `bars` are how much each row is, from 0 to 1; none where that says nothing."""

    title: str
    head: list[str]
    rows: list[list[str]]
    bars: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """A line of Python in a stage, and how often it runs each kernel."""

    path: str
    line: int
    back: bool  # whether its gradient is computed
    text: str
    kernels: dict[str, int]


@dataclass(frozen=True)
class Stage:
    """One stage of a step."""

    title: str
    says: str
    formula: str
    tables: list[Table]
    places: list[Place]
    chooses: str  # what the reader chooses here: "character", "surprise", "weight", or nothing


def digits(x: float) -> str:
    """As many digits as tell one float32 from the next."""
    return f"{x:.9g}"


def short(x: float) -> str:
    """Enough digits to compare."""
    return f"{x:.5g}"


def fitting(step: Step, chosen: Choice) -> Choice:
    """The choice, moved to where there is something to choose; by default the character's row."""
    B, T = step.tokens.shape
    sequence, position = _within(chosen.sequence, B), _within(chosen.position, T)
    tensor, row = chosen.tensor, chosen.row
    if tensor not in step.before["w"]:
        tensor = next(iter(step.before["w"]))
        row = int(step.tokens[sequence, position])
    rows, columns = sides(step.before["w"][tensor])
    return Choice(sequence, position, tensor, _within(row, rows), _within(chosen.column, columns))


def sides(weights: np.ndarray) -> tuple[int, int]:
    """The rows and columns of a parameter; one of one dimension is a row."""
    return (len(weights), weights[0].size) if weights.ndim > 1 else (1, weights.size)


def _within(at: int, size: int) -> int:
    return max(0, min(at, size - 1))


def stages(step: Step, chosen: Choice) -> list[Stage]:
    """All stages of a step, about what was chosen: see `fitting`."""
    teller = _Teller(step, chosen)
    return [teller.stage(number, part) for number, part in enumerate(step.parts)]


class _Teller:
    """Tells the stages of a step about a character and a weight of it."""

    def __init__(self, step: Step, chosen: Choice):
        self.step, self.chosen = step, chosen
        self.at = chosen.sequence, chosen.position
        self.token, self.target = (int(x[self.at]) for x in (step.tokens, step.targets))
        self.blocks = len(step.added)
        self.vocab = step.corpus.by_token().vocab

    def stage(self, number: int, part: Part) -> Stage:
        """The stage of one part of the step."""
        tell = getattr(self, f"_{part.kind.replace(' ', '_')}")
        title, says, formula, tables = tell(part)
        back = [name for name, place in self.step.written.items() if place == number]
        if back:
            tables.append(self._norms("Gradients that are finished here", back))
        chooses = {"batch": "character", "logits": "surprise", "loss": "surprise"}
        chooses |= {"adamw": "weight"}
        return Stage(title, says, formula, tables, places(part), chooses.get(part.kind, ""))

    def name(self, token: int) -> str:
        """A character as it can be seen."""
        character = self.vocab[token]
        return {"\n": "↵", " ": "␣"}.get(character, character)

    # ---- forward --------------------------------------------------------------------------------

    def _batch(self, part: Part) -> tuple:
        step, (row, at) = self.step, self.at
        B, T = step.tokens.shape
        shares = f" The batch has {step.shares} parts; this is the first." * (step.shares > 1)
        near = range(max(0, at - NEAR), min(T, at + NEAR + 1))
        return (
            "Batch",
            f"Iteration {step.iter} takes {T} characters from each of {B} places in the text, "
            f"which the run's random stream draws. At each character the model has to predict the "
            f"next one.{shares} Choose a character: the stages tell what happens to it.",
            "x[b, t] = text[o[b] + t]      y[b, t] = text[o[b] + t + 1]",
            [
                Table(
                    "Around your character",
                    ["t", "Reads", "Token", "Should predict", "Its token"],
                    [
                        [
                            f"{t} ←" if t == at else str(t),
                            self.name(step.tokens[row, t]),
                            str(step.tokens[row, t]),
                            self.name(step.targets[row, t]),
                            str(step.targets[row, t]),
                        ]
                        for t in near
                    ],
                )
            ],
        )

    def _embeddings(self, part: Part) -> tuple:
        step, w, (_, t) = self.step, self.step.before["w"], self.at
        rows, note = [], f" Dropout then zeroes a share of {step.rate:g}." * bool(step.rate)
        if "wte" in w and "wpe" in w:
            rows = [(f"wte[{self.token}]", w["wte"][self.token]), (f"wpe[{t}]", w["wpe"][t])]
            total = rows[0][1] + rows[1][1]
            if not step.rate and not np.allclose(total, step.residual[0][self.at], atol=1e-5):
                note = " The code is edited: what enters the first block is not just their sum."
        else:
            note += " The code is edited: one of the two tables is not there."
        return (
            "Embeddings",
            f"“{self.name(self.token)}” is token {self.token}: its row of one table and the row of "
            f"position {t} in another are added. The sum is the beginning of the residual stream, "
            f"to which every block will add.{note}",
            "x = wte[token] + wpe[t]",
            [
                self._channels(rows, step.residual[0]),
                self._sizes([("x, which enters block 1", step.residual[0])]),
            ],
        )

    def _block(self, part: Part) -> tuple:
        step, i = self.step, part.block
        x, y, added = step.residual[i], step.residual[i + 1], step.added[i]
        terms = [(f"{name} adds", added[name]) for name in ("attn", "mlp") if name in added]
        rows = [("x", x[self.at]), *((name, z[self.at]) for name, z in terms)]
        tables = [
            self._sizes(
                [("x before", x), *added.items(), ("x after", y), ("after - before", y - x)]
            )
        ]
        note = ""
        if terms and np.allclose(x + sum(z for _, z in terms), y, rtol=1e-4, atol=1e-5):
            tables.append(self._channels(rows, y))
        else:
            note = " The code is edited: what the block adds is not the sum of attn and mlp."
        return (
            f"Block {i + 1}",
            "Attention brings information to each character from those before it; then the MLP "
            "works on each character by itself. Each of the two reads the stream through a norm, "
            f"and its result is added to the stream.{note}",
            "x = x + attn(ln_1(x))      x = x + mlp(ln_2(x))",
            tables,
        )

    def _logits(self, part: Part) -> tuple:
        log_sum = digits(self.step.log_sums[self.at])
        logits = self.step.logits[self.at]
        logit = digits(logits[self.target])
        rows = []
        for token in self._likeliest():
            shown = digits(logits[token])
            probability = math.exp(float(shown) - float(log_sum))
            rows.append([self._marked(token), shown, digits(probability)])
        surprise = digits(float(log_sum) - float(logit))
        return (
            "Logits and surprise",
            "The stream, normalized once more, is compared with each character's embedding: that "
            "gives a logit for each. Softmax turns them into probabilities. The surprise says, in "
            "nats, how unlikely the character was that really came: the stronger the tint, the "
            "higher.",
            "p = e^logit / Σ e^logit      surprise = -ln p = ln Σ e^logit - logit",
            [
                Table(
                    f"After “{self.name(self.token)}”: what the model expects",
                    ["Character", "Logit", "p"],
                    rows,
                    [float(row[2]) for row in rows],
                ),
                Table(
                    f"The surprise of “{self.name(self.target)}”",
                    ["Quantity", "From", "nats"],
                    [
                        ["ln Σ e^logit", f"over {len(logits)} characters", log_sum],
                        ["logit", f"of “{self.name(self.target)}”, which came", logit],
                        ["surprise", f"{log_sum} - {_signed(logit)}", surprise],
                    ],
                ),
            ],
        )

    def _loss(self, part: Part) -> tuple:
        step = self.step
        means = [digits(x) for x in step.surprises.mean(-1)]
        mean = digits(math.fsum(map(float, means)) / len(means))
        lines = [["mean", f"of these {len(means)}", mean, digits(step.loss)]]
        says = (
            f"The loss is the mean surprise of all {step.surprises.size:,} characters of the "
            "batch. It is the one number that the step makes smaller, and what the curve shows."
        )
        if step.shares > 1:
            says += f" The device's is the mean over all {step.shares} parts of the batch."
        elif not math.isclose(float(mean), step.loss, rel_tol=1e-4):
            says += " The code is edited: the device's loss differs from this mean."
        most = max(*map(float, means), 1e-30)
        return (
            "Loss",
            says,
            "loss = (1 / (B T)) Σ surprise[b, t]",
            [
                Table("The loss", ["Quantity", "From", "nats", SEEN], lines),
                Table(
                    "Mean surprise of each sequence",
                    ["Sequence", "nats"],
                    [[str(b + 1), mean] for b, mean in enumerate(means)],
                    [float(mean) / most for mean in means],
                ),
            ],
        )

    # ---- back -----------------------------------------------------------------------------------

    def _logits_back(self, part: Part) -> tuple:
        step, count = self.step, self.step.tokens.size * self.step.shares
        log_sum, logits = step.log_sums[self.at], step.logits[self.at].astype(np.float64)
        rows = []
        for token in self._likeliest():
            probability = digits(math.exp(logits[token] - log_sum))
            came = int(token == self.target)
            slope = digits((float(probability) - came) / count)
            rows.append(
                [self._marked(token), probability, str(came), slope]
                + [digits(step.by_logits[(*self.at, token)])]
            )
        return (
            "Back through the logits",
            "Now backward. The gradient says how the loss would change if a number grew a little. "
            "For a logit it is the probability that the model gave, minus 1 for the character that "
            f"came, divided by {count:,}, since the loss is a mean.",
            f"d loss / d logit = (p - came) / {count}",
            [
                Table(
                    "Gradient for the logits at your character",
                    ["Character", "p", "came", "(p - came) / N", SEEN],
                    rows,
                ),
                self._sizes(
                    [("d loss / d x, into the last block", step.gradients[-1])],
                    "The gradient that arrives at the stream",
                ),
            ],
        )

    def _block_back(self, part: Part) -> tuple:
        step, i = self.step, part.block
        after, before = step.gradients[i + 1], step.gradients[i]
        return (
            f"Back through block {i + 1}",
            "The stream passes the gradient on unchanged, as a sum does; the block adds what comes "
            "back through its MLP and its attention. On the way each of its parameters gets its "
            "own gradient.",
            "d loss / d x = d loss / d x' + (what comes back through mlp and attn)",
            [
                self._sizes(
                    [
                        ("d loss / d x', after the block", after),
                        ("d loss / d x, before it", before),
                        ("the difference: through mlp and attn", before - after),
                    ],
                    "The gradient of the loss",
                )
            ],
        )

    def _embeddings_back(self, part: Part) -> tuple:
        tables, g = [], self.step.before["g"]
        if "wte" in g:
            norms = np.linalg.norm(g["wte"].astype(np.float64), axis=1)
            order = np.argsort(-norms, kind="stable")[:TOP]
            tables.append(
                Table(
                    "The rows of wte with the largest gradients",
                    ["Character", "‖g‖"],
                    [[self.name(token), short(norms[token])] for token in order],
                    [float(norms[token] / max(norms[order[0]], 1e-30)) for token in order],
                )
            )
        return (
            "Back into the embeddings",
            "The gradient arrives at the tables. Each character's row gets the sum over all places "
            "where the batch has it, and each position's over all sequences. wte has a share from "
            "the logits too, since it is also the unembedding.",
            "d loss / d wte[c] += Σ d loss / d x[b, t] where x[b, t] is c",
            tables,
        )

    # ---- the update -----------------------------------------------------------------------------

    def _clip(self, part: Part) -> tuple:
        step, g = self.step, self.step.before["g"]
        squares = {n: digits(np.square(x.astype(np.float64)).sum()) for n, x in g.items()}
        total = digits(math.fsum(map(float, squares.values())))
        norm, most = digits(math.sqrt(float(total))), step.config.grad_clip
        factor = digits(min(1.0, most / (float(norm) + 1e-6)))
        row = self._clipped(factor)
        edited = _edited(math.isclose(float(row[2]), float(row[3]), rel_tol=1e-4, abs_tol=1e-12))
        return (
            "Clip",
            f"All gradients together are one long arrow. If it is longer than {most:g} it is "
            "shortened to that, and keeps its direction: one strange batch cannot throw the "
            f"weights about.{edited}",
            f"norm = sqrt(Σ g²)      g = g · min(1, {most:g} / (norm + 1e-6))",
            [
                Table(
                    "The norm and the factor",
                    ["Quantity", "From", "Value", SEEN],
                    [
                        ["Σ g²", f"of {len(g)} tensors", total, ""],
                        ["norm", f"sqrt({total})", norm, digits(step.norm)],
                        ["factor", f"min(1, {most:g} / ({norm} + 1e-6))", factor, ""],
                        row,
                    ],
                ),
                Table(
                    "By tensor",
                    ["Tensor", "Shape", "‖g‖", "‖g‖²"],
                    [
                        [n, _shape(x), short(math.sqrt(float(squares[n]))), squares[n]]
                        for n, x in g.items()
                    ],
                    [float(square) / max(float(total), 1e-30) for square in squares.values()],
                ),
            ],
        )

    def _clipped(self, factor: str) -> list[str]:
        g = digits(self._weight("before", "g"))
        shown = digits(float(g) * float(factor))
        return [
            f"g of {self._label()}",
            f"{g} · {factor}",
            shown,
            digits(self._weight("after", "g")),
        ]

    def _adamw(self, part: Part) -> tuple:
        moved = sum(
            float(np.square(self.step.after["w"][n].astype(np.float64) - x).sum())
            for n, x in self.step.before["w"].items()
        )
        count = sum(x.size for x in self.step.before["w"].values())
        rows = self._update()
        w, (*_, move, _, (_, _, after, seen)) = float(rows[0][2]), rows
        near = 1e-6 * abs(w) + 1e-4 * abs(float(move[2]))
        edited = _edited(abs(float(after) - float(seen)) <= near)
        return (
            "AdamW",
            "Every weight takes a step of its own: m averages its gradients, v their squares, and "
            "the step is m over the root of v, so that a weight with small gradients moves as far "
            "as others. Each weight also shrinks a little, which is the decay. Choose a weight to "
            f"follow.{edited}",
            "m = β1 m + (1 - β1) g      v = β2 v + (1 - β2) g²      "
            "w = w - lr λ w - lr (m / (1 - β1^t)) / (sqrt(v / (1 - β2^t)) + ε)",
            [
                Table(
                    f"The update of {self._label()}",
                    ["Quantity", "From", "Value", SEEN],
                    rows,
                ),
                Table(
                    f"In all {count:,} weights",
                    ["Quantity", "Value"],
                    [["how far they move together, ‖w' - w‖", short(math.sqrt(moved))]],
                ),
            ],
        )

    def _update(self) -> list[list[str]]:
        """AdamW's arithmetic, line by line, each from the figures of the lines above it."""
        step, config = self.step, self.step.config
        lr, decay, eps = digits(step.lr), digits(config.weight_decay), digits(config.eps)
        b1, b2, t = digits(config.beta1), digits(config.beta2), step.t
        w, m, v = (digits(self._weight("before", name)) for name in "wmv")
        g = digits(self._weight("after", "g"))
        n = float
        m1 = digits(n(b1) * n(m) + (1 - n(b1)) * n(g))
        v1 = digits(n(b2) * n(v) + (1 - n(b2)) * n(g) ** 2)
        m2, v2 = digits(n(m1) / (1 - n(b1) ** t)), digits(n(v1) / (1 - n(b2) ** t))
        move = digits(n(lr) * n(m2) / (math.sqrt(n(v2)) + n(eps)))
        shrink = digits(n(lr) * n(decay) * n(w))
        w1 = digits(n(w) - n(shrink) - n(move))
        has = {name: digits(self._weight("after", name)) for name in "wmv"}
        return [
            ["w", "the weight as it was", w, ""],
            ["g", "its gradient, clipped", g, ""],
            ["m", "the average of its gradients so far", m, ""],
            ["v", "the average of their squares", v, ""],
            ["lr", f"the learning rate of iteration {step.iter}", lr, ""],
            ["t", "steps so far, including this one", str(t), ""],
            ["m'", f"{b1} · {_signed(m)} + (1 - {b1}) · {_signed(g)}", m1, has["m"]],
            ["v'", f"{b2} · {v} + (1 - {b2}) · {_signed(g)}²", v1, has["v"]],
            ["m̂", f"{_signed(m1)} / (1 - {b1}^{t})", m2, ""],
            ["v̂", f"{v1} / (1 - {b2}^{t})", v2, ""],
            ["step", f"{lr} · {_signed(m2)} / (sqrt({v2}) + {eps})", move, ""],
            ["decay", f"{lr} · {decay} · {_signed(w)}", shrink, ""],
            ["w'", f"{_signed(w)} - {_signed(shrink)} - {_signed(move)}", w1, has["w"]],
        ]

    # ---- figures --------------------------------------------------------------------------------

    def _channels(self, terms: list[tuple[str, np.ndarray]], result: np.ndarray) -> Table:
        """The first channels of vectors at the character, their sum, and what the device has."""
        count = min(CHANNELS, result.shape[-1])
        rows = [[name, *map(digits, vector[:count])] for name, vector in terms]
        if rows:
            sums = [math.fsum(float(row[c + 1]) for row in rows) for c in range(count)]
            rows.append(["sum", *map(digits, sums)])
        rows.append([SEEN, *map(digits, result[self.at][:count])])
        title = f"At your character, {count} of {result.shape[-1]} channels"
        return Table(title, ["Vector", *(f"channel {c}" for c in range(count))], rows)

    def _sizes(self, vectors: list[tuple[str, np.ndarray]], title: str = "Norms") -> Table:
        """The norm of each vector at the character, and over the batch."""
        rows, here = [], []
        for name, x in vectors:
            x = x.astype(np.float64)
            norms = np.linalg.norm(x, axis=-1)
            here.append(float(norms[self.at]))
            rms = math.sqrt(np.square(x).mean())
            rows.append([name, short(rms), short(norms.mean()), short(here[-1])])
        most = max(max(here), 1e-30)
        head = ["Vector", "RMS in the batch", "Mean ‖·‖ in the batch", "‖·‖ at your character"]
        return Table(title, head, rows, [norm / most for norm in here] if len(here) > 1 else [])

    def _norms(self, title: str, names: list[str]) -> Table:
        """The norm of the gradient of each of these parameters."""
        g = [self.step.before["g"][name].astype(np.float64) for name in names]
        norms = [float(np.linalg.norm(x)) for x in g]
        rows = [
            [name, _shape(x), short(norm / math.sqrt(x.size)), short(norm)]
            for name, x, norm in zip(names, g, norms, strict=True)
        ]
        most = max(max(norms), 1e-30)
        return Table(title, ["Tensor", "Shape", "RMS", "‖g‖"], rows, [n / most for n in norms])

    def _likeliest(self) -> list[int]:
        """The likeliest characters, and the one that came."""
        order = np.argsort(-self.step.logits[self.at], kind="stable")[:TOP].tolist()
        return order if self.target in order else [*order, self.target]

    def _marked(self, token: int) -> str:
        return f"{self.name(token)} ← came" if token == self.target else self.name(token)

    def _place(self) -> tuple[int, ...]:
        """Where the chosen weight is in its tensor."""
        shape = self.step.before["w"][self.chosen.tensor].shape
        columns = sides(self.step.before["w"][self.chosen.tensor])[1]
        return np.unravel_index(self.chosen.row * columns + self.chosen.column, shape)

    def _weight(self, when: str, what: str) -> float:
        return float(getattr(self.step, when)[what][self.chosen.tensor][self._place()])

    def _label(self) -> str:
        return f"{self.chosen.tensor}[{', '.join(map(str, self._place()))}]"


def places(part: Part) -> list[Place]:
    """The lines of Python of a part of a step, in the order in which they ran."""
    found: dict[str, dict[str, int]] = {}
    for kernel, line in part.calls:
        kernels = found.setdefault(line, {})
        kernels[kernel] = kernels.get(kernel, 0) + 1
    return [_place_of(line, kernels) for line, kernels in found.items()]


def _place_of(line: str, kernels: dict[str, int]) -> Place:
    path, number, text = sources.line_at(line.removesuffix(" back"))
    return Place(path, number, line.endswith(" back"), text, kernels)


def _edited(as_usual: bool) -> str:
    """What is said where the device has another number than the formula gives."""
    return "" if as_usual else " The code is edited: the device's number is not of this formula."


def _shape(x: np.ndarray) -> str:
    return " × ".join(map(str, x.shape))


def _signed(number: str) -> str:
    """A number within a formula."""
    return f"({number})" if number.startswith("-") else number
