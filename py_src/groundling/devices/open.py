"""Opens a device."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from .base import Device, DeviceError

DEVICES = "webgpu", "wasm", "numpy"


def open_device(name: str = "auto", **options) -> Device:
    """The device of that name: one of DEVICES, or "auto", which is WebGPU on a real adapter, else
    NumPy. If there is no adapter at all, the device's `instead_of` says why.

    Raises DeviceError if there is no such device here.
    """
    if name == "numpy":
        from .numpy import NumPyDevice

        return NumPyDevice(**options)
    if name == "wasm":
        from .wasm.device import WasmDevice

        return WasmDevice(**options)
    if name == "webgpu":
        with _no_display():
            try:
                import_module("wgpu")
            except (ImportError, OSError, RuntimeError) as error:  # also of the library in it
                raise DeviceError(f"wgpu cannot be loaded here: {error}.") from error
            from .webgpu.device import WebGPUDevice

            return WebGPUDevice(**options)
    if name != "auto":
        known = ", ".join(DEVICES)
        raise DeviceError(f"There is no device {name!r}; the devices are auto, {known}.")
    try:
        device = open_device("webgpu", **options)
    except DeviceError as error:
        device = open_device("numpy")
        device.instead_of = str(error)
        return device
    return open_device("numpy") if device.is_emulated else device


@contextmanager
def _no_display() -> Iterator[None]:
    """Keep Mesa from looking for a display in the block. Without one it would print twice on stderr
    that XDG_RUNTIME_DIR is not set.
    """
    if sys.platform != "linux" or os.environ.get("XDG_RUNTIME_DIR"):
        yield
        return
    os.environ["XDG_RUNTIME_DIR"] = os.devnull
    try:
        yield
    finally:
        del os.environ["XDG_RUNTIME_DIR"]
