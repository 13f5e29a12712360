"""Autosave (py_src/browser/autosave.py) on a made-up store that can be full, and that can be ended
at any byte: what was not flushed by then is there in part or not at all.
"""

import random

import autosave
import numpy as np
import pytest

from groundling import state
from groundling.config import GPTConfig, TrainConfig
from groundling.model import parameter_shapes
from groundling.state import Saved
from groundling.train import State

MODEL = GPTConfig(vocab_size=5, block_size=4, n_layer=1, n_head=1, n_embd=4, d_ff=4)
COUNT = sum(int(np.prod(shape)) for shape in parameter_shapes(MODEL).values())


Autosave, StoreFull = autosave.Autosave, autosave.StoreFull


class Ended(BaseException):
    """The worker is no more."""


class FakeStore:
    """Slots in memory. `room` is in bytes; after `fuel` more bytes and calls the worker ends."""

    def __init__(self, seed: int = 0):
        self.files = [b""] * autosave.SLOTS
        self.flushed = list(self.files)
        self.random = random.Random(seed)
        self.room = self.fuel = 10**9

    def read(self, slot):
        return self.files[slot]

    def write(self, slot, at, data):
        self._burn(len(data), lambda some: self._put(slot, at, data[:some]))
        self._put(slot, at, data)

    def _put(self, slot, at, data):
        old = self.files[slot].ljust(at, b"\0")
        new = old[:at] + data + old[at + len(data) :]
        if sum(map(len, self.files)) - len(self.files[slot]) + len(new) > self.room:
            raise StoreFull("no room")
        self.files[slot] = new

    def flush(self, slot):
        self._burn(0)
        self.flushed[slot] = self.files[slot]

    def erase(self, slot):
        self._burn(0)
        self.files[slot] = b""

    def _burn(self, some, partly=lambda some: None):
        self.fuel -= 1 + some
        if self.fuel < 0:
            partly(max(0, some + self.fuel))
            self._tear()
            raise Ended

    def _tear(self):
        """Of what was not flushed, any part may be missing: the end, or a piece of zeros."""
        for slot, (now, before) in enumerate(zip(self.files, self.flushed, strict=True)):
            if now == before:
                continue
            if (how := self.random.randrange(4)) == 0:
                self.files[slot] = before
            elif how == 1:
                self.files[slot] = now[: self.random.randrange(len(now) + 1)]
            elif how == 2 and now:
                at = self.random.randrange(len(now))
                self.files[slot] = now[:at] + bytes(len(now[at : at + 64])) + now[at + 64 :]
        self.flushed = list(self.files)


def file(iter: int) -> bytes:
    """A state at that iteration, made that many seconds into the hour."""
    config, floats = TrainConfig(seed="yorick"), np.full(COUNT, iter, np.float32)
    words = (1, 2, 3, 4)
    at = State(
        MODEL, config, iter, iter, None, iter, words, words, [], words, [], floats, floats, floats
    )
    time = f"2026-11-21T08:{iter // 60:02}:{iter % 60:02}.000Z"
    return state.dumps(Saved(at, "0" * 64, "1" * 64, "2" * 64, "numpy: here", time))


SIZE = len(file(1))


def newest(store: FakeStore) -> int | None:
    """The iteration that a worker that starts now would offer."""
    saved = Autosave(store).newest()
    return saved and saved.state.iter


def test_the_last_three_are_kept_and_the_newest_is_offered():
    store = FakeStore()
    assert newest(store) is None
    for iter in range(1, 8):
        Autosave(store).save(file(iter))
        assert newest(store) == iter
    held = [state.loads(data).state.iter for data in store.files if data]
    assert sorted(held) == [5, 6, 7]


def test_a_damaged_copy_is_passed_over():
    store = FakeStore()
    for iter in (1, 2, 3):
        Autosave(store).save(file(iter))
    for bad, left in ((3, 2), (2, 1), (1, None)):
        slot = store.files.index(file(bad))
        store.files[slot] = store.files[slot][:-1] + b"!"
        assert newest(store) == left
    assert store.files == [b""] * autosave.SLOTS


def test_bytes_that_are_no_state_are_passed_over_and_written_over():
    store = FakeStore()
    store.files = [b"cat", b"\xff" * 600, b"{" * 600, b" " * 512]
    assert newest(store) is None
    Autosave(store).save(file(9))
    assert newest(store) == 9


def test_when_it_is_full_the_oldest_go_and_the_newest_never():
    store = FakeStore()
    kept = Autosave(store)
    assert [kept.save(file(iter)) for iter in (10, 11, 12)] == [False] * 3
    store.room = 2 * SIZE + 100
    assert kept.save(file(13)) is True
    assert (newest(store), len(kept.slots)) == (13, 2)
    store.room = SIZE + 100
    with pytest.raises(StoreFull):
        kept.save(file(14))
    assert (newest(store), len(kept.slots)) == (13, 1)
    store.room = 10**9
    assert kept.save(file(15)) is False
    assert newest(store) == 15


def test_what_is_discarded_can_be_restored_until_another_is_saved():
    store = FakeStore()
    kept = Autosave(store)
    for iter in range(1, 6):
        kept.save(file(iter))
    held = list(store.files)
    kept.discard()
    assert kept.newest() is None
    assert newest(store) is None  # of the next visit
    kept.restore()
    assert (newest(store), store.files) == (5, held)

    kept.discard()
    kept.save(file(6))
    kept.restore()
    assert (newest(store), len(kept.slots)) == (6, 1)
    assert sum(map(len, store.files)) == len(file(6))


@pytest.mark.parametrize("room", [10**9, 2 * SIZE + 100], ids=["with room", "nearly full"])
@pytest.mark.parametrize("seed", range(50))
def test_a_worker_that_is_ended_at_any_byte_leaves_a_store_that_can_be_read(seed, room):
    """It is ended some twenty times a seed, and goes on each time from what the last one left."""
    store, chance = FakeStore(seed), random.Random(seed)
    store.room = room
    whole = iter = 0  # the last that was saved, and the last that was begun
    while iter < 40:
        store.fuel = chance.randrange(4 * SIZE)
        try:
            kept = Autosave(store)
            kept.newest()
            while iter < 40:
                iter += 1
                kept.save(file(iter))
                whole = iter
        except Ended:
            pass
        store.fuel = 10**9
        found = newest(store) or 0
        assert whole <= found <= iter
        whole = found
