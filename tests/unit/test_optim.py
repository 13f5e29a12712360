"""AdamW and clipping, against their definitions in plain Python."""

import math

import numpy as np
import pytest

from groundling.config import GPTConfig
from groundling.devices.base import Device
from groundling.engine.ops import cross_entropy, embedding
from groundling.model import GPT, initial_weights
from groundling.optim import AdamW, clip_grad_norm_

CONFIG = GPTConfig(vocab_size=5, block_size=3, n_layer=1, n_head=1, n_embd=7, d_ff=3)


def new_model(device: Device) -> GPT:
    return GPT(CONFIG, device, initial_weights(CONFIG, "optim"))


def set_gradients(model: GPT, gradients: np.ndarray) -> None:
    model.scatter(gradients, model.flat_grad)
    for parameter in model.parameters.values():
        parameter.has_grad = True


def test_adamw_is_its_definition(device: Device, rng: np.random.Generator):
    model = new_model(device)
    settings = dict(beta1=0.8, beta2=0.9, eps=1e-3, weight_decay=0.2)
    adamw, weights = AdamW(model, **settings), model.weights().astype(np.float64)
    m, v = np.zeros_like(weights), np.zeros_like(weights)
    for t, lr in enumerate((0.1, 0.03, 0.2), start=1):
        g = rng.standard_normal(weights.size)
        set_gradients(model, g)
        adamw.step(device.tensor(adamw.advance(lr)))
        weights -= lr * 0.2 * weights
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g**2
        weights -= lr * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-3)
    assert adamw.t == 3
    for found, expected in (
        (model.weights(), weights),
        (model.gather(adamw.m), m),
        (model.gather(adamw.v), v),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_first_step_is_the_learning_rate_whatever_the_gradients_size(device: Device):
    model = new_model(device)
    before = model.weights()
    adamw = AdamW(model, weight_decay=0.0)
    g = np.where(np.arange(before.size) % 2, 1e3, -1e-3)
    set_gradients(model, g)
    adamw.step(device.tensor(adamw.advance(0.01)))
    np.testing.assert_allclose(model.weights() - before, -0.01 * np.sign(g), rtol=1e-3)


def test_weights_decay_where_there_is_no_gradient(device: Device):
    model = new_model(device)
    before = model.weights()
    set_gradients(model, np.zeros(before.size))
    adamw = AdamW(model, weight_decay=0.5)
    adamw.step(device.tensor(adamw.advance(0.1)))
    np.testing.assert_allclose(model.weights(), before * 0.95, rtol=1e-6)


def test_reset_starts_anew(device: Device, rng: np.random.Generator):
    model = new_model(device)
    start, adamw, g = model.weights(), AdamW(model), rng.standard_normal(model.weights().size)
    moved = []
    for _ in range(2):
        model.load(start)
        adamw.reset()
        for _ in range(2):
            set_gradients(model, g)
            adamw.step(device.tensor(adamw.advance(0.1)))
        moved.append(model.weights().tobytes())
    assert moved[0] == moved[1]


def test_hyper_counts_steps_and_has_the_bias_corrections(device: Device):
    adamw = AdamW(new_model(device), beta1=0.9, beta2=0.95)
    for t in (1, 2, 3):
        lr, correction1, root_correction2 = adamw.advance(0.25 * t)
        assert adamw.t == t
        assert lr == 0.25 * t
        assert correction1 == pytest.approx(1 - 0.9**t, rel=1e-6)
        assert root_correction2 == pytest.approx(math.sqrt(1 - 0.95**t), rel=1e-6)


@pytest.mark.parametrize("scale", [0.001, 1.0, 1000.0])
def test_clipping_leaves_the_direction_and_at_most_the_norm(
    device: Device, rng: np.random.Generator, scale: float
):
    model = new_model(device)
    g = scale * rng.standard_normal(model.weights().size)
    set_gradients(model, g)
    norm = np.linalg.norm(g)
    assert clip_grad_norm_(model, 2.0).item() == pytest.approx(norm, rel=1e-5)
    clipped = model.gather(model.flat_grad)
    np.testing.assert_allclose(clipped, g * min(1, 2 / norm), rtol=1e-5, atol=1e-8)


def test_what_the_loss_was_not_made_from_has_a_gradient_of_zero(device: Device):
    model = new_model(device)
    set_gradients(model, np.full(model.weights().size, 7.0))
    model.zero_grad()
    tokens = device.tensor(np.array([1, 2], np.uint32))
    cross_entropy(embedding(tokens, model.parameters["wte"]), tokens).backward()
    norm = clip_grad_norm_(model, 100.0).item()
    gradients = {name: p.grad.numpy() for name, p in model.parameters.items()}
    assert norm == pytest.approx(np.linalg.norm(gradients.pop("wte")), rel=1e-5)
    assert not any(g.any() for g in gradients.values())


def test_the_padding_between_parameters_stays_zero(device: Device, rng: np.random.Generator):
    model, inside = new_model(device), np.zeros(0)
    for name, shape in model.shapes.items():
        at = model.places[name][1]
        inside = np.append(inside, np.arange(at, at + math.prod(shape)))
    adamw = AdamW(model)
    x = device.tensor(rng.integers(0, 5, (2, 3), dtype=np.uint32))
    for _ in range(3):
        model.zero_grad()
        model.loss(x, x).backward()
        clip_grad_norm_(model, 1.0)
        adamw.step(device.tensor(adamw.advance(0.1)))
    for flat in (*model.flat, *model.flat_grad, *adamw.m, *adamw.v):
        assert not np.delete(flat.numpy(), inside.astype(int)).any()
