"""The page's doctor: it reads the run's curve as it grows, and trains cases beside it.

It knows nothing of the browser; site/src/doctor.ts draws what it posts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from explain import LOST, explain
from view import FRAME, Message, View

import groundling.curve
import groundling.doctor
import groundling.entropy
from groundling.devices import DeviceError
from groundling.train import NonFiniteLoss

if TYPE_CHECKING:
    from session import Session

    from groundling.corpus import Corpus
    from groundling.curve import Curve
    from groundling.doctor import Examination, Verdict
    from groundling.train import Record, Run

EVERY = 1.0  # seconds between two readings of the run's curve, at least; also,
GROWTH = 1.05  # it has as many times the records: all readings together take no longer than a few
ENDS = DeviceError, MemoryError, ValueError
"""What ends a case and nothing else; a lost device ends the session's run too."""


class DoctorView(View):
    """The cases, one after the other, and the diagnosis of the page's own run."""

    commands = ("uncase",)
    begins = ("case",)

    def __init__(self, session: Session):
        super().__init__(session)
        self.queue: list[str] = []  # cases to come
        self.iters = groundling.doctor.ITERS
        self.exam: Examination | None = None
        self.stream: Iterator | None = None  # exam.train(), until it has ended
        self.stopped = False
        self.run: Run | None = None  # whose curve this is
        self.curve: Curve = groundling.curve.Curve()
        self.read = -math.inf, 0  # the last reading: when, and of how many records

    # ---- the run --------------------------------------------------------------------------------

    def on_records(self, records: list[Record]) -> None:
        """Take in what was posted; read the curve, if it is time to."""
        if self.run is not self.session.run:  # an applied edit makes another run, of the same log
            self.run, self.read = self.session.run, (-math.inf, 0)
            self.curve = groundling.curve.Curve()
            records = [record for record in self.run.log if record.iter <= records[-1].iter]
        for record in records:
            self.curve.add(record)
        then, n = self.read
        if self.session.clock() - then >= EVERY and len(self.curve) >= GROWTH * n:
            self._diagnose()

    def on_phase(self, phase: str) -> None:
        """Read the whole curve when the run rests; tell the page what there is to examine."""
        if phase == "ready":
            corpus = self.session.corpus
            self.post({"type": "cases", **cases(math.log(corpus.vocab_size))})
            self.post({"type": "levels", "levels": levels(corpus)})
            self.run = None
            self.post({"type": "diagnosis", "iter": 0, "verdict": None})
        elif phase in ("paused", "done") and self.run is not None:
            self._diagnose()

    def on_error(self, error: BaseException) -> None:
        """A loss that was no number is part of the curve too."""
        if isinstance(error, NonFiniteLoss) and self.run is self.session.run is not None:
            if self.curve.iter and self.curve.iter[-1] == error.record.iter:
                for column in (self.curve.iter, self.curve.train, self.curve.val, self.curve.lr):
                    column.pop()
            self.curve.add(error.record)
            self._diagnose()

    def _diagnose(self) -> None:
        uniform = math.log(self.session.corpus.vocab_size)
        verdict = groundling.doctor.diagnose(self.curve, uniform)
        self.read = self.session.clock(), len(self.curve)
        at = self.curve.iter[-1] if self.curve else 0
        self.post({"type": "diagnosis", "iter": at, "verdict": told(verdict)})

    # ---- the cases ------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether a case is on its way."""
        return self.stream is not None

    def do_case(self, message: Message) -> None:
        """Examine cases, one after the other."""
        self.queue, self.iters = list(message["names"]), message["iters"]
        self.stopped = False
        self._next()

    def do_uncase(self, message: Message) -> None:
        """End it early, and those after it."""
        self.stop()

    def stop(self) -> None:
        """End it early: what is in flight lands."""
        self.queue.clear()
        if self.stream is None:
            return
        self.stopped = True
        self.exam.run.pause()
        while self.running:
            self.advance()

    def drop(self) -> None:
        """Let it go with its device, with no word to the device."""
        self.queue.clear()
        if self.stream is not None:
            self.stream = None
            self._post("failed", [], "The device went away while this case trained.")
        self.exam = None

    def advance(self) -> None:
        """Train for about a frame, and post what has come; at the end, the verdict."""
        deadline, records = self.session.clock() + FRAME, []
        try:
            while (record := next(self.stream, None)) is not None:
                records.append(point(record.iter, record.train, record.val))
                if self.session.clock() >= deadline:
                    self._post("running", records)
                    return
        except LOST:
            raise
        except ENDS as error:
            self._fail(error)
            return
        self.stream = None
        if self.exam.ended:  # by a record that was not among those that came
            curve = self.exam.curve
            records.append(point(curve.iter[-1], curve.train[-1], curve.val[-1]))
        self._post("stopped" if self.stopped else "done", records, self.exam.ended)
        self.exam = None  # and with it its memory
        self._next()

    def _next(self) -> None:
        """Begin the next case, if there is one."""
        if not self.queue:
            return
        name, corpus = self.queue.pop(0), self.session.corpus
        try:
            if name not in groundling.doctor.CASES:
                raise ValueError(f"There is no case {name!r}.")
            case = groundling.doctor.CASES[name]
            make = groundling.doctor.Examination
            self.exam = make(case, corpus, self.session.device, self.iters)
        except LOST:
            raise
        except ENDS as error:
            self._fail(error, name)
            return
        self.stream = self.exam.train()
        self._post("running", [])

    def _post(self, phase: str, records: list, message: str = "") -> None:
        case, verdict = self.exam.case, None
        if phase in ("done", "stopped") and self.exam.curve:
            verdict = told(self.exam.verdict())
        self._tell(case.name, phase, records, message, verdict)

    def _tell(
        self, name: str, phase: str, records: list, message: str, verdict: Message | None
    ) -> None:
        where = {"name": name, "phase": phase, "iters": self.iters, "records": records}
        self.post({"type": "case", **where, "message": message, "verdict": verdict})

    def _fail(self, error: BaseException, name: str = "") -> None:
        self.queue.clear()
        words, name = explain(error), name or self.exam.case.name
        self.stream = self.exam = None
        text = f"{words['title']}. {words['message']} A run beside it is as it was."
        self._tell(name, "failed", [], text, None)


def levels(corpus: Corpus) -> list[Message]:
    """The lines that a loss curve can be read against."""
    return [asdict(level) for level in groundling.entropy.levels(corpus)]


def cases(uniform: float) -> Message:
    """What the page shows of the six, before any has run."""
    doctor = groundling.doctor
    return {
        "cases": [
            {
                "name": case.name,
                "title": case.title,
                "wrong": case.wrong,
                "expected": doctor.TITLES[case.expected],
                "shape": case.shape(uniform),
            }
            for case in doctor.CASES.values()
        ],
        "iters": doctor.ITERS,
        "fewest": doctor.FEWEST,
        "most": doctor.MOST,
    }


def told(verdict: Verdict) -> Message:
    """A verdict as the page shows it."""
    return {
        "kind": verdict.kind,
        "title": verdict.title,
        "says": verdict.says,
        "evidence": [list(pair) for pair in verdict.evidence],
        "change": verdict.change,
        "fix": verdict.fix,
        "at": verdict.at,
        "healthy": verdict.healthy,
    }


def point(it: int, train: float, val: float | None) -> list:
    """One iteration as the chart has it: null for what is no number."""
    return [it, *(x if x is not None and math.isfinite(x) else None for x in (train, val))]
