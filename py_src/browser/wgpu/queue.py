"""GPUQueue: what the device does, in the order it was asked."""

from collections.abc import Sequence
from typing import Any

import js

from .base import GPUCommandBuffer, GPUObjectBase
from .buffer import GPUBuffer
from .convert import to_js
from .errors import GPUValidationError
from .flags import BufferUsage
from .promise import GPUPromise

__all__ = ["GPUQueue"]


class GPUQueue(GPUObjectBase):
    """Writes and submissions take effect in the order of the calls; neither waits."""

    # IDL: undefined submit(sequence<GPUCommandBuffer> commandBuffers);
    def submit(self, command_buffers: Sequence[GPUCommandBuffer]) -> None:
        self._device._raise_if_lost()
        self._internal.submit(to_js(list(command_buffers)))

    # IDL: undefined writeBuffer(GPUBuffer buffer, GPUSize64 bufferOffset, ...);
    def write_buffer(
        self,
        buffer: GPUBuffer,
        buffer_offset: int,
        data: Any,
        data_offset: int = 0,
        size: int | None = None,
    ) -> None:
        """Copy `size` bytes from byte `data_offset` of `data` to byte `buffer_offset` of `buffer`.

        The size is by default all that is left of the data. It and the buffer's offset are
        multiples of 4. The data is contiguous, and may be changed right after the call.
        """
        view = memoryview(data)
        if not view.c_contiguous:
            raise ValueError("The given data is not contiguous")
        buffer_offset, data_offset = int(buffer_offset), int(data_offset)
        length = int(size) if size else view.nbytes - data_offset
        if not 0 <= buffer_offset < buffer.size:
            raise ValueError("Invalid buffer_offset")
        if not 0 <= data_offset < view.nbytes:
            raise ValueError("Invalid data_offset")
        if not 0 <= length <= min(view.nbytes - data_offset, buffer.size - buffer_offset):
            raise ValueError("Invalid data_length")
        if buffer_offset % 4 or length % 4:
            raise GPUValidationError(
                f"write_buffer() of {length} bytes at {buffer_offset}: not multiples of 4"
            )
        if not buffer.usage & BufferUsage.COPY_DST:
            raise GPUValidationError("write_buffer() needs a buffer with the usage COPY_DST")
        self._device._raise_if_lost()
        buffer._raise_if_destroyed()
        array = js.Uint8Array.new(length)
        array.assign(view.cast("B")[data_offset : data_offset + length])
        self._internal.writeBuffer(buffer._internal, buffer_offset, array)

    def read_buffer(
        self, buffer: GPUBuffer, buffer_offset: int = 0, size: int | None = None
    ) -> memoryview:
        """A copy of `size` bytes (by default all that is left) from byte `buffer_offset` on.

        Waits for all the work before it.
        """
        length = int(size) if size else buffer.size - buffer_offset
        if not 0 <= buffer_offset < buffer.size:
            raise ValueError("Invalid buffer_offset")
        if not length <= buffer.size - buffer_offset:
            raise ValueError("Invalid data_length")
        device = self._device
        device._raise_if_lost()
        buffer._raise_if_destroyed()
        encoder = device.create_command_encoder()
        usage = BufferUsage.COPY_DST | BufferUsage.MAP_READ
        internal = device._internal.createBuffer(to_js({"size": length, "usage": usage}))
        copied = GPUBuffer("", internal, device, length, usage)
        try:
            encoder.copy_buffer_to_buffer(buffer, buffer_offset, copied, 0, length)
            self.submit([encoder.finish()])
            copied.map_sync("READ")
            return copied.read_mapped()
        finally:
            copied.destroy()

    # IDL: Promise<undefined> onSubmittedWorkDone();
    def on_submitted_work_done_async(self) -> GPUPromise[None]:
        self._device._raise_if_lost()
        source = self._internal.onSubmittedWorkDone()
        return GPUPromise("on_submitted_work_done", source, lambda _: None, self._device)

    def on_submitted_work_done_sync(self) -> None:
        """Sync version of `on_submitted_work_done_async()`."""
        return self.on_submitted_work_done_async().sync_wait()
