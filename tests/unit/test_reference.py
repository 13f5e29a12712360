"""The reference checkpoint, which the page's Talk and Credits load: that it is what it says.

Made on NumPy by `groundling train --seed hamlet --iters 2000 --device numpy`.
"""

import hashlib
from pathlib import Path

import pytest

from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.numpy import NumPyDevice
from groundling.labs.textstats import TextStats
from groundling.runs import checkpoint
from groundling.runs.checkpoint import Checkpoint
from groundling.runs.run import Run
from groundling.runs.samples import prompt
from groundling.runs.writer import generate
from groundling.train import evaluate

NAME = "tinker-shakespeare-hamlet-iter2000.bin"
PATH = Path(__file__).parents[2] / "site/public/reference" / NAME
SHA256 = "e7a47169faebfc8a180ef72508ef774b0bd2e63741e0dfc88f851a1e76fe3a32"

pytestmark = pytest.mark.native  # the file is not among those that Pyodide's tests have


@pytest.fixture(scope="module")
def data() -> bytes:
    return PATH.read_bytes()


@pytest.fixture(scope="module")
def reference(data: bytes, corpus: Corpus) -> Checkpoint:
    return checkpoint.loads(data, corpus.vocab_hash)


def test_its_bytes_are_known(data: bytes):
    assert hashlib.sha256(data).hexdigest() == SHA256


def test_its_header_says_which_run_it_is(reference: Checkpoint):
    assert (reference.seed, reference.iter) == ("hamlet", 2000)
    assert reference.config == GPTConfig()
    assert reference.val_loss == pytest.approx(2.18, abs=0.02)
    assert checkpoint.file_name(reference.seed, reference.iter) == NAME


def test_its_validation_loss_is_what_it_says(reference: Checkpoint, corpus: Corpus):
    """Measured anew on other batches, 40 of 32; one of 4 strays by some 0.02 from another."""
    run = Run(TrainConfig(eval_batches=40), corpus, NumPyDevice())
    run.load(reference)
    run.validation.words(10_000)
    assert evaluate(run) == pytest.approx(2.18, abs=0.05)


def test_it_writes_words(reference: Checkpoint, corpus: Corpus):
    run = Run(TrainConfig(), corpus, NumPyDevice())
    run.load(reference)
    found = TextStats(corpus).of(generate(run.model, corpus, prompt(corpus), 300, "hamlet"))
    assert found.words > 0.25 and found.unigram_kl < 0.4
