"""What is in a file: its tensors' places and numbers, and how two files differ."""

import math
import struct

import numpy as np
import pytest

from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.numpy import NumPyDevice
from groundling.model import parameter_shapes
from groundling.runs import statefile
from groundling.runs.checkpoint import CheckpointError
from groundling.runs.inspector import Contents, compare, size
from groundling.runs.run import Run
from groundling.train import train

TEXT = "To be, or not to be, that is the question:\n" * 20


@pytest.fixture(scope="module")
def files() -> tuple[bytes, bytes]:
    """The weights and the state of one small run."""
    corpus = Corpus(TEXT)
    config = GPTConfig(corpus.vocab_size, block_size=8, n_layer=1, n_head=1, n_embd=4, d_ff=6)
    run = Run(TrainConfig(iters=5, batch_size=2), corpus, NumPyDevice(), config)
    list(train(run))
    return statefile.save_weights(run), statefile.save_state(run)


@pytest.mark.parametrize("which", [0, 1])
def test_every_part_is_where_its_byte_says(files, which):
    data = files[which]
    contents = Contents(data)
    for part in contents.parts:
        raw = struct.unpack_from(f"<{part.numbers.size}f", data, part.byte)
        assert raw == tuple(part.numbers)
        assert part.byte == contents.start + 4 * part.at
    last = contents.parts[-1]
    assert last.byte + 4 * last.numbers.size == contents.end <= len(data)
    assert data[:512].rstrip().decode() == contents.header


def test_weights_begin_at_byte_512_and_a_state_has_three_tensors_for_each(files):
    weights, whole = map(Contents, files)
    names = [part.name for part in weights.parts]
    assert (weights.start, weights.parts[0].byte, names[0]) == (512, 512, "wte")
    moments = [f"{prefix}{name}" for prefix in ("", "m.", "v.") for name in names]
    assert [part.name for part in whole.parts] == moments


def test_the_statistics_are_those_of_the_numbers(files):
    for part in Contents(files[1]).parts:
        x = part.numbers.astype(float)
        mean, std, least, greatest = part.statistics
        assert mean == pytest.approx(x.sum() / x.size)
        assert std == pytest.approx(np.sqrt((x**2).mean() - x.mean() ** 2), abs=1e-8)
        assert (least, greatest) == (min(x), max(x))


def test_a_histogram_counts_every_number_once(files):
    for part in Contents(files[0]).parts:
        counts = part.histogram(8)
        assert (len(counts), counts.sum()) == (8, part.numbers.size)
        least, greatest = part.statistics[2:]
        if least < greatest:
            assert counts[0] and counts[-1]
            half = (part.numbers.astype(float) < (least + greatest) / 2).sum()
            assert counts[:4].sum() == half


@pytest.mark.parametrize(
    "config", [GPTConfig(), GPTConfig(9, block_size=5, n_layer=3, n_head=2, n_embd=8, d_ff=7)]
)
def test_the_size_is_explained_to_the_last_parameter(config):
    count = sum(math.prod(shape) for shape in parameter_shapes(config).values())
    assert sum(n for _, n in size(config)) == count


def test_a_state_and_the_weights_of_the_same_run_are_the_same_to_the_bit(files):
    assert {d.count for d in compare(*map(Contents, files))} == {0}


def test_a_difference_is_found_in_its_tensor_and_measured(files):
    other = bytearray(files[0])
    part = Contents(files[0]).parts[2]
    (value,) = struct.unpack_from("<f", other, part.byte + 8)
    struct.pack_into("<f", other, part.byte + 8, value + 0.5)
    found = [d for d in compare(Contents(files[0]), Contents(bytes(other))) if d.count]
    assert [(d.name, d.count) for d in found] == [(part.name, 1)]
    assert found[0].largest == pytest.approx(0.5)
    assert found[0].rms == pytest.approx(0.5 / np.sqrt(part.numbers.size))


def test_models_of_different_shapes_are_not_compared(files):
    corpus = Corpus(TEXT)
    config = GPTConfig(corpus.vocab_size, block_size=9, n_layer=1, n_head=1, n_embd=4, d_ff=6)
    other = statefile.save_weights(Run(TrainConfig(), corpus, NumPyDevice(), config))
    with pytest.raises(ValueError, match="different shapes"):
        compare(Contents(files[0]), Contents(other))


@pytest.mark.parametrize("data", [b"", b'{"format":"groundling-state-v9"}'.ljust(600)])
def test_what_is_neither_is_refused(data):
    with pytest.raises(CheckpointError):
        Contents(data)
