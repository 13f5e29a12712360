"""Every kernel of shaders/wasm against its reference, in wasmtime or, in a page, in the browser.

The memory around the buffers and the workspace is checked after each call, and random before
it: a kernel that writes anywhere else is caught, and one that reads there gives other numbers.
"""

import inspect
from collections.abc import Callable

import numpy as np
import pytest
from cases import CASES, arguments, bindings, check, make_inputs

from groundling.devices.kernels import KERNELS
from groundling.devices.numpy import NumPyDevice
from groundling.devices.sizes import told
from groundling.devices.wasm.device import WasmDevice
from groundling.devices.wasm.hosts import Pyodide, Wasmtime

# The kernels that equal NumPy to the bit in float32.
EXACT = ["gather_batch", "embedding", "embedding_position", "embedding_at", "last_row", "keep_row"]
EXACT += ["position_embedding", "position_embedding_backward", "relu", "relu_backward", "adamw"]
EXACT += ["add", "multiply", "copy", "move", "fill", "dropout"]
REAL = {"eps", "factor", "value", "rate", "label_smoothing", "max_norm", "beta1", "beta2"}
REAL |= {"weight_decay"}
EXTREMES = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 3e38, -3e38, 1e-45, 88.4, -1], np.float32)
NO_INDEX = np.array([0, 1, 2**31 - 1, 2**31, 2**32 - 1], np.uint32)


def keywords(kernel: str) -> list[str]:
    """The names of a kernel's parameters, in order."""
    signature = inspect.signature(KERNELS[kernel]).parameters.values()
    return [p.name for p in signature if p.kind is p.KEYWORD_ONLY]


class Module:
    """The compiled kernels, on stretches of a device's memory."""

    def __init__(self, host: Pyodide | Wasmtime):
        self.host = host

    def call(
        self, name: str, arrays: list[np.ndarray], params: dict, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """What each buffer holds after the kernel. Fails if anything else has changed."""
        values = [params[keyword] for keyword in keywords(name)]
        needed = f"{name}_workspace"
        workspace = self.host.call(needed, *values)() if needed in self.host.exports else 0
        at, places = 4 * int(rng.integers(16, 64)), []
        for size in (workspace, *(array.nbytes for array in arrays)):
            places.append(slice(at, at + size))
            at += size + 4 * int(rng.integers(16, 64))
        memory = self.host.allocate(at + 4096)
        memory[:] = rng.integers(0, 256, memory.size, np.uint8)
        for place, array in zip(places[1:], arrays, strict=True):
            memory[place] = array.view(np.uint8)
        before, start = memory.copy(), self.host.address(memory)
        sizes = told(name, [array.size for array in arrays], params)
        self.host.call(name, *(start + place.start for place in places), *values, *sizes)()
        after = memory.copy()
        self.host.release(memory)
        changed = after != before
        changed[places[0]] = False
        for (access, _, _), place in zip(bindings(name), places[1:], strict=True):
            if access == "read_write":
                changed[place] = False
        assert not changed.any(), f"{name} wrote outside of what it may write"
        return [
            after[place].view(array.dtype) for place, array in zip(places[1:], arrays, strict=True)
        ]


@pytest.fixture(scope="module")
def wasm(device: WasmDevice) -> Module:
    """The kernels."""
    return Module(device.host)


each_case = pytest.mark.parametrize(("kernel", "buffers", "params"), list(arguments()))
each_kernel = pytest.mark.parametrize("kernel", KERNELS)


@each_case
def test_a_kernel_does_what_its_reference_does(wasm: Module, rng, kernel, buffers, params):
    arrays = make_inputs(kernel, buffers, params, rng)
    check(kernel, arrays, wasm.call(kernel, arrays, params, rng), reference(kernel, arrays, params))


def reference(
    kernel: str, arrays: list[np.ndarray], params: dict, dtype: type = np.float64
) -> list[np.ndarray]:
    device = NumPyDevice(dtype=dtype)
    tensors = [device.tensor(array) for array in arrays]
    device.run(kernel, *tensors, **params)
    return [tensor.numpy() for tensor in tensors]


@pytest.mark.parametrize("kernel", EXACT)
def test_what_has_no_sums_is_as_numpys_to_the_bit(wasm: Module, rng, kernel: str):
    for buffers, params in CASES[kernel]:
        arrays = make_inputs(kernel, buffers, params, rng)
        results = wasm.call(kernel, arrays, params, rng)
        for result, expected in zip(
            results, reference(kernel, arrays, params, np.float32), strict=True
        ):
            np.testing.assert_array_equal(result, expected, f"{params}")


PRODUCTS: dict[str, Callable] = {
    "matmul_nn": lambda a, b, m, k, n: (a.reshape(m, k), b.reshape(k, n)),
    "matmul_nt": lambda a, b, m, k, n: (a.reshape(m, k), b.reshape(n, k).T),
    "matmul_tn": lambda a, b, m, k, n: (a.reshape(k, m).T, b.reshape(k, n)),
    "matmul_residual": lambda a, b, m, k, n: (a.reshape(m, k), b.reshape(k, n)),
}


@pytest.mark.parametrize("kernel", PRODUCTS)
def test_a_product_adds_up_in_order(wasm: Module, rng, kernel: str):
    """Rounded after each multiplication and each addition, as NumPy's einsum does without BLAS."""
    for buffers, params in CASES[kernel]:
        arrays = make_inputs(kernel, buffers, params, rng)
        *_, y = wasm.call(kernel, arrays, params, rng)
        sizes = {name: params[name] for name in "mkn"}
        a, b = PRODUCTS[kernel](*arrays[:2], **sizes)
        expected = np.zeros((params["m"], params["n"]), np.float32)
        for k in range(params["k"]):
            expected += a[:, k, None] * b[k]
        if kernel == "matmul_residual" or params["accumulate"]:
            expected = arrays[2].reshape(expected.shape) + expected
        np.testing.assert_array_equal(y, expected.reshape(-1), f"{params}")


def test_a_tokens_gradient_adds_up_in_order(wasm: Module, rng):
    for buffers, params in CASES["embedding_backward"]:
        tokens, dy, dweight = arrays = make_inputs("embedding_backward", buffers, params, rng)
        expected = (dweight if params["accumulate"] else np.zeros_like(dweight)).copy()
        shape = -1, params["n_embd"]
        np.add.at(expected.reshape(shape), tokens, dy.reshape(shape))
        result = wasm.call("embedding_backward", arrays, params, rng)[2]
        np.testing.assert_array_equal(result, expected)


@each_kernel
def test_a_kernel_writes_the_same_bytes_twice(wasm: Module, rng, kernel: str):
    """Wherever its buffers are, and whatever lies around them and in the workspace."""
    for buffers, params in CASES[kernel][-9:]:
        arrays = make_inputs(kernel, buffers, params, rng)
        first, second = (wasm.call(kernel, arrays, params, rng) for _ in range(2))
        for one, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(one, other)


@each_kernel
def test_no_input_makes_a_kernel_write_elsewhere(wasm: Module, rng, kernel: str):
    for buffers, params in CASES[kernel][-20:]:
        arrays = make_inputs(kernel, buffers, params, rng)
        for array in arrays:
            extremes = EXTREMES if array.dtype == np.float32 else NO_INDEX
            hostile = rng.random(array.size) < rng.choice([0.01, 0.5, 1])
            array[hostile] = rng.choice(extremes, np.count_nonzero(hostile))
        wasm.call(kernel, arrays, params, rng)


TOKENS = {
    "embedding": "tokens",
    "embedding_backward": "tokens",
    "embedding_position": "tokens",
    "embedding_at": "window",
    "cross_entropy": "targets",
    "cross_entropy_backward": "targets",
}


@pytest.mark.parametrize("kernel", TOKENS)
def test_a_token_beyond_the_vocabulary_counts_as_its_last(wasm: Module, rng, kernel: str):
    buffers, params = CASES[kernel][-1]
    arrays = make_inputs(kernel, buffers, params, rng)
    at = [name for _, name, _ in bindings(kernel)].index(TOKENS[kernel])
    results = []
    for token in (params["vocab_size"] - 1, params["vocab_size"], 2**32 - 1):
        arrays[at] = np.full_like(arrays[at], token)
        results.append(wasm.call(kernel, arrays, params, rng))
        results[-1].pop(at)
    for other in results[1:]:
        for one, same in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, same)


@pytest.mark.parametrize("kernel", ["last_row", "embedding_at", "attention_at"])
def test_a_length_beyond_the_rows_counts_as_their_number_and_none_as_one(wasm, rng, kernel: str):
    case = next(c for c in reversed(CASES[kernel]) if c[0][-2] != c[0][-1])
    arrays = make_inputs(kernel, *case, rng)
    outcomes = {}
    for length in (1, 65, 0, 66, 2**31, 2**32 - 1):
        arrays[1] = np.array([length], np.uint32)
        outcomes[length] = wasm.call(kernel, arrays, case[1], rng)[-1]
    np.testing.assert_array_equal(outcomes[0], outcomes[1])
    for length in (66, 2**31, 2**32 - 1):
        np.testing.assert_array_equal(outcomes[length], outcomes[65])
    assert (outcomes[1] != outcomes[65]).any()


@pytest.mark.parametrize("size", [1, 5, 8, 40])
def test_a_batch_beyond_the_corpus_repeats_its_last_token(wasm: Module, rng, size: int):
    corpus = np.arange(size, dtype=np.uint32)
    offsets = np.array([0, 3, size - 1, size, 2**31, 2**32 - 1], np.uint32)
    arrays = [corpus, offsets, np.zeros(6 * 7, np.uint32), np.zeros(6 * 7, np.uint32)]
    *_, x, y = wasm.call("gather_batch", arrays, dict(batch=6, time=7), rng)
    expected = np.minimum(offsets[:, None].astype(np.uint64) + np.arange(7, dtype=np.uint64), size)
    np.testing.assert_array_equal(x, np.minimum(expected, size - 1).reshape(-1))
    np.testing.assert_array_equal(y, np.minimum(expected + 1, size - 1).reshape(-1))


def test_sampling_draws_the_token_that_the_reference_draws(wasm: Module, rng):
    """One after the other, into a window that fills up and then slides. The reference may round
    its sums to the other side of u, or of top_p: whichever tokens lie within 1e-5 of it are right.
    """
    for _ in range(50):
        V, T, draws = int(rng.integers(1, 300)), int(rng.integers(1, 9)), 12
        logits = rng.standard_normal(V) * rng.choice([0.1, 2, 20])
        if rng.random() < 0.5:
            logits = np.round(logits)  # many are equal
        if rng.random() < 0.2:
            logits[rng.random(V) < 0.5] = -np.inf
            logits[rng.integers(V)] = 1
        settings = [
            rng.choice([1e-30, 0.1, 1, 3]),
            rng.choice([1, 2, 7, V, 2.0**31, 1e30]),
            rng.choice([1e-9, rng.uniform(), rng.uniform(), 1]),
        ]
        state = [logits, rng.uniform(size=draws), settings, np.zeros(T), [0], np.zeros(draws), [0]]
        types = [
            np.float32 if kind == "f32" else np.uint32 for *_, kind in bindings("sample_token")
        ]
        state = [np.array(a, dtype) for a, dtype in zip(state, types, strict=True)]
        params = dict(vocab_size=V, block_size=T)
        for draw in range(draws):
            right = []
            for u, p in ((1, 1), (1 - 1e-5, 1), (1 + 1e-5, 1), (1, 1 - 1e-5), (1, 1 + 1e-5)):
                near = [array.copy() for array in state]
                near[1] *= np.float32(u)
                near[2][2] *= np.float32(p)
                KERNELS["sample_token"](*near, **params)
                right.append(near[3:])
            state = wasm.call("sample_token", state, params, rng)
            found = next(r for r in right if r[2][draw] == state[5][draw])
            for result, expected in zip(state[3:], found, strict=True):
                np.testing.assert_array_equal(result, expected)


def test_sampling_keeps_the_best_token_whatever_the_settings(wasm: Module, rng):
    logits = np.array([1, 5, 2, 5], np.float32)
    for settings in ((1, 0, 1), (1, -3, 1), (1, np.nan, 1), (1, 4, 0), (1, 4, -1), (1e-30, 1, 1)):
        arrays = [logits, np.array([0.99], np.float32), np.array(settings, np.float32)]
        arrays += [np.zeros(n, np.uint32) for n in (2, 1, 1, 1)]
        out = wasm.call("sample_token", arrays, dict(vocab_size=4, block_size=2), rng)[5]
        assert out[0] == 1


@pytest.mark.parametrize(
    "kernel", ["gelu", "relu", "layernorm", "rmsnorm", "cross_entropy", "mean"]
)
def test_what_is_no_number_stays_none(wasm: Module, rng, kernel: str):
    buffers, params = CASES[kernel][-1]
    arrays = make_inputs(kernel, buffers, params, rng)
    arrays[0][-1] = np.nan
    outputs = wasm.call(kernel, arrays, params, rng)
    names = [name for _, name, _ in bindings(kernel)]
    y = outputs[names.index("losses" if kernel == "cross_entropy" else "y")]
    assert np.isnan(y[-1])


@pytest.mark.native
@each_kernel
def test_a_kernel_takes_what_its_reference_takes(wasm: Module, kernel: str):
    buffers = 1 + len(bindings(kernel))  # and the workspace
    kinds = [str(kind) for kind in wasm.host.exports[kernel].type(wasm.host.store).params]
    assert kinds[:buffers] == ["i32"] * buffers
    real = [keyword in REAL for keyword in keywords(kernel)]
    buffers, params = CASES[kernel][0]
    sizes = told(kernel, [1] * len(buffers), params)
    assert [kind in ("f32", "f64") for kind in kinds[1 + len(buffers) :]] == real + [False] * len(
        sizes
    )
