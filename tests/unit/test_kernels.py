"""The NumPy kernels against formulas written out anew, as plainly as they go, in Python's floats.

The backward kernels are checked by finite differences, in test_gradients.py. float32 keeps about 7
digits: 1e-5 leaves room for sums of some hundred terms.
"""

import math

import numpy as np
import pytest

from groundling import sources
from groundling.devices import kernels
from groundling.devices import numpy as numpy_device
from groundling.devices.fused import parts
from groundling.devices.kernels import KERNELS
from groundling.devices.numpy import NumPyDevice
from groundling.labs import parity

CLOSE = dict(rtol=1e-5, atol=1e-5)


def run(kernel: str, *arrays: np.ndarray, **params: float) -> list[np.ndarray]:
    """What each buffer holds after the kernel has run on copies of them, in float32."""
    device = NumPyDevice()
    tensors = [device.tensor(array) for array in arrays]
    device.run(kernel, *tensors, **params)
    return [tensor.numpy() for tensor in tensors]


def u32(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint32)


def empty(*shape: int) -> np.ndarray:
    return np.full(shape, np.nan)


@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (3, 5, 7), (65, 6, 2)])
def test_the_matrix_products_multiply(rng: np.random.Generator, m, k, n, accumulate):
    a, b, y = rng.standard_normal((m, k)), rng.standard_normal((k, n)), rng.standard_normal((m, n))
    expected = [[sum(a[i, l] * b[l, j] for l in range(k)) for j in range(n)] for i in range(m)]
    expected = np.array(expected) + accumulate * y
    sizes = dict(m=m, k=k, n=n, accumulate=accumulate)
    np.testing.assert_allclose(run("matmul_nn", a, b, y, **sizes)[2], expected, **CLOSE)
    np.testing.assert_allclose(run("matmul_nt", a, b.T, y, **sizes)[2], expected, **CLOSE)
    np.testing.assert_allclose(run("matmul_tn", a.T, b, y, **sizes)[2], expected, **CLOSE)


def test_without_blas_the_numbers_are_the_same(rng: np.random.Generator, monkeypatch):
    """As inside Pyodide, or as not: whichever this host is not."""
    a, b, y = (rng.standard_normal(shape) for shape in ((7, 5), (5, 9), (7, 9)))
    x = np.concatenate([np.linspace(-60, 60, 99), 1e-3 * rng.standard_normal(99)])

    def results() -> list[np.ndarray]:
        sizes = dict(m=7, k=5, n=9, accumulate=1)
        return [
            run("matmul_nn", a, b, y, **sizes)[2],
            run("matmul_nt", a, b.T, y, **sizes)[2],
            run("matmul_tn", a.T, b, y, **sizes)[2],
            run("gelu", x, empty(198), size=198)[1],
            run("gelu_backward", x, np.ones(198), empty(198), size=198, accumulate=0)[2],
        ]

    here = results()
    monkeypatch.setattr(kernels, "IS_BARE", not kernels.IS_BARE)
    for found, expected in zip(results(), here, strict=True):
        np.testing.assert_allclose(found, expected, **CLOSE)


def test_kernels_whose_work_is_halved_do_what_they_do_at_once(monkeypatch):
    """On what each is called with as a small model trains."""
    halved = {name for name, function in KERNELS.items() if hasattr(function, "rows")}
    stand_ins = {name for name in halved if parts(sources.text(f"shaders/{name}.wgsl"))}
    calls = parity.trace(halved - stand_ins)
    for name in stand_ins:
        calls |= parity.trace([name])
    unused = {name for name, noted in calls.items() if not noted}
    assert unused == {"relu", "relu_backward", "multiply"}
    monkeypatch.setattr(numpy_device, "WORTH_IT", 0)
    for name, noted in calls.items():
        for call in noted:
            found = run(name, *call.before, **call.params)
            for y, expected in zip(found, call.after, strict=True):
                np.testing.assert_allclose(y, expected, **CLOSE, err_msg=name)


def test_gather_batch_takes_tokens_and_those_that_follow():
    corpus = np.arange(100, 120, dtype=np.uint32)
    _, _, x, y = run(
        "gather_batch", corpus, u32(0, 15), u32(*[0] * 8), u32(*[0] * 8), batch=2, time=4
    )
    np.testing.assert_array_equal(x, [100, 101, 102, 103, 115, 116, 117, 118])
    np.testing.assert_array_equal(y, x + 1)


def test_embedding_looks_rows_up(rng: np.random.Generator):
    weight = rng.standard_normal((5, 3)).astype(np.float32)
    y = run("embedding", u32(4, 0, 4), weight, empty(3, 3), rows=3, n_embd=3, vocab_size=5)[2]
    np.testing.assert_array_equal(y, weight[[4, 0, 4]])


def test_position_embedding_adds_a_row_to_each_position(rng: np.random.Generator):
    x, weight = rng.standard_normal((2, 3, 4)), rng.standard_normal((5, 4))
    y = run("position_embedding", x, weight, empty(2, 3, 4), size=24, period=12)[2]
    for b in range(2):
        for t in range(3):
            np.testing.assert_allclose(y[b, t], x[b, t] + weight[t], **CLOSE)


def test_layernorm_has_the_mean_of_its_bias_and_the_spread_of_its_gain(rng: np.random.Generator):
    x = 7 + 3 * rng.standard_normal((2, 500))
    sizes = dict(rows=2, n_embd=500, eps=1e-5)
    y = run(
        "layernorm",
        x,
        np.full(500, 2.0),
        np.full(500, -1.0),
        empty(2, 500),
        empty(2, 2),
        **sizes,
    )
    np.testing.assert_allclose(y[3].mean(axis=1), -1, atol=1e-5)
    np.testing.assert_allclose(y[3].std(axis=1), 2, atol=1e-5)
    np.testing.assert_allclose(y[4][:, 0], x.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(y[4][:, 1], 1 / x.std(axis=1), rtol=1e-5)


def test_layernorm_of_equal_numbers_is_the_bias():
    args = np.full((1, 6), 4.0), np.ones(6), np.arange(6.0), empty(1, 6), empty(1, 2)
    y = run("layernorm", *args, rows=1, n_embd=6, eps=1e-5)
    np.testing.assert_array_equal(y[3], [np.arange(6)])
    np.testing.assert_allclose(y[4], [[4, 1 / math.sqrt(1e-5)]], rtol=1e-6)


@pytest.mark.parametrize(("B", "T", "n_head", "size"), [(1, 1, 1, 1), (2, 5, 3, 4), (1, 7, 1, 5)])
def test_attention_averages_the_values_by_the_softmax_of_the_scores(rng, B, T, n_head, size):
    C = n_head * size
    qkv = 2 * rng.standard_normal((B, T, 3, n_head, size))
    y, lse = empty(B, T, n_head, size), empty(B, n_head, T)
    sizes = dict(batch=B, time=T, n_head=n_head, head_size=size)
    _, y, lse = run("attention", qkv.reshape(B, T, 3 * C), y, lse, **sizes)
    for b, t, h in np.ndindex(B, T, n_head):
        q = qkv[b, t, 0, h]
        scores = [math.fsum(q * qkv[b, j, 1, h]) / math.sqrt(size) for j in range(t + 1)]
        total = sum(math.exp(s) for s in scores)
        expected = sum(math.exp(s) / total * qkv[b, j, 2, h] for j, s in enumerate(scores))
        np.testing.assert_allclose(y[b, t, h], expected, **CLOSE)
        assert lse[b, h, t] == pytest.approx(math.log(total), rel=1e-5, abs=1e-5)


def test_attention_survives_scores_past_the_exponentials_range():
    qkv = np.zeros((1, 2, 3))
    qkv[0, :, :2] = 100  # scores of 10,000
    qkv[0, :, 2] = 1, 3
    sizes = dict(batch=1, time=2, n_head=1, head_size=1)
    _, y, lse = run("attention", qkv, empty(2), empty(2), **sizes)
    np.testing.assert_allclose(y, [1, 2])
    np.testing.assert_allclose(lse, [10_000, 10_000 + math.log(2)])


def test_gelu_is_its_tanh_formula():
    x = np.linspace(-8, 8, 101)
    expected = [
        0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))) for v in x
    ]
    np.testing.assert_allclose(run("gelu", x, empty(101), size=101)[1], expected, atol=1e-6)


def test_gelu_of_large_numbers_is_the_number_or_nothing():
    x = np.array([-1e6, -100, 100, 1e6])
    np.testing.assert_array_equal(run("gelu", x, empty(4), size=4)[1], [0, 0, 100, 1e6])
    dx = run("gelu_backward", x, np.ones(4), empty(4), size=4, accumulate=0)[2]
    np.testing.assert_array_equal(dx, [0, 0, 1, 1])


def test_relu_cuts_off_what_is_negative_and_keeps_what_is_no_number():
    x = np.array([-2.0, 0, 3, math.nan])
    np.testing.assert_array_equal(run("relu", x, empty(4), size=4)[1], [0, 0, 3, math.nan])
    dx = run("relu_backward", x, np.full(4, 5.0), empty(4), size=4, accumulate=0)[2]
    np.testing.assert_array_equal(dx[:3], [0, 0, 5])


def test_rmsnorm_gives_the_first_rows_of_each_period_a_mean_square_of_one(rng):
    x = 4 * rng.standard_normal((6, 50)).astype(np.float32)
    y = run("rmsnorm", x, empty(6, 50), rows=6, size=50, period=3, normed=2, eps=1e-12)[1]
    np.testing.assert_allclose((y[[0, 1, 3, 4]] ** 2).mean(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(y[0] / x[0], (y[0] / x[0])[0], rtol=1e-5)  # the direction stays
    np.testing.assert_array_equal(y[[2, 5]], x[[2, 5]])


@pytest.mark.parametrize("accumulate", [0, 1])
def test_copy_scales_and_adds(accumulate: int):
    y = run(
        "copy", u32(1, 2) * 1.0, np.array([10.0, 20]), size=2, factor=-2.0, accumulate=accumulate
    )
    np.testing.assert_array_equal(y[1], [10 * accumulate - 2, 20 * accumulate - 4])


def test_fill_and_add_do_what_they_say():
    np.testing.assert_array_equal(run("fill", empty(3), size=3, value=2.5)[0], [2.5] * 3)
    z = run("add", np.array([1.0, 2]), np.array([10.0, 20]), empty(2), size=2)[2]
    np.testing.assert_array_equal(z, [11, 22])
    sizes = dict(size=2, accumulate=1)
    z = run("multiply", np.array([1.0, 2]), np.array([10.0, 20]), np.array([3.0, 3]), **sizes)[2]
    np.testing.assert_array_equal(z, [13, 43])


def pcg4d(x: int, y: int, z: int, w: int) -> int:
    """The hash of the paper, on Python's integers. https://jcgt.org/published/0009/03/02/"""
    mask = 0xFFFFFFFF
    x, y, z, w = ((v * 1664525 + 1013904223) & mask for v in (x, y, z, w))
    x = (x + y * w) & mask
    y = (y + z * x) & mask
    z = (z + x * y) & mask
    w = (w + y * z) & mask
    x, y, z, w = (v ^ (v >> 16) for v in (x, y, z, w))
    return (x + y * w) & mask


def test_dropout_keeps_what_the_hash_says():
    key, rate, n = u32(0xDEADBEEF, 41), 0.3, 200
    y = run("dropout", np.ones(n), key, empty(n), size=n, layer=5, rate=rate, accumulate=0)[2]
    kept = [(pcg4d(i, 5, 0xDEADBEEF, 41) >> 8) / 2**24 >= rate for i in range(n)]
    np.testing.assert_allclose(y, np.where(kept, 1 / 0.7, 0), rtol=1e-6)


def test_dropout_drops_its_share_and_keeps_the_mean():
    """Of 100,000 elements the share dropped strays by sqrt(0.2 * 0.8 / 1e5) = 0.0013."""
    n = 100_000
    y = run("dropout", np.ones(n), u32(1, 2), empty(n), size=n, layer=0, rate=0.2, accumulate=0)[2]
    assert (y == 0).mean() == pytest.approx(0.2, abs=0.005)
    assert y.mean() == pytest.approx(1, abs=0.0065)


def test_dropout_differs_by_step_seed_and_layer_and_not_otherwise():
    def mask(layer: int, *key: int) -> bytes:
        args = np.ones(999), u32(*key), empty(999)
        return run("dropout", *args, size=999, layer=layer, rate=0.5, accumulate=0)[2].tobytes()

    assert mask(1, 2, 3) == mask(1, 2, 3)
    assert len({mask(1, 2, 3), mask(0, 2, 3), mask(1, 2, 4), mask(1, 3, 3), mask(2, 1, 3)}) == 5


def test_dropout_backward_drops_the_same_elements():
    n, x = 500, np.arange(1.0, 501)
    sizes = dict(size=n, layer=3, rate=0.4)
    y = run("dropout", x, u32(7, 8), empty(n), **sizes, accumulate=0)[2]
    dx = run("dropout", np.ones(n), u32(7, 8), np.ones(n), **sizes, accumulate=1)[2]
    np.testing.assert_allclose(y, (dx - 1) * x, rtol=1e-5)


def test_cross_entropy_is_minus_the_log_of_the_softmax_at_the_target(rng: np.random.Generator):
    logits = 5 * rng.standard_normal((4, 6))
    sizes = dict(rows=4, vocab_size=6, label_smoothing=0.0)
    losses, lse = run("cross_entropy", logits, u32(0, 5, 2, 2), empty(4), empty(4), **sizes)[2:]
    for row, target in enumerate((0, 5, 2, 2)):
        total = math.fsum(math.exp(v) for v in logits[row])
        expected = -math.log(math.exp(logits[row, target]) / total)
        assert losses[row] == pytest.approx(expected, abs=1e-5)
        assert lse[row] == pytest.approx(math.log(total), rel=1e-5)


def test_cross_entropy_survives_logits_past_the_exponentials_range():
    logits = np.array([[1e4, 0.0, 1e4]])
    args = logits, u32(1), empty(1), empty(1)
    sizes = dict(rows=1, vocab_size=3, label_smoothing=0.0)
    np.testing.assert_allclose(run("cross_entropy", *args, **sizes)[2], [1e4 + math.log(2)])


@pytest.mark.parametrize("smoothing", [0.1, 1.0])
def test_label_smoothing_spreads_a_share_of_the_target_over_the_vocabulary(rng, smoothing: float):
    """The formula of PyTorch's CrossEntropyLoss."""
    logits, target = 5 * rng.standard_normal((1, 6)), 4
    sizes = dict(rows=1, vocab_size=6, label_smoothing=smoothing)
    loss = run("cross_entropy", logits, u32(target), empty(1), empty(1), **sizes)[2][0]
    total = math.fsum(math.exp(v) for v in logits[0])
    minus_log = [-math.log(math.exp(v) / total) for v in logits[0]]
    expected = (1 - smoothing) * minus_log[target] + smoothing * sum(minus_log) / 6
    assert loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_equal_logits_cost_the_logarithm_of_the_vocabulary_however_smooth(smoothing: float):
    args = np.full((1, 65), 3.0), u32(7), empty(1), empty(1)
    loss = run("cross_entropy", *args, rows=1, vocab_size=65, label_smoothing=smoothing)[2]
    np.testing.assert_allclose(loss, [math.log(65)], rtol=1e-6)


def test_mean_is_the_mean(rng: np.random.Generator):
    x = rng.standard_normal(777)
    np.testing.assert_allclose(
        run("mean", x, empty(1), size=777)[1], [math.fsum(x) / 777], atol=1e-7
    )


@pytest.mark.parametrize("size", [1, 255, 257, 5000])
def test_the_partial_sums_of_squares_add_up_to_all_of_them(rng: np.random.Generator, size: int):
    x = rng.standard_normal(size)
    partial = run("sum_squares", x, empty(256), size=size)[1]
    assert partial.sum() == pytest.approx(math.fsum(x * x), rel=1e-5)


@pytest.mark.parametrize(("max_norm", "factor"), [(1.0, 0.2), (5.0, 1.0), (6.0, 1.0)])
def test_clip_scales_down_to_the_norm_and_never_up(max_norm: float, factor: float):
    partial = np.zeros(256)
    partial[[0, 255]] = 9, 16
    _, x, norm = run("clip", partial, np.array([3.0, -4]), empty(1), size=2, max_norm=max_norm)
    assert norm[0] == 5
    np.testing.assert_allclose(x, [3 * factor, -4 * factor], rtol=1e-6)


def test_clip_leaves_room_for_a_norm_of_nothing_as_pytorch_does():
    partial = np.zeros(256)
    partial[0] = 1e-12
    x = run("clip", partial, np.ones(1), empty(1), size=1, max_norm=1e-6)[1]
    np.testing.assert_allclose(x, 0.5, rtol=1e-5)  # 1e-6 / (1e-6 + 1e-6)
    x = run("clip", np.zeros(256), np.zeros(1), empty(1), size=1, max_norm=1.0)[1]
    np.testing.assert_array_equal(x, [0])


def test_last_row_is_the_last_real_tokens():
    x = np.arange(12.0).reshape(4, 3)
    for length in (1, 3, 4):
        y = run("last_row", x, u32(length), empty(3), n_embd=3)[2]
        np.testing.assert_array_equal(y, x[length - 1])


def test_every_kernel_names_its_parameters():
    device = NumPyDevice()
    for name in KERNELS:
        with pytest.raises(TypeError):
            device.run(name, *[device.empty(1) for _ in range(3)], no_such_parameter=1)


def test_an_unknown_kernel_is_refused_by_name():
    with pytest.raises(RuntimeError, match="no kernel 'warp'"):
        NumPyDevice().run("warp")
