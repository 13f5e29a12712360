"""One training step, taken apart."""

from typing import TypedDict

from groundling.labs.stages import Choice, Place, Table  # noqa: F401, as a stage has them
from groundling.labs.stages import Stage as StepStage

from .base import Command, Report, VoiceName


class StepCommand(Command):
    """Takes the next step of a model apart, and tells of what was chosen."""

    source: VoiceName
    chosen: Choice


class Sized(TypedDict):
    """A parameter of the model."""

    name: str
    rows: int
    columns: int


class Apart(TypedDict):
    """A step and its stages."""

    about: str  # whose step it is
    text: list[str]  # the sequences of the batch, a character a token
    targets: list[str]  # the same, one further on
    nats: list[list[float]]  # the surprise of each target
    chosen: Choice
    tensors: list[Sized]
    stages: list[StepStage]


class StepReport(Report):
    """A step that was taken apart, or why it cannot be."""

    source: VoiceName
    iter: int | None  # of the run
    problem: str
    apart: Apart | None
