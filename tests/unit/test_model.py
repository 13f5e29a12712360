"""The model: its parameters, what it computes, and PyTorch's figures for the same (see
tests/pytorch_figures.py).
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groundling.config import GPTConfig
from groundling.data import Corpus
from groundling.devices.base import Device
from groundling.devices.numpy import NumPyDevice
from groundling.engine import ops
from groundling.engine.parameters import ALIGN
from groundling.engine.tensor import Parameter, Tensor, no_grad, record
from groundling.model import GPT, initial_weights, parameter_shapes
from groundling.optim import AdamW, clip_grad_norm_
from groundling.rng import Stream

FIGURES = json.loads(
    (Path(__file__).parents[1] / "pytorch_figures.json").read_text(encoding="utf-8")
)
SMALL = GPTConfig(vocab_size=11, block_size=9, n_layer=2, n_head=3, n_embd=12, d_ff=20)


def small_model(device: Device, config: GPTConfig = SMALL) -> GPT:
    """A model whose weights are large enough for everything in it to matter."""
    weights = initial_weights(config, "model")
    return GPT(config, device, weights + 0.3 * Stream("large").normal(weights.size))


# Parameters


def test_the_parameters_lie_where_the_file_has_them(golden: dict):
    offsets, start = {}, 0
    for name, shape in parameter_shapes(GPTConfig()).items():
        offsets[name] = [start, list(shape)]
        start += math.prod(shape)
    expected = dict(golden["bin"]["float_offsets"])
    assert start == expected.pop("end") == golden["init"]["parameters"]
    block = expected.pop("block l starts at 8256 + 49408*l")
    for layer in range(4):
        for name, (at, shape) in block.items():
            expected[f"h.{layer}.{name}"] = [8256 + 49408 * layer + at, shape]
    assert offsets == expected


def test_gains_start_at_1_biases_at_0_and_the_rest_small():
    weights, start = initial_weights(GPTConfig(), "any"), 0
    for name, shape in parameter_shapes(GPTConfig()).items():
        part = weights[start : start + math.prod(shape)]
        start += part.size
        if name.endswith(".weight"):
            assert (part == 1).all()
        elif name.endswith(".bias"):
            assert (part == 0).all()
        else:
            # The spread of n numbers strays by 1 / sqrt(2 n), 1.1% at n = 4096; 5 times that.
            assert part.std() == pytest.approx(0.02, rel=0.055)


def test_weights_come_back_as_they_were_given(device: Device):
    weights = initial_weights(SMALL, "there and back")
    assert GPT(SMALL, device, weights).weights().tobytes() == weights.tobytes()


def test_every_parameter_starts_where_webgpu_can_bind_it(device: Device):
    for parameter in small_model(device).parameters.values():
        assert parameter.offset % ALIGN == parameter.grad.offset % ALIGN == 0


def test_the_wrong_number_of_weights_is_refused_and_nothing_changes(device: Device):
    model = small_model(device)
    before = model.weights()
    with pytest.raises(ValueError, match=f"{before.size:,} parameters; got {before.size - 1:,}"):
        model.load(np.zeros(before.size - 1, np.float32))
    np.testing.assert_array_equal(model.weights(), before)


# What it computes


def test_logits_do_not_depend_on_later_tokens(device: Device, rng: np.random.Generator):
    model = small_model(device)
    tokens = rng.integers(0, 11, (1, 9), dtype=np.uint32)
    changed = tokens.copy()
    changed[0, 5:] = (changed[0, 5:] + 1) % 11
    with no_grad():
        before, after = (model.forward(device.tensor(t)).numpy() for t in (tokens, changed))
    np.testing.assert_array_equal(before[0, :5], after[0, :5])
    assert (before[0, 5:] != after[0, 5:]).any(axis=1).all()


def test_logits_depend_on_every_earlier_token(device: Device, rng: np.random.Generator):
    model = small_model(device)
    tokens = rng.integers(0, 11, (1, 9), dtype=np.uint32)
    with no_grad():
        last = model.forward(device.tensor(tokens)).numpy()[0, -1]
        for t in range(9):
            changed = tokens.copy()
            changed[0, t] = (changed[0, t] + 1) % 11
            assert (model.forward(device.tensor(changed)).numpy()[0, -1] != last).any()


def test_sequences_of_a_batch_do_not_meet(device: Device, rng: np.random.Generator):
    model = small_model(device)
    tokens = rng.integers(0, 11, (3, 7), dtype=np.uint32)
    with no_grad():
        together = model.forward(device.tensor(tokens)).numpy()
        for row, logits in zip(tokens, together, strict=True):
            alone = model.forward(device.tensor(row[None])).numpy()[0]
            np.testing.assert_allclose(alone, logits, rtol=0, atol=1e-4)


def test_an_untrained_model_finds_every_token_about_equally_likely(device: Device):
    config = GPTConfig()
    model = GPT(config, device, initial_weights(config, "untrained"))
    tokens = device.tensor(np.arange(65, dtype=np.uint32)[:, None])
    with no_grad():
        loss = model.loss(tokens, device.tensor(np.arange(64, -1, -1, dtype=np.uint32)[:, None]))
    assert loss.item() == pytest.approx(math.log(65), abs=0.05)


def test_dropout_acts_in_training_only(device: Device, rng: np.random.Generator):
    model = small_model(device, replace(SMALL, dropout=0.5))
    tokens = device.tensor(rng.integers(0, 11, (2, 9), dtype=np.uint32))
    with no_grad():
        whole = model.forward(tokens).numpy()
        model.train(device.tensor(np.array([1, 2], np.uint32)))
        thinned = model.forward(tokens).numpy()
        np.testing.assert_array_equal(model.forward(tokens).numpy(), thinned)
        model.eval()
        np.testing.assert_array_equal(model.forward(tokens).numpy(), whole)
    assert (thinned != whole).mean() > 0.9


def test_each_dropout_of_a_model_is_one_of_its_own(
    device: Device, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
):
    """Each is told apart by its layer, or all would drop the same channels; each alone matters."""
    model = small_model(device, replace(SMALL, dropout=0.5))
    tokens = device.tensor(rng.integers(0, 11, (1, 9), dtype=np.uint32))
    run, active, layers = device.run, [], []

    def spy(kernel: str, *tensors: Tensor, **params: float) -> None:
        if kernel == "dropout":
            layers.append(params["layer"])
            params["rate"] *= params["layer"] in active
        run(kernel, *tensors, **params)

    monkeypatch.setattr(device, "run", spy)
    model.train(device.tensor(np.array([1, 2], np.uint32)))
    with no_grad():
        whole = model.forward(tokens).numpy()
        found = sorted(layers)
        assert found == sorted(set(found))
        assert len(found) == 1 + 2 * SMALL.n_layer
        for layer in found:
            active[:] = [layer]
            assert (model.forward(tokens).numpy() != whole).any()


# PyTorch's figures, which are in float64; ours are off by float32's rounding, 1e-5 or so.

CLOSE = dict(rtol=1e-5, atol=1e-5)


def normal(name: str, *shape: int) -> np.ndarray:
    return Stream(f"pytorch:{name}").normal(math.prod(shape)).reshape(shape)


def parameter(device: Device, numbers: np.ndarray) -> Parameter:
    return Parameter(device.tensor(numbers), device.empty(*numbers.shape))


def backward(y: Tensor, dy: np.ndarray, *inputs: Parameter) -> list[np.ndarray]:
    """The gradients of inputs where the gradient of y is dy."""

    def give(_, into) -> None:
        grad, _ = into(y)
        y.device.write(grad, dy)

    record(y.device.tensor([0.0]), (y,), give).backward()
    return [x.grad.numpy().reshape(-1) for x in inputs]


def compare(figures: dict, y: Tensor, **gradients: np.ndarray) -> None:
    for name, found in {"y": y.numpy().reshape(-1), **gradients}.items():
        np.testing.assert_allclose(found, figures[name], **CLOSE, err_msg=name)


def test_gelu_is_pytorchs(device: Device):
    x = parameter(device, 3 * normal("gelu x", 24))
    y = ops.gelu(x)
    (dx,) = backward(y, normal("gelu dy", 24), x)
    compare(FIGURES["gelu"], y, dx=dx)


def test_layernorm_is_pytorchs(device: Device):
    shapes = {"x": (3, 20), "weight": (20,), "bias": (20,)}
    inputs = [parameter(device, normal(f"ln {name}", *shape)) for name, shape in shapes.items()]
    y = ops.layernorm(*inputs)
    dx, dweight, dbias = backward(y, normal("ln dy", 3, 20), *inputs)
    compare(FIGURES["layernorm"], y, dx=dx, dweight=dweight, dbias=dbias)


def test_attention_is_pytorchs(device: Device):
    qkv = parameter(device, normal("attention qkv", 2, 7, 36))
    y = ops.causal_attention(qkv, n_head=3)
    (dqkv,) = backward(y, normal("attention dy", 2, 7, 12), qkv)
    compare(FIGURES["attention"], y, dqkv=dqkv)


def test_cross_entropy_is_pytorchs(device: Device):
    logits = parameter(device, normal("ce logits", 5, 11))
    loss = ops.cross_entropy(logits, device.tensor(np.array([0, 10, 3, 3, 7], np.uint32)))
    assert loss.item() == pytest.approx(FIGURES["cross_entropy"]["loss"], rel=1e-6)
    loss.backward()
    dlogits = FIGURES["cross_entropy"]["dlogits"]
    np.testing.assert_allclose(logits.grad.numpy().reshape(-1), dlogits, **CLOSE)


@pytest.mark.parametrize("exact", [True, False], ids=["float64", "the device"])
def test_three_training_steps_are_pytorchs(device: Device, corpus: Corpus, exact: bool):
    """In float64 all digits of the figures; else float32's.

    The moves are looser than the gradients: Adam divides by their size, so that in a tensor's norm
    the entries whose gradient is mere rounding count as much as the others.
    """
    device = NumPyDevice(dtype=np.float64) if exact else device
    close, moved = (dict(rel=1e-6), dict(rel=1e-6)) if exact else (dict(rel=1e-4), dict(rel=1e-3))
    figures, config = FIGURES["training"], GPTConfig()
    model = GPT(config, device, initial_weights(config, "hamlet"))
    before, gradients, losses, norms = model.weights(), None, [], []
    adamw, stream, tokens = AdamW(model), Stream("hamlet"), device.tensor(corpus.train)
    for _ in figures["losses"]:
        offsets = device.tensor(corpus.offsets("train", stream, 8, config.block_size))
        loss = model.loss(*ops.gather_batch(tokens, offsets, config.block_size))
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        gradients = model.gather(model.flat_grad) if gradients is None else gradients
        norms.append(clip_grad_norm_(model, 1.0).item())
        adamw.step(device.tensor(adamw.advance(1e-3)))
    assert losses == pytest.approx(figures["losses"], **close)
    assert norms == pytest.approx(figures["gradient_norms"], **close)
    compare_summary(gradients, figures["gradients"], **close)
    compare_summary(model.weights() - before, figures["moves"], **moved)


def compare_summary(flat: np.ndarray, figures: dict[str, dict], **close: float) -> None:
    """The norm of each tensor, and some of its entries."""
    start = 0
    for name, shape in parameter_shapes(GPTConfig()).items():
        part = flat[start : start + math.prod(shape)].astype(np.float64)
        start += part.size
        expected = figures[name]
        assert np.linalg.norm(part) == pytest.approx(expected["norm"], **close), name
        found = [part[int(i)] for i in expected["entries"]]
        assert found == pytest.approx(list(expected["entries"].values()), **close), name
