"""Twins: one seed makes the same bytes twice, and one character more makes another run."""

import hashlib
import sys

import pytest

from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.base import Device
from groundling.devices.numpy import NumPyDevice
from groundling.labs.twin import Twin, feeds
from groundling.train import train

pytestmark = pytest.mark.native  # whole runs, which tests/browser trains in the real worker

TEXT = "To be, or not to be, that is the question:\n" * 20


def twin_of(device: Device, a: str, b: str, iters: int = 3) -> Twin:
    """A twin of a small model, some milliseconds a step."""
    corpus = Corpus(TEXT)
    sizes = dict(block_size=16, n_layer=1, n_head=2, n_embd=16, d_ff=32)
    small = GPTConfig(vocab_size=corpus.vocab_size, **sizes)
    return Twin((a, b), corpus, device, iters, TrainConfig(batch_size=2), small)


def test_the_recipe_is_that_of_golden_json(corpus: Corpus, golden):
    """Its first iterations; test_train follows it whole."""
    last = 1 if sys.platform == "emscripten" else 5
    expected = golden["twin"]["training loss by iter"]
    both = Twin(("hamlet", "hamllet"), corpus, NumPyDevice())
    config = both.runs[0].config
    assert (config.iters, config.warmup, config.batch_size) == (40, 10, 32)
    assert (config.lr, config.min_lr) == (3e-4, 3e-5)
    firsts = golden["init"]["loss of the first training batch (32 x 64 tokens)"]
    for a, b in both.train():
        if a.iter == 0:
            assert a.train == pytest.approx(firsts["hamlet"], abs=2e-3)
            assert b.train == pytest.approx(firsts["hamllet"], abs=2e-3)
        if str(a.iter) in expected:
            assert a.train == pytest.approx(expected[str(a.iter)], abs=2e-3)
        if a.iter == last:
            break
    assert both.verdict().parted == 0


def test_equal_seeds_are_byte_identical(device: Device):
    twin = twin_of(device, "hamlet", "hamlet")
    pairs = list(twin.train())
    assert [(a.iter, b.iter) for a, b in pairs] == [(0, 0), (1, 1), (2, 2)]
    assert all(a == b for a, b in pairs)
    verdict = twin.verdict()
    assert verdict.identical
    assert verdict.parted is None
    assert verdict.files[0] == verdict.files[1]
    weights = twin.runs[0].model.weights().tobytes()
    assert verdict.weights == (hashlib.sha256(weights).hexdigest(),) * 2
    assert str(verdict) == (
        "Byte-identical: both runs of 'hamlet' made the same file in 3 iterations."
    )


def test_one_character_more_differs_from_the_first_iteration_on(device: Device):
    twin = twin_of(device, "hamlet", "hamllet")
    a, b = next(twin.train())
    assert a.iter == 0 and a.train != b.train
    list(twin.train())
    verdict = twin.verdict()
    assert not verdict.identical
    assert verdict.parted == 0
    assert len({*verdict.files, *verdict.weights}) == 4
    assert str(verdict) == "They differ from iter 0 on: 'hamlet' and 'hamllet' are two runs."


def test_the_first_iteration_that_differs_is_named(device: Device):
    twin = twin_of(device, "hamlet", "hamlet", iters=6)
    for a, _ in twin.train():
        if a.iter == 2:
            for run in twin.runs:
                run.pause()
    at = twin.runs[1].iter
    twin.runs[1].model.load(twin.runs[1].model.weights() * 0.9)
    list(twin.train())
    assert twin.verdict().parted == at


def test_a_last_update_that_no_loss_shows_is_told_apart(device: Device):
    twin = twin_of(device, "hamlet", "hamlet")
    list(twin.train())
    twin.runs[1].model.load(twin.runs[1].model.weights() * 0.9)
    verdict = twin.verdict()
    assert (verdict.identical, verdict.parted) == (False, 3)
    assert "losses agree, but both runs of 'hamlet' ended with other weights" in str(verdict)


@pytest.mark.parametrize("at", [0, 1, 3])
def test_twins_can_be_paused_even_where_one_is_ahead(device: Device, at: int):
    paused, straight = twin_of(device, "hamlet", "hamlet", 6), twin_of(device, "hamlet", "x", 6)
    seen = []
    for a, _ in paused.train():
        seen.append(a.iter)
        if a.iter == at:
            for run in paused.runs:
                run.pause()
    list(train(paused.runs[0], paused.runs[0].iter + 1))
    seen += [a.iter for a, _ in paused.train()]
    assert seen == list(range(6))
    list(straight.train())
    assert paused.verdict().identical
    assert paused.verdict().weights[0] == straight.verdict().weights[0]


def test_no_iterations_compare_the_initial_weights(device: Device):
    verdicts = [twin_of(device, "hamlet", b, 0) for b in ("hamlet", "hamllet")]
    assert [twin.verdict().identical for twin in verdicts] == [True, False]


def test_a_seed_feeds_three_streams():
    assert len(feeds("hamlet")) == 3
    assert feeds("hamlet")[2].startswith("dropout (stream 'hamlet:dropout'")
