"""The loss-curve doctor: six runs, five with one thing wrong each, to be diagnosed.

Natively:     groundling doctor LOG            (what `groundling train --log` or the page writes)
              groundling doctor --case overfit
In the page:  the Doctor tab, which also reads the main run's curve as it grows
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..config import TrainConfig
from ..data import Corpus
from ..devices.base import Device
from ..runs.records import Record
from ..runs.run import NonFiniteLoss, Run
from ..train import train
from .curve import Curve
from .diagnosis import Verdict, diagnose

ITERS = 160  # a case's; all six were seen to show what they should from FEWEST on
FEWEST, MOST = 60, 1000
BATCH = 8
SEED = "hamlet"
TINY = 130  # characters that the overfitting case trains on: two contexts, and two characters

Shape = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Case:
    """A run of the default model with at most one fault. `expected` is its diagnosis. The shapes
    are points of the curve it should have: (share of the run, multiple of the first loss).
    """

    name: str
    title: str
    wrong: str
    lr: float
    expected: str
    train_shape: Shape
    val_shape: Shape = ()  # the same as train_shape
    warm: bool = True
    text: int | None = None  # characters to train on; None: all

    def config(self, iters: int = ITERS) -> TrainConfig:
        """Its settings: a warm-up of three sixteenths, then a cosine to a tenth of the peak."""
        if not FEWEST <= iters <= MOST:
            raise ValueError(f"A case has {FEWEST} to {MOST:,} iterations, not {iters:,}.")
        return TrainConfig(
            seed=SEED,
            iters=iters,
            batch_size=BATCH,
            lr=self.lr,
            min_lr=self.lr / 10,
            warmup=3 * iters // 16 if self.warm else 0,
            eval_interval=iters // 16,
            eval_batches=2,
        )

    def corpus(self, corpus: Corpus) -> Corpus:
        """The text that it trains on. The validation text is the same for all cases."""
        if self.text is None:
            return corpus
        tiny = copy.copy(corpus)
        tiny.train = corpus.train[: self.text]
        return tiny

    def shape(self, uniform: float, points: int = 81) -> list[tuple[float, float, float]]:
        """The expected curve: (share of the run, training loss, validation loss), in nats."""
        shares = np.linspace(0, 1, points)
        curves = [
            uniform
            * np.exp(np.interp(shares, [at for at, _ in shape], np.log([y for _, y in shape])))
            for shape in (self.train_shape, self.val_shape or self.train_shape)
        ]
        return [tuple(map(float, row)) for row in zip(shares, *curves, strict=True)]


FALL = ((0, 1), (0.06, 0.91), (0.15, 0.79), (0.25, 0.72), (0.4, 0.67), (0.6, 0.64), (1, 0.6))
CLIMB = ((0, 1), (0.02, 2), (0.06, 6), (0.22, 14), (0.5, 7), (0.75, 3.5), (0.9, 1.4), (1, 0.87))
BLAST = ((0, 1), (0.02, 7), (0.06, 30), (0.25, 60), (0.5, 25), (0.8, 10), (1, 4))
FLAT = ((0, 1), (1, 1))
HUMP = ((0, 1), (0.012, 1.35), (0.035, 1.3), (0.06, 0.95), (0.1, 0.87), (0.25, 0.81), (1, 0.77))
LEARNT = ((0, 1), (0.06, 0.84), (0.16, 0.48), (0.28, 0.23), (0.45, 0.09), (0.7, 0.035), (1, 0.018))
TURNED = ((0, 1), (0.06, 0.87), (0.16, 0.81), (0.3, 0.95), (0.45, 1.15), (0.7, 1.32), (1, 1.42))

CASES = {
    case.name: case
    for case in (
        Case("clean", "Clean", "Nothing is wrong: a healthy run.", 3e-3, "clean", FALL),
        Case(
            "high",
            "Rate too high",
            "The peak learning rate is 3, a thousand times that of the clean case.",
            3.0,
            "divergence",
            CLIMB,
        ),
        Case(
            "catastrophe",
            "Catastrophe",
            "The peak learning rate is 10.",
            10.0,
            "divergence",
            BLAST,
        ),
        Case(
            "dead",
            "Rate too low",
            "The peak learning rate is 0.000000001.",
            1e-9,
            "dead",
            FLAT,
        ),
        Case(
            "overfit",
            "Tiny text",
            f"It trains on {TINY} characters, again and again.",
            3e-3,
            "fork",
            LEARNT,
            TURNED,
            text=TINY,
        ),
        # At 0.03 one seed of three did not rise above its start in batches of 8; at 0.1 each did,
        # for 4 to 6 iterations, and with the warm-up none did.
        Case(
            "warmup",
            "No warm-up",
            "The rate is 0.1 from the first iteration on. With a warm-up to it, no loss jumps.",
            0.1,
            "spike",
            HUMP,
            warm=False,
        ),
    )
}


class Examination:
    """A case's run, and its curve so far. `ended` is why it stopped early, or ""."""

    def __init__(self, case: Case, corpus: Corpus, device: Device, iters: int = ITERS):
        self.case, self.curve, self.ended = case, Curve(), ""
        self.uniform = math.log(corpus.vocab_size)
        self.run = Run(case.config(iters), case.corpus(corpus), device)
        self.run.sample_every = 0  # its losses are what is looked at

    def train(self) -> Iterator[Record]:
        """Train it; yields the records as they come, and one that is no number is the last."""
        try:
            for record in train(self.run):
                self.curve.add(record)
                yield record
                if record.val is not None and not math.isfinite(record.val):
                    raise NonFiniteLoss(record)
        except NonFiniteLoss as error:
            self.curve.add(error.record)
            self.ended = str(error)

    def verdict(self) -> Verdict:
        """The diagnosis of its curve so far. Its advice is for the page's own run."""
        verdict = diagnose(self.curve, self.uniform)
        if verdict.kind != "fork":
            return verdict
        change = f"Give it more to read: the page's run trains on the whole text. {verdict.change}"
        fix = {"iters": TrainConfig.iters, "lr": TrainConfig.lr}
        return replace(verdict, change=change, fix=fix)
