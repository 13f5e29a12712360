"""Opens a device."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from importlib import import_module
from importlib.util import find_spec

from .base import Device, DeviceError
from .ranks import started

DEVICES = "webgpu", "torch", "wasm", "numpy"
# Of NVIDIA's drivers, also on a Jetson and in Windows' Linux, and of AMD's.
GPU_DRIVERS = "/dev/nvidia*", "/dev/nvmap", "/dev/dxg", "/dev/kfd"


def open_device(name: str = "auto", **options) -> Device:
    """The device of that name: one of DEVICES; "torch:" and one of PyTorch's, such as "torch:cpu"
    or "torch:cuda:1"; or "auto", which is a real GPU, by WebGPU or else by PyTorch, and NumPy where
    there is none. Its `instead_of` says why it is not WebGPU.

    Raises DeviceError if there is no such device here.
    """
    if started() > 1 and name == "auto":
        name = "torch"  # the only one that shares a run among several processes
    name, _, place = name.partition(":")
    if name == "torch":
        if not find_spec("torch"):
            raise DeviceError("PyTorch is not installed here: pip install 'groundling[torch]'.")
        from .torch.device import TorchDevice

        return TorchDevice(place, **options)
    if place:
        raise DeviceError(f"Of the devices only torch takes a name after a colon, not {name!r}.")
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
        if not device.is_emulated:
            return device
        why = f"The only WebGPU adapter here is emulated on the CPU ({device.description})."
    except DeviceError as error:
        why = str(error)
    device = _by_torch() or open_device("numpy")
    device.instead_of = why
    return device


def _by_torch() -> Device | None:
    """A GPU by PyTorch, if it is installed and has one."""
    if not (may_have_gpu() and find_spec("torch")):
        return None
    from .torch.device import gpu

    return open_device("torch") if gpu() else None


def may_have_gpu() -> bool:
    """Whether PyTorch may find a GPU here: where there is no driver for one, its import, which
    takes seconds, is not worth it.
    """
    return sys.platform != "linux" or any(map(glob, GPU_DRIVERS))


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
