"""Models that do not fit: in several buffers, or in parts of a batch, they train as if whole."""

import numpy as np
import pytest

from groundling.config import GPTConfig, TrainConfig
from groundling.corpus import Corpus
from groundling.devices import Device
from groundling.train import Run, train

TEXT = "To be, or not to be, that is the question:\n" * 20
SHAPE = dict(block_size=8, n_layer=2, n_head=2, n_embd=12, d_ff=20)


def losses(device: Device, dropout=0.0, batch_size=2, **settings) -> tuple[list[float], Run]:
    corpus = Corpus(TEXT, "mine.txt")
    config = TrainConfig(
        iters=8, batch_size=batch_size, eval_interval=4, warmup=2, lr=1e-2, **settings
    )
    model = GPTConfig(corpus.vocab_size, dropout=dropout, **SHAPE)
    run = Run(config, corpus, device, model)
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
    run.model.dropout_key = device.tensor(run.dropout_key())
    masks = []
    for run.model.part in range(2):
        masks.append(run.model._dropout(x, 0).numpy())
    assert (masks[0] != masks[1]).any()
    assert 0.3 < np.mean(masks[1] == 0) < 0.7
