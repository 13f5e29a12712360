"""A kernel of `shaders/` on a GPU.

A kernel is one WGSL file, from which the device reads all that it needs: the buffers are the
storage bindings in order, the parameters are the fields of `struct Params` in the uniform, and the
line `// grid: rows * n_embd / 64` gives the number of workgroups along each axis, rounded up. A
line `const HEAD_SIZE: u32 = 16;` gets its value from the parameter of that name in lower case, for
what must be known at compile time.
"""

import math
import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import wgpu

from ...engine.lru import LRU
from ...engine.tensor import Tensor
from ..base import DeviceError, prepares
from . import wgsl

MOST_PIPELINES = 16  # cached, of one kernel
BINDABLE = 64  # words: 256 bytes, at multiples of which every adapter can bind a buffer


class Kernel:
    """A compute shader and what its text declares. DeviceError where a declaration is missing."""

    def __init__(self, device: wgpu.GPUDevice, name: str, code: str, is_original: bool = False):
        self.device, self.name, self.code = device, name, code
        self.is_original = is_original  # the library's text, without edits
        bindings = wgsl.BINDING.findall(code)
        kinds = [kind for _, kind, _, _ in bindings]
        if [int(number) for number, *_ in bindings] != list(range(len(bindings))) or not bindings:
            raise DeviceError(f"Kernel {name}: its bindings must be numbered 0, 1, 2 … in order.")
        if "uniform" in kinds[:-1] or kinds[-1] != "uniform":
            raise DeviceError(
                f"Kernel {name}: the uniform with its parameters must be the last binding."
            )
        self.access = kinds[:-1]
        self.n_buffers = len(self.access)
        self.elements = [element for *_, element in bindings[:-1]]  # types
        fields = re.search(r"struct Params\s*{([^}]*)}", code)
        grid = re.search(r"^// grid: (.+)$", code, re.M)
        if not fields or not grid:
            raise DeviceError(
                f"Kernel {name}: it needs a `struct Params` and a line `// grid: ...`."
            )
        self.fields = re.findall(wgsl.FIELD, fields[1])
        self.grid = grid[1].split(",")
        self.constants = dict(re.findall(wgsl.CONSTANT, code, re.M))
        types = {
            "uniform": "uniform",
            "storage, read": "read-only-storage",
            "storage, read_write": "storage",
        }
        self.layout = device.create_bind_group_layout(
            entries=[
                {
                    "binding": i,
                    "visibility": wgpu.ShaderStage.COMPUTE,
                    "buffer": {"type": types[kind]},
                }
                for i, kind in enumerate(kinds)
            ]
        )
        self._pipelines = LRU(MOST_PIPELINES)  # by the values of its constants
        self._begun: dict[tuple, wgpu.GPUPromise] = {}

    def pack(self, params: dict) -> bytes:
        """The bytes of `struct Params`, padded to 16."""
        try:
            values = [
                struct.pack("<I" if kind == "u32" else "<f", params[name])
                for name, kind in self.fields
            ]
        except (KeyError, struct.error) as error:
            raise DeviceError(
                f"Kernel {self.name}: its parameters are {self.fields}; got {params} ({error})."
            ) from error
        data = b"".join(values)
        return data + bytes(-len(data) % 16)

    def workgroups(self, params: dict) -> list[int]:
        """Workgroups along each axis of the grid."""
        return [_workgroups(axis, params) for axis in self.grid]

    def pipeline(self, params: dict) -> wgpu.GPUComputePipeline:
        """The compiled shader for these parameters: one for each value of its constants. Waits."""
        key = self._key(params)

        def made() -> wgpu.GPUComputePipeline:
            with self._explained():
                if promise := self._begun.pop(key, None):
                    return promise.sync_wait()
                return self.device.create_compute_pipeline(**self._descriptor(key))

        return self._pipelines.get_or(key, made)

    def begin(self, params: dict) -> None:
        """Start compiling what `pipeline` will return, without waiting."""
        key = self._key(params)
        if key not in self._pipelines and key not in self._begun:
            descriptor = self._descriptor(key)
            self._begun[key] = self.device.create_compute_pipeline_async(**descriptor)

    def prepare(
        self, tensors: Sequence[Tensor], uniform: wgpu.GPUBuffer, params: dict
    ) -> tuple[wgpu.GPUComputePipeline, wgpu.GPUBindGroup, int, ...]:
        """The pipeline, bind group and grid that run it on these tensors."""
        resources = [
            {"buffer": t.storage.buffer, "offset": 4 * t.offset, "size": 4 * max(t.size, 1)}
            for t in tensors
        ]
        resources.append({"buffer": uniform})
        entries = [{"binding": i, "resource": r} for i, r in enumerate(resources)]
        group = self.device.create_bind_group(layout=self.layout, entries=entries)
        return self.pipeline(params), group, *self.workgroups(params)

    def _key(self, params: dict) -> tuple:
        return tuple(int(params.get(name.lower(), value)) for name, value in self.constants.items())

    def _descriptor(self, key: tuple) -> dict:
        code = self.code
        for name, value in zip(self.constants, key, strict=True):
            code = re.sub(
                rf"^const {name}: u32 = \d+;", f"const {name}: u32 = {value};", code, flags=re.M
            )
        with self._explained():
            module = self.device.create_shader_module(label=self.name, code=wgsl.unroll(code))
            layout = self.device.create_pipeline_layout(bind_group_layouts=[self.layout])
        return {"layout": layout, "compute": {"module": module, "entry_point": "main"}}

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with prepares():
                yield
        except wgpu.GPUError as error:
            raise DeviceError(f"Kernel {self.name} does not compile: {error}") from error


def _workgroups(axis: str, params: dict) -> int:
    """The value of `rows * n_embd / 64`, rounded up; terms may be added and in brackets."""
    axis = re.sub(r"\(([^()]*)\)", lambda m: str(_workgroups(m[1], params)), axis)
    total = 0
    for term in axis.split("+"):
        factors, *by = term.split("/")
        size = math.prod(
            int(f) if f.isdigit() else params[f] for f in (f.strip() for f in factors.split("*"))
        )
        total += -(-size // math.prod(int(d) for d in by))
    return total
