"""The sweep: runs that differ in one setting, one after the other."""

from typing import Literal, TypedDict

from .base import Command, Report, Settings


class SweepCommand(Command, Settings):
    """Trains a run of each value of a setting, beside the page's own. `iters` is each run's."""

    key: str  # of the setting, in a config file
    values: str  # separated by commas
    keep: bool  # each run on the shelf


class SweepResult(TypedDict):
    """A run of the sweep, as far as it is."""

    value: float
    iter: int
    trainLoss: float | None  # the running average
    valLoss: float | None  # once it has ended
    problem: str  # why it ended early, or empty


class SweepReport(Report):
    """How far a sweep is."""

    phase: Literal["running", "done", "stopped", "failed"]
    key: str
    values: list[float]
    iters: int
    message: str
    results: list[SweepResult]  # of those that have begun
    points: list[tuple[float, float]]  # the final losses by value, in order
    best: float | None  # the value with the lowest


UnsweepCommand = Command  # Stops the sweep.
