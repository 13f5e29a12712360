"""Random input of awkward shapes for every kernel, which the tests of each device's kernels share.

What a kernel overwrites holds NaNs before.

Tolerance: 1e-5 of an output's largest number, or of 1, which is what the numbers that go in are
like, where the output is smaller by cancellation. The reference works in float64, so all of the
difference is float32's: 6e-8 an operation, hence sqrt(2,000) x 6e-8 = 3e-6 for the longest sums
here, and a few units in the last place for a device's exp and tanh.
"""

import itertools
import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from groundling import sources

TOLERANCE = 1e-5
SHADERS = {name: sources.text(f"shaders/{name}.wgsl") for name in sources.kernels()}
BINDING = r"@binding\(\d+\)\s*var<storage, (read|read_write)> (\w+): array<(\w+)>"
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
M_K_N += [(5, 2048, 9), (132, 148, 76)]  # the last in other tiles too, several of each
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


def check(
    kernel: str, arrays: list[np.ndarray], results: list[np.ndarray], oracle: list[np.ndarray]
) -> None:
    """Fails where what the buffers hold after a kernel is not what its reference's hold."""
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
