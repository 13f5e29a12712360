"""Every kernel of shaders/ against its reference in float64, on random input of awkward shapes.

Each buffer lies between two stretches of guards, which must be found as they were left: a kernel
that reads or writes past its own range is caught. What a kernel overwrites holds NaNs before.

Tolerance: 1e-5 of an output's largest number, or of 1, which is what the numbers that go in are
like, where the output is smaller by cancellation. The reference works in float64, so all of the
difference is float32's: 6e-8 an operation, hence sqrt(2,000) x 6e-8 = 3e-6 for the longest sums
here, and a few units in the last place for WGSL's exp and tanh.
"""

import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from groundling import sources
from groundling.devices.base import Device
from groundling.devices.kernels import KERNELS
from groundling.devices.numpy import NumPyDevice
from groundling.devices.webgpu import memory, products, tiles, trial, wgsl
from groundling.devices.webgpu.device import WebGPUDevice
from groundling.devices.webgpu.kernel import Kernel
from groundling.devices.webgpu.memory import File
from groundling.devices.webgpu.products import BY_FOURS, BY_ONES, Products

SHADERS = {name: sources.text(f"shaders/{name}.wgsl") for name in sources.kernels()}
BINDING = r"@binding\(\d+\)\s*var<storage, (read|read_write)> (\w+): array<(\w+)>"
GUARD = 64  # elements: 256 bytes, where every adapter can bind a buffer
TOLERANCE = 1e-5
IN_PLACE = {("clip", "x"), ("adamw", "w"), ("adamw", "m"), ("adamw", "v")}
IN_PLACE |= {("clip_adamw", name) for name in "gwmv"} | {("attention_at", "cache")}
IN_PLACE |= {("keep_row", "y"), ("move", "y")}

# A case: the shapes of its buffers in the order of their bindings, or a function that makes one
# from the random generator, and the parameters.
CASES: dict[str, list[tuple[list, dict]]] = {name: [] for name in SHADERS}


def case(kernel: str, buffers: list, **params: float) -> None:
    CASES[kernel].append((buffers, params))


def integers(*shape: int, below: int) -> Callable:
    return lambda rng: rng.integers(0, below, shape, dtype=np.uint32)


def positive(*shape: int) -> Callable:
    return lambda rng: rng.uniform(0.5, 2.0, shape)


def scaled(*shape: int, by: float) -> Callable:
    return lambda rng: by * rng.standard_normal(shape)


def exactly(*numbers: float, dtype: type = np.float64) -> Callable:
    return lambda rng: np.array(numbers, dtype)


SIZES = 1, 63, 64, 65, 1000
ROWS_AND_WIDTHS = (1, 20), (1, 1), (63, 48), (65, 52), (130, 64), (64, 65)
for size in SIZES:
    case("add", [size, size, size], size=size)
    case("fill", [size], size=size, value=-1.5)
    case("gelu", [scaled(size, by=3), size], size=size)
    case("relu", [size, size], size=size)
    case("mean", [size, 1], size=size)
    case("sum_squares", [size, 256], size=size)
    # The norm of the partial sums is above max_norm, then below.
    case("clip", [positive(256), size, 1], size=size, max_norm=1.0)
    case("clip", [positive(256), size, 1], size=size, max_norm=100.0)
    case(
        "adamw",
        [exactly(1.0, 0.5, 0.7), size, size, size, positive(size)],
        **dict(size=size, beta1=0.9, beta2=0.95, eps=0.1, weight_decay=0.1),
    )
    for max_norm in (1.0, 100.0):
        case(
            "clip_adamw",
            [positive(256), exactly(1.0, 0.5, 0.7), size, size, size, positive(size), 1],
            **dict(size=size, max_norm=max_norm, beta1=0.9, beta2=0.95, eps=0.1, weight_decay=0.1),
        )
    words = integers(size + 9, below=2**32)
    case("move", [words, words], size=size, x_start=3, y_start=5)
    for accumulate in (0, 1):
        case("copy", [size, size], size=size, factor=-0.7, accumulate=accumulate)
        case("gelu_backward", [scaled(size, by=3), size, size], size=size, accumulate=accumulate)
        case("relu_backward", [size, size, size], size=size, accumulate=accumulate)
        case("multiply", [size, size, size], size=size, accumulate=accumulate)
        case(
            "dropout",
            [size, integers(2, below=2**32), size],
            **dict(size=size, layer=3, rate=0.3, accumulate=accumulate),
        )
case("sum_squares", [33_333, 256], size=33_333)
case("mean", [2048, 1], size=2048)
case("clip", [positive(256), 33_333, 1], size=33_333, max_norm=1.0)
# tanh of a large argument is what WGSL leaves undefined.
case("gelu", [scaled(1000, by=100), 1000], size=1000)
case("gelu_backward", [scaled(1000, by=100), 1000, 1000], size=1000, accumulate=0)

for V, (rows, C) in itertools.product((65, 256), ROWS_AND_WIDTHS):
    tokens = integers(rows, below=V)
    sizes = dict(rows=rows, n_embd=C, vocab_size=V)
    case("embedding", [tokens, V * C, rows * C], **sizes)
    case("embedding", [integers(rows, below=2**32), V * C, rows * C], **sizes)  # no such tokens
    # Logits of every size, then ones beyond the exponentials' range.
    for by, smoothing in itertools.product((1, 1000), (0.0, 0.2)):
        logits = scaled(rows * V, by=by)
        case(
            "cross_entropy",
            [logits, tokens, rows, rows],
            **dict(rows=rows, vocab_size=V, label_smoothing=smoothing),
        )
    for accumulate in (0, 1):
        case("embedding_backward", [tokens, rows * C, V * C], **sizes, accumulate=accumulate)
        for smoothing in (0.0, 0.2):
            case(
                "cross_entropy_backward",
                [rows * V, tokens, positive(rows), exactly(rows), rows * V],
                **dict(rows=rows, vocab_size=V, label_smoothing=smoothing, accumulate=accumulate),
            )

for rows, C in ROWS_AND_WIDTHS:
    n = rows * C
    sizes = dict(rows=rows, n_embd=C)
    case("layernorm", [n, C, C, n, 2 * rows], **sizes, eps=1e-5)
    # A mean far from zero: E[x^2] - E[x]^2 would lose three digits.
    far = lambda rng, n=n: 20 + rng.standard_normal(n)  # noqa: E731
    case("layernorm", [far, C, C, n, 2 * rows], **sizes, eps=1e-5)
    for N in (1, 7, 66, 76):
        case("layernorm_matmul", [n, C, C, C * N, n, 2 * rows, rows * N], **sizes, n=N, eps=1e-5)
        off = lambda rng, n=n: 4 + rng.standard_normal(n)  # noqa: E731  a product adds its errors up
        case(
            "layernorm_matmul_gelu",
            [off, C, C, C * N, n, 2 * rows, rows * N, rows * N],
            **dict(rows=rows, n_embd=C, n=N, eps=1e-5),
        )
    for accumulate in (0, 1):
        case(
            "layernorm_backward",
            [n, C, positive(2 * rows), n, n],
            **sizes,
            accumulate=accumulate,
        )
        for other in (0, 1):
            case(
                "layernorm_backward_params",
                [n, positive(2 * rows), n, C, C],
                **sizes,
                accumulate_weight=accumulate,
                accumulate_bias=other,
            )

for (rows, C), (period, normed) in itertools.product(ROWS_AND_WIDTHS, ((1, 1), (3, 2), (5, 0))):
    n = rows * C
    sizes = dict(rows=rows, size=C, period=period, normed=normed, eps=1e-5)
    case("rmsnorm", [n, n], **sizes)
    for accumulate in (0, 1):
        case("rmsnorm_backward", [n, n, n], **sizes, accumulate=accumulate)

M_K_N = [(1, 1, 1), (1, 20, 65), (63, 52, 48), (65, 3, 20), (130, 65, 52), (33, 258, 7), (4, 7, 50)]
M_K_N += [(5, 2048, 9), (68, 148, 76)]  # the last in other tiles too, several of each
for (m, k, n), accumulate in itertools.product(M_K_N, (0, 1)):
    for kernel in ("matmul_nn", "matmul_nt", "matmul_tn"):
        case(kernel, [m * k, k * n, m * n], m=m, k=k, n=n, accumulate=accumulate)

for m, k, n in M_K_N:
    case("matmul_residual", [m * k, k * n, m * n, m * n], m=m, k=k, n=n)
    case("matmul_nt_gelu_backward", [m * k, k * n, scaled(m * n, by=3), m * n], m=m, k=k, n=n)

HEADS = (20, 1), (48, 3), (52, 4), (12, 4), (64, 2), (3, 3)  # width, number of heads
for T, B, (C, n_head) in itertools.product((1, 63, 65), (1, 3), HEADS):
    n, rows = B * T * C, B * T * n_head
    sizes = dict(batch=B, time=T, n_head=n_head, head_size=C // n_head)
    case("attention", [3 * n, n, rows], **sizes)
    case("attention", [scaled(3 * n, by=5), n, rows], **sizes)  # one key takes nearly all
    for accumulate in (0, 1):
        lse = lambda rng, rows=rows: 3 + rng.standard_normal(rows)  # noqa: E731
        case("attention_backward", [3 * n, n, lse, n, 3 * n], **sizes, accumulate=accumulate)

for T, B in itertools.product((1, 63, 65), (1, 3)):
    case(
        "gather_batch",
        [integers(700, below=65), integers(B, below=700 - T - 1), integers(B * T, below=9)]
        + [integers(B * T, below=9)],
        **dict(batch=B, time=T),
    )
    for C in (20, 48, 52):
        period, total = T * C, 65 * C
        case(
            "embedding_position",
            [integers(B * T, below=65), 65 * C, total, B * period],
            **dict(rows=B * T, n_embd=C, vocab_size=65, period=period),
        )
        case("position_embedding", [B * period, total, B * period], size=B * period, period=period)
        for accumulate in (0, 1):
            case(
                "position_embedding_backward",
                [B * period, total],
                **dict(size=B * period, period=period, total=total, accumulate=accumulate),
            )
    for C in (20, 65):
        length = lambda rng, T=T: rng.integers(1, T + 1, 1, dtype=np.uint32)  # noqa: E731
        case("last_row", [T * C, length, C], n_embd=C)
        tokens = integers(T, below=70)  # some are beyond the vocabulary
        case("embedding_at", [tokens, length, 65 * C, T * C, C], n_embd=C, vocab_size=65)
        case("keep_row", [C, exactly(T - 1, dtype=np.uint32), T * 70], size=C, stride=70)
    for C, n_head in HEADS if B == 1 else ():
        sizes = dict(n_head=n_head, head_size=C // n_head)
        for by in (1, 5):
            case(
                "attention_at", [scaled(3 * C, by=by), length, scaled(3 * T * C, by=by), C], **sizes
            )

SETTINGS = (1.0, 65, 1.0), (0.8, 5, 1.0), (1.5, 65, 0.6), (0.5, 20, 0.9), (1.0, 1, 1.0), (2, 3, 0.1)
for V, T, settings, full in itertools.product((2, 65, 256), (5, 64), SETTINGS, (False, True)):
    case(
        "sample_token",
        [scaled(V, by=2), lambda rng: rng.uniform(size=9), exactly(*settings)]
        + [integers(T, below=V), exactly(T if full else T - 2, dtype=np.uint32)]
        + [integers(9, below=V), exactly(4, dtype=np.uint32)],
        **dict(vocab_size=V, block_size=T),
    )


def arguments() -> Iterator:
    for kernel, cases in CASES.items():
        for buffers, params in cases:
            said = ",".join(f"{value:g}" for value in params.values())
            yield pytest.param(kernel, buffers, params, id=f"{kernel}({said})")


@pytest.mark.parametrize(("kernel", "buffers", "params"), list(arguments()))
def test_a_kernel_does_what_its_reference_does(
    device: WebGPUDevice, rng: np.random.Generator, kernel: str, buffers: list, params: dict
):
    arrays = make_inputs(kernel, buffers, params, rng)
    results = run(device, kernel, arrays, params)
    oracle = run(NumPyDevice(dtype=np.float64), kernel, arrays, params)
    for (access, name, _), array, result, expected in zip(
        bindings(kernel), arrays, results, oracle, strict=True
    ):
        if access == "read":
            np.testing.assert_array_equal(result, array, f"{name} is for reading only")
        elif array.dtype == np.uint32:
            np.testing.assert_array_equal(result, expected, name)
        else:
            assert not np.isnan(expected).all(), f"nothing is written to {name}"
            atol = TOLERANCE * max(1, np.nan_to_num(np.abs(expected)).max())
            np.testing.assert_allclose(result, expected, rtol=0, atol=atol, err_msg=name)


def bindings(kernel: str) -> list[tuple[str, str, str]]:
    """The access, name and element type of a shader's buffers, in order."""
    return re.findall(BINDING, SHADERS[kernel])


def make_inputs(
    kernel: str, buffers: list, params: dict, rng: np.random.Generator
) -> list[np.ndarray]:
    """What the buffers hold before: random numbers, or NaNs where all of it will be overwritten."""
    arrays = []
    adds = any(value for key, value in params.items() if key.startswith("accumulate"))
    for (access, name, kind), given in zip(bindings(kernel), buffers, strict=True):
        array = rng.standard_normal(given) if isinstance(given, int) else given(rng)
        overwritten = access == "read_write" and not adds and (kernel, name) not in IN_PLACE
        if overwritten and kind == "f32":
            array = np.full(array.shape, np.nan)
        arrays.append(array.astype(np.uint32 if kind == "u32" else np.float32))
    return arrays


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
    for kernel in tiles.KINDS
    for form in (tiles.WIDE, tiles.SHARED)
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
    plain, fours, tried = device.kernel(kernel), tiles.FOURS[tiles.KINDS[kernel]], 0
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


def test_every_product_has_other_tiles():
    assert set(tiles.KINDS) == {kernel for kernel in SHADERS if "matmul" in kernel}
    for kernel, variant in VARIANTS:
        params, _ = tiles.trial(kernel, 3, *(BY_ONES if "by ones" in variant else BY_FOURS))
        if "deep" not in variant:
            params |= dict(m=1024 if "by ones" not in variant else 1025, n=1024)
        form = tiles.WIDE if variant == tiles.WIDE else tiles.SHARED
        assert tiles.variant(form, kernel, params) == variant


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
    """The device before the trial of tiles."""
    one = device.products
    fresh = Products(one.gpu, one.plain, one.clock, one.is_emulated, one.description)
    monkeypatch.setattr(device, "products", fresh)
    for name, value in (("ROWS", 64), ("BY_FOURS", (20, 64, 36)), ("BY_ONES", (19, 63, 37))):
        monkeypatch.setattr(products, name, value)
    return device


def spoil(monkeypatch: pytest.MonkeyPatch, old: str, new: str, *names: str) -> None:
    """Let products in other tiles be wrong, as on an adapter whose compiler has an error."""
    text = tiles.text

    def spoiled(variant: str, name: str, code: str) -> str:
        found = text(variant, name, code)
        return re.sub(old, new, found, count=1) if name in names else found

    monkeypatch.setattr(tiles, "text", spoiled)


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
    assert {name for name, _ in undecided.products.right} == {*tiles.KINDS} - {"matmul_nt"}
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
    for clock in (undecided.clock, None):
        trials = {
            form: trial.Trial(undecided.wgpu, clock, kernel, 64) for form, kernel in forms.items()
        }
        times = trial.race(trials)
        assert set(times) == set(forms) and all(0 < seconds < 1 for seconds in times.values())


def test_what_differs_by_a_bit_is_not_for_time_to_decide(
    undecided: WebGPUDevice, monkeypatch: pytest.MonkeyPatch
):
    """One kernel stays as it is written; where all differ, the shared tiles are taken by rule."""
    monkeypatch.setattr(undecided.products, "is_emulated", False)
    win(monkeypatch, tiles.SHARED)
    almost = r"(s0 \+= [^;]*);", r"\1 + 1e-7 * w0;"
    with monkeypatch.context() as one:
        spoil(one, *almost, "matmul_residual")
        assert undecided.products.choose() == "32 x 32"
    kept = "matmul_residual in 4 x 4, as the other gives other numbers here"
    assert undecided.products.told == f"32 x 32: 2.0 times as fast here; {kept}"
    assert {name for name, _ in undecided.products.right} == {*tiles.KINDS} - {"matmul_residual"}
    undecided.products.forget()
    spoil(monkeypatch, *almost, *tiles.KINDS)
    monkeypatch.setattr(trial, "race", lambda t: pytest.fail("time was taken"))
    assert undecided.products.choose("8 x 8") == "32 x 32"
    assert undecided.products.told == "32 x 32: by rule, as each size gives other numbers here"


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
