"""The tape and every op's backward kernels, against finite differences in float64.

A float64 central difference with a step of 1e-5 is good to about 1e-10 for functions as smooth as
these; float32 gradients of graphs this small to about 1e-5 of the largest.
"""

import itertools
import operator
from collections.abc import Callable

import numpy as np
import pytest

from groundling.config import GPTConfig
from groundling.devices.base import Device
from groundling.devices.numpy import NumPyDevice
from groundling.engine import ops
from groundling.engine.tensor import Parameter, Tensor, no_grad, record
from groundling.model import GPT, initial_weights
from groundling.rng import Stream

STEP = 1e-5
EXACT = dict(rtol=1e-6, atol=1e-8)

B, T, C, V, H = 2, 5, 6, 7, 3  # sequences, tokens, channels, vocabulary, heads: none a power of two
TOKENS = np.array([[3, 0, 6, 3, 3], [1, 2, 3, 5, 0]], np.uint32)
TARGETS = np.array([[0, 6, 3, 3, 1], [2, 3, 5, 0, 0]], np.uint32)
KEY = np.array([12345, 6], np.uint32)


def u32(x: Tensor, array: np.ndarray) -> Tensor:
    return x.device.tensor(array)


def dropped(x: Tensor) -> Tensor:
    return ops.dropout(x, u32(x, KEY), 0.4, layer=2)


def used_in_between(x: Tensor) -> Tensor:
    y, z = ops.gelu(x), ops.gelu(x)
    return (x + y) + 3 * z


# Each op as a function of parameters, and the parameters' shapes.
OPS = {
    "embedding": (lambda w: ops.embedding(u32(w, TOKENS), w), [(V, C)]),
    "position_embedding": (ops.position_embedding, [(B, T, C), (T, C)]),
    "position_embedding of a longer table": (ops.position_embedding, [(B, T, C), (T + 3, C)]),
    "linear": (ops.linear, [(B, T, C), (C, 11)]),
    "unembedding": (ops.unembedding, [(B, T, C), (V, C)]),
    "layernorm": (ops.layernorm, [(B, T, C), (C,), (C,)]),
    "causal_attention": (lambda x: ops.causal_attention(x, H), [(B, T, 3 * C)]),
    "causal_attention of one token": (lambda x: ops.causal_attention(x, 2), [(B, 1, 3 * C)]),
    "gelu": (ops.gelu, [(B, T, C)]),
    "relu": (ops.relu, [(B, T, C)]),
    "rmsnorm": (ops.rmsnorm, [(B, T, C)]),
    "rmsnorm of heads": (lambda x: ops.rmsnorm(x, C // H, 2 * C), [(B, T, 3 * C)]),
    "multiply": (operator.mul, [(B, T, C), (B, T, C)]),
    "add": (operator.add, [(B, T, C), (B, T, C)]),
    "scale": (lambda x: -1.7 * x, [(B, T, C)]),
    "dropout": (dropped, [(B, T, C)]),
    "cross_entropy": (lambda x: ops.cross_entropy(x, u32(x, TARGETS)), [(B, T, V)]),
    "cross_entropy, smoothed": (lambda x: ops.cross_entropy(x, u32(x, TARGETS), 0.3), [(B, T, V)]),
}

S = (T, C)
GRAPHS = {
    "x + f(x)": (lambda x: x + ops.gelu(x), [S]),
    "f(x) + x": (lambda x: ops.gelu(x) + x, [S]),
    "x + x": (lambda x: x + x, [S]),
    "(x + x) + x": (lambda x: (x + x) + x, [S]),
    "x + (x + x)": (lambda x: x + (x + x), [S]),
    "x used three times": (lambda x: (ops.gelu(x) + 2 * x) + ops.gelu(3 * x), [S]),
    "x + y where y is used again later": (lambda x, y: ops.gelu(x + y) + y, [S, S]),
    "a sum used three times": (lambda x, y: (s := x + y) + (ops.gelu(s) + s), [S, S]),
    "two sums of the same two": (lambda x, y: ops.gelu(x + y) + (y + x), [S, S]),
    "x + y where x is used once more in between": (used_in_between, [S]),
    "a residual stream of two blocks": (
        lambda x: (h := x + ops.gelu(2 * x)) + ops.gelu(ops.gelu(h)),
        [S],
    ),
    "a parameter used twice": (
        lambda x, w: ops.linear(ops.gelu(ops.linear(x, w)), w),
        [(4, C), (C, C)],
    ),
    "a table embedded and unembedded": (
        lambda w: ops.unembedding(ops.gelu(ops.embedding(u32(w, TOKENS), w)), w),
        [(V, C)],
    ),
    "one norm for two inputs": (
        lambda x, y, g, b: ops.layernorm(x, g, b) + ops.layernorm(y, g, b),
        [S, S, (C,), (C,)],
    ),
    "a square": (lambda x: ops.linear(x, x), [(C, C)]),
    "x times itself": (lambda x: x * x, [S]),
    "x times f(x), and x again": (lambda x: x + x * ops.gelu(x), [S]),
    "dropout on a branch": (lambda x: x + dropped(ops.gelu(x)), [S]),
}
# And once more with something before each input: a gradient goes elsewhere for a parameter.
GRAPHS |= {
    f"{name}, of results": (lambda *inputs, f=f: f(*[1.5 * x for x in inputs]), shapes)
    for name, (f, shapes) in GRAPHS.items()
}


def weighted_sum(x: Tensor, weights: np.ndarray) -> Tensor:
    """sum(x * weights) as an op on the tape, so that any op's result leads to a loss."""
    w = x.device.tensor(weights)
    loss = x.device.tensor([float((x.numpy().astype(np.float64) * weights).sum())])

    def backward(dloss, into):
        dx, accumulate = into(x)
        factor = dloss.item()
        x.device.run("copy", w, dx, size=x.size, factor=factor, accumulate=accumulate)

    return record(loss, (x,), backward)


def parameters(device: Device, arrays: list[np.ndarray]) -> list[Parameter]:
    return [Parameter(device.tensor(a), device.tensor(np.full(a.shape, np.nan))) for a in arrays]


def loss_of(device: Device, function: Callable, arrays: list, rng: np.random.Generator) -> Tensor:
    """The parameters, and a loss with weights from `rng`, a copy of which gives the same ones."""
    inputs = parameters(device, arrays)
    y = function(*inputs)
    return inputs, weighted_sum(y, rng.standard_normal(y.shape))


def gradients(device: Device, function: Callable, arrays: list, seed: int) -> list[np.ndarray]:
    inputs, loss = loss_of(device, function, arrays, np.random.default_rng(seed))
    loss.backward()
    return [p.grad.numpy() for p in inputs]


def differences(function: Callable, arrays: list, seed: int) -> list[np.ndarray]:
    """The gradients by central differences, in float64, element by element."""
    device, results = NumPyDevice(dtype=np.float64), []

    def value() -> float:
        with no_grad():
            return loss_of(device, function, arrays, np.random.default_rng(seed))[1].item()

    for array in arrays:
        gradient = np.empty(array.shape)
        for i in np.ndindex(array.shape):
            middle = array[i]
            array[i] = middle + STEP
            above = value()
            array[i] = middle - STEP
            gradient[i] = (above - value()) / (2 * STEP)
            array[i] = middle
        results.append(gradient)
    return results


@pytest.mark.parametrize("name", OPS)
def test_an_op_has_the_gradient_of_finite_differences(rng: np.random.Generator, name: str):
    function, shapes = OPS[name]
    arrays = [rng.standard_normal(shape) for shape in shapes]
    for x in arrays:  # near 0 STEP is too coarse, for relu and for the norm of two channels
        x += np.copysign(0.3, x)
    found = gradients(NumPyDevice(dtype=np.float64), function, arrays, seed=1)
    for gradient, expected in zip(found, differences(function, arrays, seed=1), strict=True):
        np.testing.assert_allclose(gradient, expected, **EXACT)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_has_the_gradient_of_finite_differences(rng: np.random.Generator, name: str):
    function, shapes = GRAPHS[name]
    arrays = [rng.standard_normal(shape) for shape in shapes]
    found = gradients(NumPyDevice(dtype=np.float64), function, arrays, seed=2)
    for gradient, expected in zip(found, differences(function, arrays, seed=2), strict=True):
        np.testing.assert_allclose(gradient, expected, **EXACT)


@pytest.mark.parametrize("name", [*OPS, *GRAPHS])
def test_gradients_are_those_of_float64(device: Device, rng: np.random.Generator, name: str):
    function, shapes = (OPS | GRAPHS)[name]
    arrays = [rng.standard_normal(shape) for shape in shapes]
    found = gradients(device, function, arrays, seed=3)
    exact = gradients(NumPyDevice(dtype=np.float64), function, arrays, seed=3)
    for gradient, expected in zip(found, exact, strict=True):
        atol = 1e-5 * max(1, np.abs(expected).max())
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=atol)


def test_a_gradient_over_two_backward_passes_is_their_sum(device: Device):
    x, w = parameters(device, [np.ones((2, 3)), np.full((3, 4), 0.5)])
    for weights in (np.full((2, 4), 2.0), np.arange(8.0).reshape(2, 4)):
        weighted_sum(ops.linear(x, w), weights).backward()
    total = 2 + np.arange(8.0).reshape(2, 4)
    np.testing.assert_allclose(x.grad.numpy(), total @ np.full((4, 3), 0.5), rtol=1e-6)
    np.testing.assert_allclose(w.grad.numpy(), np.ones((3, 2)) @ total, rtol=1e-6)


def test_gradients_start_anew_after_zero_grad(device: Device):
    model = small_model(device)
    x, y = device.tensor(TOKENS), device.tensor(TARGETS)
    once = model_gradients(model, x, y)
    np.testing.assert_array_equal(model_gradients(model, x, y), once)


def test_a_loss_that_meets_itself_again_leaves_the_next_gradient_alone(device: Device):
    """The gradient that backward() starts from, the number 1, must not be added to."""
    for _ in range(2):
        (x,) = parameters(device, [np.ones((1, 1))])
        loss = weighted_sum(x, np.ones((1, 1)))
        loss = loss + 3 * (2 * loss)
        loss.backward()
        np.testing.assert_array_equal(x.grad.numpy(), [[7.0]])


def test_an_input_off_the_tape_needs_no_gradient(device: Device):
    (w,) = parameters(device, [np.eye(3)])
    weighted_sum(ops.linear(device.tensor(np.ones((2, 3))), w), np.ones((2, 3))).backward()
    np.testing.assert_array_equal(w.grad.numpy(), np.full((3, 3), 2.0))


def small_model(device: Device, block_size: int = T) -> GPT:
    """A model of odd sizes, no gain 1, no bias 0, its weights large enough for all to matter."""
    config = GPTConfig(vocab_size=V, block_size=block_size, n_layer=2, n_head=H, n_embd=C, d_ff=11)
    weights = initial_weights(config, "gradients")
    return GPT(config, device, weights + 0.3 * Stream("large").normal(weights.size))


def model_gradients(model: GPT, x: Tensor, y: Tensor) -> np.ndarray:
    model.zero_grad()
    model.loss(x, y).backward()
    return model.gather(model.flat_grad)


@pytest.mark.native  # thousands of losses, in float64 on NumPy alone
@pytest.mark.parametrize("time", [1, 3, T])
def test_the_whole_model_has_the_gradient_of_finite_differences(time: int):
    device = NumPyDevice(dtype=np.float64)
    model = small_model(device)
    x, y = device.tensor(TOKENS[:, :time]), device.tensor(TARGETS[:, :time])
    found, weights = model_gradients(model, x, y), model.weights()
    expected = np.empty_like(weights)
    with no_grad():
        for i, sign in itertools.product(range(weights.size), (1, -1)):
            weights[i] += sign * STEP
            model.load(weights)
            expected[i] = sign * model.loss(x, y).item() + (expected[i] if sign < 0 else 0)
            weights[i] -= sign * STEP
    np.testing.assert_allclose(found, expected / (2 * STEP), **EXACT)


def test_the_whole_models_gradient_is_that_of_float64(device: Device):
    exact, found = (
        model_gradients(small_model(d), d.tensor(TOKENS), d.tensor(TARGETS))
        for d in (NumPyDevice(dtype=np.float64), device)
    )
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-5 * np.abs(exact).max())


def test_positions_past_a_short_sequence_have_no_gradient(device: Device):
    model = small_model(device, block_size=T + 4)
    model_gradients(model, device.tensor(TOKENS), device.tensor(TARGETS))
    gradient = model.parameters["wpe"].grad.numpy()
    assert (np.abs(gradient[:T]).max(axis=1) > 0).all()
    assert (gradient[T:] == 0).all()
