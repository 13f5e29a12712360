"""What is in a weights file or a state file: its parts, their places in bytes and their numbers."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..config import GPTConfig
from ..engine.parameters import by_name
from ..model import parameter_shapes
from . import checkpoint, statefile
from .checkpoint import HEADER_BYTES, Checkpoint


@dataclass(frozen=True)
class Part:
    """A tensor in a file. A state has three of each parameter: `wte`, `m.wte`, `v.wte`."""

    name: str
    shape: tuple[int, ...]
    at: int  # the first of its floats, counted from the weights' first
    byte: int  # where it begins in the file
    numbers: np.ndarray  # float32 (floats,)

    @cached_property
    def statistics(self) -> tuple[float, float, float, float]:
        """Mean, standard deviation, least and greatest, in float64."""
        x = self.numbers.astype(np.float64)
        return tuple(float(f(x)) for f in (np.mean, np.std, np.min, np.max))

    def histogram(self, bins: int = 32) -> np.ndarray:
        """How many numbers fall in each of `bins` equal steps from the least to the greatest."""
        return np.histogram(self.numbers.astype(np.float64), bins)[0]


class Contents:
    """A file that has been read. CheckpointError for what is neither weights nor a state."""

    def __init__(self, data: bytes):
        self.data = data
        self.saved = statefile.loads(data) if statefile.is_state(data) else None
        self.ckpt: Checkpoint = (
            statefile.weights_of(self.saved) if self.saved else checkpoint.loads(data)
        )
        self.header = bytes(data[:HEADER_BYTES]).decode("ascii").rstrip()
        moments = {"": self.ckpt.weights}
        if self.saved:
            moments |= {"m.": self.saved.state.m, "v.": self.saved.state.v}
        self.floats = sum(numbers.size for numbers in moments.values())
        after = 0 if self.saved else checkpoint.trailer_bytes(self.ckpt)
        self.end = len(data) - after  # of the floats; after it may come the vocabulary
        self.start = self.end - 4 * self.floats  # the byte of the first float
        self.parts: list[Part] = []
        at, shapes = 0, parameter_shapes(self.ckpt.config)
        for prefix, numbers in moments.items():
            for name, part in by_name(numbers, shapes).items():
                place = at, self.start + 4 * at
                self.parts.append(Part(prefix + name, part.shape, *place, part.reshape(-1)))
                at += part.size


def size(config: GPTConfig) -> list[tuple[str, int]]:
    """How many parameters of each kind a model has."""
    V, T, C, F = config.vocab_size, config.block_size, config.n_embd, config.d_ff
    L = config.n_layer
    return [
        (f"{V} characters x {C}, which read and write", V * C),
        (f"{T} positions x {C}", T * C),
        (f"{L} blocks x Q, K, V and output: 4 x {C} x {C}", L * 4 * C * C),
        (f"{L} blocks x MLP, there and back: 2 x {C} x {F}", L * 2 * C * F),
        (f"{L} blocks x two LayerNorms: 4 x {C}", L * 4 * C),
        (f"the last LayerNorm: 2 x {C}", 2 * C),
    ]


@dataclass(frozen=True)
class Difference:
    """How two tensors of one name and shape differ."""

    name: str
    shape: tuple[int, ...]
    count: int  # floats whose bits differ
    largest: float  # of |a - b|
    rms: float  # the root of the mean of its squares


def compare(a: Contents, b: Contents) -> list[Difference]:
    """Compare tensor by tensor, with moments if both have them. ValueError for other shapes."""
    if parameter_shapes(a.ckpt.config) != parameter_shapes(b.ckpt.config):
        raise ValueError(
            "The files hold models of different shapes, which cannot be compared tensor by tensor: "
            f"{a.ckpt.config} and {b.ckpt.config}."
        )
    differences = []
    for one, two in zip(a.parts, b.parts, strict=False):
        apart = np.abs(one.numbers.astype(np.float64) - two.numbers)
        count = int((one.numbers.view(np.uint32) != two.numbers.view(np.uint32)).sum())
        rms = math.sqrt(float(np.mean(apart**2)))
        differences.append(Difference(one.name, one.shape, count, float(apart.max()), rms))
    return differences
