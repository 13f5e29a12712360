"""The page's doctor: it reads the run's curve as it grows, and trains cases beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from background import BackgroundView
from view import Message

import groundling.labs.curve
import groundling.labs.diagnosis
import groundling.labs.doctor
import groundling.labs.entropy
from groundling.runs.run import NonFiniteLoss

if TYPE_CHECKING:
    import messages.doctor
    from view import PageSession

    from groundling.data import Corpus
    from groundling.labs.curve import Curve
    from groundling.labs.diagnosis import Verdict
    from groundling.labs.doctor import Examination
    from groundling.runs.records import Record
    from groundling.runs.run import Run

EVERY = 1.0  # seconds between two readings of the run's curve, at least
GROWTH = 1.05  # times the records of the last reading, at least: all together cost as much as a few


class DoctorView(BackgroundView):
    """The cases, one after the other, and the diagnosis of the page's own run."""

    commands = ends = ("uncase",)
    begins = ("case",)

    def __init__(self, session: PageSession):
        super().__init__(session)
        self.name, self.iters = "", groundling.labs.doctor.ITERS  # of the case on its way
        self.exam: Examination | None = None
        self.verdicts: dict[str, Verdict] = {}  # of the cases that came to their end
        self.records: list[list] = []  # of it, that the page does not have yet
        self.run: Run | None = None  # whose curve this is
        self.curve: Curve = groundling.labs.curve.Curve()
        self.read = -math.inf, 0  # the last reading: when, and of how many records

    # ---- the run --------------------------------------------------------------------------------

    def on_records(self, records: list[Record]) -> None:
        """Add the records to the curve, and diagnose it if it is time to."""
        if self.run is not self.session.run:  # an applied edit makes another run, of the same log
            self.run, self.read = self.session.run, (-math.inf, 0)
            self.curve = groundling.labs.curve.Curve()
            records = [record for record in self.run.log if record.iter <= records[-1].iter]
        for record in records:
            self.curve.add(record)
        then, n = self.read
        if self.session.clock() - then >= EVERY and len(self.curve) >= GROWTH * n:
            self._diagnose()

    def on_phase(self, phase: str) -> None:
        """Diagnose the curve when the run rests; post the cases when there is none."""
        if phase == "ready":
            corpus = self.session.corpus
            self.post({"type": "cases", **cases(math.log(corpus.vocab_size))})
            self.post({"type": "levels", "levels": levels(corpus)})
            self.run = None
            self.post({"type": "diagnosis", "iter": 0, "verdict": None})
        elif phase in ("paused", "done") and self.run is not None:
            self._diagnose()

    def on_error(self, error: BaseException) -> None:
        """Add a loss that is not a number to the curve."""
        if isinstance(error, NonFiniteLoss) and self.run is self.session.run is not None:
            self.curve.add(error.record)
            self._diagnose()

    def _diagnose(self) -> None:
        uniform = math.log(self.session.corpus.vocab_size)
        verdict = groundling.labs.diagnosis.diagnose(self.curve, uniform)
        self.read = self.session.clock(), len(self.curve)
        at = self.curve.iter[-1] if self.curve else 0
        self.post({"type": "diagnosis", "iter": at, "verdict": told(verdict)})

    # ---- the cases ------------------------------------------------------------------------------

    def do_case(self, message: messages.doctor.CaseCommand) -> None:
        """Examine cases, one after the other."""
        self.stop()
        self.iters = message["iters"]
        self.begin(self._examine(list(message["names"])))

    do_uncase = BackgroundView.end_early

    def _examine(self, names: list[str]) -> Iterator[None]:
        for self.name in names:
            if self.name not in groundling.labs.doctor.CASES:
                raise ValueError(f"There is no case {self.name!r}.")
            case, session = groundling.labs.doctor.CASES[self.name], self.session
            make = groundling.labs.doctor.Examination
            self.exam = make(case, session.corpus, session.device, self.iters)
            self.tell("running")
            yield
            for record in self.exam.train():
                self.records.append([record.iter, record.train, record.val])
                yield
            curve = self.exam.curve
            if self.exam.ended:  # by a record that was not among those that came
                self.records.append([curve.iter[-1], curve.train[-1], curve.val[-1]])
            verdict = self.exam.verdict() if curve else None
            if verdict:
                self.verdicts[self.name] = verdict
            self.tell("done", self.exam.ended, verdict)
            self.exam = None  # and with it its memory

    def stopped(self) -> None:
        """Post the diagnosis of the curve so far."""
        curve = self.exam.curve
        self.tell("stopped", verdict=curve and self.exam.verdict())

    def let_go(self) -> None:
        """Free the case's memory."""
        self.exam, self.records = None, []

    def tell(self, phase: str, message: str = "", verdict: Verdict | None = None) -> None:
        """Post how far the case is, and its verdict."""
        records, self.records = self.records, []
        where = {"name": self.name, "phase": phase, "iters": self.iters, "records": records}
        verdict = told(verdict) if verdict else None
        self.post({"type": "case", **where, "message": message, "verdict": verdict})


def levels(corpus: Corpus) -> list[Message]:
    """The lines that a loss curve can be read against."""
    return [asdict(level) for level in groundling.labs.entropy.levels(corpus)]


def cases(uniform: float) -> Message:
    """The cases as the page shows them."""
    doctor = groundling.labs.doctor
    return {
        "cases": [
            {
                "name": case.name,
                "title": case.title,
                "wrong": case.wrong,
                "expected": groundling.labs.diagnosis.TITLES[case.expected],
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
    return asdict(verdict) | {"title": verdict.title, "healthy": verdict.healthy}
