"""The course's verdicts: whether what a lesson asks for is there, computed from the reader's work.

    check(seen, "trained", {"iters": 50})              a Finding: done, and a sentence
    answer(seen, "even_guess", {"within": 0.01}, 4.17)

The lessons, in site/lessons, name these functions and give them their parameters.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..data import BYTES, CHARACTERS, SHAKESPEARE_SHA256, Vocabulary, shakespeare
from ..devices.kernels import KERNELS
from ..engine.tensor import no_grad
from ..model import GPT
from ..runs.inspector import Contents
from ..runs.run import Run
from .diagnosis import Verdict as Diagnosis
from .doctor import CASES
from .entropy import SHANNON_BITS, levels
from .parity import check as parity
from .textstats import TextStats
from .twin import Verdict as Twins

PIECE = 4096  # characters of a text that a model is tried on


class Text(Protocol):
    """A text that a model wrote."""

    corpus: Vocabulary
    settings: Mapping[str, float]  # temperature, top_k, top_p
    prompt: str
    written: str
    logits: list[np.ndarray | None]  # that each character was chosen from, (vocab_size,)


@dataclass(frozen=True)
class Seen:
    """What the reader has made so far: the latest of each kind."""

    run: Run | None = None
    twins: Twins | None = None
    cases: Mapping[str, Diagnosis] = field(default_factory=dict)  # of the doctor, by name
    files: Mapping[str, Contents] = field(default_factory=dict)  # that are open in the inspector
    text: Text | None = None
    model: Callable[[str], tuple[GPT, Vocabulary]] | None = None  # "reference"; ValueError


@dataclass(frozen=True)
class Finding:
    """Whether it is done, or right, and a sentence about it."""

    done: bool
    says: str


class NotYet(Exception):
    """What a lesson asks for is not there; the message says what to do."""


def check(seen: Seen, name: str, given: Mapping[str, float | str]) -> Finding:
    """Check that a task is done. ValueError if there is no check of that name."""
    try:
        return Finding(True, _found(CHECKS, name)(seen, **given))
    except NotYet as missing:
        return Finding(False, str(missing))


def answer(seen: Seen, name: str, given: Mapping[str, float | str], value: float) -> Finding:
    """Compare an answer with the number that it should be, which may be off by `within`. ValueError
    if there is no number of that name.
    """
    given = dict(given)
    within = given.pop("within", 0)
    try:
        right, says = _found(ANSWERS, name)(seen, **given)
    except NotYet as missing:
        return Finding(False, str(missing))
    if abs(value - right) <= within * (1 + 1e-9):
        return Finding(True, says)
    return Finding(False, f"It is {'more' if value < right else 'less'} than {value:,.12g}.")


def _found(known: Mapping[str, Callable], name: str) -> Callable:
    if name not in known:
        raise ValueError(f"The course has no {name!r}; it has {', '.join(known)}.")
    return known[name]


def _run(seen: Seen) -> Run:
    if seen.run is None:
        raise NotYet("There is no run yet: press Start.")
    return seen.run


# ---- tasks: each returns a sentence about what it found, or raises NotYet ------------------------


def trained(seen: Seen, iters: int) -> str:
    """A run that has made so many updates."""
    log = _run(seen).log
    if len(log) < iters:
        raise NotYet(f"Your run has made {len(log):,} of {iters:,} updates. Let it train.")
    return (
        f"Your run has made {len(log):,} updates. Its training loss began at {log[0].train:.2f} "
        f"nats and is at {log[-1].smooth:.2f} now."
    )


def sampled(seen: Seen, times: int) -> str:
    """A run that has written so many samples."""
    run = _run(seen)
    if len(run.samples) < times:
        raise NotYet(
            f"Your run has written {len(run.samples)} of {times} samples. It writes one every "
            f"{run.sample_every:,} iterations: let it train."
        )
    stats, first, last = TextStats(run.corpus), run.samples[0], run.samples[-1]
    before, after = stats.of(first.text), stats.of(last.text)
    return (
        f"From iteration {first.iter:,} to {last.iter:,} the distance of its characters from the "
        f"text's went from {before.unigram_kl:.2f} to {after.unigram_kl:.2f} nats, and that of its "
        f"pairs from {before.bigram_kl:.2f} to {after.bigram_kl:.2f}."
    )


def twin(seen: Seen) -> str:
    """A twin of one seed, whose files are the same bytes."""
    twins = _twins(seen)
    a, b = twins.seeds
    if a != b:
        raise NotYet(f"Your last twin had two seeds, {a!r} and {b!r}. Give both the same one.")
    if not twins.identical:
        raise NotYet(f"{twins} This device adds in another order each time.")
    return f"{twins} Both have the SHA-256 {twins.files[0][:16]}…"


def _twins(seen: Seen) -> Twins:
    if seen.twins is None:
        raise NotYet("No twin has come to its end yet: press Run twin in the tab Twin.")
    return seen.twins


def files(seen: Seen) -> str:
    """Weights and a state of one moment of a run, both open in the inspector."""
    weights = next((one for one in seen.files.values() if not one.saved), None)
    state = next((one for one in seen.files.values() if one.saved), None)
    if weights is None:
        raise NotYet("No weights are open in the Inspector: press The current run there.")
    if state is None:
        raise NotYet("No state is open in the Inspector: save one, and choose it to compare with.")
    a, b = weights.ckpt, state.ckpt
    if (a.seed, a.iter) != (b.seed, b.iter) or a.weights.tobytes() != b.weights.tobytes():
        raise NotYet(
            f"The weights are of {a.seed!r} at iteration {a.iter:,}, the state of {b.seed!r} at "
            f"{b.iter:,}. Pause the run, then open both."
        )
    return (
        f"The weights are {len(weights.data):,} bytes. The state has the same {weights.floats:,} "
        f"numbers, bit for bit, and {state.floats - weights.floats:,} more: AdamW's two averages."
    )


def greedy(seen: Seen, length: int) -> str:
    """A text of so many characters, each of which was the likeliest."""
    text = seen.text
    if text is None or not text.written:
        raise NotYet("Nothing has been written yet: press Write in the tab Talk.")
    if (top_k := text.settings["top_k"]) != 1:
        raise NotYet(f"Your last text was drawn with top-k {top_k}. Set it to 1, and write again.")
    if (n := len(text.written)) < length:
        raise NotYet(f"Your text has {n} of {length} characters so far.")
    logits = text.logits[len(text.prompt) :][:n]
    top = [text.corpus.vocab[int(np.argmax(row))] for row in logits]
    likeliest = sum(a == b for a, b in zip(top, text.written, strict=True))
    if likeliest < n:
        raise NotYet(f"Only {likeliest} of its {n} characters were the likeliest.")
    return (
        f"Each of the {n} characters was the likeliest at its place, so nothing was left to chance."
    )


def cases(seen: Seen, names: str) -> str:
    """Cases of the doctor that show what they should; their names are separated by commas."""
    wanted = [CASES[name] for name in names.split(",")]
    if missing := [case.title for case in wanted if case.name not in seen.cases]:
        raise NotYet(f"Not run to the end yet: {', '.join(missing)}. Run them in the tab Doctor.")
    found = [(case, seen.cases[case.name]) for case in wanted]
    for case, verdict in found:
        if verdict.kind != case.expected:
            raise NotYet(f"{case.title} shows {verdict.title!r} so far: give it more iterations.")
    return " ".join(f"{case.title}: {verdict.title}." for case, verdict in found)


def edited(seen: Seen) -> str:
    """A run whose code was changed after it began, and that went on."""
    run = _run(seen)
    at, diff = _last_edit(run)
    if run.iter <= at:
        raise NotYet(f"Your code is in force from iteration {at:,} on. Press Resume.")
    marks = [line[0] for line in diff.splitlines() if line[:1] in ("+", "-")]
    files = diff.count("\n+++ ") + diff.startswith("+++ ")
    added, removed = marks.count("+") - files, marks.count("-") - files
    return (
        f"Since iteration {at:,} your run has trained {run.iter - at:,} iterations by your code: "
        f"{added} lines are new and {removed} are gone."
    )


def _last_edit(run: Run) -> tuple[int, str]:
    edits = [(at, diff) for at, diff in run.edits if at > run.first]
    if not edits:
        raise NotYet("The code has not changed since your run began: edit it, and press Apply.")
    return edits[-1]


def gelu(seen: Seen) -> str:
    """Another function for the kernel gelu, with its derivative, and a run that uses it."""
    run = _run(seen)
    x = _another_gelu()
    slope, told = _slope(x), np.zeros_like(x)
    KERNELS["gelu_backward"](x, np.ones_like(x), told, size=x.size, accumulate=0)
    wrong = np.abs(told - slope) > 1e-4 * np.maximum(1, np.abs(slope))
    if wrong.any():
        at = int(wrong.argmax())
        raise NotYet(
            f"At x = {x[at]:.2f} the slope of your function is {slope[at]:.4f}, and gelu_backward "
            f"says {told[at]:.4f}. Change the derivative too."
        )
    for row in parity(["gelu", "gelu_backward"], run.device) if run.device.name == "webgpu" else ():
        if not row.ok:
            raise NotYet(f"shaders/{row.kernel}.wgsl is another function: {row.message}")
    if run.iter == run.first:
        raise NotYet("Forward and backward agree. Now let a run train with them.")
    return (
        "Your function and its derivative agree with finite differences at 60 places, and your "
        f"run is at iteration {run.iter:,} with them."
    )


def _another_gelu() -> np.ndarray:
    """The places at which the kernel gelu is tested, unless it still computes GELU."""
    x = np.linspace(-3, 3, 60)  # 0, where it may have a corner, is not among them
    usual = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    if np.abs(_gelu(x) - usual).max() < 1e-6:
        raise NotYet("The kernel gelu still computes GELU: change it in devices/kernels.py.")
    return x


def _gelu(x: np.ndarray) -> np.ndarray:
    y = np.empty_like(x)
    KERNELS["gelu"](x, y, size=x.size)
    return y


def _slope(x: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """Of the kernel gelu, by central differences, in float64."""
    return (_gelu(x + h) - _gelu(x - h)) / (2 * h)


def own_text(seen: Seen, iters: int, tokenizer: str = "") -> str:
    """A run on a text of the reader's, as bytes if the tokenizer is "bytes"."""
    run = _run(seen)
    corpus = run.corpus
    if corpus.sha256 == SHAKESPEARE_SHA256:
        raise NotYet("Your run learns Shakespeare. Bring a text of your own, and start a new run.")
    if tokenizer == "bytes" and corpus.tokenizer != BYTES:
        raise NotYet(
            "Your run reads characters. Reset it, use the preset byte-v0, and start a new run."
        )
    return f"{trained(seen, iters)} It learns {corpus.name!r}, of {corpus.raw_bytes:,} bytes."


def two_texts(seen: Seen, iters: int) -> str:
    """A run on another text than the reference's, where each model is better at its own text."""
    own_text(seen, iters)
    try:
        reference = seen.model("reference")
    except ValueError as error:
        raise NotYet("Open the tab Talk once: it brings the reference model.") from error
    run, plays = seen.run, shakespeare()
    texts = [c.decode(np.concatenate([c.train[-PIECE:], c.val])) for c in (run.corpus, plays)]
    models = (run.model, run.corpus), reference
    shared = [set(known.vocab) for _, known in models if known.tokenizer == CHARACTERS]
    texts = ["".join(c for c in text if all(c in one for one in shared)) for text in texts]
    (a, b), (c, d) = [[_surprise(*one, text[-PIECE:]) for text in texts] for one in models]
    says = (
        f"Your model: {a:.2f} nats on its own text, {b:.2f} on Shakespeare. The reference model: "
        f"{c:.2f} on your text, {d:.2f} on Shakespeare."
    )
    if not a < c:
        raise NotYet(f"{says} Let yours train until it knows its own text better.")
    if not d < b:
        raise NotYet(f"{says} Too little of Shakespeare is left in your text's characters.")
    return f"{says} Each is less surprised by what it was trained on."


def _surprise(model: GPT, vocabulary: Vocabulary, text: str) -> float:
    """The loss of a model on a text, in nats a token."""
    T, tokens = model.config.block_size, vocabulary.encode(text)
    n = (len(tokens) - 1) // T
    if n < 1:
        raise NotYet("Too few characters of the one text are known to the other model.")
    x, y = (model.device.tensor(tokens[i:][: n * T].reshape(n, T)) for i in (0, 1))
    model.eval()
    with no_grad():
        return model.loss(x, y).item()


_TASKS = trained, sampled, twin, files, greedy, cases, edited, gelu, own_text, two_texts
CHECKS = {each.__name__: each for each in _TASKS}


# ---- answers: each returns the number, and a sentence about it, or raises NotYet -----------------


def even_guess(seen: Seen) -> tuple[float, str]:
    """The loss of an even guess among the run's characters."""
    run = _run(seen)
    V = run.model.config.vocab_size
    return math.log(V), (
        f"ln {V} = {math.log(V):.4f}. The first loss of your run was {run.log[0].train:.4f}."
        if run.log
        else f"ln {V} = {math.log(V):.4f}."
    )


def letter_counts(seen: Seen) -> tuple[float, str]:
    """The entropy of the text's characters, each by itself."""
    nats = {level.name: level.nats for level in levels(_run(seen).corpus)}
    return nats["unigram"], (
        f"The characters of your text have an entropy of {nats['unigram']:.4f} nats. With the one "
        f"before known it is {nats['bigram']:.4f}: to get there a model has to use its context."
    )


def parted(seen: Seen) -> tuple[float, str]:
    """The first iteration at which the runs of two seeds differ."""
    twins = _twins(seen)
    a, b = twins.seeds
    if a == b:
        raise NotYet(f"Both seeds of your last twin were {a!r}. Change one, and run it again.")
    if twins.parted is None:
        raise NotYet(str(twins))
    return twins.parted, (
        f"{twins} The seed draws the first weights and the first batch, so no loss is shared."
    )


def state_bytes(seen: Seen) -> tuple[float, str]:
    """The bytes that the numbers of the state in the inspector take."""
    state = next((one for one in seen.files.values() if one.saved), None)
    if state is None:
        raise NotYet("No state is open in the Inspector.")
    n = 4 * state.floats
    return n, f"3 x {state.floats // 3:,} numbers of 4 bytes: {n:,}. The rest is text and records."


def lowest_english(seen: Seen) -> tuple[float, str]:
    """Shannon's lower bound for a letter of English, in nats."""
    nats = SHANNON_BITS[0] * math.log(2)
    return nats, f"{SHANNON_BITS[0]} x ln 2 = {nats:.4f} nats. It is the lowest line on the curve."


def changed_at(seen: Seen) -> tuple[float, str]:
    """The first iteration by the reader's code."""
    at, _ = _last_edit(_run(seen))
    return at, f"Iteration {at:,} is the first by your code. The curve has a mark there."


def slope(seen: Seen, at: float) -> tuple[float, str]:
    """The slope of the kernel gelu, once it computes something else than GELU."""
    _another_gelu()
    found = float(_slope(np.array([float(at)]))[0])
    return found, f"The difference quotient of your gelu at {at:g} is {found:.4f}."


_NUMBERS = even_guess, letter_counts, parted, state_bytes, lowest_english, changed_at, slope
ANSWERS = {each.__name__: each for each in _NUMBERS}
