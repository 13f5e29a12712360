"""GPUObjectBase: what every GPU object has."""

import re
from collections import Counter
from itertools import count
from typing import Any, NoReturn

from pyodide.ffi import JsProxy

_ids = count(1)

alive: Counter[str] = Counter()
"""How many objects of each class there are, for `wgpu.diagnostics.object_counts`."""

_RENDERING = r"(?i)texture|sampler|render|canvas|external|vertex|fragment|draw|blend|stencil"


def explain(names: str) -> str:
    """Why something of these names is missing, where it is what draws; else nothing."""
    if not re.search(_RENDERING, names):
        return ""
    return ". In the page wgpu is compute only: no textures, samplers, rendering or canvases."


class ComputeOnly:
    """Its attributes that are missing because they draw say so."""

    def __getattr__(self, name: str) -> NoReturn:
        text = f"{type(self).__name__!r} object has no attribute {name!r}"
        raise AttributeError(text + explain(name), name=name, obj=self)


class GPUObjectBase(ComputeOnly):
    """A device, or an object that belongs to one."""

    def __init__(self, label: str, internal: JsProxy, device: Any) -> None:
        alive[type(self).__name__] += 1
        self.label = label  # for people, repeated in error messages
        self._internal = internal
        self._device = device
        self.uid = next(_ids)  # a number that no other object has or had

    def __del__(self) -> None:
        alive[type(self).__name__] -= 1

    def __repr__(self) -> str:
        return f"<wgpu.{type(self).__name__} object '{self.label}' at {hex(id(self))}>"


class GPUBindGroupLayout(GPUObjectBase):
    """Which bindings a group has."""


class GPUBindGroup(GPUObjectBase):
    """The buffers that are bound to the bindings of a layout."""


class GPUPipelineLayout(GPUObjectBase):
    """The bind group layouts of a pipeline."""


class GPUCommandBuffer(GPUObjectBase):
    """Encoded commands, to be submitted once."""
