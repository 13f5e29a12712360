"""Scalars on their way back from a GPU."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np
import wgpu

from ...engine.tensor import Tensor


class Ring:
    """Scalars that are read back asynchronously. At the end of each step they are copied into a
    buffer for a window of steps (about 50 ms), which is mapped while the GPU works on the next. One
    window is waited for at a time, so that Python is at most two windows ahead.
    """

    SECONDS = 0.05
    MOST = 64  # steps in a window

    def __init__(
        self,
        gpu: wgpu.GPUDevice,
        copy_scalars: Callable[[Sequence[Tensor], wgpu.GPUBuffer, int], None],
        submit: Callable[[], None],
        waiting: Callable[[int], AbstractContextManager],
    ):
        self._gpu, self._waiting = gpu, waiting
        self._copy_scalars, self._submit = copy_scalars, submit
        self._window = 1
        self._free: list[wgpu.GPUBuffer] = []
        self._in_flight: deque = deque()
        self._tags: list = []
        self._width = 0
        self._buffer = None
        self._last = None
        self.arrived: deque[tuple] = deque()  # (tag, number, ...) of each step that has come back

    def push(self, tag, *scalars: Tensor) -> None:
        """End a step: send it, with a copy of its scalars."""
        if not self._tags:
            self._width = len(scalars)
            usage = wgpu.BufferUsage.MAP_READ | wgpu.BufferUsage.COPY_DST
            size = 4 * self.MOST * self._width
            self._buffer = (
                self._free.pop() if self._free else self._gpu.create_buffer(size=size, usage=usage)
            )
        self._copy_scalars(scalars, self._buffer, len(self._tags) * self._width)
        self._tags.append(tag)
        self._submit()
        if len(self._tags) >= self._window:
            self._send()
        if len(self._in_flight) > 1:
            self._receive()

    def drain(self) -> None:
        """Wait for all that is still on its way."""
        if self._tags:
            self._send()
        while self._in_flight:
            self._receive()
        self._last = None  # what comes next is not timed from here

    def _send(self) -> None:
        with self._waiting(0):  # the page only asks; natively that takes time
            promise = self._buffer.map_async("READ")
        self._in_flight.append((self._tags, self._width, self._buffer, promise))
        self._tags = []

    def _receive(self) -> None:
        tags, width, buffer, promise = self._in_flight.popleft()
        with self._waiting(1):
            promise.sync_wait()
        numbers = np.frombuffer(buffer.read_mapped(), np.float32)[: len(tags) * width]
        numbers = numbers.reshape(-1, width)
        self.arrived += [(tag, *row) for tag, row in zip(tags, numbers.tolist(), strict=True)]
        buffer.unmap()
        self._free.append(buffer)
        now = time.perf_counter()
        if self._last:
            seconds = max((now - self._last) / len(tags), 1e-6)
            self._window = max(1, min(self.MOST, int(self.SECONDS / seconds)))
        self._last = now
