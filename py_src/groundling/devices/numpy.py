"""The NumPy device: runs the references of kernels.py. It is the default natively where there is no
GPU, and the page's where the wasm device cannot be had.

`NumPyDevice(dtype=np.float64)` works in float64.
"""

from collections import ChainMap, deque
from collections.abc import Callable
from functools import partial

import numpy as np

from ..engine.fuse import JOINED, split
from ..engine.plan import Plan
from ..engine.tensor import Tensor
from . import kernels
from .base import Device, DeviceError, Inputs
from .kernels import KERNELS
from .threads import share

kernel = kernels.kernel  # saved edits import it from here

WORTH_IT = 2**17
"""Numbers in a kernel's longest buffer from which its work is halved, for two threads: with 2**16 a
step at batch 4 was slower than on one. It is halved even where there is one thread, so that equal
seeds give equal bytes.
"""


class NumPyDevice(Device):
    """Runs kernels at once, on the CPU."""

    name = "numpy"
    is_emulated = False

    def __init__(self, dtype: type = np.float32):
        super().__init__()
        self.dtypes = {"f32": np.dtype(dtype), "u32": np.dtype(np.uint32)}
        self.description = f"NumPy {np.__version__} on the CPU"
        self.kernels = ChainMap({}, KERNELS)  # its own, then all that are or will be registered

    def _write(self, tensor: Tensor, array) -> None:
        if np.size(array) != tensor.size:
            raise ValueError(f"{np.size(array)} numbers do not fit a tensor of {tensor.shape}.")
        self.counts.uploaded += 4 * tensor.size
        self._array(tensor)[:] = np.reshape(array, -1)

    def _read(self, tensor: Tensor) -> np.ndarray:
        return self._array(tensor).reshape(tensor.shape).copy()

    def ring(self) -> "Ring":
        return Ring()

    def _bytes(self, size: int, dtype: str) -> int:
        return size * self.dtypes[dtype].itemsize

    def _allocate(self, n_bytes: int) -> np.ndarray:
        return np.empty(n_bytes, np.uint8)

    def _release(self, buffer: np.ndarray) -> None:
        """Nothing to do: Python frees it."""

    def _array(self, tensor: Tensor) -> np.ndarray:
        array = tensor.storage.buffer.view(self.dtypes[tensor.dtype])
        return array[tensor.offset : tensor.offset + tensor.size]

    def is_original(self, kernel: str, digest: str) -> bool:
        """Whether the kernel's function was not replaced."""
        return self.kernels.get(kernel) is KERNELS.get(kernel)

    def _check(self, kernel: str, tensors: tuple[Tensor, ...], params: dict) -> None:
        for name in kernel.split(JOINED):
            if name not in self.kernels:
                raise DeviceError(f"There is no kernel {name!r} on the NumPy device.")

    def _prepare(self, kernel: str, tensors: tuple[Tensor, ...], params: dict) -> Callable:
        arrays = [self._array(t) for t in tensors]
        parts = [(kernel, arrays, params)]
        if JOINED in kernel:
            parts = split(kernel, arrays, params, self.n_buffers)
        calls = [self._pieces(*part) for part in parts]
        if all(len(halves) == 1 for halves in calls):
            return partial(_run_all, [call for (call,) in calls])
        first, second = ([halves[i] for halves in calls if len(halves) > i] for i in (0, 1))
        return partial(share, first + second[::-1])

    def _pieces(self, kernel: str, arrays: list[np.ndarray], params: dict) -> list[Callable]:
        """A call of a kernel's function, or two of half the work each."""
        return _halves(self.kernels[kernel], arrays, params)

    def n_buffers(self, kernel: str) -> int:
        """How many buffers a kernel takes."""
        return self.kernels[kernel].__code__.co_argcount

    def _execute(self, command: Callable) -> None:
        command()

    def _replay(self, plan: Plan, inputs: Inputs | None, times: int) -> None:
        for _ in range(times):
            for command in plan.prepared:
                command()


def _run_all(parts: list[Callable]) -> None:
    for part in parts:
        part()


def _halves(function: Callable, arrays: list[np.ndarray], params: dict) -> list[Callable]:
    """A call of a kernel, or two calls on half of its rows each."""
    count, in_rows, in_columns = getattr(function, "rows", ("", (), ()))
    rows = params.get(count, 1)
    if rows == 1 or max(array.size for array in arrays) < WORTH_IT:
        return [partial(function, *arrays, **params)]
    names, halves = function.__code__.co_varnames, []
    for own in (slice(rows // 2), slice(rows // 2, rows)):
        mine = list(arrays)
        for i, (name, array) in enumerate(zip(names, arrays, strict=False)):
            if name in in_rows:
                mine[i] = array.reshape(rows, -1)[own].reshape(-1)
            elif name in in_columns:
                mine[i] = array.reshape(-1, rows)[:, own]
        size = len(range(rows)[own])
        halves.append(partial(function, *mine, **params | {count: size}))
    return halves


class Ring:
    """Scalars that are read back; here at once."""

    def __init__(self):
        self.arrived: deque[tuple] = deque()

    def push(self, tag, *scalars: Tensor) -> None:
        self.arrived.append((tag, *[s.item() for s in scalars]))

    def drain(self) -> None:
        pass
