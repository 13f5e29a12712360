"""The guide's required tests of a byte-level TinyGPT: the first loss, a tiny text learned by heart,
a loss that falls on 100 KB, weights that come back from their file, and text written from them.

tests/gpu runs them on WebGPU too, and tests/browser/test_text.py has a run of each in Chromium.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from groundling import rng
from groundling.config import GPTConfig, TrainConfig
from groundling.data import BYTES, Corpus, shakespeare
from groundling.devices.base import Device
from groundling.devices.numpy import NumPyDevice
from groundling.engine.tensor import no_grad
from groundling.model import GPT, initial_weights
from groundling.runs import checkpoint, statefile
from groundling.runs.presets import PRESETS
from groundling.runs.run import Run
from groundling.runs.writer import generate
from groundling.train import train

SMALL = dict(block_size=8, n_layer=1, n_head=2, n_embd=32, d_ff=64)


def first_loss(name: str, device: Device, weights: np.ndarray, batch_size: int) -> float:
    """The loss of a preset's first weights on a batch of Shakespeare."""
    setup, T = PRESETS[name], PRESETS[name].model.block_size
    corpus = shakespeare(setup.tokenizer)
    offsets = corpus.offsets("train", rng.Stream("42"), batch_size, T)
    x, y = (np.stack([corpus.train[o + at : o + at + T] for o in offsets]) for at in (0, 1))
    with no_grad():
        return GPT(setup.model, device, weights).loss(device.tensor(x), device.tensor(y)).item()


@pytest.mark.parametrize("name", ["shakespeare", "tiny", "small", "medium", "byte-v0"])
def test_the_first_loss_is_that_of_an_even_guess(name: str, device: Device):
    config = PRESETS[name].model
    batch_size = 16 if config.n_embd <= 64 else 4
    loss = first_loss(name, device, initial_weights(config, "42"), batch_size)
    assert loss == pytest.approx(math.log(config.vocab_size), abs=0.02)


@pytest.mark.native
@pytest.mark.parametrize("name", ["large", "xl", "huge", "massive", "mega"])
def test_the_first_loss_of_a_large_model_is_too(name: str, monkeypatch):
    """Their weights come from NumPy's generator, which draws 25 million in a moment."""
    normal = np.random.default_rng(42).standard_normal
    monkeypatch.setattr(rng.Stream, "normal", lambda self, n: normal(n))
    loss = first_loss(name, NumPyDevice(), initial_weights(PRESETS[name].model, "42"), 4)
    assert loss == pytest.approx(math.log(256), abs=0.02)


def test_a_tiny_text_over_and_over_is_learned_by_heart_as_bytes(device: Device):
    corpus = Corpus("abcdefgh" * 40, "abc.txt", BYTES)
    config = TrainConfig(iters=150, batch_size=4, lr=1e-2, warmup=10, weight_decay=0.0)
    run = Run(config, corpus, device, GPTConfig(corpus.vocab_size, **SMALL))
    run.sample_every = 0
    assert list(train(run))[-1].train < 0.05
    assert generate(run.model, corpus, "abcd", 12, "s", temperature=0.1) == "efghabcdefgh"


def test_on_100_kb_the_loss_falls_and_what_is_saved_comes_back_and_writes(device: Device):
    text = shakespeare().decode(shakespeare().train[:100_000])
    corpus = Corpus(text, "100 KB", BYTES)
    model = replace(PRESETS["tiny"].model, n_layer=1)
    config = TrainConfig(iters=60, batch_size=8, lr=3e-3, warmup=5, eval_batches=1)
    run = Run(config, corpus, device, model)
    run.sample_every = 0
    losses = [record.train for record in train(run)]
    assert losses[0] == pytest.approx(math.log(256), abs=0.02)
    assert np.mean(losses[-5:]) < 3.5 and run.val_loss < 3.5  # letter counts alone: 3.3

    ckpt = checkpoint.loads(statefile.save_weights(run))
    again = GPT(ckpt.config, device, ckpt.weights)
    tokens = device.tensor(corpus.train[None, :32])
    with no_grad():
        assert (again.forward(tokens).numpy() == run.model.forward(tokens).numpy()).all()
    written = generate(again, checkpoint.vocabulary(ckpt), "ROMEO", 40, "s")
    assert written == generate(run.model, corpus, "ROMEO", 40, "s")
    assert sum(c in text for c in written) > 30  # of 256 bytes, those of the text
