"""Timestamp queries."""

from functools import cached_property

import numpy as np
import wgpu

CLOCK = "timestamp-query"  # the feature


class Clock:
    """Times one compute pass: begin it with `writes`, call `resolve` after its end, then submit."""

    def __init__(self, gpu: wgpu.GPUDevice):
        self.gpu = gpu

    @property
    def writes(self) -> dict:
        """The pass's `timestamp_writes`."""
        begin_and_end = {"beginning_of_pass_write_index": 0, "end_of_pass_write_index": 1}
        return {"query_set": self._made[0], **begin_and_end}

    def resolve(self, encoder: wgpu.GPUCommandEncoder) -> None:
        """Copy the two timestamps to a buffer that can be read."""
        queries, results = self._made
        encoder.resolve_query_set(queries, 0, 2, results, 0)

    def seconds(self) -> float:
        """The duration of the pass. Waits for it."""
        ticks = np.frombuffer(self.gpu.queue.read_buffer(self._made[1]), np.uint64)
        return float(ticks[1] - ticks[0]) * 1e-9 * _nanoseconds(self.gpu)

    @cached_property
    def _made(self) -> tuple[wgpu.GPUQuerySet, wgpu.GPUBuffer]:
        usage = wgpu.BufferUsage.QUERY_RESOLVE | wgpu.BufferUsage.COPY_SRC
        queries = self.gpu.create_query_set(type="timestamp", count=2)
        return queries, self.gpu.create_buffer(size=16, usage=usage)


def _nanoseconds(gpu: wgpu.GPUDevice) -> float:
    """The unit of timestamps, in ns: 1 in the page and on Dawn, and else what wgpu-native says."""
    try:
        from wgpu.backends.wgpu_native import lib

        period = lib.wgpuQueueGetTimestampPeriod
    except (ImportError, AttributeError):
        return 1.0
    return period(gpu.queue._internal)
