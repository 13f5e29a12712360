"""Where the kernels' module runs, on memory in which NumPy's arrays lie: Pyodide in the page, and
wasmtime natively.
"""

import ctypes
import sys
from bisect import bisect
from collections.abc import Callable
from functools import partial

import numpy as np

from ... import sources
from ..base import DeviceError
from .cores import SecondCore

MODULE = "wasm/kernels.wasm"
PAGE = 2**16  # bytes, in which WebAssembly's memory grows
RESERVED = 2**32  # bytes of addresses that wasmtime sets aside, so that the memory never moves
ALIGNED = 64  # bytes, a line of the processor's cache


def open_host() -> "Pyodide | Wasmtime":
    """The host here. DeviceError if there is none, or it does not take the module."""
    path = sources.folder(sources.SHADERS) / MODULE
    try:
        code = path.read_bytes()
    except OSError as error:
        raise DeviceError(
            f"The kernels for the CPU were not compiled ({path} is missing): "
            "`python build.py setup` does it."
        ) from error
    return Pyodide(code) if sys.platform == "emscripten" else Wasmtime(code)


class Pyodide:
    """A second instance on Python's own memory: an array's address is a pointer in both."""

    def __init__(self, code: bytes):
        import pyodide_js
        from js import Object, WebAssembly
        from pyodide.ffi import JsException, to_js

        try:
            imports = {"env": {"memory": pyodide_js._module.memory}}
            self.module = WebAssembly.Module.new(to_js(code))
            instance = WebAssembly.Instance.new(
                self.module, to_js(imports, dict_converter=Object.fromEntries)
            )
        except (JsException, AttributeError) as error:
            raise DeviceError(f"The kernels for the CPU do not start here: {error}.") from error
        self.exports: dict[str, Callable] = dict(Object.entries(instance.exports))

    def second(self) -> SecondCore | None:
        """A second core; None, but the page has one: see py_src/browser/second_core.py."""

    def call(self, name: str, *arguments: float) -> Callable[[], int | None]:
        """A call of an export."""
        return partial(self.exports[name], *arguments)

    def allocate(self, n_bytes: int) -> np.ndarray:
        """Uninitialized bytes."""
        return np.empty(n_bytes, np.uint8)

    def release(self, array: np.ndarray) -> None:
        """Nothing to do: Python frees them."""

    def address(self, array: np.ndarray) -> int:
        """Where an array begins in the module's memory."""
        return array.__array_interface__["data"][0]


class Wasmtime:
    """An instance with a memory of its own, which arrays are allocated in."""

    def __init__(self, code: bytes):
        try:
            import wasmtime
        except ImportError as error:
            raise DeviceError(
                "The wasm device runs in wasmtime here: pip install 'groundling[wasm]'."
            ) from error
        config = wasmtime.Config()
        config.memory_reservation, config.memory_may_move = RESERVED, False
        engine = wasmtime.Engine(config)
        self.store = wasmtime.Store(engine)
        self.memory = wasmtime.Memory(self.store, wasmtime.MemoryType(wasmtime.Limits(1, None)))
        instance = wasmtime.Instance(self.store, wasmtime.Module(engine, code), [self.memory])
        self.exports = dict(instance.exports(self.store).items())
        self.start = ctypes.addressof(self.memory.data_ptr(self.store).contents)
        memory = (ctypes.c_ubyte * RESERVED).from_address(self.start)
        self.bytes = np.frombuffer(memory, np.uint8)  # of which some are there yet
        self.free = [(ALIGNED, PAGE - ALIGNED)]  # address and size, by address; 0 stays unused

    def second(self) -> None:
        """None: natively a run is on one core."""

    def call(self, name: str, *arguments: float) -> Callable[[], int | None]:
        """A call of an export."""
        function = self.exports[name]
        types = [str(each) for each in function.type(self.store).params]
        values = [
            float(value) if kind.startswith("f") else value
            for kind, value in zip(types, arguments, strict=True)
        ]
        return partial(function, self.store, *values)

    def allocate(self, n_bytes: int) -> np.ndarray:
        """Uninitialized bytes: the first that are free. MemoryError."""
        size = -(-max(n_bytes, 1) // ALIGNED) * ALIGNED
        while True:
            for i, (at, free) in enumerate(self.free):
                if free >= size:
                    rest = (at + size, free - size)
                    self.free[i : i + 1] = [rest] if rest[1] else []
                    return self.bytes[at : at + n_bytes]
            self._grow(size)

    def release(self, array: np.ndarray) -> None:
        """Free what `allocate` returned."""
        size = -(-max(array.size, 1) // ALIGNED) * ALIGNED
        self._put(self.address(array), size)

    def address(self, array: np.ndarray) -> int:
        """Where an array begins in the module's memory."""
        return array.__array_interface__["data"][0] - self.start

    def _grow(self, n_bytes: int) -> None:
        end = self.memory.data_len(self.store)
        pages = max(-(-n_bytes // PAGE), end // PAGE // 4)  # by a quarter at least
        try:
            self.memory.grow(self.store, pages)
        except Exception as error:
            raise MemoryError("WebAssembly's memory of 4 GiB is full.") from error
        self._put(end, pages * PAGE)

    def _put(self, at: int, size: int) -> None:
        """Enter a stretch as free, joined with its neighbours."""
        i = bisect(self.free, (at, 0))
        if i < len(self.free) and self.free[i][0] == at + size:
            size += self.free.pop(i)[1]
        if i and sum(self.free[i - 1]) == at:
            at, before = self.free.pop(i := i - 1)
            size += before
        self.free.insert(i, (at, size))
