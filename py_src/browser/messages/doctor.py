"""The doctor: diagnoses of loss curves, and its cases."""

from typing import Literal, TypedDict

from groundling.labs.entropy import Level

from .base import Command, Report


class CaseCommand(Command):
    """Examines cases, one after the other, while no run trains."""

    names: list[str]
    iters: int


class Fix(TypedDict, total=False):
    """Settings that a diagnosis would change."""

    lr: float
    iters: int
    warmup: int


class Diagnosis(TypedDict):
    """What a loss curve shows."""

    kind: Literal["early", "clean", "fork", "plateau", "divergence", "dead", "slow", "spike"]
    title: str
    says: str
    evidence: list[tuple[str, str]]  # what was measured, and the result
    change: str
    fix: Fix
    at: int | None  # the iteration where it shows
    healthy: bool


class Case(TypedDict):
    """One of the doctor's runs."""

    name: str
    title: str
    wrong: str
    expected: str  # the diagnosis that it should get
    shape: list[tuple[float, float, float]]
    """The curve that it should have: share of the run, training loss, validation loss."""


class CasesReport(Report):
    """All cases, and how many iterations they may have."""

    cases: list[Case]
    iters: int
    fewest: int
    most: int


class CaseReport(Report):
    """How far a case is."""

    name: str
    phase: Literal["running", "done", "stopped", "failed"]
    iters: int
    records: list[tuple[int, float | None, float | None]]
    """The new ones: iteration, training loss, validation loss; null if not finite."""
    message: str
    verdict: Diagnosis | None


class DiagnosisReport(Report):
    """What the page's own run shows so far."""

    iter: int
    verdict: Diagnosis | None


class LevelsReport(Report):
    """The lines on the loss curve."""

    levels: list[Level]


UncaseCommand = Command  # Stops the case in progress, and those after it.
