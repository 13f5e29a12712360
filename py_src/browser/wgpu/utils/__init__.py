"""wgpu-py's helpers above its API: a device to share here, `compute_with_buffers` in `compute`."""

from .device import get_default_device, preconfigure_default_device

__all__ = ["get_default_device", "preconfigure_default_device"]
