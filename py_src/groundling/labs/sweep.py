"""A sweep: one setting, several values, and a run of each, one after the other.

sweep = Sweep(Setup(), "lr", read_values("lr", "1e-3,3e-3"), shakespeare(), open_device())
for result, record in sweep.train(): ...
print(sweep.table())
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ..config import TRAIN_FIELDS, TrainConfig, with_peak
from ..data import Corpus
from ..devices.base import Device
from ..runs.configfile import Setup
from ..runs.records import Log, Record
from ..runs.run import NonFiniteLoss, Run, begin
from ..train import train
from . import chart, compare
from .compare import Points, cell

SWEPT = {field.name: field for field in TRAIN_FIELDS}
MAX_VALUES = 20


@dataclass
class Result:
    """A run of a sweep: its value, and what came of it once it has ended."""

    value: float
    log: Log
    val_loss: float | None = None  # of the last evaluation
    problem: str = ""  # why it ended early

    @property
    def train_loss(self) -> float | None:
        """The running average of the training loss."""
        return self.log[-1].smooth if len(self.log) else None

    @property
    def final(self) -> float:
        """The loss that values are compared by; NaN for a run that ended early."""
        return math.nan if self.problem or self.val_loss is None else self.val_loss


def read_values(name: str, text: str) -> list[float]:
    """The values in a text, separated by commas. ValueError names what is wrong."""
    values, whole = [], isinstance(SWEPT[name].limits[0], int)
    for part in text.split(","):
        try:
            number = int(part) if whole else float(part)
        except ValueError:
            kind = "a whole number" if whole else "a number"
            raise ValueError(f"{name} is {part.strip()!r:.40}; it must be {kind}.") from None
        values.append(SWEPT[name].read(number))
    if len(values) > MAX_VALUES:
        raise ValueError(f"{name} has {len(values)} values; a sweep has {MAX_VALUES} at most.")
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{name} has the value {value:g} twice.")
    return values


def with_value(config: TrainConfig, name: str, value: float) -> TrainConfig:
    """The settings with another value of one. ValueError if they do not go together."""
    return with_peak(config, value) if name == "lr" else replace(config, **{name: value})


class Sweep:
    """Runs that differ in one setting alone. ValueError, before anything is trained, for a value
    that the other settings do not go with.
    """

    def __init__(
        self, setup: Setup, name: str, values: list[float], corpus: Corpus, device: Device
    ):
        self.name, self.corpus, self.device = name, corpus, device
        self.setups = [
            replace(setup, train=with_value(setup.train, name, value)) for value in values
        ]
        self.results: list[Result] = []
        self.values = values
        self.run: Run | None = None  # the one that trains

    def train(
        self, ended: Callable[[Result, Run], None] = lambda result, run: None
    ) -> Iterator[tuple[Result, Record]]:
        """Train all; yields each record with the result that it belongs to. A run whose loss is no
        number ends, and the next one begins. Ends early where `run` is paused. `ended` is called
        with each run that was not.
        """
        for value, setup in zip(self.values, self.setups, strict=True):
            self.run = run = begin(setup, self.corpus, self.device)
            run.sample_every = 0  # what they write is not compared
            result = Result(value, run.log)
            self.results.append(result)
            try:
                for record in train(run):
                    yield result, record
            except NonFiniteLoss as error:
                result.problem = f"diverged at iter {error.record.iter}"
            result.val_loss = run.val_loss
            if run.pausing:
                if run.iter < run.config.iters:
                    result.problem = f"stopped at iter {run.iter}"
                return
            if not result.problem and not math.isfinite(result.final):
                result.problem = "diverged"
            ended(result, run)
        self.run = None

    @property
    def best(self) -> Result | None:
        """The result with the lowest final loss."""
        ended = [result for result in self.results if math.isfinite(result.final)]
        return min(ended, key=lambda result: result.final, default=None)

    def points(self) -> Points:
        """The final loss by value, in the order of the values."""
        found = [(result.value, result.final) for result in self.results]
        return sorted(point for point in found if math.isfinite(point[1]))

    def table(self) -> str:
        """The results as text; the best one is marked."""
        lines = [f"{self.name:>14}{'train':>10}{'validation':>12}{'lowest':>10}{'at iter':>9}"]
        for result in self.results:
            lowest = compare.best(result.log)
            cells = cell(result.train_loss, 10), cell(result.val_loss, 12)
            least = f"{lowest[1]:>10.4f}{lowest[0]:>9,}" if lowest else " " * 19
            mark = "  " + (result.problem or "best" * (result is self.best))
            lines.append(f"{result.value:>14g}{''.join(cells)}{least}{mark}".rstrip())
        return "\n".join(lines)

    def plot(self) -> str:
        """The final loss by value, as SVG."""
        return plot(self.name, self.points())


def plot(name: str, points: Points) -> str:
    """Final losses by the value of a setting, as SVG; logarithmic where values are far apart."""
    values = [value for value, _ in points]
    far = bool(values) and values[0] > 0 and values[-1] >= 10 * values[0]
    lines = {"final validation loss": points}
    return chart.svg(lines, name, "loss, nats", log=far, dots=True)
