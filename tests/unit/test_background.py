"""Work beside a paused run: whatever it raises, in edited code or over a file, is told, and the run
goes on to the same bits.
"""

import builtins
import hashlib
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import paging
import pytest
from paging import CORPUS

from groundling import sources
from groundling.config import GPTConfig, TrainConfig
from groundling.devices.numpy import NumPyDevice
from groundling.edits import live
from groundling.labs import link
from groundling.model import initial_weights
from groundling.runs import checkpoint, statefile
from groundling.runs.run import Run
from groundling.train import train

pytestmark = pytest.mark.native  # whole runs; tests/browser has the real worker

MODEL = GPTConfig(vocab_size=CORPUS.vocab_size, block_size=8, n_layer=1, n_head=2, n_embd=8, d_ff=8)
START = {"seed": "hamlet", "iters": 9, "batchSize": 2, "lr": 3e-4}
TALK = {"source": "run", "prompt": "To be", "temperature": 0.8, "topK": 9, "topP": 1.0}
LINE = "model.forward(device.tensor(corpus.train[None, :8])).numpy()"
EDITS = {}
for path, line, edited in (
    ("train.py", "        it = run.iter\n", "        trap()\n        it = run.iter\n"),
    (
        "model.py",
        "        x = position_embedding(",
        '        if trap() == "none":\n            return None\n        x = position_embedding(',
    ),
):
    text = sources.original(f"py_src/groundling/{path}")
    assert text.count(line) == 1
    EDITS[f"py_src/groundling/{path}"] = text.replace(line, edited)


class Strange(BaseException):
    """None of those that are usually caught; its own methods raise too."""

    def __str__(self):
        raise Strange

    __repr__ = __str__


def recursion() -> None:
    recursion()


def wait_for_ever(page: paging.Page, stop: str) -> Callable[[], None]:
    """A loop that waits for the device without end, until the reader presses a button."""

    def loop() -> None:
        for n in range(1000):
            page.now += 0.1
            if n == 3:
                page.session.receive({"type": stop})
            page.session.after_wait()
        pytest.fail("it was never ended")

    return loop


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def writes(how: str) -> Callable:
    """Code that would write to the weights of the page's run."""

    def failure(page: paging.Page, stop: str) -> Callable[[], None]:
        def act() -> None:
            device, wte = page.session.device, page.session.run.model.parameters["wte"]
            if how == "kernel":
                device.run("copy", wte, wte, size=wte.size, factor=1.5, accumulate=0)
            else:
                device.write(wte, np.zeros(wte.shape))

        return act

    return failure


FAILURES: dict[str, Callable] = {
    "an assertion": lambda page, stop: raising(AssertionError("T is 64")),
    "exit()": lambda page, stop: raising(SystemExit(3)),
    "a recursion without end": lambda page, stop: recursion,
    "no memory": lambda page, stop: raising(MemoryError()),
    "an interrupt": lambda page, stop: raising(KeyboardInterrupt()),
    "the end of an iterator": lambda page, stop: raising(StopIteration()),
    "a strange exception": lambda page, stop: raising(Strange()),
    "nothing returned": lambda page, stop: lambda: "none",
    "a loop that was stopped": wait_for_ever,
    "weights that are written by a kernel": writes("kernel"),
    "weights that are written from the host": writes("host"),
}


class Page(paging.Page):
    """With a run that was paused under edited code, which calls `act` from its `at`-th call on."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.now = 0.0
        self.act, self.at, self.calls = None, math.inf, 0
        patch.setattr(builtins, "trap", self.trap, raising=False)
        super().__init__(clock=self.clock)
        self.session.setup = replace(self.session.setup, model=MODEL)
        self.tell("start", **START, files=EDITS)
        while self.session.run.iter < 4:
            self.session.advance()
        self.tell("pause")
        self.finish()
        assert self.session.phase == "paused" and 4 <= self.session.run.iter < 9
        self.before = self.digest()

    def clock(self) -> float:
        self.now += 0.02  # so that a frame is one iteration
        return self.now

    def trap(self) -> object:
        self.calls += 1
        return self.act() if self.calls >= self.at else None

    def digest(self) -> str:
        """Of all that the rest of the run depends on."""
        saved = replace(statefile.snapshot(self.session.run), created_at="2026-11-21T08:00:00.000Z")
        return hashlib.sha256(statefile.dumps(saved)).hexdigest()

    def provoke(self, kind: str, command: dict, stop: str, at: int) -> list[dict]:
        """What is posted while a command fails; the run is as it was, and the session answers."""
        self.posted.clear()
        self.act, self.at, self.calls = FAILURES[kind](self, stop), at, 0
        self.tell(**command)
        for _ in range(3000):
            if not self.session.advance():
                break
        self.at = math.inf
        assert self.calls >= at, "it did not come to the trap"
        told = list(self.posted)
        assert self.session.phase == "paused" and not self.of("phase")
        assert not any(view.running for view in self.session.views)
        assert self.digest() == self.before
        self.tell("log")
        assert self.of("file")
        return told


@pytest.fixture(scope="module")
def link_of_edits() -> str:
    """A link of a run by the edited train.py; both have no room in one."""
    run = Run(TrainConfig(iters=6, batch_size=2, seed="yorick"), CORPUS, NumPyDevice(), MODEL)
    list(train(run))
    path = "py_src/groundling/train.py"
    return link.dumps(replace(link.claim(statefile.snapshot(run)), edits={path: EDITS[path]}))


WORK = {  # how each view's work begins, what ends it, and what the page is told when it failed
    "twin": ({"seeds": ["a", "b"], "iters": 5}, "untwin", "twin", "message"),
    "case": ({"names": ["clean", "dead"], "iters": 60}, "uncase", "case", "message"),
    "replay": ({}, "unreplay", "replay", "message"),
    "speed": ({"batchSize": 1}, "unspeed", "speed", "message"),
    "talk": (TALK | {"seed": "x", "length": 9, "id": 1}, "untalk", "talk", "problem"),
    "lens": ({"source": "run", "prompt": "To be"}, "pause", "unlens", "message"),
    "evaluate": ({"text": LINE}, "interrupt", "console", "entries"),
}


@pytest.fixture(scope="module")
def untouched() -> str:
    """The digest of the run at its end, when nothing has happened beside it."""
    before = live.Loaded(sources.overlay, live.loaded())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("groundling.runs.configfile.Setup.sample_interval", 0)
        page = Page(patch)
        page.tell("resume")
        page.finish()
        digest = page.digest()
    live.restore(before)
    return digest


@pytest.mark.parametrize("what", WORK)
def test_whatever_fails_beside_a_run_is_told_and_the_run_goes_on_to_the_same_bits(
    what: str, monkeypatch: pytest.MonkeyPatch, link_of_edits: str, untouched: str
):
    page, (values, stop, report, field) = Page(monkeypatch), WORK[what]
    command = {"type": what, **values} | ({"text": link_of_edits} if what == "replay" else {})
    for kind in FAILURES:
        if (what, kind) == ("replay", "nothing returned"):
            continue  # its model is not edited
        if what == "evaluate" and kind.startswith("weights"):
            continue  # at the prompt one may
        for at in (1, 3) if what in ("twin", "case", "replay") else (1,):
            told = page.provoke(kind, command, stop, at)
            [last, *_] = [m for m in reversed(told) if m["type"] == report]
            assert last[field], (kind, at)
            if "phase" in last:
                assert last["phase"] == "failed", (kind, at)
            assert not [m for m in told if m["type"] in ("error", "notice")], (kind, at)
    page.tell("resume")
    page.finish()
    assert page.session.phase == "done" and page.digest() == untouched


def test_what_an_edited_forward_notes_in_the_model_s_parts_is_gone_after_a_look(
    monkeypatch: pytest.MonkeyPatch,
):
    page = Page(monkeypatch)
    model = page.session.run.model
    noted = []

    def note() -> None:
        for part in (model, model.h[0], model.h[0].attn):
            part.calls = getattr(part, "calls", 0) + 1
            noted.append(part.calls)

    model.h[0].calls = 7
    page.act, page.at = note, 1
    page.tell("lens", source="run", prompt="To be")
    assert page.of("lens") and noted[:3] == [1, 8, 1]
    assert model.h[0].calls == 7
    assert not hasattr(model, "calls") and not hasattr(model.h[0].attn, "calls")


def huge(config: GPTConfig) -> bytes:
    """A `.bin` of weights that are finite, and whose products are not."""
    weights = initial_weights(config, "huge") * np.float32(3e19)
    now, hash = "2026-11-21T08:00:00.000Z", CORPUS.vocab_hash
    return checkpoint.dumps(checkpoint.Checkpoint(config, "huge", 0, None, hash, now, weights))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_file_of_huge_weights_is_told_by_each_view_and_the_run_stays(
    monkeypatch: pytest.MonkeyPatch, untouched: str
):
    page = Page(monkeypatch)
    page.tell("voice", source="file", name="huge.bin", bytes=huge(MODEL))
    assert page.last("voice")["problem"] == ""
    page.tell("talk", **TALK | {"source": "file", "seed": "x", "length": 9, "id": 1})
    page.finish()
    assert "not finite" in page.last("talk")["problem"]
    page.tell("lens", source="file", prompt="To be")
    assert "finite" in page.last("unlens")["message"]
    page.tell("inspect", slot="a", name="huge.bin", bytes=huge(MODEL))
    page.tell("inspect_run", slot="b")
    assert page.of("inspected") and page.of("compared")
    page.tell("voice", source="reference", name="huge.bin", bytes=huge(MODEL))
    page.tell("recite", prompt="To be", seed="x")
    page.finish()
    assert page.session.phase == "paused" and not page.of("error")
    page.tell("resume")
    page.finish()
    assert page.digest() == untouched


def test_a_view_whose_own_words_fail_leaves_the_others_and_the_run_at_work(
    monkeypatch: pytest.MonkeyPatch, untouched: str
):
    """As an edited doctor.py or samples.py does at every record."""
    page = Page(monkeypatch)
    page.session.doers["case"].on_records = raising(Strange())
    page.session.doers["talk"].on_phase = raising(AssertionError("no"))
    page.tell("resume")
    page.finish()
    assert page.session.phase == "done" and page.digest() == untouched
    notices = [message["message"] for message in page.of("notice")]
    assert len(notices) == 2 and all("A part of the page failed" in text for text in notices)


def test_a_capture_and_a_tape_that_were_left_open_are_closed(
    monkeypatch: pytest.MonkeyPatch, untouched: str
):
    page = Page(monkeypatch)
    page.tell(
        "evaluate",
        text="from groundling.engine.tensor import no_grad\n"
        "left = no_grad(), device.capture()\nfor one in left: one.__enter__()",
    )
    assert not page.session.device.noting_lines
    page.tell("evaluate", text="left = None")
    page.tell("resume")
    page.finish()
    assert page.session.phase == "done" and page.digest() == untouched


# ---- what cannot be told -------------------------------------------------------------------------


class Mute(paging.Page):
    """Whose post fails for a while."""

    fails = 0

    def __init__(self):
        super().__init__(clock=(at / 50 for at in itertools.count()).__next__)
        plain = self.session.post

        def post(message: dict) -> None:
            if self.fails:
                self.fails -= 1
                raise MemoryError
            plain(message)

        self.session.post = post
        self.session.setup = replace(self.session.setup, model=MODEL)


@pytest.mark.parametrize("times", range(1, 12))
def test_a_failure_that_cannot_be_told_is_no_end_of_the_session(times: int):
    page = Mute()
    page.tell("start", **START)
    page.session.run.model.load(page.session.run.model.weights() * np.float32(np.nan))
    page.fails = times
    for _ in range(20):
        page.session.advance()
        page.session.flush()
    page.fails = 0
    assert page.session.phase == "error"
    page.tell("reset")
    assert page.session.phase == "ready"
    page.tell("start", **START)
    page.finish()
    assert page.session.phase == "done", page.of("error")


@pytest.fixture(autouse=True)
def no_samples(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs do not write, which takes as long as several iterations."""
    monkeypatch.setattr("groundling.runs.configfile.Setup.sample_interval", 0)
    yield
