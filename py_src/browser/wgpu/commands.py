"""GPUCommandEncoder and GPUComputePassEncoder: commands are encoded now, and run when submitted.

These calls never wait. What the browser finds wrong with them is raised by the next wait.
"""

from collections.abc import Sequence
from typing import Any

import js
from pyodide.ffi import JsException

from . import structs
from .base import GPUBindGroup, GPUCommandBuffer, GPUObjectBase
from .buffer import GPUBuffer
from .convert import to_js, unsigned
from .errors import GPUValidationError

__all__ = ["GPUCommandEncoder", "GPUComputePassEncoder"]


class DebugCommands(GPUObjectBase):
    """Marks that a debugger or a capture shows among the commands."""

    def push_debug_group(self, group_label: str) -> None:
        self._internal.pushDebugGroup(group_label)

    def pop_debug_group(self) -> None:
        self._internal.popDebugGroup()

    def insert_debug_marker(self, marker_label: str) -> None:
        self._internal.insertDebugMarker(marker_label)


class GPUCommandEncoder(DebugCommands):
    """Records commands into one command buffer."""

    # IDL: GPUComputePassEncoder beginComputePass(optional GPUComputePassDescriptor ...);
    def begin_compute_pass(
        self,
        *,
        label: str = "",
        timestamp_writes: structs.ComputePassTimestampWrites | dict | None = None,
    ) -> "GPUComputePassEncoder":
        """Timestamps: {"query_set", "beginning_of_pass_write_index", "end_of_pass_write_index"}."""
        descriptor = None
        if label or timestamp_writes is not None:
            if timestamp_writes is not None:
                struct = structs.ComputePassTimestampWrites
                timestamp_writes = structs.checked(struct, timestamp_writes)
            descriptor = to_js({"label": label, "timestamp_writes": timestamp_writes})
        internal = self._internal.beginComputePass(descriptor)
        return GPUComputePassEncoder(label, internal, self._device)

    # IDL: undefined clearBuffer(GPUBuffer buffer, optional GPUSize64 offset = 0, ...);
    def clear_buffer(self, buffer: GPUBuffer, offset: int = 0, size: int | None = None) -> None:
        """Zero bytes [offset, offset + size), both multiples of 4."""
        offset = int(offset)
        size = buffer.size - offset if size is None else int(size)
        if offset % 4:
            raise ValueError("offset must be a multiple of 4")
        if size % 4:
            raise ValueError("size must be a multiple of 4")
        if size <= 0 and offset != buffer.size:
            raise ValueError("size must be > 0")
        if offset < 0 or offset + size > buffer.size:
            raise ValueError("buffer size out of range")
        self._internal.clearBuffer(buffer._internal, offset, size)

    # IDL: undefined copyBufferToBuffer(GPUBuffer source, GPUSize64 sourceOffset, ...);
    def copy_buffer_to_buffer(
        self,
        source: GPUBuffer,
        source_offset: int,
        destination: GPUBuffer,
        destination_offset: int,
        size: int | None = None,
    ) -> None:
        """Copy `size` bytes, by default the rest of the source. All are multiples of 4."""
        if source_offset % 4:
            raise ValueError("source_offset must be a multiple of 4")
        if destination_offset % 4:
            raise ValueError("destination_offset must be a multiple of 4")
        if not isinstance(source, GPUBuffer):
            raise TypeError("copy_buffer_to_buffer() source must be a GPUBuffer.")
        if not isinstance(destination, GPUBuffer):
            raise TypeError("copy_buffer_to_buffer() destination must be a GPUBuffer.")
        if size is None:
            size = source.size - source_offset
        if size % 4:
            raise ValueError("size must be a multiple of 4")
        self._internal.copyBufferToBuffer(
            source._internal,
            unsigned(int(source_offset)),
            destination._internal,
            unsigned(int(destination_offset)),
            unsigned(int(size)),
        )

    # IDL: undefined resolveQuerySet(GPUQuerySet querySet, GPUSize32 firstQuery, ...);
    def resolve_query_set(
        self,
        query_set: GPUObjectBase,
        first_query: int,
        query_count: int,
        destination: GPUBuffer,
        destination_offset: int,
    ) -> None:
        """Copy results (uint64, in ns) to the destination, at a multiple of 256."""
        self._internal.resolveQuerySet(
            query_set._internal,
            unsigned(first_query),
            unsigned(query_count),
            destination._internal,
            unsigned(destination_offset),
        )

    # IDL: GPUCommandBuffer finish(optional GPUCommandBufferDescriptor descriptor = {});
    def finish(self, *, label: str = "") -> GPUCommandBuffer:
        self._device._raise_if_lost()
        descriptor = to_js({"label": label}) if label else None
        return GPUCommandBuffer(label, self._internal.finish(descriptor), self._device)


class GPUComputePassEncoder(DebugCommands):
    """Records dispatches; each sees all that the ones before it wrote."""

    # IDL: undefined setPipeline(GPUComputePipeline pipeline);
    def set_pipeline(self, pipeline: GPUObjectBase) -> None:
        self._internal.setPipeline(pipeline._internal)

    # IDL: undefined setBindGroup(GPUIndex32 index, GPUBindGroup? bindGroup, ...);
    def set_bind_group(
        self,
        index: int,
        bind_group: GPUBindGroup,
        dynamic_offsets_data: Sequence[int] = (),
        dynamic_offsets_data_start: int | None = None,
        dynamic_offsets_data_length: int | None = None,
    ) -> None:
        """Dynamic offsets are in bytes, one for each dynamic binding of the layout."""
        start, length = dynamic_offsets_data_start, dynamic_offsets_data_length
        if (start is None) != (length is None):
            raise ValueError("Dynamic offsets start and length must be both set or both None.")
        if start is not None:
            if start < 0 or length < 0:
                raise ValueError("Dynamic offsets start and length must be non-negative.")
            dynamic_offsets_data = dynamic_offsets_data[start : start + length]
        if len(dynamic_offsets_data):
            offsets = to_js([unsigned(offset) for offset in dynamic_offsets_data])
            self._internal.setBindGroup(index, bind_group._internal, offsets)
        else:
            self._internal.setBindGroup(index, bind_group._internal)

    # IDL: undefined setImmediates(GPUSize32 rangeOffset, AllowSharedBufferSource data, ...);
    def set_immediates(
        self, range_offset: int, data: Any, data_offset: int = 0, data_size: int | None = None
    ) -> None:
        """Copy `data_size` bytes from byte `data_offset` of `data` to the `var<immediate>` of the
        shader, from its byte `range_offset` on. The size is by default all that is left of the
        data. Both the size and the range's offset are multiples of 4.
        """
        view = memoryview(data)
        if not view.contiguous:
            raise ValueError("The given data is not contiguous")
        range_offset, start = unsigned(int(range_offset)), int(data_offset)
        size = view.nbytes - start if data_size is None else int(data_size)
        if not 0 <= start < view.nbytes:
            raise ValueError("Invalid data_offset")
        if not 0 <= size <= view.nbytes:
            raise ValueError("Invalid data_size")
        if start + size > view.nbytes:
            raise ValueError("data_size + data_offset is too large")
        if not hasattr(self._internal, "setImmediates"):
            raise RuntimeError(f"{type(self).__name__} does not implement set_immediates")
        array = js.Uint8Array.new(size)
        array.assign(view.cast("B")[start : start + size])
        try:
            self._internal.setImmediates(range_offset, array)
        except JsException as error:  # not in whole words, or beyond the limit
            raise GPUValidationError(error.message) from None

    # IDL: undefined dispatchWorkgroups(GPUSize32 workgroupCountX, ...);
    def dispatch_workgroups(
        self, workgroup_count_x: int, workgroup_count_y: int = 1, workgroup_count_z: int = 1
    ) -> None:
        self._internal.dispatchWorkgroups(
            unsigned(workgroup_count_x), unsigned(workgroup_count_y), unsigned(workgroup_count_z)
        )

    # IDL: undefined dispatchWorkgroupsIndirect(GPUBuffer indirectBuffer, GPUSize64 ...);
    def dispatch_workgroups_indirect(
        self, indirect_buffer: GPUBuffer, indirect_offset: int
    ) -> None:
        """The three counts are uint32 at that offset in the buffer."""
        self._internal.dispatchWorkgroupsIndirect(
            indirect_buffer._internal, unsigned(indirect_offset)
        )

    # IDL: undefined end();
    def end(self) -> None:
        self._internal.end()
