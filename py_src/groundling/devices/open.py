"""Which device there is to compute on."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from .base import Device, DeviceError


def open_device(name: str = "auto", **options) -> Device:
    """The device of that name; "auto" is WebGPU on a real adapter, else NumPy, which then says in
    `instead_of` why there is no WebGPU, unless it is only emulated.

    Raises DeviceError when there is no such device here.
    """
    if name == "numpy":
        from .numpy import NumPyDevice

        return NumPyDevice(**options)
    if name == "webgpu":
        with _no_display():
            try:
                import_module("wgpu")
            except (ImportError, OSError, RuntimeError) as error:  # also of the library in it
                raise DeviceError(f"wgpu cannot be loaded here: {error}.") from error
            from .webgpu.device import WebGPUDevice

            return WebGPUDevice(**options)
    if name != "auto":
        raise DeviceError(f"There is no device {name!r}; the devices are auto, webgpu and numpy.")
    try:
        device = open_device("webgpu", **options)
    except DeviceError as error:
        device = open_device("numpy")
        device.instead_of = str(error)
        return device
    return open_device("numpy") if device.is_emulated else device


@contextmanager
def _no_display() -> Iterator[None]:
    """In this block Mesa looks for no desktop. On a machine without one it would complain on
    stderr, twice, that XDG_RUNTIME_DIR is not set.
    """
    if sys.platform != "linux" or os.environ.get("XDG_RUNTIME_DIR"):
        yield
        return
    os.environ["XDG_RUNTIME_DIR"] = os.devnull
    try:
        yield
    finally:
        del os.environ["XDG_RUNTIME_DIR"]
