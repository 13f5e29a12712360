"""The errors of wgpu-py, and how the browser's errors become them."""

from pyodide.ffi import JsException, JsProxy

__all__ = [
    "GPUDeviceLostError",
    "GPUDeviceLostInfo",
    "GPUError",
    "GPUInternalError",
    "GPUOutOfMemoryError",
    "GPUPipelineError",
    "GPUValidationError",
]


class GPUError(Exception):
    """A generic GPU error."""

    @property
    def message(self) -> str:
        return self.args[0]


class GPUValidationError(GPUError):
    """A call broke a rule of WebGPU; the message says which."""


class GPUOutOfMemoryError(GPUError, MemoryError):
    """The GPU has no memory left for a buffer."""


class GPUInternalError(GPUError):
    """The GPU's driver failed although every rule was kept."""


class GPUPipelineError(Exception):
    """A pipeline could not be created."""

    def __init__(self, message: str, options: dict) -> None:
        super().__init__(message or "")
        self._options = options

    @property
    def reason(self) -> str:
        return self._options["reason"]


class GPUDeviceLostInfo:
    """Why a device was lost: `reason` is one of `DeviceLostReason`."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        self.message = message


class GPUDeviceLostError(GPUValidationError):
    """The device is lost: nothing made from it works any more. Request an adapter and a device.

    wgpu-py raises a plain GPUValidationError, "Parent device is lost".
    """

    def __init__(self, info: GPUDeviceLostInfo) -> None:
        super().__init__(f"The GPU device is lost ({info.reason}): {info.message}")
        self.info = info


def from_gpu_error(error: JsProxy) -> GPUError:
    """The Python error for a JavaScript GPUError, as error scopes and events give them."""
    kinds = {
        "GPUValidationError": GPUValidationError,
        "GPUOutOfMemoryError": GPUOutOfMemoryError,
        "GPUInternalError": GPUInternalError,
    }
    return kinds.get(error.constructor.name, GPUError)(error.message.strip())


def from_rejection(error: JsException, title: str) -> Exception:
    """The Python error for a promise that `title` rejected."""
    if error.name == "GPUPipelineError":
        failed = GPUValidationError if error.reason == "validation" else GPUInternalError
        return failed(error.message.strip())
    return RuntimeError(f"{title} failed: {error.message}")
