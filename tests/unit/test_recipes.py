"""Every recipe applies, trains, and does what it says; those that edit the model have the gradients
of finite differences.
"""

import io
import itertools
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

import groundling.config
import groundling.devices.numpy
import groundling.model
import groundling.optim
import groundling.train
from groundling import sources
from groundling.data import Corpus
from groundling.devices.base import Device
from groundling.devices.numpy import NumPyDevice
from groundling.edits import live, recipes
from groundling.rng import Stream

pytestmark = pytest.mark.native  # whole runs, which tests/browser trains in the real worker

RECIPES = {recipe.name: recipe for recipe in recipes.RECIPES}
OF_MODELS = "relu-squared", "no-positions", "qk-norm", "label-smoothing", "custom-kernel"
TEXT = (
    "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind to suffer\n" * 20
)
STEP = 1e-5  # of finite differences, as in test_gradients.py
TOKENS = np.array([[3, 0, 6, 3], [1, 2, 3, 5]], np.uint32)
TARGETS = np.array([[0, 6, 3, 3], [2, 3, 5, 0]], np.uint32)


@pytest.fixture
def use() -> Iterator[Callable[[str], None]]:
    """A function that puts a recipe in force; afterwards the library is as it was."""
    before = []

    def use(name: str) -> None:
        before.append(live.load(overlay(name)))

    yield use
    for loaded in reversed(before):
        live.restore(loaded)


def overlay(name: str) -> dict[str, str]:
    """A recipe as edits of the library's own files."""
    recipe = RECIPES[name]
    texts = {edit.path: sources.original(edit.path) for edit in recipe.edits if edit.old}
    return recipes.apply(recipe, texts)


def small_run(device: Device, text: str = TEXT, **settings: float):
    """A run of odd sizes and with dropout, by the code in force."""
    corpus, config = Corpus(text), groundling.config
    shape = dict(block_size=9, n_layer=2, n_head=3, n_embd=12, d_ff=20, dropout=0.1)
    common = dict(seed="small", iters=8, batch_size=3, lr=1e-2, min_lr=1e-3, warmup=4)
    common |= dict(eval_interval=3, eval_batches=1)
    train_config = config.TrainConfig(**common | settings)
    model_config = config.GPTConfig(vocab_size=corpus.vocab_size, **shape)
    run = groundling.runs.run.Run(train_config, corpus, device, model_config)
    run.sample_every = 0
    return run


def finish(run) -> list:
    return list(groundling.train.train(run))


def weights_of(run) -> bytes:
    return run.model.weights().tobytes()


def small_model(device: Device, n_layer: int = 2):
    """A model by the code in force, its weights large enough for all to matter."""
    sizes = dict(vocab_size=7, block_size=4, n_layer=n_layer, n_head=3, n_embd=6, d_ff=11)
    config = groundling.config.GPTConfig(**sizes)
    weights = groundling.model.initial_weights(config, "gradients")
    noise = 0.3 * Stream("large").normal(weights.size)
    return groundling.model.GPT(config, device, weights + noise)


def logits_of(model, tokens: np.ndarray = TOKENS) -> np.ndarray:
    return model.forward(model.device.tensor(tokens)).numpy()


def change(model, name: str, new: Callable[[np.ndarray], np.ndarray]) -> None:
    """Replace one parameter of a model."""
    parameter = model.parameters[name]
    model.device.write(parameter, new(parameter.numpy()))


# All of them


def test_there_is_one_for_each_name():
    assert len(RECIPES) == len(recipes.RECIPES) == 9


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_finds_what_it_changes_exactly_once(name: str):
    for path, text in overlay(name).items():
        assert text != sources.original(path)


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(RECIPES, 2)))
def test_one_recipe_can_be_put_on_another(first: str, second: str):
    """But for two activations in one place."""
    files = overlay(first)
    texts = {e.path: files.get(e.path) or sources.original(e.path) for e in RECIPES[second].edits}
    texts = {path: text for path, text in texts.items() if text is not None}
    if {first, second} == {"relu-squared", "custom-kernel"}:
        with pytest.raises(ValueError, match="was changed where the recipe changes it"):
            recipes.apply(RECIPES[second], texts)
    else:
        for path, text in recipes.apply(RECIPES[second], texts).items():
            assert path.endswith(".wgsl") or compile(text, path, "exec")


def test_a_recipe_is_refused_where_the_file_was_changed():
    recipe = RECIPES["constant-lr"]
    text = sources.original(recipes.TRAIN)
    for changed in (text.replace("0.5 * (1 + math.cos", "0.4 * (1 + math.cos"), text * 2, ""):
        with pytest.raises(ValueError, match="train.py was changed where the recipe changes it"):
            recipes.apply(recipe, {recipes.TRAIN: changed})


def test_a_new_file_does_not_overwrite_one():
    recipe = RECIPES["custom-kernel"]
    files = {recipes.MODEL: sources.original(recipes.MODEL), "py_src/groundling/silu.py": "mine"}
    with pytest.raises(ValueError, match="there is a file py_src/groundling/silu.py already"):
        recipes.apply(recipe, files)


def test_a_recipe_leaves_files_that_our_linter_likes(tmp_path: Path):
    root = Path(__file__).parents[2]
    for name in RECIPES:
        for path, text in overlay(name).items():
            if path.endswith(".py"):
                file = tmp_path / name / Path(path).name
                file.parent.mkdir(exist_ok=True)
                file.write_text(text, encoding="utf-8")
    config = ["--config", str(root / "pyproject.toml"), "--no-cache", str(tmp_path)]
    for command in (["check"], ["format", "--diff"]):
        ruff = [sys.executable, "-m", "ruff", *command, *config]
        done = subprocess.run(ruff, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains(device: Device, use: Callable, name: str):
    use(name)
    with redirect_stdout(io.StringIO()):
        records = finish(small_run(device, iters=30))
    assert [record.iter for record in records] == list(range(30))
    assert records[-1].smooth < records[0].train - 0.2
    assert records[-1].val < records[0].val - 0.2


@pytest.mark.parametrize("name", OF_MODELS)
def test_an_edited_model_has_the_gradient_of_finite_differences(use: Callable, name: str):
    use(name)
    device = NumPyDevice(dtype=np.float64)
    model = small_model(device)
    x, y = device.tensor(TOKENS), device.tensor(TARGETS)
    more = dict(smoothing=0.1) if name == "label-smoothing" else {}
    model.zero_grad()
    model.loss(x, y, **more).backward()
    groundling.optim.clip_grad_norm_(model, 1e9)  # so that what the loss does not reach is zero
    found, weights = model.gather(model.flat_grad), model.weights()
    expected = np.zeros_like(weights)
    for i, sign in itertools.product(range(weights.size), (1, -1)):
        nudged = weights.copy()
        nudged[i] += sign * STEP
        model.load(nudged)
        expected[i] += sign * model.loss(x, y, **more).item() / (2 * STEP)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", OF_MODELS)
def test_an_edited_model_trains_on_any_device_as_on_numpy(device: Device, use: Callable, name: str):
    use(name)
    records, expected = (finish(small_run(d)) for d in (device, NumPyDevice()))
    for record, other in zip(records, expected, strict=True):
        assert record.train == pytest.approx(other.train, abs=1e-4)


# Each of them


def test_the_constant_rate_warms_up_and_then_stays(device: Device, use: Callable):
    use("constant-lr")
    rates = [record.lr for record in finish(small_run(device, iters=12))]
    assert rates[:4] == pytest.approx([0.0025, 0.005, 0.0075, 0.01])
    assert rates[4:] == [0.01] * 8


def test_relu_squared_is_what_the_formula_says(device: Device, use: Callable):
    use("relu-squared")
    model = small_model(device)
    x = Stream("x").normal(2 * 4 * 6).reshape(2, 4, 6)
    w = {name: parameter.numpy() for name, parameter in model.parameters.items()}
    expected = np.maximum(x @ w["h.0.mlp.c_fc"], 0) ** 2 @ w["h.0.mlp.c_proj"]
    np.testing.assert_allclose(model.h[0].mlp(device.tensor(x)).numpy(), expected, atol=1e-5)


def test_without_positions_the_order_of_what_came_before_is_all_one(device: Device, use: Callable):
    """In one layer; a second one sees in the first what came before what."""
    swapped = TOKENS[:, [1, 0, 2, 3]]
    plain = small_model(device, n_layer=1)
    assert np.abs(logits_of(plain)[:, 3] - logits_of(plain, swapped)[:, 3]).max() > 0.01
    use("no-positions")
    model = small_model(device, n_layer=1)
    np.testing.assert_allclose(logits_of(model)[:, 3], logits_of(model, swapped)[:, 3], atol=1e-5)


def test_under_qk_norm_only_the_direction_of_queries_and_keys_matters(
    device: Device, use: Callable
):
    def larger(width: slice) -> Callable:
        def new(weight: np.ndarray) -> np.ndarray:
            weight[:, width] *= 30
            return weight

        return new

    def moved(width: slice) -> float:
        model = small_model(device)
        before = logits_of(model)
        change(model, "h.0.attn.c_attn", larger(width))
        return np.abs(logits_of(model) - before).max()

    queries_and_keys, values = slice(0, 12), slice(12, 18)
    assert moved(queries_and_keys) > 0.1
    use("qk-norm")
    assert moved(queries_and_keys) < 1e-3  # not 0: eps counts for less
    assert moved(values) > 0.1


def test_decay_leaves_gains_and_biases_where_they_are(device: Device, use: Callable):
    def factors() -> dict[str, float]:
        """What a step without a gradient multiplies each parameter by."""
        run = small_run(device, weight_decay=0.5)
        run.model.load(np.ones_like(run.model.weights()))
        device.write(run.model.flat_grad[0], np.zeros(run.model.flat_grad[0].shape))
        run.optimizer.step(device.tensor(run.optimizer.advance(0.1)))
        parameters = run.model.parameters.items()
        assert all(np.ptp(parameter.numpy()) == 0 for _, parameter in parameters)
        return {name: parameter.numpy().flat[0] for name, parameter in parameters}

    assert set(factors().values()) == {np.float32(0.95)}
    use("decay-matrices")
    for name, factor in factors().items():
        is_matrix = "c_" in name or name in ("wte", "wpe")
        assert factor == pytest.approx(0.95 if is_matrix else 1), name


def test_decay_of_each_parameter_by_itself_changes_nothing_else(device: Device, use: Callable):
    plain = small_run(device, weight_decay=0.0)
    finish(plain)
    use("decay-matrices")
    run = small_run(device, weight_decay=0.0)
    finish(run)
    assert weights_of(run) == weights_of(plain)


def test_smoothing_costs_what_it_says_in_training_and_nothing_in_validation(
    device: Device, use: Callable
):
    plain = small_run(device, iters=1)
    [before] = finish(plain)
    use("label-smoothing")
    run = small_run(device, iters=1)
    V = run.corpus.vocab_size
    [record] = finish(run)
    assert record.val == before.val
    assert 1e-5 < abs(record.train - before.train) < 0.1  # new weights: every token costs log V

    run = small_run(device, iters=1)
    run.model.load(np.zeros_like(run.model.weights()))
    [record] = finish(run)
    assert record.train == pytest.approx(math.log(V), rel=1e-6)

    device = run.device
    x, y = device.tensor(TOKENS), device.tensor(TARGETS)
    model = small_model(device)
    logits = logits_of(model).astype(np.float64)
    minus_log = np.log(np.exp(logits).sum(axis=2, keepdims=True)) - logits
    hard = np.take_along_axis(minus_log, TARGETS[..., None].astype(int), axis=2).mean()
    expected = 0.9 * hard + 0.1 * minus_log.mean()
    assert model.loss(x, y, smoothing=0.1).item() == pytest.approx(expected, rel=1e-5)
    assert model.loss(x, y).item() == pytest.approx(hard, rel=1e-5)


def printed_by(run) -> str:
    with redirect_stdout(io.StringIO()) as out:
        finish(run)
    return out.getvalue()


def test_a_sample_is_printed_every_50_iterations_and_the_run_is_the_same(
    device: Device, use: Callable
):
    plain = small_run(device, iters=52)
    assert printed_by(plain) == ""
    use("print-sample")
    run = small_run(device, iters=52)
    parts = re.split(r"iter (\d+): ", printed_by(run))
    assert parts[1::2] == ["0", "50"]
    assert [len(text) for text in parts[2::2]] == [101, 101]  # and the line's end
    assert weights_of(run) == weights_of(plain)
    assert run.log == [replace_class(record, run.log[0]) for record in plain.log]


def test_a_sample_is_printed_of_a_text_without_line_breaks(device: Device, use: Callable):
    use("print-sample")
    assert printed_by(small_run(device, TEXT.replace("\n", " "), iters=2)).startswith("iter 0: ")


def replace_class(record, like):
    """A record of the code before, as the code in force has it."""
    return type(like)(**vars(record))


def test_each_parameters_gradient_norm_is_logged_after_clipping(device: Device, use: Callable):
    use("log-gradients")
    run = small_run(device, iters=52)
    lines = printed_by(run).splitlines()
    names = list(run.model.parameters)
    for it in (0, 50):
        logged = [re.fullmatch(rf"iter {it}: (\S+) +(\S+)", line) for line in lines]
        norms = {match[1]: float(match[2]) for match in logged if match}
        assert list(norms) == names
        whole = math.hypot(*norms.values())
        assert whole == pytest.approx(min(1, run.log[it].grad_norm), rel=0.01)  # three digits
    assert len(lines) == 2 * len(names)


def test_the_kernel_of_ones_own_is_silu(device: Device, use: Callable):
    use("custom-kernel")
    silu = sys.modules["groundling.silu"].silu
    x = np.linspace(-20, 20, 101)
    y = silu(device.tensor(x)).numpy()
    np.testing.assert_allclose(y, x / (1 + np.exp(-x)), atol=1e-5)


def test_a_recipe_as_a_diff_has_its_changes_and_no_others():
    diff = recipes.diff(RECIPES["constant-lr"])
    changes = [line for line in diff.splitlines() if re.match(r"[-+](?![-+])", line)]
    assert changes[-1] == "+    return config.lr"
    assert len([line for line in changes if line.startswith("+")]) == 2
    assert "--- py_src/groundling/train.py" in diff


def test_a_new_file_is_in_the_diff_whole():
    diff = recipes.diff(RECIPES["custom-kernel"])
    assert "--- /dev/null\n+++ shaders/silu_forward.wgsl" in diff
    added = [line[1:] for line in diff.split("+++ shaders/silu_forward.wgsl\n")[1].splitlines()]
    text = recipes.SILU_FORWARD.splitlines()
    assert added[1 : 1 + len(text)] == text
