"""The check of edited kernels (parity.py): right ones pass, and each wrong one is found where it is
wrong.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import groundling.labs.parity
from groundling import sources
from groundling.cli import main as cli
from groundling.devices.numpy import NumPyDevice
from groundling.devices.webgpu import attention, tiles
from groundling.devices.webgpu.device import WebGPUDevice
from groundling.edits import live, recipes
from groundling.labs import bench
from groundling.labs.parity import Row

RECIPES = {recipe.name: recipe for recipe in recipes.RECIPES}


@pytest.fixture
def use() -> Iterator[Callable[[dict[str, str]], None]]:
    """A function that puts edits in force; afterwards the library is as it was."""
    before = []
    yield lambda overlay: before.append(live.load(overlay))
    for loaded in reversed(before):
        live.restore(loaded)


def applied(name: str, *changes: tuple[str, str, str]) -> dict[str, str]:
    """A recipe as edits, and then (path, old, new) in what it leaves."""
    recipe = RECIPES[name]
    texts = {edit.path: sources.original(edit.path) for edit in recipe.edits if edit.old}
    files = recipes.apply(recipe, texts)
    for path, old, new in changes:
        assert files[path].count(old) == 1
        files[path] = files[path].replace(old, new)
    return files


def edited(kernel: str, *changes: tuple[str, str]) -> dict[str, str]:
    """One kernel with replacements, each found once."""
    path = f"shaders/{kernel}.wgsl"
    text = sources.original(path)
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return {path: text}


def lines_with(text: str, kernel: str) -> list[int]:
    """Where a kernel has this text, counted from 1."""
    lines = sources.original(f"shaders/{kernel}.wgsl").splitlines()
    return [number for number, line in enumerate(lines, 1) if text in line]


def check(device, *kernels: str) -> list[Row]:
    return groundling.labs.parity.check(kernels, device)


def test_every_kernel_of_the_library_agrees_with_its_reference(device: WebGPUDevice):
    """One by one: a kernel that stands for two is used only where neither of them is edited."""
    rows = [check(device, kernel)[0] for kernel in sources.kernels()]
    for row in rows:
        assert row.ok, row
        used = "does what its NumPy reference does" in row.message or "calls what" in row.message
        assert used or "does not use it" in row.message
    assert sum(row.largest is not None for row in rows) > len(rows) / 2


@pytest.mark.parametrize("name", ["relu-squared", "qk-norm", "label-smoothing", "custom-kernel"])
def test_the_kernels_of_a_recipe_are_reached_and_agree(device, use: Callable, name: str):
    use(applied(name))
    kernels = {
        "relu-squared": ["multiply", "relu", "relu_backward"],
        "qk-norm": ["rmsnorm", "rmsnorm_backward"],
        "label-smoothing": ["cross_entropy", "cross_entropy_backward"],
        "custom-kernel": ["silu_backward", "silu_forward"],
    }[name]
    rows = check(device, *kernels)
    assert [(row.kernel, row.ok, row.largest is not None) for row in rows] == [
        (kernel, True, True) for kernel in kernels
    ]


WRONG = {
    "an index that is off by one": (
        "gelu",
        ("let v = x[i];", "let v = x[min(i + 1u, p.size - 1u)];"),
        r"y\[\d+\] of [\d,]+ \(size=\d+\)",
    ),
    "a grid that ends too early": (
        "gelu",
        ("if (i >= p.size)", "if (i >= p.size - 1u)"),
        r"y\[(1339\] of 1,340|2679\] of 2,680) ",
    ),
    "the last row of a long sum": (
        "matmul_tn",
        ("// grid: ", "// grid: 0 * "),
        r"y\[",
    ),
    "a constant in its fourth digit": (
        "gelu_backward",
        ("0.134145", "0.134245"),
        r"dx\[",
    ),
    "what should be added, and is not": (
        "layernorm_backward",
        ("if (p.accumulate == 1u)", "if (p.accumulate == 2u)"),
        r"dx\[\d+\] of .*accumulate=1",
    ),
    "what should be overwritten, and is added": (
        "add",
        ("z[i] = ", "z[i] += "),
        r"z\[",
    ),
    "a mean that is off in the second workgroup only": (
        "layernorm",
        ("let mu = sum / f32(p.n_embd);", "let mu = sum / f32(p.n_embd + row / 64u);"),
        r"y\[([89]\d\d|1\d\d\d)\]|stats\[13[0-3]\]",
    ),
    "an integer": ("gather_batch", ("corpus[token + 1u]", "corpus[token]"), r"y\["),
    "a step of AdamW without its second correction": (
        "adamw",
        ("sqrt(v[i]) / hyper[2]", "sqrt(v[i])"),
        r"w\[",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_kernel_is_found_where_it_is_wrong(device, use: Callable, what: str):
    kernel, change, where = WRONG[what]
    use(edited(kernel, change))
    [row] = check(device, kernel)
    assert not row.ok
    assert re.match(where, row.where), row
    assert row.largest is None or row.largest > row.tolerance
    assert json.loads(json.dumps(vars(row))) == vars(row)  # plain values: the page gets it as JSON
    assert "further off than rounding explains" in row.message


def test_a_change_that_rounding_explains_is_no_difference(device, use: Callable):
    use(edited("gelu", ("0.5 * v * (1.0 + tanh(", "v * (0.5 + 0.5 * tanh(")))
    [row] = check(device, "gelu")
    assert row.ok and row.largest < row.tolerance


def test_a_result_that_is_no_number_is_told(device, use: Callable):
    use(edited("gelu", ("y[i] = ", "y[i] = sqrt(-1.0 - v * v) + ")))
    [row] = check(device, "gelu")
    assert not row.ok and row.largest is None
    assert re.search(r"y\[\d+\] is nan, and its NumPy reference has ", row.message)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("let v = x[i];", "let v = nonsense[i];"), "nonsense"),
        (("y[i] = ", "y[i] := "), ""),
        (("let v = x[i];", "let v: u32 = x[i];"), ""),
    ],
)
def test_what_does_not_compile_is_told_with_line_and_column(device, use, change, said: str):
    [line] = lines_with(change[0], "gelu")
    use(edited("gelu", change))
    [row] = check(device, "gelu")
    assert not row.ok and row.largest is None
    assert re.fullmatch(rf"line {line}, column \d+", row.where), row
    assert said in row.message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("// grid: size / 64", ""), "// grid:"),
        (("struct Params", "struct Parameters"), "struct Params"),
        (("struct Params { size: u32 }", "struct Params { size: u32, more: u32 }"), "more"),
        (("@binding(2) var<uniform>", "@binding(3) var<uniform>"), "numbered"),
    ],
)
def test_what_our_conventions_miss_is_told(device, use: Callable, change, said: str):
    use(edited("gelu", change))
    [row] = check(device, "gelu")
    assert not row.ok and said in row.message


WIDE = "tiles/wide"


def test_the_templates_of_the_library_agree_with_the_references(device: WebGPUDevice):
    for path in tiles.TEMPLATES + attention.TEMPLATES:
        [row] = check(device, path.removeprefix("shaders/").removesuffix(".wgsl"))
        assert row.ok and ("does what its NumPy" in row.message or "does not use" in row.message)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("var sums = ", "var sums = 2.0 * ", "matmul_nn, made from it, does not compile"),
        ("store(row + i % 8u,", "store(row + i / 2u,", "gives wrong numbers"),
        ("#if tn", "#iff tn", "is not a directive"),
        ("#for c at in 0 0, 1 4", "#for c at in 0, 1 4", "needs a value for each of 'c at'"),
    ],
    ids=["does not compile", "wrong numbers", "directive", "values"],
)
def test_a_wrong_template_is_found_and_not_used(
    device, use: Callable, old: str, new: str, said: str
):
    use(edited(WIDE, (old, new)))
    [row] = check(device, WIDE)
    assert not row.ok and said in row.message, row
    if "wrong numbers" not in said:
        place = f"line {lines_with(old, WIDE)[0]}"
        assert place in f"{row.where} {row.message}", row
    assert tiles.WIDE not in {form for _, form in device.products.right}


def test_an_edited_template_is_what_runs_from_then_on(device, use: Callable):
    kernel, params = "matmul_nn", dict(m=8, k=8, n=8)
    assert device.products.choose(tiles.WIDE)
    before = device.products.running(kernel, params)
    use(edited(WIDE, ("let col = id.x * 8u;", "let col = 8u * id.x;")))
    assert check(device, WIDE)[0].ok
    after = device.products.running(kernel, params)
    if device.products.chosen == tiles.WIDE:
        assert "8u * id.x" in after.code and "8u * id.x" not in before.code


def test_a_new_kernel_without_a_reference_is_told(device, use: Callable):
    use({"shaders/lonely.wgsl": sources.original("shaders/gelu.wgsl")})
    [row] = check(device, "lonely")
    assert not row.ok and "There is no NumPy reference" in row.message


def test_a_kernel_that_the_model_does_not_use_is_compiled_only(device, use: Callable):
    use(edited("relu", ("y[i] = ", "y[i] = 2.0 * ")))
    [row] = check(device, "relu")
    assert row.ok and "does not use it" in row.message
    use(edited("relu", ("y[i] = ", "y[i] = nonsense * ")))
    [row] = check(device, "relu")
    assert not row.ok and f"line {lines_with('y[i]', 'relu')[0]}, " in row.where


def test_a_wrong_kernel_of_ones_own_is_found_too(device, use: Callable):
    path = "shaders/silu_backward.wgsl"
    use(applied("custom-kernel", (path, "(1.0 + x[i] * (1.0 - s))", "(1.0 + x[i] * s)")))
    forward, backward = sorted(check(device, "silu_forward", "silu_backward"), key=lambda r: r.ok)
    assert (forward.kernel, forward.ok) == ("silu_backward", False)
    assert (backward.kernel, backward.ok) == ("silu_forward", True)


def test_what_the_readers_code_raises_comes_out(device, use: Callable):
    text = sources.original("py_src/groundling/model.py").replace("gelu(linear(", "gelu(lin(")
    use({"py_src/groundling/model.py": text, **edited("gelu", ("y[i] = ", "y[i] =  "))})
    with pytest.raises(NameError, match="lin"):
        check(device, "gelu")


def test_code_that_needs_the_ordinary_sizes_is_checked_at_those(device, use: Callable):
    path = "py_src/groundling/model.py"
    text = sources.original(path)
    old = "        x = position"
    assert text.count(old) == 1
    use({path: text.replace(old, "        assert self.config.n_embd == 64\n" + old)})
    [row] = check(device, "gelu")
    assert row.ok and row.largest is not None


def test_what_the_code_prints_stays_out_of_sight(device, use: Callable, capsys):
    use(applied("log-gradients"))
    assert check(device, "gelu")[0].ok
    assert capsys.readouterr().out == ""


def test_the_check_leaves_the_device_and_a_run_on_it_as_they_were(device, use: Callable):
    def two() -> list[np.ndarray]:
        x, y = device.tensor(np.linspace(-3, 3, 130)), device.empty(130)
        device.run("gelu", x, y, size=130)
        return y.numpy()

    before, kernels = two(), dict(device.kernels)
    use(edited("gelu", ("y[i] = ", "y[i] = 2.0 * ")))
    assert not check(device, "gelu")[0].ok
    assert device.kernels == kernels
    np.testing.assert_array_equal(two(), before)


def test_wgsl_is_not_checked_where_it_is_not_used(use: Callable):
    use(edited("gelu", ("let v = x[i];", "let v = nonsense[i];")))
    [row] = check(NumPyDevice(), "gelu")
    assert row.ok and "no use for WGSL" in row.message


def test_one_command_checks_all_kernels_and_forms_and_writes_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    text = attention.text
    wrong = lambda *names: text(*names).replace("shrink = exp", "shrink = 2.0 * exp")  # noqa: E731
    monkeypatch.setattr(attention, "text", wrong)
    monkeypatch.setattr(bench, "all_figures", lambda *_: {"step": 1.0})
    monkeypatch.setattr(bench, "report", lambda _: "all the rest")
    out = tmp_path / "gpu.json"
    assert cli.main(["bench", "--check", "--device", "webgpu", "--json", str(out)]) == 1
    found = json.loads(out.read_text())
    assert {row["kernel"] for row in found["kernels"]} == {*sources.kernels()}
    assert [row["kernel"] for row in found["kernels"] if not row["ok"]] == []
    assert {row["form"] for row in found["forms"]} >= {*tiles.FORMS[1:], attention.SHARED, "split"}
    bad = {(row["kernel"], row["form"]) for row in found["forms"] if not row["ok"]}
    assert bad == {("attention", "64 rows"), ("attention", "64 rows by ones")}
    assert set(found["trials"][0]["seconds"]) >= {tiles.PLAIN, tiles.WIDE}
    assert found["step"] == 1.0 and "machine" in found
    said = capsys.readouterr().out
    assert "attention 64 rows: gives wrong numbers" in said and "all the rest" in said
