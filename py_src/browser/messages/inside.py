"""A look inside a model."""

from typing import TypedDict

from .base import Command, Report, VoiceName


class LensCommand(Command):
    """Looks into a model as it reads a prompt; if it is the run, again and again as it trains."""

    source: VoiceName
    prompt: str


Guess = tuple[str, float]
"""A character and its probability."""


class Look(TypedDict):
    """What n characters do in a model."""

    source: VoiceName
    iter: int | None  # of the run
    text: list[str]
    layers: int
    heads: int
    guesses: list[list[list[Guess]]]
    """For every layer, before the first and after each, and every position: the likeliest next."""
    bytes: bytes  # uint16, in 65,535ths: attention weights, (layers, heads, n, n)


class LensReport(Report, Look):
    """A look into a model."""


class Health(TypedDict):
    """How a part of a model fares."""

    name: str
    size: int
    mean: float | None
    rms: float | None
    norm: float | None
    gradient: float | None
    update: float | None  # as a share of the norm of its weights


class LayersReport(Report):
    """The parts of the model that was looked into."""

    source: VoiceName
    iter: int | None
    rows: list[Health]


class UnlensReport(Report):
    """Why there is nothing to see."""

    source: VoiceName
    message: str


UnlensCommand = Command  # The reader looks no more.
