"""A plan: many dispatches that are sent by a single call into JavaScript. Not in wgpu-py."""

from collections.abc import Sequence
from typing import Any

from groundling_js import dropPlan, makePlan, runPlan  # site/src/plan.ts, by the worker
from pyodide.ffi import create_proxy, to_js

from .base import GPUBindGroup
from .buffer import GPUBuffer
from .device import GPUComputePipeline, GPUDevice

__all__ = ["make_plan", "run_plan"]

Dispatch = tuple[GPUComputePipeline, GPUBindGroup, int, int, int]
Place = tuple[GPUBuffer, int]  # a word's: its buffer, and where in it, in bytes


class Plan:
    """Dispatches that are in JavaScript already, and what goes in and out with them."""

    def __init__(self, calls: list[tuple]):
        self.internal = makePlan(to_js(calls))
        self.array: Any = None  # that is uploaded
        self.bytes: Any = None  # the same, for JavaScript
        self.scalars: Sequence[Place] = ()
        self.places = to_js([])  # the same, for JavaScript

    def __del__(self):
        dropPlan(self.internal)
        if self.bytes:
            self.bytes.destroy()


def make_plan(dispatches: Sequence[Dispatch]) -> Plan:
    """Prepare (pipeline, bind group 0, x, y, z) dispatches for `run_plan`."""
    return Plan([(p._internal, group._internal, x, y, z) for p, group, x, y, z in dispatches])


def run_plan(
    device: GPUDevice,
    runs: Sequence[tuple[Plan, int]],
    upload: tuple[GPUBuffer, Any] | None,
    scalars: Sequence[Place],
    target: GPUBuffer | None,
    at: int,
) -> None:
    """Write an array to the start of a buffer, run plans one after the other in one compute pass,
    each so many times, and copy a word from each of the places to byte `at` of the target and on:
    one submit.

    The array must be the same one each time for a first plan; what it holds then is what is
    written.
    """
    device._raise_if_lost()
    plan, times = runs[0]
    others = to_js([(other.internal, n) for other, n in runs[1:]]) if len(runs) > 1 else None
    buffer, array = upload or (None, None)
    if array is not None and array is not plan.array:
        plan.array, plan.bytes = array, create_proxy(memoryview(array).cast("B"))
    if scalars != plan.scalars:
        plan.scalars = scalars
        plan.places = to_js([[source._internal, offset] for source, offset in scalars])
    into, out = buffer and buffer._internal, target and target._internal
    own = plan.internal, times, others
    runPlan(device._internal, *own, into, plan.bytes, plan.places, out, at)
