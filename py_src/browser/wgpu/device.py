"""GPUDevice, and the shader modules, pipelines and query sets that only it uses."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pyodide.ffi import JsException, JsProxy, can_run_sync, create_proxy

from . import structs
from .base import GPUBindGroup, GPUBindGroupLayout, GPUObjectBase, GPUPipelineLayout
from .buffer import GPUBuffer
from .commands import GPUCommandEncoder
from .convert import to_js, unsigned, verbatim
from .enums import BufferBindingType, QueryType, enum_value
from .errors import (
    GPUDeviceLostError,
    GPUDeviceLostInfo,
    GPUError,
    GPUValidationError,
    from_gpu_error,
)
from .flags import BufferUsage, ShaderStage, flag_value
from .promise import GPUPromise, wait
from .queue import GPUQueue

if TYPE_CHECKING:
    from .adapter import GPUAdapter

__all__ = [
    "GPUCompilationInfo",
    "GPUCompilationMessage",
    "GPUComputePipeline",
    "GPUDevice",
    "GPUQuerySet",
    "GPUShaderModule",
]


class GPUDevice(GPUObjectBase):
    """Makes everything else, and meets the errors.

    A call that creates something waits for the browser's validation and raises what it found. The
    errors of encoding and submitting are kept, and raised by the next wait.
    """

    on_lost: Callable[[GPUDeviceLostInfo], None] | None = None
    """Called once when the device is lost; until it is set, nothing is. Not in wgpu-py."""

    def __init__(
        self,
        label: str,
        internal: JsProxy,
        adapter: "GPUAdapter",
        features: set[str],
        limits: dict[str, int],
    ) -> None:
        super().__init__(label, internal, self)
        self.adapter, self.adapter_info = adapter, adapter.info
        self.features, self.limits = features, limits
        self.queue = GPUQueue("", internal.queue, self)
        self._lost: GPUDeviceLostInfo | None = None
        self._errors: list[GPUError] = []
        internal.onuncapturederror = create_proxy(self._keep_error)
        internal.lost.then(self._lose)

    # IDL: undefined destroy();
    def destroy(self) -> None:
        """Free everything that was made from the device; using any of it raises from now on."""
        self._internal.destroy()
        self._lose(GPUDeviceLostInfo("destroyed", "destroy() was called."))

    def _lose(self, info: GPUDeviceLostInfo | JsProxy) -> None:
        if self._lost is None:
            self._lost = GPUDeviceLostInfo(info.reason, info.message)
            if self.on_lost is not None:
                self.on_lost(self._lost)

    def _keep_error(self, event: JsProxy) -> None:
        event.preventDefault()  # it will be raised, so the console need not have it
        self._errors.append(from_gpu_error(event.error))

    def _raise_if_lost(self) -> None:
        if self._lost is not None:
            raise GPUDeviceLostError(self._lost)

    def _raise_errors(self) -> None:
        """Raise the first error since the last wait; the later ones follow from it."""
        self._raise_if_lost()
        if self._errors:
            errors, self._errors = self._errors, []
            raise errors[0]

    def _checked(self, call: Callable[[], JsProxy]) -> JsProxy:
        """What `call` returns, once the browser has found it valid. About 0.4 ms."""
        self._raise_if_lost()
        if not can_run_sync():
            return call()  # its error will come as an event, and be raised by the next wait
        for scope in ("internal", "out-of-memory", "validation"):
            self._internal.pushErrorScope(scope)
        try:
            result, thrown = call(), None
        except JsException as error:
            result, thrown = None, GPUValidationError(error.message)
        scopes = [self._internal.popErrorScope() for _ in range(3)]

        async def errors() -> list[JsProxy]:
            return [error for scope in scopes if (error := await scope)]

        found = wait(errors())
        self._raise_if_lost()
        if found:
            raise from_gpu_error(found[0])
        if thrown:
            raise thrown
        return result

    # IDL: GPUBuffer createBuffer(GPUBufferDescriptor descriptor);
    def create_buffer(
        self, *, label: str = "", size: int, usage: int | str, mapped_at_creation: bool = False
    ) -> GPUBuffer:
        """A buffer of `size` bytes, all zero."""
        size, usage = unsigned(int(size)), flag_value(BufferUsage, usage)
        mapped = bool(mapped_at_creation)
        descriptor = {"label": label, "size": size, "usage": usage, "mapped_at_creation": mapped}
        internal = self._checked(lambda: self._internal.createBuffer(to_js(descriptor)))
        return GPUBuffer(label, internal, self, size, usage, mapped)

    def create_buffer_with_data(self, *, label: str = "", data: Any, usage: int | str) -> GPUBuffer:
        """A buffer of `data` (anything with the buffer protocol), zero-padded to 4 bytes."""
        data = memoryview(data).cast("B")
        size = (data.nbytes + 3) & ~3
        buffer = self.create_buffer(label=label, size=size, usage=usage, mapped_at_creation=True)
        buffer.write_mapped(data)
        buffer.unmap()
        return buffer

    # IDL: GPUBindGroupLayout createBindGroupLayout(GPUBindGroupLayoutDescriptor descriptor);
    def create_bind_group_layout(
        self, *, label: str = "", entries: Sequence[structs.BindGroupLayoutEntry | dict]
    ) -> GPUBindGroupLayout:
        """Entries: {"binding", "visibility", "buffer": {"type", "has_dynamic_offset", ...}}."""
        descriptor = to_js({"label": label, "entries": [self._layout_entry(e) for e in entries]})
        internal = self._checked(lambda: self._internal.createBindGroupLayout(descriptor))
        return GPUBindGroupLayout(label, internal, self)

    @staticmethod
    def _layout_entry(entry: structs.BindGroupLayoutEntry | dict) -> dict:
        entry = structs.checked(structs.BindGroupLayoutEntry, entry)
        if entry.buffer is None:
            raise ValueError("Bind group layout entry did not contain field 'buffer'")
        buffer = structs.checked(structs.BufferBindingLayout, entry.buffer)
        enum_value(BufferBindingType, buffer.type)
        unsigned(buffer.min_binding_size)
        return {**entry, "visibility": flag_value(ShaderStage, entry.visibility), "buffer": buffer}

    # IDL: GPUBindGroup createBindGroup(GPUBindGroupDescriptor descriptor);
    def create_bind_group(
        self,
        *,
        label: str = "",
        layout: GPUBindGroupLayout,
        entries: Sequence[structs.BindGroupEntry | dict],
    ) -> GPUBindGroup:
        """Entries: {"binding", "resource": a buffer, or {"buffer", "offset", "size"}}."""
        bound = [self._group_entry(entry) for entry in entries]
        descriptor = to_js({"label": label, "layout": layout, "entries": bound})
        internal = self._checked(lambda: self._internal.createBindGroup(descriptor))
        return GPUBindGroup(label, internal, self)

    @staticmethod
    def _group_entry(entry: structs.BindGroupEntry | dict) -> dict:
        entry = structs.checked(structs.BindGroupEntry, entry)
        resource = entry.resource
        if isinstance(resource, GPUBuffer):
            resource = {"buffer": resource}
        if not isinstance(resource, dict | structs.BufferBinding):
            raise TypeError(f"Unexpected resource type {type(resource)}")
        resource = structs.checked(structs.BufferBinding, resource)
        resource.buffer._raise_if_destroyed()
        unsigned(resource.offset)
        unsigned(resource.size or 0)
        return {"binding": entry.binding, "resource": resource}

    # IDL: GPUPipelineLayout createPipelineLayout(GPUPipelineLayoutDescriptor descriptor);
    def create_pipeline_layout(
        self,
        *,
        label: str = "",
        bind_group_layouts: Sequence[GPUBindGroupLayout],
        immediate_size: int = 0,
    ) -> GPUPipelineLayout:
        descriptor = to_js(
            {
                "label": label,
                "bind_group_layouts": list(bind_group_layouts),
                "immediate_size": immediate_size or None,
            }
        )
        internal = self._checked(lambda: self._internal.createPipelineLayout(descriptor))
        return GPUPipelineLayout(label, internal, self)

    # IDL: GPUShaderModule createShaderModule(GPUShaderModuleDescriptor descriptor);
    def create_shader_module(
        self, *, label: str = "", code: str, compilation_hints: Sequence = ()
    ) -> "GPUShaderModule":
        """A module of WGSL. The GPUValidationError of bad code says ":line:column"."""
        if not isinstance(code, str):
            raise TypeError("Shader code must be str, of WGSL.")
        descriptor = to_js({"label": label, "code": code})
        internal = self._checked(lambda: self._internal.createShaderModule(descriptor))
        return GPUShaderModule(label, internal, self)

    # IDL: GPUComputePipeline createComputePipeline(GPUComputePipelineDescriptor descriptor);
    def create_compute_pipeline(
        self,
        *,
        label: str = "",
        layout: GPUPipelineLayout | str,
        compute: structs.ProgrammableStage | dict,
    ) -> "GPUComputePipeline":
        """Compute: {"module", "entry_point", "constants"}; the layout may be "auto"."""
        descriptor = self._pipeline_descriptor(label, layout, compute)
        internal = self._checked(lambda: self._internal.createComputePipeline(descriptor))
        return GPUComputePipeline(label, internal, self)

    # IDL: Promise<GPUComputePipeline> createComputePipelineAsync(...);
    def create_compute_pipeline_async(
        self,
        *,
        label: str = "",
        layout: GPUPipelineLayout | str,
        compute: structs.ProgrammableStage | dict,
    ) -> GPUPromise["GPUComputePipeline"]:
        """The same, compiled beside others while Python goes on."""
        self._raise_if_lost()
        descriptor = self._pipeline_descriptor(label, layout, compute)
        return GPUPromise(
            "create_compute_pipeline",
            self._internal.createComputePipelineAsync(descriptor),
            lambda internal: GPUComputePipeline(label, internal, self),
            self,
        )

    @staticmethod
    def _pipeline_descriptor(
        label: str, layout: GPUPipelineLayout | str, compute: structs.ProgrammableStage | dict
    ) -> JsProxy:
        if not isinstance(layout, GPUPipelineLayout) and layout != "auto":
            raise TypeError(
                "create_compute_pipeline() 'layout' arg must be a GPUPipelineLayout or 'auto'"
            )
        stage = dict(structs.checked(structs.ProgrammableStage, compute))
        if stage["constants"]:
            stage["constants"] = verbatim({str(k): float(v) for k, v in stage["constants"].items()})
        return to_js({"label": label, "layout": layout, "compute": stage})

    # IDL: GPUCommandEncoder createCommandEncoder(optional GPUCommandEncoderDescriptor ...);
    def create_command_encoder(self, *, label: str = "") -> GPUCommandEncoder:
        descriptor = to_js({"label": label}) if label else None
        return GPUCommandEncoder(label, self._internal.createCommandEncoder(descriptor), self)

    # IDL: GPUQuerySet createQuerySet(GPUQuerySetDescriptor descriptor);
    def create_query_set(self, *, label: str = "", type: str, count: int) -> "GPUQuerySet":
        """Room for `count` timestamps; the device needs the feature "timestamp-query"."""
        enum_value(QueryType, type)
        descriptor = to_js({"label": label, "type": type, "count": unsigned(count)})
        internal = self._checked(lambda: self._internal.createQuerySet(descriptor))
        return GPUQuerySet(label, internal, self, type, count)


class GPUCompilationMessage:
    """An error, a warning or a hint of the WGSL compiler, and where: lines and columns from 1."""

    def __init__(self, internal: JsProxy) -> None:
        self.message: str = internal.message
        self.type: str = internal.type
        self.line_num: int = internal.lineNum
        self.line_pos: int = internal.linePos
        self.offset: int = internal.offset
        self.length: int = internal.length


class GPUCompilationInfo(list):
    """A list of messages, as wgpu-py returns it, with the property that its documentation has."""

    @property
    def messages(self) -> list[GPUCompilationMessage]:
        return self


class GPUShaderModule(GPUObjectBase):
    """Compiled WGSL."""

    @cached_property
    def _info(self) -> JsProxy:
        return self._internal.getCompilationInfo()  # asked twice, Chromium 156 never answers

    # IDL: Promise<GPUCompilationInfo> getCompilationInfo();
    def get_compilation_info_async(self) -> GPUPromise[GPUCompilationInfo]:
        return GPUPromise(
            "get_compilation_info",
            self._info,
            lambda info: GPUCompilationInfo(map(GPUCompilationMessage, info.messages)),
        )

    def get_compilation_info_sync(self) -> GPUCompilationInfo:
        """Sync version of `get_compilation_info_async()`."""
        return self.get_compilation_info_async().sync_wait()


class GPUComputePipeline(GPUObjectBase):
    """A compiled entry point with its layout."""

    # IDL: [NewObject] GPUBindGroupLayout getBindGroupLayout(unsigned long index);
    def get_bind_group_layout(self, index: int) -> GPUBindGroupLayout:
        index = unsigned(index)
        internal = self._device._checked(lambda: self._internal.getBindGroupLayout(index))
        return GPUBindGroupLayout("", internal, self._device)


class GPUQuerySet(GPUObjectBase):
    """Room on the device for `count` query results of 8 bytes."""

    def __init__(
        self, label: str, internal: JsProxy, device: GPUDevice, type: str, count: int
    ) -> None:
        super().__init__(label, internal, device)
        self.type, self.count = type, count

    # IDL: undefined destroy();
    def destroy(self) -> None:
        self._internal.destroy()
