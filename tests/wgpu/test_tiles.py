"""A training step whose products and attention use shared memory, as on a GPU; here on an emulated
one, both natively and in a page, whose compilers differ.
"""

import numpy as np
import pytest

from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.open import open_device
from groundling.devices.tap import Tap
from groundling.devices.webgpu import attention, tiles
from groundling.runs.run import Run
from groundling.train import train

TEXT = (
    "How far that little candle throws his beams! So shines a good deed in a naughty world.\n" * 9
)
CONFIG = TrainConfig(iters=3, batch_size=2, eval_interval=10**6, eval_batches=1)


def trained(form: str, rows: str = attention.PLAIN) -> tuple[list[tuple[float, float]], bytes]:
    """The losses and gradient norms of a run, and its weights, in these forms of products and
    attention, with two products in a dispatch, one of which is by ones.
    """
    device, corpus = open_device("webgpu"), Corpus(TEXT)
    device.products.is_emulated = form == tiles.PLAIN
    assert device.products.choose(form) == form
    assert device.products.told == f"{form}: the fastest here before"
    assert device.attention.choose(rows) == rows
    assert len(device.attention.right) == (4 if rows == attention.SHARED else 0)
    sizes = dict(block_size=24, n_layer=1, n_head=2, n_embd=16, d_ff=36)
    run = Run(CONFIG, corpus, device, GPTConfig(vocab_size=corpus.vocab_size, **sizes))
    run.sample_every = 0
    losses = [(record.train, record.grad_norm) for record in train(run)]
    return losses, run.model.weights().tobytes()


def test_a_run_in_shared_tiles_has_the_losses_of_one_in_plain_ones():
    assert Corpus(TEXT).vocab_size % 4
    plain, shared = trained(tiles.PLAIN), trained(tiles.SHARED)
    assert len(plain[0]) == CONFIG.iters
    assert shared == plain


@pytest.mark.native  # no page on an emulated adapter has this form
def test_a_run_with_attention_in_shared_rows_has_the_losses_of_a_plain_one():
    assert trained(tiles.PLAIN, attention.SHARED) == trained(tiles.PLAIN)


@pytest.mark.native  # as that one
def test_a_run_in_the_largest_tiles_has_the_losses_of_a_plain_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tiles, "FEW", 0)  # however few they are
    assert trained(tiles.TALL) == trained(tiles.PLAIN)


@pytest.mark.native  # as that one
def test_a_run_whose_sums_are_split_is_the_same_each_time(monkeypatch: pytest.MonkeyPatch):
    losses, weights = trained(tiles.PLAIN)
    monkeypatch.setattr(tiles, "STRETCH", 16)  # a third of this model's tokens
    split = trained(
        tiles.SHARED, attention.SHARED
    )  # parts are added up beside attention's gradient
    assert split == trained(tiles.SHARED, attention.SHARED)
    assert split[1] != weights
    np.testing.assert_allclose(split[0], losses, rtol=1e-5)


@pytest.mark.native  # as that one
def test_a_tap_hears_of_a_split_sum_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tiles, "STRETCH", 16)
    device, calls = open_device("webgpu"), []
    device.products.is_emulated = False
    assert device.products.choose(tiles.SHARED) == tiles.SHARED
    a, b, y = (device.tensor(np.ones(shape)) for shape in ((40, 4), (40, 8), (4, 8)))
    with Tap(device, calls.append):
        device.run("matmul_tn", a, b, y, m=4, k=40, n=8, accumulate=0)
    assert [call.kernel for call in calls] == ["matmul_tn"]
    assert (y.numpy() == 40).all()
