"""The two halves of a plan on one core, or on two where that is faster.

A second core has a memory of its own: it is sent the numbers that its half needs, has them at the
same addresses, makes the same calls, and sends back what is used later. Until that has come whole
nothing of it is used, so where it does not come in time, the half is done here, and the bytes are
the same. A core that is late is left alone until it has answered, and that answer is not used.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ...engine.plan import Plan
from .halves import Halves

WORTH_IT = 0.005  # seconds of both halves on one core
GAIN = 1.1  # how many times as fast two cores must be
PATIENCE = 5.0  # seconds that the second core may take at least, which may have to start
AGAIN = 64  # steps, after which the slower way is tried again


class SecondCore(Protocol):
    """A second core."""

    def job(self, calls: list[list], needs: list[int], leaves: list[int]) -> Any:
        """Calls of kernels, each a name and its arguments, and the addresses at which the ranges
        begin and end that they need and that they leave.
        """

    def is_free(self) -> bool:
        """Whether it can be waited for here, and has nothing to do: no answer of it is late, and it
        has not died.
        """

    def begin(self, job: Any) -> bool:
        """Send a job with the numbers that it needs. False if the core has to start first, so that
        the time of this one does not count.
        """

    def wait(self, most: float) -> bool:
        """Wait so many seconds at most for what it leaves; True if that is in memory now."""


class Trial:
    """Which way is faster for some halves, on one core or on two: by the steps themselves, of which
    one or two are done the other way now and then, as the machine may get busy or free.
    """

    def __init__(self):
        self.steps = 0
        self.seconds: dict[int, deque[float]] = {1: deque(maxlen=3), 2: deque(maxlen=3)}

    def gain(self) -> float:
        """How many times as fast two cores are; 0 if that is not known yet."""
        one, two = (min(self.seconds[cores], default=0.0) for cores in (1, 2))
        return one / two if two else 0.0

    def best(self) -> int:
        """How many cores are faster."""
        return 2 if self.gain() > GAIN else 1

    def cores(self) -> int:
        """How many to take for the next step."""
        one, two = self.seconds[1], self.seconds[2]
        self.steps += 1
        if not one or min(one) < WORTH_IT:
            return 1
        if not two:
            return 2
        best = self.best()
        is_turn = self.steps in (4, 8) or self.steps % AGAIN < 3 - best
        return 3 - best if is_turn else best


class Pair:
    """The halves of a plan, and how they are run."""

    def __init__(self, halves: Halves, trial: Trial, job: Any):
        self.halves, self.trial, self.job = halves, trial, job  # the second core's, or None

    def run(self, plan: Plan, second: SecondCore | None) -> None:
        """Run a plan once."""
        at, calls = self.halves, plan.prepared
        _call(calls[: at.first])
        began = time.perf_counter()
        cores = self.trial.cores() if self.job and second and second.is_free() else 1
        counts = cores == 1 or second.begin(self.job)
        _call(calls[at.first : at.second])
        most = max(PATIENCE, 10 * (time.perf_counter() - began))
        done = cores == 2 and second.wait(most)
        if not done:
            _call(calls[at.second : at.end])
        if counts:
            self.trial.seconds[cores].append(time.perf_counter() - began)
        _call(calls[at.end :])


def _call(calls: Iterable[Callable]) -> None:
    for call in calls:
        call()
