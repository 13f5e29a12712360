"""A plan: many dispatches that are encoded by a single call into JavaScript. Not in wgpu-py."""

from collections.abc import Sequence
from typing import Any

from pyodide.ffi import to_js

from .base import GPUBindGroup
from .commands import GPUCommandEncoder
from .device import GPUComputePipeline

try:
    import groundling_js  # site/src/plan.ts, registered by the worker
except ImportError:
    groundling_js = None

__all__ = ["encode_plan", "make_plan"]

Dispatch = tuple[GPUComputePipeline, GPUBindGroup, int, int, int]


def make_plan(dispatches: Sequence[Dispatch]) -> Any:
    """Prepare (pipeline, bind group 0, x, y, z) dispatches for `encode_plan`."""
    calls = [(p._internal, group._internal, x, y, z) for p, group, x, y, z in dispatches]
    return groundling_js.makePlan(to_js(calls)) if groundling_js else calls


def encode_plan(encoder: GPUCommandEncoder, plan: Any) -> None:
    """Encode the plan as one compute pass."""
    if groundling_js:
        groundling_js.encodePlan(encoder._internal, plan)
        return
    compute_pass = encoder._internal.beginComputePass()
    for pipeline, group, x, y, z in plan:
        compute_pass.setPipeline(pipeline)
        compute_pass.setBindGroup(0, group)
        compute_pass.dispatchWorkgroups(x, y, z)
    compute_pass.end()
