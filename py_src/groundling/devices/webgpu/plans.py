"""How a captured plan is run: its dispatches, with an upload before and scalars copied out after.

The page has functions of its own in place of these two: see py_src/browser/plans.py. The device
finds them in this module at each call. Nothing of the library is imported here, so that no edit to
another module makes this one anew.
"""

import time
from collections.abc import Sequence
from itertools import chain

import numpy as np
import wgpu

Dispatch = tuple[wgpu.GPUComputePipeline, wgpu.GPUBindGroup, int, int, int]
"""A pipeline, its bind group 0, and the workgroups along each axis."""
Place = tuple[wgpu.GPUBuffer, int]
"""A word in a buffer, and its place there in bytes."""


def make_plan(dispatches: Sequence[Dispatch]) -> object:
    """Prepare dispatches for `run_plan`."""
    return list(dispatches)


def run_plan(
    device: wgpu.GPUDevice,
    runs: Sequence[tuple[list[Dispatch], int]],
    upload: tuple[wgpu.GPUBuffer, np.ndarray] | None,
    scalars: Sequence[Place],
    target: wgpu.GPUBuffer | None,
    at: int,
) -> float:
    """Write an array to the start of a buffer, run plans one after the other in one compute pass,
    each so many times, and copy the scalars to `target` from byte `at` on: one submit. Returns the
    seconds that Python waited until the queue had room.
    """
    if upload:
        device.queue.write_buffer(upload[0], 0, upload[1])
    encoder = device.create_command_encoder()
    work = encoder.begin_compute_pass()
    for pipeline, group, x, y, z in chain.from_iterable(plan * times for plan, times in runs):
        work.set_pipeline(pipeline)
        work.set_bind_group(0, group)
        work.dispatch_workgroups(x, y, z)
    work.end()
    for i, (buffer, offset) in enumerate(scalars):
        encoder.copy_buffer_to_buffer(buffer, offset, target, at + 4 * i, 4)
    work = encoder.finish()
    began = time.perf_counter()
    device.queue.submit([work])
    return time.perf_counter() - began
