"""Faults at random moments, and commands in random orders: the session answers all the same, and a
run that is brought back goes on to the same bits.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import paging
import pytest
from autosave import Autosave, StoreError, StoreFull
from paging import CORPUS
from test_autosave import FakeStore
from views import views

from groundling import sources
from groundling.config import GPTConfig
from groundling.devices.base import DeviceLost
from groundling.devices.numpy import NumPyDevice
from groundling.edits import live

pytestmark = pytest.mark.native  # whole runs; tests/browser has the real worker

MODEL = GPTConfig(vocab_size=CORPUS.vocab_size, block_size=8, n_layer=1, n_head=2, n_embd=8, d_ff=8)
START = {"seed": "hamlet", "iters": 40, "batchSize": 2, "lr": 3e-3}
TRAIN = "py_src/groundling/train.py"
NOTHING = {TRAIN: sources.original(TRAIN) + "\n# nothing\n"}
BROKEN = {TRAIN: sources.original(TRAIN).replace("loss.backward()", "loss.backwards()")}
TALK = {"source": "run", "prompt": "To be", "temperature": 0.8, "topK": 9, "topP": 1.0}


class Frail(NumPyDevice):
    """A device on which the `left`-th thing that it is asked for fails: with a MemoryError once, or
    because the device is lost, and then all that follows fails too.
    """

    left, error = math.inf, None

    def _use(self) -> None:
        self.left -= 1
        if self.left <= 0 and self.error:
            if not isinstance(self.error, DeviceLost):
                self.left = math.inf
            raise self.error

    def _read(self, *arguments):
        self._use()
        return super()._read(*arguments)

    def _write(self, *arguments):
        self._use()
        return super()._write(*arguments)

    def _execute(self, *arguments):
        self._use()
        return super()._execute(*arguments)

    def _replay(self, *arguments):
        self._use()
        return super()._replay(*arguments)


class Shelf(FakeStore):
    """An autosave's store in memory, which fails while it is told to."""

    @property
    def broken(self) -> Exception | None:
        return self.error

    @broken.setter
    def broken(self, error: None) -> None:
        pass


class Page(paging.Page):
    """With a shelf, a clock of which each frame is an iteration, and ways to get into trouble."""

    def __init__(self, rng: np.random.Generator | None = None):
        self.rng, self.shelf, self.states = rng, Shelf(), []
        self.library = live.Loaded(sources.overlay, live.loaded())
        self.copy: bytes | None = None  # that the page has
        self.armed: tuple[int, Exception] | None = None  # for the next device that is opened
        self.clock = (at / 30 for at in itertools.count()).__next__
        super().__init__(clock=self.clock)
        self.boot()

    def boot(self) -> None:
        """What a reload of the page does, or the end of a worker."""
        live.restore(self.library)
        autosave = Autosave(self.shelf)
        made = type(self.session)(
            self.posted.append, self.open_device, CORPUS, views, self.clock, autosave
        )
        self.session, made.setup = made, replace(made.setup, model=MODEL)
        self.tell("device", name="numpy")

    def open_device(self, name, stage):
        device = Frail()
        if self.armed:
            (device.left, device.error), self.armed = self.armed, None
        return device

    def tell(self, type, **values):
        super().tell(type, **self.rescue(type), **values)
        for i, message in enumerate(self.posted):
            if message["type"] == "run":
                self.copy = None
            if message["type"] == "kept":
                seen = self.posted[: i + 1]
                self.copy = None if message["here"] else paging.file_of(seen, "kept")
            if message["type"] == "file" and message["name"].endswith(".state"):
                self.states.append(paging.file_of(self.posted[: i + 1]))
        del self.posted[:]

    def rescue(self, type) -> dict:
        """The page's copy, with what is asked of a lost run (site/src/run/supervision.ts)."""
        lost = self.session.phase == "error" and type in ("save", "state", "apply")
        return {"bytes": self.copy} if self.copy and (type == "undo" or lost) else {}

    def act(self) -> str:
        """Do something that a reader can do; returns what."""
        rng, session = self.rng, self.session
        acts = {
            "start": {**START, "files": {}},
            "pause": {},
            "resume": {},
            "reset": {},
            "undo": {},
            "save": {},
            "state": {},
            "log": {},
            "apply": {"files": (NOTHING, {}, BROKEN)[rng.integers(3)]},
            "twin": {"seeds": ["a", "b"], "iters": 3},
            "untwin": {},
            "talk": TALK | {"seed": "x", "length": 5, "id": 1},
            "lens": {"source": "run", "prompt": "To be"},
            "hidden": {"hidden": bool(rng.integers(2))},
            "evaluate": {"text": ("1 / 0", "model.weights().sum()", "run.iter")[rng.integers(3)]},
            "continue": {"files": {}},
            "inspect_run": {"slot": "a"},
            "unheard_of": {},
        }
        if self.states:
            data = self.states[rng.integers(len(self.states))]
            acts["load"] = {**START, "name": "a.state", "bytes": data, "files": {}}
            acts["anyway"] = {}
        name = str(rng.choice(sorted(acts)))
        if session.phase == "ready" and session.run is None and rng.random() < 0.6:
            name = "start"
        session.receive({"type": name, **self.rescue(name), **acts[name]})
        for _ in range(rng.integers(1, 8)):
            session.advance()
            session.flush()
            self.tell("hidden", hidden=False)
        return name

    def at_rest(self) -> None:
        """Let it come to rest, whatever it does."""
        self.tell("hidden", hidden=False)
        self.tell("pause")
        for _ in range(500):
            if not self.session.advance():
                return
        pytest.fail("it never came to rest")

    def finished(self) -> tuple[bytes, ...]:
        """The bytes of the run at its end, on a device that is sound."""
        self.at_rest()
        self.tell("apply", files={})
        self.at_rest()
        self.tell("resume")
        for _ in range(2000):
            if not self.session.advance():
                break
        assert self.session.phase == "done", self.posted
        run = self.session.run
        assert [record.iter for record in run.log] == list(range(START["iters"]))
        found = run.state()
        return found.weights.tobytes(), found.m.tobytes(), found.v.tobytes()


@pytest.fixture(autouse=True)
def no_samples(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs do not write, which takes as long as several iterations."""
    monkeypatch.setattr("groundling.runs.configfile.Setup.sample_interval", 0)
    yield


@pytest.fixture(scope="module")
def untouched() -> tuple[bytes, ...]:
    """The run that nothing happens to, at its end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("groundling.runs.configfile.Setup.sample_interval", 0)
        page = Page()
        page.tell("start", **START)
        return page.finished()


def bring_back(page: Page) -> None:
    """What a reader does after a fault: Reset, and Undo or Continue where they are offered; else a
    new start.
    """
    if page.session.phase == "error":
        page.tell("reset")
    assert page.session.phase in ("ready", "paused", "done", "training"), page.session.reason
    if page.session.run is None:
        page.tell("undo")
    if page.session.run is None:
        page.tell("continue", files={})
    if page.session.run is None:
        page.tell("start", **START, files={})
    assert page.session.run is not None


@pytest.mark.parametrize("seed", range(20))
def test_a_device_that_is_lost_at_any_moment_loses_nothing_but_what_came_after_the_last_copy(
    seed: int, untouched: tuple[bytes, ...]
):
    """Also as it is opened, as a file is loaded, as edits are applied, as the run is saved."""
    page = Page(np.random.default_rng(seed))
    for _ in range(page.rng.integers(1, 6)):
        page.act()
    device = page.session.device
    device.left, device.error = int(page.rng.integers(1, 60)), DeviceLost("gone")
    done = [page.act() for _ in range(12)]
    session = page.session
    if session.device is device and session.phase != "error":
        page.tell("lost", device=device, message="gone")
        for _ in range(30):
            session.advance()
    page_run = session.page_run
    if session.phase == "error" and page_run and page_run.kept:
        page.tell("reset")
        assert session.discarded.iter == page_run.kept.iter, done
    bring_back(page)
    assert page.finished() == untouched, done


@pytest.mark.parametrize("seed", range(10))
def test_whatever_is_asked_in_whatever_order_the_session_answers_and_the_run_stays_whole(
    seed: int, untouched: tuple[bytes, ...]
):
    """With memory that is full for a moment, a store that fails, and reloads."""
    page = Page(np.random.default_rng(1000 + seed))
    done = []
    for _ in range(14):
        fault = page.rng.random()
        device = page.session.device
        if fault < 0.15:
            device.left, device.error = int(page.rng.integers(1, 30)), MemoryError()
        elif fault < 0.3:
            page.shelf.error = (StoreFull("full"), StoreError("gone"))[page.rng.integers(2)]
        elif fault < 0.4:
            page.shelf.error = None
            page.boot()
        done.append(page.act())
        run = page.session.run
        if run is not None:
            iters = [record.iter for record in run.log]
            assert iters == list(range(run.first, run.first + len(iters))), done
        if page.session.phase == "error":
            bring_back(page)
    page.shelf.error = None
    page.session.device.left = math.inf
    bring_back(page)
    assert page.finished() == untouched, done
