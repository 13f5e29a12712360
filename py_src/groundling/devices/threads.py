"""A worker thread for the NumPy device: work in independent pieces is done by two threads.

NumPy releases Python's lock while it computes, so a training step at batch 32 takes two thirds of
the time, or less, on two cores. Between two operations each thread waits for the lock: at 64
thousand numbers an operation two threads lost two fifths by that, at 128 thousand a tenth. So there
are only two, and the pieces are large. The worker takes no core while it waits for work; on a busy
machine, where it may wake late, the caller does all of the pieces.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import copy_context
from functools import cache
from queue import SimpleQueue
from threading import Lock, Thread


class Worker:
    """A thread that does pieces of work for the callers of `share`."""

    def __init__(self):
        self.jobs: SimpleQueue[_Job] = SimpleQueue()
        Thread(target=_work, args=(self.jobs,), daemon=True).start()  # no end of Python's waits

    def share(self, pieces: list[Callable]) -> None:
        """Call each piece once: this thread from the first on, the worker from the last back. An
        error in a piece is raised here, and no other piece is begun after it.
        """
        job = _Job(pieces)
        try:
            self.jobs.put(job)
            job.do(job.pieces.popleft)
        finally:
            job.pieces.clear()
            with job.at_work:  # a worker that has not begun by now finds nothing to do
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

    def assist(self) -> None:
        with self.at_work:
            try:
                self.context.run(self.do, self.pieces.pop)
            except BaseException as error:
                self.error = error
                self.pieces.clear()


def _each(take: Callable) -> Iterator[Callable]:
    """What `take` returns, until it raises IndexError."""
    try:
        while True:
            yield take()
    except IndexError:
        pass


def _work(jobs: SimpleQueue) -> None:
    while True:
        jobs.get().assist()


def share(pieces: list[Callable]) -> None:
    """Call each piece once, on two threads if this process has a second core."""
    if worker := _worker(os.getpid()):  # a fork has none of its parent's threads
        worker.share(pieces)
    else:
        for piece in pieces:
            piece()


@cache
def _worker(process: int) -> Worker | None:
    return Worker() if _cores() > 1 else None


def _cores() -> int:
    """The number of cores that this process may use."""
    if sys.platform == "emscripten":
        return 1  # and there are no threads
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
