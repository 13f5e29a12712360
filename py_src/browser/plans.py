"""In place of devices/webgpu/plans.py, for the page: a plan runs by one call into JavaScript."""

from collections.abc import Sequence
from typing import Any

from groundling_js import dropPlan, makePlan, runPlan  # site/src/worker/plan.ts, by the worker
from pyodide.ffi import create_proxy, to_js
from wgpu import GPUBuffer, GPUDevice

import groundling.devices.webgpu.plans
from groundling.devices.webgpu.plans import Dispatch, Place


class Plan:
    """Dispatches that JavaScript holds, with their upload and scalars."""

    def __init__(self, dispatches: Sequence[Dispatch]):
        calls = [(p._internal, group._internal, x, y, z) for p, group, x, y, z in dispatches]
        self.internal = makePlan(to_js(calls))
        self.array: Any = None  # that is uploaded
        self.bytes: Any = None  # the same, for JavaScript
        self.scalars: Sequence[Place] = ()
        self.places = to_js([])  # the same, for JavaScript

    def __del__(self):
        dropPlan(self.internal)
        if self.bytes:
            self.bytes.destroy()


def run_plan(
    device: GPUDevice,
    runs: Sequence[tuple[Plan, int]],
    upload: tuple[GPUBuffer, Any] | None,
    scalars: Sequence[Place],
    target: GPUBuffer | None,
    at: int,
) -> float:
    """See groundling/devices/webgpu/plans.py. Does not wait. A first plan always has one array."""
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
    return 0.0


def install() -> None:
    """Make the WebGPU device run its plans this way."""
    groundling.devices.webgpu.plans.make_plan = Plan
    groundling.devices.webgpu.plans.run_plan = run_plan
