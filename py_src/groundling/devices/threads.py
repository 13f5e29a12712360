"""A second thread, for work in pieces that do not need each other.

NumPy lets another thread run while it computes, so two do nearly twice as much on two cores: a
training step at batch 32 takes two thirds of the time, or less. Between two operations each needs
Python's one interpreter, and waits for the other there: at 64 thousand numbers an operation two
threads lost two fifths by that, at 128 thousand a tenth. So there are two, and the pieces large.

The helper waits for work without taking a core from anyone, unlike the threads of a BLAS, and where
it comes late, on a busy machine, it finds that the caller has done all.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import copy_context
from functools import cache
from queue import SimpleQueue
from threading import Lock, Thread


class Helper:
    """A thread that helps those who call `share`."""

    def __init__(self):
        self.jobs: SimpleQueue[_Job] = SimpleQueue()
        Thread(target=_work, args=(self.jobs,), daemon=True).start()  # no end of Python's waits

    def share(self, pieces: list[Callable]) -> None:
        """Call each piece once: this thread from the first on, the helper from the last back. An
        error in one is raised here, and then no other is begun any more.
        """
        job = _Job(pieces)
        try:
            self.jobs.put(job)
            job.do(job.pieces.popleft)
        finally:
            job.pieces.clear()
            with job.at_work:  # a helper that has not begun by now finds nothing to do
                pass
        if job.error:
            raise job.error


class _Job:
    def __init__(self, pieces: list[Callable]):
        self.pieces, self.context = deque(pieces), copy_context()  # which has np.errstate
        self.at_work, self.error = Lock(), None

    def do(self, take: Callable) -> None:
        for piece in _each(take):
            piece()

    def help(self) -> None:
        with self.at_work:
            try:
                self.context.run(self.do, self.pieces.pop)
            except BaseException as error:
                self.error = error
                self.pieces.clear()


def _each(take: Callable) -> Iterator[Callable]:
    """What there is to take, until nothing is left."""
    try:
        while True:
            yield take()
    except IndexError:
        pass


def _work(jobs: SimpleQueue) -> None:
    while True:
        jobs.get().help()


def share(pieces: list[Callable]) -> None:
    """Call each piece once, with this process's helper where there is a core for it."""
    if helper := _helper(os.getpid()):  # a fork has none of the threads that it comes from
        helper.share(pieces)
    else:
        for piece in pieces:
            piece()


@cache
def _helper(process: int) -> Helper | None:
    return Helper() if _cores() > 1 else None


def _cores() -> int:
    """How many this process may use."""
    if sys.platform == "emscripten":
        return 1  # and there are no threads
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
