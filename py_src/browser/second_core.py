"""A second core for the wasm device: a worker that site/src/worker/secondCore.ts starts. Python
waits for it by JSPI, and where it cannot wait, a run is on one core.
"""

from typing import Any

import js
import pyodide_js
from groundling_js import SecondCore as Worker
from pyodide.ffi import can_run_sync, to_js
from wgpu.promise import wait

from groundling.devices.wasm.hosts import Pyodide


class SecondCore:
    """See groundling/devices/wasm/cores.py."""

    def __init__(self, module: Any):
        self.worker = Worker.new(module, pyodide_js._module.memory)

    def job(self, calls: list[list], needs: list[int], leaves: list[int]) -> Any:
        job = {"calls": calls, "needs": needs, "leaves": leaves}
        return to_js(job, dict_converter=js.Object.fromEntries)

    def is_free(self) -> bool:
        return self.worker.free and can_run_sync()

    def begin(self, job: Any) -> bool:
        return self.worker.begin(job)

    def wait(self, most: float) -> bool:
        return wait(self.worker.wait(1000 * most))


def install() -> None:
    """Give the wasm device a second core, if this machine has one."""
    if (getattr(js.navigator, "hardwareConcurrency", None) or 1) > 1:
        Pyodide.second = lambda host: SecondCore(host.module)
