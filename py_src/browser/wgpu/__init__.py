"""wgpu-py's API for compute, over the browser's `navigator.gpu`, for Pyodide in a worker.

The names, keyword arguments, enums, flags, defaults and errors are those of wgpu-py 0.32, so that
the same Python drives WebGPU here and natively. tests/wgpu/test_conformance.py runs on both.

What differs from wgpu-py:

* Compute only: no textures, samplers, render passes or canvases, and WGSL is the only language.
  What is missing for that reason says so in its AttributeError.
* Calls that wait (`*_sync`, `read_buffer`, `sync_wait`, and the `create_*` ones for as long as
  the browser validates them) suspend Python by JSPI. Python has to be entered through
  `runPythonAsync` or `callPromising`. Where it was not, `create_*` still works, but its error is
  raised by the next wait.
* `finish` and `submit` do not wait, so errors in encoding and submitting are raised by the next
  wait, as GPUValidationError. In wgpu-py `finish` raises, and a bad `submit` ends the process.
* A device that was lost raises GPUDeviceLostError, which is a GPUValidationError; it calls the
  hook `device.on_lost` once.
* `after_wait` is a list of functions that are called after each wait, and may raise.
* `get_compilation_info_sync` has the messages; `on_submitted_work_done_sync` works, and so does
  `copy_buffer_to_buffer` without a size: not so in wgpu-py 0.32.
* `read_mapped(copy=False)` is a copy all the same, but read-only.
* A buffer's memory returns when the browser collects it, which may be late: call `destroy()`.
* A browser hides the name of the GPU: `adapter.info.device` is then vendor and architecture.
* The feature "immediates" is listed where the browser has a limit of that name, and is needed for
  nothing: `immediate_size` and `set_immediates` work without it.
* `wgpu.diagnostics` has no topics of wgpu-native.
* None of the deprecated names without `_sync`, no `wgpu.backends` and no `wgpu.classes`.
"""

# ruff: noqa: F401, F403

import logging

from .adapter import *
from .base import (
    GPUBindGroup,
    GPUBindGroupLayout,
    GPUCommandBuffer,
    GPUObjectBase,
    GPUPipelineLayout,
    explain,
)
from .buffer import *
from .commands import *
from .device import *
from .diagnostics import DiagnosticsBase, diagnostics
from .enums import *
from .errors import *
from .flags import *
from .promise import GPUPromise, after_wait
from .queue import *
from .structs import *
from .utils import get_default_device, preconfigure_default_device

__version__ = "0.32.0"
version_info = (0, 32, 0)

logger = logging.getLogger("wgpu")
logger.setLevel(logging.WARNING)


def __getattr__(name: str):
    raise AttributeError(f"module 'wgpu' has no attribute {name!r}{explain(name)}")
