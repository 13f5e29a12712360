"""The speed of a step on the reader's device."""

from typing import Literal, TypedDict

from .base import Command, Report


class SpeedCommand(Command):
    """Measures a step on the reader's device, and where its time goes."""

    batchSize: int


class Figures(TypedDict):
    """How long a step takes; seconds and bytes, as groundling/labs/bench.py measures them."""

    device: str
    model: str
    batch_size: int
    step: float
    spread: tuple[float, float]
    host: float
    floor: float | None  # a step with the same dispatches and no work; null on NumPy
    tiles: str  # the forms of matrix products and of attention, and why; empty on NumPy
    first: float
    dispatches: float  # per step, and so are the next four
    submits: float
    bind_groups: float
    waits: float  # how often Python waits for the device, for losses of earlier steps
    uploaded: float
    memory: int
    cores: int  # of the CPU, that a step is done on
    gain: float  # how many times as fast two are; 0 where that was not tried
    tokens_per_second: float
    flops: float
    best_flops: float  # the most operations per second that the device reaches
    best_bytes: float  # the most bytes per second


class LineCost(TypedDict):
    """What a line of Python costs in a step."""

    line: str
    text: list[str]
    seconds: float
    kernels: dict[str, int]  # how often each kernel runs for it


class SpeedReport(Report):
    """How far the measurement is."""

    phase: Literal["running", "stopped", "failed", "done"]
    figures: Figures | None
    lines: list[LineCost]
    message: str
    done: int  # kernels that have been timed


UnspeedCommand = Command  # Stops that.
