"""Two runs side by side: one seed makes the same bytes twice, and another seed another run.

    twin = Twin(("hamlet", "hamllet"), shakespeare(), open_device())
    for a, b in twin.train():
        print(a.iter, a.train, b.train)
    print(twin.verdict())

The recipe is that of golden.json: 40 iterations, the learning rate up to 3e-4 in 10 of them, then
down to 3e-5.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..config import GPTConfig, TrainConfig
from ..data import Corpus
from ..devices.base import Device
from ..runs import checkpoint
from ..runs.records import Record
from ..runs.run import Run
from ..train import train

ITERS, WARMUP = 40, 10
FEEDS = (
    "the initial weights (stream '{seed}')",
    "which pieces of the text make the batches (a second stream '{seed}')",
    "dropout (stream '{seed}:dropout'; its rate is 0 here)",
)


@dataclass(frozen=True)
class Verdict:
    """How two runs compare. It names the seeds that ran; pairs are in their order."""

    seeds: tuple[str, str]
    iters: int
    files: tuple[str, str]  # SHA-256 of each run's `.bin`, both with one createdAt
    weights: tuple[str, str]  # SHA-256 of the weights in them
    parted: int | None  # the first iteration that differs; None when none does

    @property
    def identical(self) -> bool:
        """Whether the two `.bin` files are the same bytes."""
        return self.files[0] == self.files[1]

    def __str__(self) -> str:
        a, b = map(repr, self.seeds)
        who = f"both runs of {a}" if a == b else f"{a} and {b}"
        if self.identical:
            return f"Byte-identical: {who} made the same file in {self.iters:,} iterations."
        if self.parted is None:
            return f"Only the seeds in the files differ: {who} trained the same weights."
        if self.parted == self.iters:
            return f"Their losses agree, but {who} ended with other weights."
        return f"They differ from iter {self.parted} on: {who} are two runs."


class Twin:
    """Two runs that differ in their seeds alone. `usual`: other settings; `model`: their shape."""

    def __init__(
        self,
        seeds: tuple[str, str],
        corpus: Corpus,
        device: Device,
        iters: int = ITERS,
        usual: TrainConfig | None = None,
        model: GPTConfig | None = None,
    ):
        self.seeds, self.iters = seeds, iters
        usual = replace(usual or TrainConfig(), iters=iters, warmup=WARMUP)
        self.runs = [Run(replace(usual, seed=seed), corpus, device, model) for seed in seeds]
        for run in self.runs:
            run.sample_every = 0  # what they write is not compared
        self.parted: int | None = None
        self._compared = 0  # records of each
        self._created_at = checkpoint.now()

    def train(self) -> Iterator[tuple[Record, Record]]:
        """Train both; yields both records of each iteration. After a pause, call it again."""
        streams = [train(run) for run in self.runs]
        while streams:
            streams = [stream for stream in streams if next(stream, None)]
            for a, b in zip(*(run.log[self._compared :] for run in self.runs), strict=False):
                self._compared += 1
                if self.parted is None and a != b:
                    self.parted = a.iter
                yield a, b

    def files(self) -> tuple[bytes, bytes]:
        """Each run's `.bin` as it is now, both with one createdAt."""
        ckpts = [replace(run.checkpoint(), created_at=self._created_at) for run in self.runs]
        return tuple(checkpoint.dumps(ckpt) for ckpt in ckpts)

    def verdict(self) -> Verdict:
        """How the two compare, as far as they have come."""
        both = self.files()
        files = tuple(hashlib.sha256(data).hexdigest() for data in both)
        weights = tuple(checkpoint.digest(run.model.weights()) for run in self.runs)
        parted = self.parted
        if parted is None and weights[0] != weights[1]:
            parted = self._compared  # the last update, which no loss has shown yet
        return Verdict(self.seeds, self._compared, files, weights, parted)


def feeds(seed: str) -> list[str]:
    """What a seed decides: the three streams of random numbers that train with it."""
    return [feed.format(seed=seed) for feed in FEEDS]
