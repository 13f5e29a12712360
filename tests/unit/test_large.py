"""Models that do not fit: in several buffers, or in parts of a batch, they train as if whole."""

import numpy as np
import pytest

from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.base import Device
from groundling.devices.numpy import NumPyDevice
from groundling.engine.tensor import Parameter, recompute, record
from groundling.runs import cost, presets
from groundling.runs.configfile import Setup
from groundling.runs.run import Run
from groundling.train import train

TEXT = "To be, or not to be, that is the question:\n" * 20
SHAPE = dict(block_size=8, n_layer=2, n_head=2, n_embd=12, d_ff=20)


def losses(device: Device, dropout=0.0, batch_size=2, **settings) -> tuple[list[float], Run]:
    corpus = Corpus(TEXT, "mine.txt")
    config = TrainConfig(
        iters=8, batch_size=batch_size, eval_interval=4, warmup=2, lr=1e-2, **settings
    )
    model = GPTConfig(corpus.vocab_size, dropout=dropout, **SHAPE)
    run = Run(config, corpus, device, model)
    run.sample_every = 0
    found = [number for r in train(run) for number in (r.train, r.val or 0.0, r.grad_norm)]
    return found, run


@pytest.mark.parametrize("most", [8192, 4096])
def test_a_model_in_several_buffers_trains_as_in_one(device: Device, monkeypatch, most: int):
    whole, one = losses(device)
    monkeypatch.setattr(device, "largest_tensor", most)
    split, several = losses(device)
    assert len(one.model.flat) == 1 < len(several.model.flat)
    assert all(4 * tensor.size <= most for tensor in several.model.flat)
    np.testing.assert_allclose(split, whole, rtol=1e-6)
    np.testing.assert_allclose(several.model.weights(), one.model.weights(), atol=2e-6)


def test_a_state_goes_from_one_buffer_to_several(device: Device, monkeypatch):
    _, one = losses(device)
    state = one.state()
    monkeypatch.setattr(device, "largest_tensor", 4096)
    several = Run(one.config, one.corpus, device, one.model.config)
    several.restore(state)
    again = several.state()
    for name in ("weights", "m", "v"):
        assert (getattr(again, name) == getattr(state, name)).all()


@pytest.mark.parametrize("parts", [2, 8])
def test_a_batch_in_parts_trains_as_it_would_at_once(device: Device, parts: int):
    whole, _ = losses(device, batch_size=8)
    split, _ = losses(device, batch_size=8, accumulate=parts)
    np.testing.assert_allclose(split, whole, rtol=2e-4)  # sums of another order, over 8 steps


def test_each_part_of_a_batch_has_its_own_dropout(device: Device):
    """With one mask for both halves, and both halves the same text, their losses were the same."""
    found, run = losses(device, dropout=0.5, accumulate=2)
    again, _ = losses(device, dropout=0.5, accumulate=2)
    assert found == again
    x = device.tensor(np.ones(64 * 12, np.float32))
    key, masks = device.tensor(run.dropout_key()), []
    for part in range(2):
        run.model.train(key, part)
        masks.append(run.model.dropout(x).numpy())
    assert (masks[0] != masks[1]).any()
    assert 0.3 < np.mean(masks[1] == 0) < 0.7


@pytest.mark.parametrize(("dropout", "parts"), [(0.0, 1), (0.3, 2)])
def test_activations_that_are_made_again_change_no_number(
    device: Device, monkeypatch, dropout: float, parts: int
):
    whole, one = losses(device, dropout, accumulate=parts)
    monkeypatch.setattr(cost, "MOST_KEPT", 0)
    again, two = losses(device, dropout, accumulate=parts)
    assert two.model.recomputes and not one.model.recomputes
    np.testing.assert_allclose(again, whole, rtol=1e-6)
    np.testing.assert_allclose(two.model.weights(), one.model.weights(), atol=2e-6)
    if device.name == "numpy":
        assert again == whole


def test_activations_that_are_made_again_take_less_memory(monkeypatch):
    """As many as a block has, and one more tensor for each block."""
    corpus = Corpus(TEXT, "mine.txt")
    model = GPTConfig(corpus.vocab_size, 32, n_layer=12, n_head=2, n_embd=32, d_ff=128)
    took = []
    for most in (2**30, 0):
        monkeypatch.setattr(cost, "MOST_KEPT", most)
        device = NumPyDevice()
        run = Run(TrainConfig(iters=2, batch_size=8), corpus, device, model)
        run.sample_every, before = 0, device.counts.memory
        list(train(run, 1))
        setup = Setup(model=model, train=run.config)
        took.append(((device.counts.memory - before), cost.cost(setup).activations))
    (kept, told), (made_again, told_again) = took
    assert made_again < kept / 3
    assert told / 2 < kept < 2 * told and told_again / 2 < made_again < 2 * told_again


def test_only_what_would_take_a_gibibyte_is_made_again():
    made_again = {name for name, setup in presets.PRESETS.items() if cost.cost(setup).recomputed}
    assert made_again == {"massive", "mega", "behemoth"}


def test_the_gradient_of_what_goes_around_a_recomputed_part_is_added(device: Device):
    """Also where the part gives back what it gets."""
    x = device.tensor(np.array([1.0, 2.0, 3.0], np.float32))
    grad = device.tensor(np.zeros(3, np.float32))
    for part, expected in ((lambda t: t * t, [3, 5, 7]), (lambda t: t, [2, 2, 2])):
        weight = Parameter(x, grad)
        y = weight * 1.0
        z = y + recompute(part, y)
        mean_of = z * device.tensor(np.ones(3, np.float32))
        total = device.empty(1)
        device.run("mean", mean_of, total, size=3)

        def backward(dy, into, mean_of=mean_of):
            d, accumulate = into(mean_of)
            device.run("fill", d, size=3, value=1.0)

        record(total, (mean_of,), backward).backward()
        np.testing.assert_allclose(grad.numpy(), expected)
