"""The inspector: what is in a file of weights or state."""

from typing import Literal, TypedDict

from .base import Command, Report

Slot = Literal["a", "b"]
"""Two files can be open in the inspector."""


class InspectCommand(Command):
    """Opens a file."""

    slot: Slot
    name: str
    bytes: bytes


class InspectRunCommand(Command):
    """Opens the weights of the run."""

    slot: Slot


class LookCommand(Command):
    """Asks for a page of 512 bytes."""

    slot: Slot
    page: int


class CloseCommand(Command):
    """Closes a file."""

    slot: Slot


class Part(TypedDict):
    """A tensor in a file."""

    name: str
    group: Literal["embedding", "attention", "mlp", "norm"]
    shape: list[int]
    byte: int  # where it begins
    floats: int
    mean: float
    std: float
    min: float
    max: float
    histogram: list[int]


class SizeRow(TypedDict):
    """A kind of parameters, and how many there are."""

    what: str
    count: int


class Explained(TypedDict):
    """Why a file is as large as it is."""

    rows: list[SizeRow]
    total: int
    note: str
    sum: str


class Inspected(TypedDict):
    """A file that is open."""

    name: str
    kind: Literal["weights", "state"]
    seed: str
    iter: int
    valLoss: float | None
    header: str
    size: int  # bytes
    start: int  # the byte of the first float
    end: int  # the byte after the last: a vocabulary follows, or nothing
    explained: Explained
    parts: list[Part]


class InspectedReport(Report, Inspected):
    """A file was opened."""

    slot: Slot


class UninspectedReport(Report):
    """A file was not opened."""

    slot: Slot
    name: str
    message: str


class ClosedReport(Report):
    """A file was closed."""

    slot: Slot


class PageOfBytes(TypedDict):
    """512 bytes of a file."""

    page: int
    at: int  # the first byte
    hex: str
    cells: list[str | float]  # what every four bytes say


class BytesReport(Report, PageOfBytes):
    """A page of a file."""

    slot: Slot


class Difference(TypedDict):
    """How two tensors differ."""

    name: str
    count: int  # numbers whose bits differ
    floats: int
    largest: float  # |a - b|
    rms: float  # of a - b


class ComparedReport(Report):
    """How the two open files differ."""

    text: str
    rows: list[Difference]
