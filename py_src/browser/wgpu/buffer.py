"""GPUBuffer: memory of the device, and the ways to map it."""

from typing import TYPE_CHECKING, Any

import js
from pyodide.ffi import JsProxy

from .base import GPUObjectBase
from .errors import GPUValidationError
from .flags import MapMode, flag_value
from .promise import GPUPromise

if TYPE_CHECKING:
    from .device import GPUDevice

__all__ = ["GPUBuffer"]


class GPUBuffer(GPUObjectBase):
    """`size` bytes on the device, until destroy() or until the browser collects it."""

    def __init__(
        self,
        label: str,
        internal: JsProxy,
        device: "GPUDevice",
        size: int,
        usage: int,
        mapped: bool = False,
    ) -> None:
        super().__init__(label, internal, device)
        self.size = size  # in bytes
        self.usage = usage  # the `BufferUsage` bits
        self._destroyed = False
        self._map(0, size, MapMode.WRITE if mapped else 0)

    def _map(self, start: int, end: int, mode: int) -> None:
        self._start, self._end, self._mode = start, end, mode
        self._bytes: JsProxy | None = None  # a Uint8Array over all that is mapped

    # IDL: readonly attribute GPUBufferMapState mapState;
    @property
    def map_state(self) -> str:
        """One of `BufferMapState`."""
        return self._internal.mapState

    def _range(self, offset: int | None, size: int | None) -> tuple[int, int]:
        """Defaults: from the start to the end of what is mapped, or of the buffer."""
        start, end = (self._start, self._end) if self._mode else (0, self.size)
        offset = start if offset is None else int(offset)
        size = end - offset if size is None else int(size)
        if offset < 0:
            raise ValueError("Mapped offset must not be smaller than zero.")
        if offset % 8:
            raise ValueError("Mapped offset must be a multiple of 8.")
        if size < 1:
            raise ValueError("Mapped size must be larger than zero.")
        if size % 4:
            raise ValueError("Mapped size must be a multiple of 4.")
        if offset + size > self.size:
            raise ValueError("Mapped range must not extend beyond total buffer size.")
        return offset, size

    # IDL: Promise<undefined> mapAsync(GPUMapModeFlags mode, optional GPUSize64 offset = 0, ...);
    def map_async(
        self, mode: int | str, offset: int = 0, size: int | None = None
    ) -> GPUPromise[None]:
        """Make bytes [offset, offset + size) readable or writable, once the GPU is done with them.

        The offset is a multiple of 8, the size one of 4.
        """
        mode = flag_value(MapMode, mode)
        offset, size = self._range(offset, size)
        self._device._raise_if_lost()
        self._raise_if_destroyed()
        state = self.map_state
        if state != "unmapped":

            def refuse(_: None) -> None:
                raise RuntimeError(
                    f"Can only map a buffer if its currently unmapped, not {state!r}"
                )

            return GPUPromise("buffer.map", None, refuse)
        self._map(offset, offset + size, mode)
        source = self._internal.mapAsync(mode, offset, size)
        return GPUPromise("buffer.map", source, lambda _: None, self._device)

    def map_sync(self, mode: int | str, offset: int = 0, size: int | None = None) -> None:
        """Sync version of `map_async()`."""
        return self.map_async(mode, offset, size).sync_wait()

    # IDL: undefined unmap();
    def unmap(self) -> None:
        """Give the memory back to the GPU."""
        if self.map_state != "mapped":
            raise RuntimeError("Can only unmap a buffer if its currently mapped.")
        self._internal.unmap()
        self._map(0, self.size, 0)

    def _mapped(self, offset: int | None, size: int | None, mode: int, verb: str) -> JsProxy:
        """A Uint8Array over those mapped bytes."""
        if self.map_state != "mapped":
            raise RuntimeError(f"Can only {verb} a buffer if its mapped.")
        if not self._mode & mode:
            raise RuntimeError(f"Can only {verb} a buffer if its mapped in that mode.")
        offset, size = self._range(offset, size)
        if offset < self._start or offset + size > self._end:
            raise ValueError("The range is not contained in the currently mapped range.")
        if self._bytes is None:
            mapped = self._internal.getMappedRange(self._start, self._end - self._start)
            self._bytes = js.Uint8Array.new(mapped)
        return self._bytes.subarray(offset - self._start, offset - self._start + size)

    def read_mapped(
        self, buffer_offset: int | None = None, size: int | None = None, *, copy: bool = True
    ) -> memoryview:
        """The mapped bytes, or those at `buffer_offset` in the buffer: always a copy."""
        data = self._mapped(buffer_offset, size, MapMode.READ, "read from").to_memoryview()
        return data if copy else data.toreadonly()

    def write_mapped(self, data: Any, buffer_offset: int | None = None) -> None:
        """Copy `data` to the mapped bytes, or to those at `buffer_offset` in the buffer."""
        data = memoryview(data).cast("B")
        size = (data.nbytes + 3) & ~3
        target = self._mapped(buffer_offset, size, MapMode.WRITE, "write to")
        target.subarray(0, data.nbytes).assign(data)

    # IDL: undefined destroy();
    def destroy(self) -> None:
        """Free the memory as soon as the submitted work is done."""
        self._destroyed = True
        self._internal.destroy()

    def _raise_if_destroyed(self) -> None:
        if self._destroyed:
            raise GPUValidationError(f"Buffer with '{self.label}' label has been destroyed")
