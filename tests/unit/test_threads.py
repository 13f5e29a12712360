"""A second thread takes a part of the work: each piece is done once, whoever does it."""

import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from threading import Barrier, current_thread, main_thread

import numpy as np
import pytest

from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices import numpy as numpy_device
from groundling.devices import threads
from groundling.devices.numpy import NumPyDevice
from groundling.devices.threads import Worker
from groundling.runs.run import Run
from groundling.train import train

pytestmark = pytest.mark.native  # Pyodide has no threads

TEXT = "Good night, good night! Parting is such sweet sorrow.\n" * 20


def both(worker: Worker, mine: Callable, its: Callable) -> None:
    """Run one thing in this thread while the worker runs another."""
    met = Barrier(2, timeout=20)

    def piece() -> None:
        met.wait()
        mine() if current_thread() is main_thread() else its()

    worker.share([piece, piece])


def nothing() -> None:
    pass


def fail() -> None:
    raise ZeroDivisionError("in a piece")


@pytest.mark.parametrize("n", [1, 2, 50])
def test_each_piece_is_done_once_and_all_when_share_returns(n: int):
    worker = Worker()
    for _ in range(100):
        done = []
        worker.share([partial(done.append, i) for i in range(n)])
        assert sorted(done) == list(range(n))


def test_an_error_is_raised_whoever_met_it_and_nothing_more_is_begun():
    worker, done, met = Worker(), [], Barrier(2, timeout=20)
    for mine, its in ((fail, nothing), (nothing, fail)):
        with pytest.raises(ZeroDivisionError, match="in a piece"):
            both(worker, mine, its)

    def fail_together() -> None:
        met.wait()
        fail()

    with pytest.raises(ZeroDivisionError):
        worker.share([fail_together, *[partial(done.append, 1)] * 50, fail_together])
    assert not done
    worker.share([partial(done.append, 1)] * 3)
    assert done == [1, 1, 1]


def test_an_interrupt_ends_it_once_what_was_begun_is_done():
    done = []

    def slow() -> None:
        time.sleep(0.2)
        done.append("slow")

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        both(Worker(), interrupt, slow)
    assert done == ["slow"]


def test_workers_warn_and_keep_silent_as_the_caller_would():
    worker, zero = Worker(), np.zeros(3, np.float32)
    divide = partial(np.divide, 1, zero)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with np.errstate(divide="ignore"):
            both(worker, nothing, divide)
        with pytest.raises(RuntimeWarning, match="divide"):
            both(worker, nothing, divide)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        both(worker, nothing, divide)


def trained(helped: bool, monkeypatch: pytest.MonkeyPatch, fused: bool) -> tuple:
    """What two steps of a small model come to, all of whose work is halved."""
    worker = Worker() if helped else None
    monkeypatch.setattr(threads, "_worker", lambda process: worker)
    monkeypatch.setattr(numpy_device, "WORTH_IT", 0)
    device, corpus = NumPyDevice(), Corpus(TEXT)
    device.capturing_enabled = fused
    sizes = dict(block_size=20, n_layer=2, n_head=2, n_embd=12, d_ff=18)
    config = TrainConfig(seed="two", iters=2, batch_size=7, lr=1e-2, warmup=1, eval_batches=1)
    run = Run(config, corpus, device, GPTConfig(vocab_size=corpus.vocab_size, **sizes))
    run.sample_every = 0
    records = list(train(run))
    return records, run.model.weights().tobytes(), run.model.gather(run.model.flat_grad).tobytes()


@pytest.mark.parametrize("fused", [True, False])
def test_the_bytes_do_not_depend_on_the_number_of_threads(monkeypatch, fused: bool):
    alone = trained(False, monkeypatch, fused)
    for _ in range(2):
        assert trained(True, monkeypatch, fused) == alone


def test_forks_and_ends_hang_nowhere():
    """A child of a process has none of its threads; and both end with theirs waiting for work."""
    code = """
import os
from groundling.devices import threads
threads._cores = lambda: 2
count = []
threads.share([lambda: count.append(1)] * 8)
child = os.fork() if hasattr(os, "fork") else 0
threads.share([lambda: count.append(1)] * 8)
assert len(count) == 16
assert not child or os.waitpid(child, 0)[1] == 0
"""
    python = [sys.executable, "-W", "ignore", "-c", code]
    assert subprocess.run(python, timeout=60, env=os.environ).returncode == 0
