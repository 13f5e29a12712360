"""The twin: two runs side by side."""

from typing import Literal, TypedDict

from .base import Command, Report


class TwinCommand(Command):
    """Trains two runs side by side."""

    seeds: tuple[str, str]
    iters: int


class TwinFileCommand(Command):
    """Asks for the file of one of the two runs, once there is a verdict."""

    which: Literal[0, 1]


class Verdict(TypedDict):
    """How the two runs compare."""

    kind: Literal["identical", "weights", "differ"]  # "weights": they agree, the files do not
    text: str
    files: tuple[str, str]  # SHA-256
    weights: tuple[str, str]  # SHA-256
    feeds: list[list[str]]  # what each seed decides, if they are two


class TwinReport(Report):
    """How far a twin is."""

    phase: Literal["running", "done", "stopped", "failed"]
    seeds: tuple[str, str]  # those that run, whatever the fields hold by now
    iters: int
    records: list[tuple[int, float, float]]  # the new ones: iteration, and each loss in nats
    parted: int | None  # the first iteration that differs
    message: str
    verdict: Verdict | None


UntwinCommand = Command  # Stops the twin, without a verdict.
