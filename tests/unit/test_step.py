"""A step that is taken apart, against the step that training takes, and against float64: NumPy's
references of the kernels, and a forward pass of its own. tests/gpu runs these on WebGPU too.
"""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

import groundling.config
import groundling.labs.step
import groundling.runs.run
import groundling.train
from groundling import sources
from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.base import Device
from groundling.devices.numpy import NumPyDevice
from groundling.edits import live, recipes
from groundling.engine.parameters import by_name
from groundling.labs import step as step_module
from groundling.labs.stages import SEEN, Choice, Stage, fitting, stages
from groundling.labs.step import Step, take_apart
from groundling.model import GPT
from groundling.runs import statefile
from groundling.runs.run import Run
from groundling.train import train

TEXT = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind\n" * 20
CORPUS = Corpus(TEXT)
NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"


def drawn(rng: np.random.Generator) -> tuple[TrainConfig, GPTConfig]:
    """Fresh settings."""
    heads = int(rng.integers(1, 4))
    width = 4 * heads * int(rng.integers(1, 4))
    batch = int(rng.integers(2, 5))
    settings = dict(
        seed=str(rng.integers(10**6)),
        iters=30,
        batch_size=batch,
        lr=float(rng.uniform(1e-3, 1e-2)),
        warmup=int(rng.integers(1, 10)),
        grad_clip=float(rng.choice([0.3, 1.0, 100.0])),
        weight_decay=float(rng.choice([0.0, 0.1])),
        beta1=float(rng.uniform(0.7, 0.95)),
        eval_interval=10,
        eval_batches=1,
    )
    layers, context = int(rng.integers(1, 4)), int(rng.integers(5, 20))
    model = GPTConfig(CORPUS.vocab_size, context, layers, heads, width, 2 * width)
    return TrainConfig(**settings), model


def trained(device: Device, rng: np.random.Generator, iters: int = 6) -> Run:
    config, model = drawn(rng)
    run = Run(config, CORPUS, device, model)
    list(train(run, iters))
    return run


def choices(step: Step, rng: np.random.Generator) -> Choice:
    """Some character, and some weight of some tensor."""
    B, T = step.tokens.shape
    tensor = str(rng.choice(list(step.before["w"])))
    shape = step.before["w"][tensor].shape
    row = int(rng.integers(shape[0])) if len(shape) > 1 else 0
    return Choice(
        int(rng.integers(B)), int(rng.integers(T)), tensor, row, int(rng.integers(shape[-1]))
    )


# ---- the step that training takes ----------------------------------------------------------------


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_it_is_the_very_step_that_the_run_takes_next(device: Device, dropout: float):
    config = TrainConfig(iters=9, batch_size=4, accumulate=2 if dropout else 1, eval_batches=1)
    model = GPTConfig(CORPUS.vocab_size, 12, 2, 2, 16, 32, dropout=dropout)
    run = Run(config, CORPUS, device, model)
    for at in (0, 1, 5):
        list(train(run, at))
        step = take_apart(run)
        record = list(train(run, at + 1))[-1]
        assert (step.iter, step.lr) == (record.iter, record.lr)
        # in training a GPU runs some kernels as one, and the wasm device sums halves of the batch
        exact = device.name == "numpy"
        near = dict(rel=0 if exact else 1e-6)
        assert step.loss == pytest.approx(record.train, **near)
        assert step.norm == pytest.approx(record.grad_norm, **near)
        after = np.concatenate([x.ravel() for x in step.after["w"].values()])
        np.testing.assert_allclose(after, run.model.weights(), rtol=0, atol=1e-6)
        if exact:
            assert np.array_equal(after, run.model.weights())


def test_a_run_ends_with_the_same_bytes_whether_or_not_steps_were_taken_apart(device: Device):
    config, model = drawn(np.random.default_rng(3))
    plain, seen = (Run(config, CORPUS, device, model) for _ in "ab")
    list(train(plain))
    for stop in (0, 4, 11, None):
        list(train(seen, stop))
        stages(step := take_apart(seen), fitting(step, Choice()))
    saved = (replace(statefile.snapshot(run), created_at="") for run in (plain, seen))
    assert len({statefile.dumps(each) for each in saved}) == 1


# ---- float64 -------------------------------------------------------------------------------------


def in_float64(run: Run) -> Run:
    """The same run, on NumPy in float64."""
    double = Run(run.config, CORPUS, NumPyDevice(np.float64), run.model.config)
    double.restore(run.state())
    return double


def figures(told: list[Stage]) -> list[tuple[str, list[float]]]:
    """Every number of every table, with where it is, but those that stand for their own row."""
    return [
        (f"{stage.title}: {table.title}: {row[0]}", [float(n) for n in re.findall(NUMBER, cell)])
        for stage in told
        for table in stage.tables
        for row in table.rows
        for cell in row
    ]


@pytest.mark.parametrize("round", range(3))
def test_every_number_is_that_of_float64(device: Device, rng, round: int):
    run = trained(device, rng)
    step, exact = take_apart(run), take_apart(in_float64(run))
    chosen = choices(step, rng)
    ours, theirs = (figures(stages(each, chosen)) for each in (step, exact))
    assert len(ours) > 200
    for (where, mine), (also, right) in zip(ours, theirs, strict=True):
        assert where == also and len(mine) == len(right), where
        # Lengths are shown with five digits.
        np.testing.assert_allclose(mine, right, rtol=2e-4, atol=1e-7, err_msg=where)


def test_float64_is_what_is_computed_by_hand(rng):
    """Loss and residual stream by formulas written anew; gradients by finite differences."""
    run = in_float64(trained(NumPyDevice(), rng))
    step = take_apart(run)
    w, config = step.before["w"], run.model.config
    n, H, d = config.block_size, config.n_head, config.n_embd // config.n_head

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    def forward() -> tuple[float, list[np.ndarray]]:
        x = w["wte"][step.tokens] + w["wpe"][:n]
        stream = [x]
        for h in (f"h.{i}" for i in range(config.n_layer)):
            q, k, v = (
                part.reshape(*x.shape[:2], H, d).swapaxes(1, 2)
                for part in np.split(norm(x, f"{h}.ln_1") @ w[f"{h}.attn.c_attn"], 3, axis=-1)
            )
            scores = np.where(np.tri(n, dtype=bool), q @ k.swapaxes(2, 3) / math.sqrt(d), -np.inf)
            p = np.exp(scores - scores.max(-1, keepdims=True))
            y = (p / p.sum(-1, keepdims=True)) @ v
            x = x + y.swapaxes(1, 2).reshape(x.shape) @ w[f"{h}.attn.c_proj"]
            a = norm(x, f"{h}.ln_2") @ w[f"{h}.mlp.c_fc"]
            a = 0.5 * a * (1 + np.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3)))
            x = x + a @ w[f"{h}.mlp.c_proj"]
            stream.append(x)
        logits = norm(x, "ln_f") @ w["wte"].T
        chosen = np.take_along_axis(logits, step.targets[..., None].astype(int), -1)[..., 0]
        return float((np.log(np.exp(logits).sum(-1)) - chosen).mean()), stream

    loss, stream = forward()
    assert step.loss == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(step.residual, stream, rtol=1e-9, atol=1e-12)
    for name, weights in w.items():
        place, h = tuple(int(rng.integers(size)) for size in weights.shape), 1e-5
        was = weights[place]
        losses = []
        for weights[place] in (was + h, was - h):
            losses.append(forward()[0])
        weights[place] = was
        slope = (losses[0] - losses[1]) / (2 * h)
        assert step.before["g"][name][place] == pytest.approx(slope, rel=1e-5, abs=1e-8), name


# ---- what adds up --------------------------------------------------------------------------------


def table(told: list[Stage], title: str) -> list[list[str]]:
    """The rows of the table whose title begins so."""
    [rows] = [t.rows for stage in told for t in stage.tables if t.title.startswith(title)]
    return rows


def value(formula: str) -> float:
    """A formula as it is shown, by Python."""
    python = formula.replace("·", "*").replace("^", "**").replace("²", "**2")
    assert re.fullmatch(rf"(?:{NUMBER}|sqrt|min|[-+*/(), ])+", python), formula
    return eval(python, {"__builtins__": {}, "sqrt": math.sqrt, "min": min})


@pytest.mark.parametrize("round", range(4))
def test_the_arithmetic_on_screen_adds_up_to_the_last_digit(device: Device, rng, round: int):
    run = trained(device, rng, round)
    step = take_apart(run)
    told = stages(step, choices(step, rng))
    update = {name: (formula, shown) for name, formula, shown, _ in table(told, "The update of")}
    for name in ("m'", "v'", "m̂", "v̂", "step", "decay", "w'"):
        formula, shown = update[name]
        assert f"{value(formula):.9g}" == shown, name
    norm, factor, clipped = table(told, "The norm and the factor")[1:]
    for _, formula, shown, _ in (norm, factor, clipped):
        assert f"{value(formula):.9g}" == shown
    squares = math.fsum(float(row[3]) for row in table(told, "By tensor"))
    assert f"{squares:.9g}" == table(told, "The norm and the factor")[0][2]
    log_sum, logit, surprise = table(told, "The surprise of")
    assert f"{value(surprise[1]):.9g}" == surprise[2]
    assert [log_sum[2], logit[2]] == re.findall(NUMBER, surprise[1].replace(" - ", " "))
    means = [float(nats) for _, nats in table(told, "Mean surprise")]
    assert f"{math.fsum(means) / len(means):.9g}" == table(told, "The loss")[0][2]
    sums = [t.rows for stage in told for t in stage.tables if t.title.startswith("At your")]
    assert len(sums) == 1 + run.model.config.n_layer
    for *terms, total, seen in sums:
        assert (total[0], seen[0]) == ("sum", SEEN)
        for column in range(1, len(total)):
            shown = math.fsum(float(term[column]) for term in terms)
            assert f"{shown:.9g}" == total[column]


def test_each_column_is_what_its_head_says(device: Device, rng):
    run = trained(device, rng)
    step = take_apart(run)
    chosen = choices(step, rng)
    at = chosen.sequence, chosen.position
    told = {
        (stage.title, shown.title, row[0], head): cell
        for stage in stages(step, chosen)
        for shown in stage.tables
        for row in shown.rows
        for head, cell in zip(shown.head, row, strict=True)
    }

    def is_shown(stage: str, title: str, row: str, **columns: float) -> None:
        for head, right in columns.items():
            head = heads.get(head, head)
            assert float(told[stage, title, row, head]) == pytest.approx(right, rel=1e-4), head

    heads = {
        "here": "‖·‖ at your character",
        "mean": "Mean ‖·‖ in the batch",
        "rms": "RMS in the batch",
        "g": "‖g‖",
    }

    def of_all(x: np.ndarray) -> dict[str, float]:
        norms = np.sqrt((x.astype(np.float64) ** 2).sum(-1))
        return dict(here=norms[at], mean=norms.mean(), rms=np.sqrt((x**2).mean()))

    x, y = step.residual[:2]
    is_shown("Block 1", "Norms", "x before", **of_all(x))
    is_shown("Block 1", "Norms", "attn", **of_all(step.added[0]["attn"]))
    is_shown("Block 1", "Norms", "after - before", **of_all(y - x))
    by = step.gradients[0]
    is_shown(
        "Back through block 1", "The gradient of the loss", "d loss / d x, before it", **of_all(by)
    )
    g = step.before["g"]["h.0.mlp.c_fc"]
    size = dict(g=np.linalg.norm(g), RMS=np.sqrt((g**2).mean()))
    is_shown("Back through block 1", "Gradients that are finished here", "h.0.mlp.c_fc", **size)
    p = np.exp(step.logits[at] - step.log_sums[at])
    name = run.corpus.vocab[p.argmax()].replace(" ", "␣").replace("\n", "↵")
    name += " ← came" * int(p.argmax() == step.targets[at])
    [expected] = {title for _, title, *_ in told if title.startswith("After")}
    is_shown("Logits and surprise", expected, name, p=p.max(), Logit=step.logits[at].max())
    is_shown("Embeddings", "Norms", "x, which enters block 1", **of_all(x))
    assert float(table(stages(step, chosen), "In all")[0][1]) == pytest.approx(
        np.linalg.norm(
            np.concatenate([(step.after["w"][n] - w).ravel() for n, w in step.before["w"].items()])
        ),
        rel=1e-3,  # of the weights' last bits
    )


def test_what_is_shown_of_the_device_is_the_chosen_weight(device: Device, rng):
    run = trained(device, rng)
    step = take_apart(run)
    chosen = choices(step, rng)
    rows = {row[0]: row for row in table(stages(step, chosen), "The update of")}
    at = (chosen.row, chosen.column)[-step.before["w"][chosen.tensor].ndim :]
    list(train(run, run.iter + 1))
    for name, flat in (("w", run.model.flat), ("m", run.optimizer.m), ("v", run.optimizer.v)):
        assert float(rows[name][2]) == pytest.approx(step.before[name][chosen.tensor][at], rel=1e-8)
        here = by_name(run.model.gather(flat), run.model.shapes)[chosen.tensor][at]
        assert float(rows[f"{name}'"][3]) == pytest.approx(here, rel=1e-5, abs=1e-9)
        assert float(rows[f"{name}'"][2]) == pytest.approx(here, rel=2e-5, abs=1e-9)


# ---- stages and code -----------------------------------------------------------------------------


def test_each_stage_has_its_lines_of_python_and_their_kernels(device: Device, rng):
    run = trained(device, rng)
    told = stages(take_apart(run), Choice(tensor="wte"))
    layers = run.model.config.n_layer
    titles = ["Batch", "Embeddings", *(f"Block {i + 1}" for i in range(layers))]
    titles += ["Logits and surprise", "Loss", "Back through the logits"]
    titles += [f"Back through block {i}" for i in range(layers, 0, -1)]
    assert [stage.title for stage in told] == [
        *titles,
        *("Back into the embeddings", "Clip", "AdamW"),
    ]
    found = {(stage.title, kernel) for stage in told for p in stage.places for kernel in p.kernels}
    for title, kernel in (
        ("Batch", "gather_batch"),
        ("Block 1", "attention"),
        ("Loss", "cross_entropy"),
        ("Back through block 1", "attention_backward"),
        ("Back into the embeddings", "embedding_backward"),
        ("Clip", "sum_squares"),
        ("AdamW", "adamw"),
    ):
        assert (title, kernel) in found
    for stage in told:
        for place in stage.places:
            assert place.text == sources.text(place.path).splitlines()[place.line - 1].strip()
            assert place.back == (stage.title.startswith("Back"))
    finished = [row[0] for s in told for t in s.tables if "finished" in t.title for row in t.rows]
    assert sorted(finished) == sorted(run.model.shapes)


def test_a_choice_is_moved_to_where_there_is_something(device: Device, rng):
    step = take_apart(trained(device, rng))
    B, T = step.tokens.shape
    found = fitting(step, Choice(99, 99, "no such", 5, 10**6))
    assert (found.sequence, found.position, found.tensor) == (B - 1, T - 1, "wte")
    assert found.row == step.tokens[-1, -1]
    assert found.column == step.before["w"]["wte"].shape[1] - 1
    assert fitting(step, Choice(tensor="ln_f.bias", row=3)).row == 0


# ---- edited code, and what cannot be -------------------------------------------------------------


def edited(rng, path: str, *changes: tuple[str, str]) -> Step:
    """A step of a run under edited code."""
    whole = f"{sources.LIBRARY}{path}"
    text = sources.text(whole)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    before = live.load({whole: text})
    try:
        import groundling.labs.step as labs
        import groundling.runs.run as runs

        config, model = drawn(rng)
        run = runs.Run(config, CORPUS, NumPyDevice(), model)
        step = labs.take_apart(run)
        import groundling.labs.stages as told

        told.stages(step, told.fitting(step, told.Choice()))
        return step
    finally:
        live.restore(before)


def test_an_edited_model_is_taken_apart_as_it_is(rng):
    step = edited(rng, "model.py", ("x + self.attn(self.ln_1(x))", "x + 0.5 * self.attn(x)"))
    assert "ln_1" not in step.added[0] and "attn" in step.added[0]
    assert not step.before["g"]["h.0.ln_1.weight"].any()
    told = {stage.title: stage.says for stage in stages(step, fitting(step, Choice()))}
    assert "The code is edited: what the block adds is not" in told["Block 1"]


@pytest.mark.native  # tests/browser trains with them in the real worker
@pytest.mark.parametrize("recipe", recipes.RECIPES, ids=lambda recipe: recipe.name)
def test_under_every_recipe_it_is_the_step_that_the_run_takes(recipe):
    texts = {edit.path: sources.original(edit.path) for edit in recipe.edits if edit.old}
    before = live.load(recipes.apply(recipe, texts))
    try:
        model = groundling.config.GPTConfig(CORPUS.vocab_size, 9, 2, 3, 12, 20)
        config = groundling.config.TrainConfig(iters=8, batch_size=3, eval_batches=1, lr=1e-2)
        run = groundling.runs.run.Run(config, CORPUS, NumPyDevice(), model)
        list(groundling.train.train(run, 3))
        step = groundling.labs.step.take_apart(run)
        told = stages(step, fitting(step, Choice(tensor="ln_f.weight")))
        record = list(groundling.train.train(run, 4))[-1]
    finally:
        live.restore(before)
    assert (step.loss, step.norm) == (record.train, record.grad_norm)
    edited = [stage.title for stage in told if "The code is edited" in stage.says]
    of = {"label-smoothing": ["Loss"], "no-positions": ["Embeddings"], "decay-matrices": ["AdamW"]}
    assert edited == of.get(recipe.name, [])


@pytest.mark.parametrize(
    ("path", "change", "said"),
    [
        ("train.py", ("def training_step(", "def one_step("), "no training_step"),
        ("train.py", ("optimizer.step(hyper)", "pass"), "the part “clip”"),
        (
            "model.py",
            ("x = recompute(block, x) if self.recomputes else block(x)", "pass"),
            "the part “embeddings”",
        ),
    ],
)
def test_what_was_edited_away_is_told_in_a_sentence(rng, path: str, change, said: str):
    change = [change]
    if said == "no training_step":
        change.append(("run.captured(training_step)", "run.captured(one_step)"))
    with pytest.raises(ValueError, match=said):
        edited(rng, path, *change)


def test_a_text_of_one_character_is_told_though_nothing_surprises(device: Device):
    corpus = Corpus("a" * 100)
    run = Run(TrainConfig(batch_size=2), corpus, device, GPTConfig(1, 7, 1, 1, 4, 4))
    step = take_apart(run)
    told = {stage.title: stage for stage in stages(step, fitting(step, Choice()))}
    assert step.loss == 0
    assert [row[1] for row in told["Loss"].tables[1].rows] == ["0", "0"]
    assert "edited" not in "".join(stage.says for stage in told.values())


def test_a_step_that_is_too_large_is_refused_with_its_size(device: Device, monkeypatch, rng):
    run = trained(device, rng, 1)
    monkeypatch.setattr(step_module, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="MB on the device"):
        take_apart(run)


def test_after_an_error_the_device_captures_again_and_is_not_tapped(
    device: Device, monkeypatch, rng
):
    run = trained(device, rng, 1)

    def fails(self, tokens):
        raise KeyError("of the reader's model")

    with monkeypatch.context() as patch:
        patch.setattr(GPT, "forward", fails)
        with pytest.raises(KeyError):
            take_apart(run)
    assert device.capturing_enabled and not device.tapped and "run" not in vars(device)
    assert take_apart(run).loss > 0
