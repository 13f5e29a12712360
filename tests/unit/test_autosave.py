"""Autosave (py_src/browser/autosave.py) on a made-up store that can be full, and that can be ended
at any byte: what was not flushed by then is there in part or not at all.
"""

import random
from dataclasses import dataclass, field, replace
from pathlib import Path

import autosave
import numpy as np
import pytest

from groundling.config import GPTConfig, TrainConfig
from groundling.model import parameter_shapes
from groundling.runs import statefile
from groundling.runs.records import Log, Record
from groundling.runs.run import State
from groundling.runs.samples import Sample
from groundling.runs.statefile import Saved

MODEL = GPTConfig(vocab_size=5, block_size=4, n_layer=1, n_head=1, n_embd=4, d_ff=4)
COUNT = sum(int(np.prod(shape)) for shape in parameter_shapes(MODEL).values())
VERSION_1 = Path(__file__).with_name("version1.state").read_bytes()
Autosave, StoreError, StoreFull = autosave.Autosave, autosave.StoreError, autosave.StoreFull


class Ended(BaseException):
    """The worker is no more."""


class FakeStore:
    """Files in memory. `room` is in bytes; after `fuel` more bytes and calls the worker ends; an
    `error` is raised by every write, what is `broken` by every read. `written` counts the bytes.
    """

    def __init__(self, seed: int = 0):
        self.files = dict.fromkeys((*autosave.SLOTS, *autosave.JOURNALS), b"")
        self.flushed = dict(self.files)
        self.random = random.Random(seed)
        self.room = self.fuel = 10**9
        self.written, self.error, self.broken = 0, None, None

    def size(self, name):
        if self.broken:
            raise self.broken
        return len(self.files[name])

    def read(self, name, at, n):
        return self.files[name][at : at + n]

    def write(self, name, at, data):
        if self.error:
            raise self.error
        data = bytes(data)
        self.written += len(data)
        self._burn(len(data), lambda some: self._put(name, at, data[:some]))
        self._put(name, at, data)

    def _put(self, name, at, data):
        old = self.files[name].ljust(at, b"\0")
        room = self.room - sum(map(len, self.files.values())) + len(self.files[name])
        fits = data[: max(0, room - at)] if len(old) < at + len(data) else data
        self.files[name] = old[:at] + fits + old[at + len(fits) :]
        if len(fits) < len(data):
            raise StoreFull("no room")

    def flush(self, name):
        self._burn(0)
        self.flushed[name] = self.files[name]

    def truncate(self, name, size):
        self._burn(0)
        self.files[name] = self.files[name][:size]

    def _burn(self, some, partly=lambda some: None):
        self.fuel -= 1 + some
        if self.fuel < 0:
            partly(max(0, some + self.fuel))
            self._tear()
            raise Ended

    def _tear(self):
        """Of what was not flushed, any part may be missing: the end, or a piece of zeros."""
        for name, now in self.files.items():
            before = self.flushed[name]
            if now == before:
                continue
            same = next((i for i, (a, b) in enumerate(zip(now, before)) if a != b), None)  # noqa: B905
            same = min(len(now), len(before)) if same is None else same
            if (how := self.random.randrange(4)) == 0:
                self.files[name] = before
            elif how == 1 and same <= len(now):
                self.files[name] = now[: self.random.randrange(same, len(now) + 1)]
            elif how == 2 and same < len(now):
                at = self.random.randrange(same, len(now))
                self.files[name] = now[:at] + bytes(len(now[at : at + 64])) + now[at + 64 :]
        self.flushed = dict(self.files)


@dataclass
class FakeRun:
    """A run whose weights are the iteration, and whose records tell the seed."""

    seed: str = "yorick"
    first: int = 0
    iter: int = 0
    log: Log = field(default_factory=Log)
    samples: list[Sample] = field(default_factory=list)

    def train(self, iters: int) -> "FakeRun":
        for _ in range(iters):
            val = 4.0 if self.iter % 5 == 0 else None
            self.log.append(Record(self.iter, len(self.seed) + self.iter / 9, 0.1, val, 1.0, 2.0))
            if self.iter % 4 == 0:
                self.samples.append(Sample(self.iter, None, f"{self.seed}é {self.iter}"))
            self.iter += 1
        return self

    def facts(self) -> Saved:
        words, none = (1, 2, 3, 4), np.empty(0, np.float32)
        at = State(
            *(self.first, self.iter, None, Log(self.first, self.log), list(self.samples)),
            **dict(model=MODEL, config=TrainConfig(seed=self.seed), step=self.iter),
            **dict.fromkeys(("batches", "validation", "sampling"), words),
            **dict.fromkeys(("weights", "m", "v"), none),
        )
        created = "2026-11-21T08:00:00.000Z"  # the clock may stand still
        return Saved(at, "0" * 64, "1" * 64, "2" * 64, "numpy: here", created)

    def floats(self):
        for _ in range(3):
            yield np.full(COUNT // 2, self.iter, np.float32)
            yield np.full(COUNT - COUNT // 2, self.iter, np.float32)

    def save(self, kept: Autosave) -> bool:
        return kept.save(self.facts(), self.floats)

    def file(self) -> bytes:
        """The state file of now."""
        saved = self.facts()
        numbers = np.full(COUNT, self.iter, np.float32)
        saved.state = replace(saved.state, weights=numbers, m=numbers, v=numbers)
        return statefile.dumps(saved)


def resumed(saved: Saved) -> FakeRun:
    now = saved.state
    log = Log(now.first, now.log)
    return FakeRun(now.config.seed, now.first, now.iter, log, list(now.samples))


def newest(store: FakeStore) -> int | None:
    """The iteration that a worker that starts now would offer."""
    saved = Autosave(store).newest()
    return saved and saved.state.iter


SIZE = (
    512 + len(statefile.dump_meta(FakeRun().facts())) + 12 * COUNT
)  # of a copy, without its journal


def test_a_copy_is_what_the_state_file_is():
    store, run = FakeStore(), FakeRun().train(11)
    run.save(Autosave(store))
    assert statefile.dumps(Autosave(store).newest()) == run.file()
    facts = Autosave(store).newest(floats=False)
    assert (facts.state.iter, len(facts.state.log), facts.state.weights.size) == (11, 11, 0)


def test_the_last_three_are_kept_and_the_newest_is_offered():
    store, run = FakeStore(), FakeRun()
    assert newest(store) is None
    for iter in range(1, 8):
        kept = Autosave(store)
        kept.newest()
        run.train(1).save(kept)
        assert newest(store) == iter
    kept = Autosave(store)
    assert [kept.headers[slot]["iter"] for slot in kept.slots] == [7, 6, 5]
    assert sum(map(bool, store.files.values())) == 4  # three copies and a journal


def test_only_new_records_are_written():
    store, run = FakeStore(), FakeRun()
    kept, written = Autosave(store), []
    for iters in (10, 10, 20_000, 10):
        store.written = 0
        run.train(iters).save(kept)
        written.append(store.written)
    assert written[2] > 20_000 * 40
    assert abs(written[3] - written[1]) < 200  # samples have longer numbers


def test_a_run_that_was_continued_goes_on_in_its_journal():
    store = FakeStore()
    FakeRun().train(2000).save(Autosave(store))
    kept = Autosave(store)
    run = resumed(kept.newest()).train(3)
    store.written = 0
    run.save(kept)
    assert store.written < SIZE + 2000
    assert statefile.dumps(Autosave(store).newest()) == run.file()


def test_runs_that_go_different_ways_do_not_touch_each_other():
    """A run, one that went back and took another way, and other runs in between."""
    store = FakeStore()
    kept = Autosave(store)
    run = FakeRun().train(10)
    early = run.facts()
    run.train(10).save(kept)
    back = resumed(early).train(20)
    back.save(kept)
    other = FakeRun("a longer seed").train(7)
    other.save(kept)
    serials = [kept.headers[slot]["serial"] for slot in kept.slots]
    assert serials == [3, 2, 1]
    for serial, each in zip(serials, (other, back, run), strict=True):
        assert statefile.dumps(kept.read(serial)) == each.file()
        assert statefile.dumps(Autosave(store).read(serial)) == each.file()
    run.train(1).save(kept)
    assert statefile.dumps(Autosave(store).newest()) == run.file()
    assert statefile.dumps(kept.read(2)) == back.file()
    assert kept.read(1) is None


def test_a_damaged_copy_is_passed_over():
    store, run = FakeStore(), FakeRun()
    kept = Autosave(store)
    for _ in range(3):
        run.train(1).save(kept)
    for slot, left in zip(list(kept.slots), (2, 1, None), strict=True):
        store.files[slot] = store.files[slot][:-1] + b"!"
        assert newest(store) == left
    run.train(1).save(kept := Autosave(store))
    run.train(1).save(kept)
    journal = next(name for name in autosave.JOURNALS if store.files[name])
    store.files[journal] = store.files[journal][:-9] + b"!" + store.files[journal][-8:]
    assert newest(store) == 4


def test_bytes_that_are_no_copy_are_passed_over_and_written_over():
    store = FakeStore()
    junk = [b"cat", b"\xff" * 600, b"{" * 600, b" " * 512]
    store.files |= dict(zip(autosave.SLOTS, junk, strict=True))
    store.files |= dict(zip(autosave.JOURNALS, junk, strict=True))
    assert newest(store) is None
    FakeRun().train(9).save(Autosave(store))
    assert newest(store) == 9


def test_a_copy_of_before_there_were_journals_is_offered_and_gone_on_from():
    store = FakeStore()
    store.files["2.state"] = VERSION_1
    kept = Autosave(store)
    saved = kept.newest()
    assert (saved.state.iter, len(saved.state.log)) == (18, 18)
    run = FakeRun().train(2)
    run.save(kept)
    assert newest(store) == 2
    assert store.files["2.state"] == VERSION_1
    store.files[kept.slots[0]] = b""
    assert newest(store) == 18


def test_when_it_is_full_the_oldest_go_and_the_newest_never():
    store, run = FakeStore(), FakeRun()
    kept = Autosave(store)
    assert [run.train(1).save(kept) for _ in range(3)] == [False] * 3
    store.room = 3 * SIZE - 100
    assert run.train(1).save(kept) is True
    assert (newest(store), len(kept.slots)) == (4, 2)
    store.room = 2 * SIZE - 100
    with pytest.raises(StoreFull):
        run.train(1).save(kept)
    assert (newest(store), len(kept.slots)) == (4, 1)
    store.room = 10**9
    assert run.train(1).save(kept) is False
    assert newest(store) == 6
    assert statefile.dumps(Autosave(store).newest()) == run.file()


def test_a_copy_that_fails_on_the_way_leaves_the_ones_before():
    store, run = FakeStore(), FakeRun().train(3)
    kept = Autosave(store)
    run.save(kept)

    def broken():
        yield np.zeros(5, np.float32)
        raise MemoryError

    with pytest.raises(MemoryError):
        kept.save(run.train(2).facts(), broken)
    with pytest.raises(ValueError, match="not finite"):
        kept.save(run.facts(), lambda: iter([np.full(COUNT, np.nan, np.float32)] * 3))
    assert newest(store) == 3
    run.train(1).save(kept)
    assert statefile.dumps(Autosave(store).newest()) == run.file()


def test_what_is_discarded_can_be_restored_until_another_is_saved():
    store, run = FakeStore(), FakeRun()
    kept = Autosave(store)
    for _ in range(5):
        run.train(1).save(kept)
    held = dict(store.files)
    kept.discard()
    assert kept.newest() is None
    assert newest(store) is None  # of the next visit
    kept.restore()
    assert (newest(store), store.files) == (5, held)

    kept.discard()
    FakeRun("another").train(6).save(kept)
    kept.restore()
    assert (newest(store), len(kept.slots), kept.serial) == (6, 1, 6)
    assert sum(map(bool, store.files.values())) == 2  # a copy and its journal


@pytest.mark.parametrize("room", [10**9, 3 * SIZE + 2000], ids=["with room", "nearly full"])
@pytest.mark.parametrize("seed", range(12))
def test_a_worker_that_is_ended_at_any_byte_leaves_a_store_that_can_be_read(seed, room):
    """It is ended some twenty times a seed. Each time the next goes on from what is left, or begins
    another run, or goes back: what is found is to the byte a copy that was begun, and none older
    than the last that was made.
    """
    store, chance = FakeStore(seed), random.Random(seed)
    store.room = room
    files, made, begun = {}, 0, 0  # of each serial number its state; the last two
    while begun < 30:
        store.fuel = chance.randrange(5 * SIZE)
        try:
            kept = Autosave(store)
            saved = kept.newest()
            run = resumed(saved) if saved and chance.random() < 0.8 else FakeRun(f"seed {begun}")
            while begun < 30:
                before = resumed(run.facts())
                run.train(chance.randrange(1, 9))
                begun, serial = begun + 1, kept.serial + 1
                files[serial] = run.file()
                try:
                    run.save(kept)
                    made = serial
                except StoreFull:
                    assert room < 10**9
                if chance.random() < 0.2:
                    run = before
        except Ended:
            pass
        store.fuel = 10**9
        kept = Autosave(store)
        found = kept.newest()
        assert kept.serial >= made
        assert found is None or statefile.dumps(found) == files[kept.serial]
        assert found or not made
        made = kept.serial
