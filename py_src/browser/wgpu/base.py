"""GPUObjectBase: what every GPU object has."""

from itertools import count
from typing import Any

from pyodide.ffi import JsProxy

_ids = count(1)


class GPUObjectBase:
    """A device, or an object that belongs to one."""

    def __init__(self, label: str, internal: JsProxy, device: Any) -> None:
        self._label = label
        self._internal = internal
        self._device = device
        self._uid = next(_ids)

    @property
    def label(self) -> str:
        """A name for people, repeated in error messages."""
        return self._label

    @property
    def uid(self) -> int:
        """A number that no other object has or had."""
        return self._uid

    def __repr__(self) -> str:
        return f"<wgpu.{type(self).__name__} object '{self._label}' at {hex(id(self))}>"


class GPUBindGroupLayout(GPUObjectBase):
    """Which bindings a group has."""


class GPUBindGroup(GPUObjectBase):
    """The buffers that are bound to the bindings of a layout."""


class GPUPipelineLayout(GPUObjectBase):
    """The bind group layouts of a pipeline."""


class GPUCommandBuffer(GPUObjectBase):
    """Encoded commands, to be submitted once."""
