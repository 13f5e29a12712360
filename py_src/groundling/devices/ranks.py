"""The processes that train one run together, each on its part of every batch: one alone here, and
those that `torchrun` started in devices/torch/ranks.py.

All of them draw the same numbers and do the same in the same order; only the first, of rank 0,
writes files. What they exchange are means of gradients and losses, once a step.
"""

import os

import numpy as np

from ..engine.tensor import Tensor


def started() -> int:
    """How many processes torchrun started, of which this is one; 1 if it did not."""
    return int(os.environ.get("WORLD_SIZE", 1))


class Ranks:
    """One process, alone."""

    rank, size = 0, 1

    def share(self, offsets: np.ndarray) -> np.ndarray:
        """This process's part of a batch. ValueError if it cannot be divided."""
        return np.split(offsets, self.size)[self.rank]

    def average(self, *tensors: Tensor) -> None:
        """Replace the numbers of tensors by their means over all processes. RankLost."""

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process. All of them must call it. RankLost."""
        return flag

    def require_same(self, **facts: str) -> None:
        """ValueError, in all processes, if they do not have the same facts. RankLost."""
