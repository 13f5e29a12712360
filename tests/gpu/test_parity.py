"""Every kernel of shaders/ against its reference in float64, on random input of awkward shapes.

Each buffer lies between two stretches of guards, which must be found as they were left: a kernel
that reads or writes past its own range is caught. The input is tests/unit/cases.py's.
"""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from cases import CASES, SHADERS, arguments, bindings, check, make_inputs

from groundling.devices.base import Device
from groundling.devices.kernels import KERNELS
from groundling.devices.numpy import NumPyDevice
from groundling.devices.webgpu import attention, memory, tiles, trial, wgsl
from groundling.devices.webgpu.autotune import Choice
from groundling.devices.webgpu.device import WebGPUDevice
from groundling.devices.webgpu.kernel import Kernel
from groundling.devices.webgpu.memory import File
from groundling.engine.fuse import SIDE_BY_SIDE

GUARD = 64  # elements: 256 bytes, where every adapter can bind a buffer


@pytest.mark.parametrize(("kernel", "buffers", "params"), list(arguments()))
def test_a_kernel_does_what_its_reference_does(
    device: WebGPUDevice, rng: np.random.Generator, kernel: str, buffers: list, params: dict
):
    arrays = make_inputs(kernel, buffers, params, rng)
    results = run(device, kernel, arrays, params)
    oracle = run(NumPyDevice(dtype=np.float64), kernel, arrays, params)
    check(kernel, arrays, results, oracle)


def run(device: Device, kernel: str, arrays: list[np.ndarray], params: dict) -> list[np.ndarray]:
    """What each buffer holds after the kernel. Fails if it holds more than it should."""
    wholes, views = [], []
    for array in arrays:
        guard = np.full(GUARD, np.nan if array.dtype == np.float32 else 2**32 - 2, array.dtype)
        wholes.append(device.tensor(np.concatenate([guard, array, guard])))
        views.append(wholes[-1].view(array.size, offset=GUARD))
    device.run(kernel, *views, **params)
    results = []
    for whole, array in zip(wholes, arrays, strict=True):
        before, result, after = np.split(whole.numpy(), [GUARD, GUARD + array.size])
        guard = np.isnan if array.dtype == np.float32 else lambda x: x == 2**32 - 2
        assert guard(before).all(), f"{kernel} wrote before its buffer"
        assert guard(after).all(), f"{kernel} wrote past its buffer"
        results.append(result)
    return results


def test_every_shader_has_a_reference_and_every_reference_a_shader():
    assert set(SHADERS) == set(KERNELS)


@pytest.mark.parametrize("kernel", SHADERS)
def test_a_shader_and_its_reference_agree_on_their_buffers_and_parameters(kernel: str):
    signature = inspect.signature(KERNELS[kernel]).parameters.values()
    buffers = [p.name for p in signature if p.kind is p.POSITIONAL_OR_KEYWORD]
    params = {p.name for p in signature if p.kind is p.KEYWORD_ONLY}
    fields = re.search(r"struct Params\s*{([^}]*)}", SHADERS[kernel])[1]
    constants = re.findall(r"^const ([A-Z_]+): u32 = \d+;  // set by", SHADERS[kernel], re.M)
    assert buffers == [name for _, name, _ in bindings(kernel)]
    assert params == set(re.findall(r"(\w+)\s*:", fields)) | {name.lower() for name in constants}


@pytest.mark.parametrize("kernel", SHADERS)
def test_a_kernel_has_parity_cases_for_each_setting_of_accumulate(kernel: str):
    assert CASES[kernel]
    for name in ("accumulate", "accumulate_weight", "accumulate_bias"):
        if name in inspect.signature(KERNELS[kernel]).parameters:
            assert {params[name] for _, params in CASES[kernel]} == {0, 1}


@pytest.mark.parametrize("kernel", SHADERS)
def test_a_kernel_writes_the_same_bytes_twice(
    device: WebGPUDevice, rng: np.random.Generator, kernel: str
):
    buffers, params = CASES[kernel][-1]
    arrays = make_inputs(kernel, buffers, params, rng)
    once, again = run(device, kernel, arrays, params), run(device, kernel, arrays, params)
    assert [a.tobytes() for a in once] == [a.tobytes() for a in again]


VARIANTS = [
    (kernel, variant)
    for kernel in tiles.KERNELS
    for form in (tiles.WIDE, tiles.TALL)
    for variant in tiles.variants(form, kernel)
]


@pytest.mark.parametrize(("kernel", "variant"), VARIANTS)
def test_a_product_in_other_tiles_is_the_same_to_the_bit(
    device: WebGPUDevice,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    kernel: str,
    variant: str,
):
    plain, fours, tried = device.kernel(kernel), tiles.FOURS[tiles.KERNELS[kernel]], 0
    other = Kernel(device.wgpu, kernel, tiles.text(variant, kernel, SHADERS[kernel]), True)
    for buffers, params in CASES[kernel]:
        if any(params[size] % 4 for size in fours) and "by ones" not in variant:
            continue
        arrays, results = make_inputs(kernel, buffers, params, rng), []
        for form in (plain, other):
            monkeypatch.setattr(device, "_running", lambda *_, form=form: form)
            results.append([a.tobytes() for a in run(device, kernel, arrays, params)])
        assert results[0] == results[1], params
        tried += 1
    assert tried > 1


LENGTHS = 1, 63, 64, 65, 130  # tokens: of one workgroup or several for each head
HEAD_SIZES = 16, 32, 64, 13


@pytest.mark.parametrize("kernel", attention.KERNELS)
@pytest.mark.parametrize("head_size", HEAD_SIZES)
def test_attention_in_shared_rows_is_the_same_to_the_bit(
    device: WebGPUDevice,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    kernel: str,
    head_size: int,
):
    variant = attention.variant(
        attention.SHARED, kernel, dict(batch=2, n_head=2, head_size=head_size)
    )
    assert attention.SHARED in variant
    if head_size > 32 and "llvmpipe" in device.description:
        pytest.skip("llvmpipe compiles it for minutes")
    plain, code = device.kernel(kernel), SHADERS[kernel]
    other = Kernel(device.wgpu, kernel, attention.text(variant, kernel, code), True)
    for time in LENGTHS:
        params, buffers = attention.trial(kernel, len(bindings(kernel)), 2, time, 2, head_size)
        arrays, results = make_inputs(kernel, buffers, params, rng), []
        for form in (plain, other):
            monkeypatch.setattr(device, "_running", lambda *_, form=form: form)
            results.append(run(device, kernel, arrays, params))
        assert [a.tobytes() for a in results[0]] == [a.tobytes() for a in results[1]], time
        check(kernel, arrays, results[1], run(NumPyDevice(np.float64), kernel, arrays, params))


def test_every_product_has_other_tiles():
    assert set(tiles.KERNELS) == {kernel for kernel in SHADERS if "matmul" in kernel}
    for kernel, variant in VARIANTS:
        sizes = tiles.SIZES["by ones" if "by ones" in variant else "fours"]
        params, _ = tiles.trial(kernel, 3, *sizes)
        [form] = (form for form in tiles.FORMS if variant.startswith(form))
        if "deep" not in variant:
            rows = 2048 if "by ones" not in variant else 2049
            params |= dict(m=rows, rows=rows, n=1024)
        assert tiles.variant(form, kernel, params) == variant


def test_where_large_tiles_would_be_few_they_are_smaller():
    found = [
        tiles.variant(tiles.TALL, "matmul_residual", dict(m=m, k=64, n=256))
        for m in (2048, 1024, 512)
    ]
    assert found == ["128 x 64", "64 x 64", "32 x 32"]
    found = tiles.variant(tiles.TALL, "matmul_nt", dict(m=2048, k=64, n=256))
    assert found == "64 x 64"  # as it may share a dispatch, whose workgroups have 64 invocations
    beside = {kernel for pair in SIDE_BY_SIDE for kernel in pair}
    assert beside.isdisjoint(tiles.ALONE) and beside | {*tiles.ALONE} >= {*tiles.KERNELS}


SPLIT = (64, 2048, 64), (65, 1030, 63), (1, 513, 1), (20, 1025, 52)


@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("sizes", SPLIT)
def test_a_sum_split_over_workgroups_is_right_and_the_same_twice(
    device: WebGPUDevice,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    sizes: tuple[int, int, int],
    accumulate: int,
):
    m, k, n = sizes
    params = dict(m=m, k=k, n=n, accumulate=accumulate)
    arrays = make_inputs("matmul_tn", [m * k, k * n, m * n], params, rng)
    oracle = run(NumPyDevice(np.float64), "matmul_tn", arrays, params)
    found = []
    for is_emulated in (True, False, False):
        monkeypatch.setattr(device.products, "is_emulated", is_emulated)
        before = device.counts.dispatches
        found.append(run(device, "matmul_tn", arrays, params))
        assert device.counts.dispatches - before == (1 if is_emulated else 2)
        check("matmul_tn", arrays, found[-1], oracle)
    assert found[1][2].tobytes() == found[2][2].tobytes()


def test_a_sum_is_not_split_where_that_is_wrong_or_a_kernel_of_it_is_edited(
    undecided: WebGPUDevice, monkeypatch: pytest.MonkeyPatch
):
    params = dict(m=64, k=2048, n=64, accumulate=0)
    assert undecided._parts("matmul_tn", params) == (1 if undecided.is_emulated else 4)
    monkeypatch.setattr(undecided.products, "is_emulated", False)
    win(monkeypatch, tiles.SHARED)
    assert undecided._parts("matmul_tn", params) == 4
    assert undecided._parts("matmul_tn", params | {"m": 256}) == 1  # there are enough tiles
    assert undecided._parts("matmul_tn", params | {"k": 512}) == 1
    with monkeypatch.context() as edit:
        edit.setattr(undecided.kernel("matmul_tn"), "is_original", False)
        assert undecided._parts("matmul_tn", params) == 1
    undecided.products.forget()
    spoil(monkeypatch, r"begin \+ 512u", "begin + 508u", "matmul_tn")
    assert undecided._parts("matmul_tn", params) == 1


def test_an_edited_product_is_not_in_tiles_of_ours(device: WebGPUDevice):
    kernel = device.kernel("matmul_nn")
    edited = Kernel(device.wgpu, "matmul_nn", kernel.code.replace("s0 += a[a0", "s0 += 2.0 * a[a0"))
    device.kernels["matmul_nn"] = edited
    try:
        ones = np.ones((8, 8), np.float32)
        a, b, y = (device.tensor(ones) for _ in range(3))
        device.run("matmul_nn", a, b, y, m=8, k=8, n=8, accumulate=0)
        assert y.numpy()[0, 0] > 8
    finally:
        device.kernels["matmul_nn"] = kernel


@pytest.fixture
def undecided(device: WebGPUDevice, monkeypatch: pytest.MonkeyPatch) -> WebGPUDevice:
    """The device before the trials of forms, which are small here."""
    for name, family in (("products", tiles), ("attention", attention)):
        one = getattr(device, name)
        fresh = Choice(family, one.gpu, one.plain, one.clock, one.is_emulated, one.description)
        monkeypatch.setattr(device, name, fresh)
    small = {"timed": (64, 64, 256), "fours": (20, 64, 36), "by ones": (19, 63, 37)}
    for name, sizes in small.items():
        monkeypatch.setitem(tiles.SIZES, name, sizes)
    monkeypatch.setitem(attention.SIZES, "timed", (2, 64, 2, 16))
    return device


def spoil(monkeypatch: pytest.MonkeyPatch, old: str, new: str, *names: str) -> None:
    """Let kernels in other forms be wrong, as on an adapter whose compiler has an error."""
    family = attention if names[0] in attention.KERNELS else tiles
    text = family.text

    def spoiled(variant: str, name: str, code: str) -> str:
        found = text(variant, name, code)
        return re.sub(old, new, found, count=1) if name in names else found

    monkeypatch.setattr(family, "text", spoiled)


def win(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """Let a form be the fastest."""
    monkeypatch.setattr(trial, "race", lambda t: {k: 1.0 if k == form else 2.0 for k in t})


def test_the_fastest_tiles_are_taken_but_where_they_are_wrong(
    undecided: WebGPUDevice, monkeypatch: pytest.MonkeyPatch
):
    spoil(monkeypatch, r"s00 \+=", "s00 -=", "matmul_nt")
    win(monkeypatch, tiles.WIDE)
    form = undecided.products.running("matmul_nt", dict(m=8, k=8, n=8))
    assert undecided.products.told == (
        "8 x 8: 2.0 times as fast here; matmul_nt in 4 x 4, as the other gives wrong numbers here"
    )
    assert form is undecided.kernel("matmul_nt")
    assert {name for name, _ in undecided.products.right} == {*tiles.KERNELS} - {"matmul_nt"}
    undecided.products.forget()
    spoil(monkeypatch, r"s00 \+=", "s00 = nonsense +", "matmul_residual", "matmul_nn")
    assert undecided.products.choose("8 x 8") == "8 x 8"
    for name in ("matmul_nn", "matmul_residual"):
        assert f"{name} in 4 x 4, as the other does not compile here" in undecided.products.told
    undecided.products.forget()
    assert undecided.products.choose() == "4 x 4"


def test_no_other_tiles_are_taken_where_they_are_slower_or_give_other_numbers(
    undecided: WebGPUDevice, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(undecided.products, "is_emulated", True)
    with monkeypatch.context() as slow:
        win(slow, tiles.PLAIN)
        assert undecided.products.choose() == "4 x 4"
        assert undecided.products.told == "4 x 4: the fastest here"
    undecided.products.forget()
    spoil(monkeypatch, r"s00 \+=", "s00 -=", "matmul_nn")
    form = undecided.products.running("matmul_nt", dict(m=8, k=8, n=8))
    assert form is undecided.kernel("matmul_nt")
    assert undecided.products.told == "4 x 4: larger ones give other numbers here"


def test_a_race_is_run_only_where_its_outcome_is_not_remembered(
    undecided: WebGPUDevice, monkeypatch: pytest.MonkeyPatch
):
    raced = []
    monkeypatch.setattr(trial, "race", lambda t: raced.append(1) or dict.fromkeys(t, 1.0))
    for remembered, races in (("4 x 4", 0), ("8 x 8", 0), ("no such", 1)):
        undecided.products.forget()
        expected = "8 x 8" if undecided.products.is_emulated else "32 x 32"
        assert undecided.products.choose(remembered) == (expected if races else remembered)
        assert undecided.products.choose("again") == undecided.products.chosen
        assert len(raced) == races


def test_tiles_are_remembered_by_whoever_has_a_store(
    undecided: WebGPUDevice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    raced = []
    monkeypatch.setattr(trial, "race", lambda t: raced.append(1) or dict.fromkeys(t, 1.0))
    monkeypatch.setattr(memory, "store", File(tmp_path / "adapters.json"))
    chosen = undecided.products.choose()
    undecided.products.forget()
    assert undecided.products.choose() == chosen
    assert (len(raced), undecided.products.told) == (1, f"{chosen}: the fastest here before")
    (tmp_path / "adapters.json").write_text("spoiled")
    undecided.products.forget()
    undecided.products.choose()
    assert len(raced) == 2


def test_tiles_are_timed_by_turns(undecided: WebGPUDevice, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trial, "SECONDS", 0.0)
    forms = {form: undecided.products.form("matmul_nn", form) for form in (tiles.PLAIN, tiles.WIDE)}
    call = tiles.trial("matmul_nn", 3, 64, 64, 256)
    for clock in (undecided.clock, None):
        trials = {
            form: trial.Trial(undecided.wgpu, clock, kernel, *call)
            for form, kernel in forms.items()
        }
        times = trial.race(trials)
        assert set(times) == set(forms) and all(0 < seconds < 1 for seconds in times.values())


def test_what_differs_by_a_bit_is_not_for_time_to_decide(
    undecided: WebGPUDevice, monkeypatch: pytest.MonkeyPatch
):
    """One kernel stays as it is written; where all differ, the shared tiles are taken by rule."""
    monkeypatch.setattr(undecided.products, "is_emulated", False)
    win(monkeypatch, tiles.SHARED)
    almost = r"(s00 \+= f0[^;]*);", r"\1 + 1e-7 * w00;"
    with monkeypatch.context() as one:
        spoil(one, *almost, "matmul_residual")
        assert undecided.products.choose() == "32 x 32"
    kept = "matmul_residual in 4 x 4, as the other gives other numbers here"
    assert undecided.products.told == f"32 x 32: 2.0 times as fast here; {kept}"
    assert {name for name, _ in undecided.products.right} == {*tiles.KERNELS} - {"matmul_residual"}
    undecided.products.forget()
    spoil(monkeypatch, *almost, *tiles.KERNELS)
    monkeypatch.setattr(trial, "race", lambda t: pytest.fail("time was taken"))
    assert undecided.products.choose("8 x 8") == "32 x 32"
    assert undecided.products.told == "32 x 32: by rule, as each size gives other numbers here"


HEADS = dict(batch=1, time=64, n_head=4, head_size=16)


def test_attention_in_shared_rows_is_taken_where_it_is_faster_and_right(
    undecided: WebGPUDevice, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(undecided.attention, "is_emulated", False)
    plain = undecided.kernel("attention")
    with monkeypatch.context() as slow:
        win(slow, attention.PLAIN)
        assert undecided.attention.running("attention", HEADS) is plain
        assert undecided.attention.told == "4 rows: the fastest here"
    undecided.attention.forget()
    win(monkeypatch, attention.SHARED)
    assert "var<workgroup>" in undecided.attention.running("attention", HEADS).code
    assert undecided.attention.told == "64 rows: 2.0 times as fast here"
    wide = HEADS | {"head_size": 132}
    assert undecided.attention.running("attention", wide) is plain
    undecided.attention.forget()
    spoil(monkeypatch, r"shrink = exp", "shrink = 2.0 * exp", "attention")
    assert undecided.attention.running("attention", HEADS) is plain
    backward = undecided.attention.running("attention_backward", HEADS)
    assert "var<workgroup>" in backward.code
    assert "attention in 4 rows, as the other gives wrong numbers" in undecided.attention.told


def test_attention_on_an_emulated_adapter_is_as_it_is_written_unless_remembered_otherwise(
    undecided: WebGPUDevice, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(undecided.attention, "is_emulated", True)
    monkeypatch.setattr(trial, "race", lambda t: pytest.fail("time was taken"))
    for remembered, chosen in (("", "4 rows"), ("64 rows", "64 rows"), ("no such", "4 rows")):
        undecided.attention.forget()
        assert undecided.attention.choose(remembered) == chosen


def test_edited_attention_is_not_in_a_form_of_ours(
    undecided: WebGPUDevice, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(trial, "race", lambda t: pytest.fail("time was taken"))
    kernel = undecided.kernel("attention_backward")
    edited = Kernel(undecided.wgpu, kernel.name, kernel.code.replace("* scale;", "* scale * 1.0;"))
    monkeypatch.setitem(undecided.kernels, kernel.name, edited)
    monkeypatch.setattr(undecided.attention, "is_emulated", False)
    assert undecided._running(kernel.name, HEADS) is edited
    assert undecided._running("attention", HEADS) is undecided.kernel("attention")
    assert "edited attention_backward" in undecided.attention.told


def test_loops_within_loops_are_written_out():
    code = "\n".join(
        [
            "const N: u32 = 3; var<private> sum: f32; var<private> x: array<f32, N>;",
            "for (var c = 0u; c < N; c++) { first[c] = 0.0; }",
            "for (var j = 0u; j < p.n; j++) {",
            "  for (var c = 0u; c < N; c++) {",
            "    sum += x[c] * y[j + c];  // a comment",
            "  }",
            "  for (var c = 0u; c < LONG; c++) { kept[c] = j; }",
            "}",
            "nonsense",
        ]
    )
    lines = wgsl.unroll(code).split("\n")
    assert len(lines) == 9 and lines[8] == "nonsense"  # so that errors are told by the right line
    assert lines[1] == code.split("\n")[1] and lines[6] == code.split("\n")[6]
    assert lines[4].strip().startswith("sum += x[0u] * y[j + 0u];")
    assert lines[5].count("sum += x[1u] * y[j + 1u];") == 1
    assert lines[5].count("sum += x[2u] * y[j + 2u];") == 1


def test_the_last_part_of_a_folded_shared_dispatch_does_nothing_twice(
    device: WebGPUDevice, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
):
    """Where the workgroups do not fill the second axis, those left over are no part's."""
    sizes = dict(m=12, k=5, n=12)  # one workgroup for the one product, nine for the other
    numbers = [rng.standard_normal(60, np.float32) for _ in range(4)]
    found = []
    for where in (device, NumPyDevice()):
        monkeypatch.setattr(where, "most_workgroups", 4)
        a, b, c, d = map(where.tensor, numbers)
        y, z = where.tensor(np.ones(144)), where.tensor(np.ones(144))
        with where.capture() as plan:
            where.run("matmul_nn", a, b, y, **sizes, accumulate=1)
            where.run("matmul_tn", c, d, z, **sizes, accumulate=1)
        assert [command.kernel for command in plan.commands] == ["matmul_nn + matmul_tn"]
        found.append((y.numpy(), z.numpy()))
    for result, expected in zip(*found, strict=True):
        np.testing.assert_allclose(result, expected, 0, 1e-5)


def test_a_grid_longer_than_one_axis_goes_on_in_the_second(device: WebGPUDevice):
    size = 64 * device.wgpu.limits["max-compute-workgroups-per-dimension"] + 100
    x, y = device.empty(size), device.empty(size)
    device.run("fill", x, size=size, value=2.0)
    device.run("copy", x, y, size=size, factor=1.5, accumulate=0)
    assert (y.numpy() == 3.0).all()
