"""The shelf: runs that are kept in the browser, each as a state file and what is shown of it."""

from typing import TypedDict

from .base import Command, Edit, Files, Report


class ShelfMark(TypedDict):
    """How Python knows that a run goes on from one that is kept."""

    id: str
    seed: str
    iter: int
    iters: int
    loss: float  # the running average at its last iteration, which depends on every loss before


class ShelfCommand(Command):
    """Tells which runs are kept."""

    runs: list[ShelfMark]


class ShelveCommand(Command):
    """Reads a state file that is to be kept."""

    name: str
    bytes: bytes


class ReportCommand(Command):
    """Asks for a report of a run that is kept: one HTML file."""

    name: str
    bytes: bytes  # its state
    files: Files  # its edits
    page: str  # the address of this page


class ShelfSample(TypedDict):
    """What a run wrote at an iteration."""

    iter: int
    text: str


class ShelfRun(TypedDict):
    """What is shown of a run that is kept."""

    id: str  # 16 hexadecimal digits
    name: str
    seed: str
    iter: int
    iters: int
    loss: float  # as in ShelfMark
    valLoss: float | None
    best: tuple[int, float] | None  # the iteration of the lowest validation loss, and that
    createdAt: str
    settings: list[tuple[str, str]]
    curve: list[tuple[int, float]]  # the running average by iteration, thinned
    validation: list[tuple[int, float]]
    samples: list[ShelfSample]  # the last ones
    files: Files  # the edits that it is trained with
    changes: list[Edit]  # of the code, while it trained


class ShelvedReport(Report):
    """A run to be kept, whose state file is the pieces before; or why it cannot be."""

    run: ShelfRun | None
    problem: str


class ShelvedBestReport(Report):
    """The weights of a kept run's lowest validation loss, whose file is the pieces before."""

    id: str
    iter: int
