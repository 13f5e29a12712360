"""Where a computation runs. One interface, two devices: `webgpu` (a GPU, by way of WGSL) and
`numpy`.

A device makes tensors, moves numbers in and out of them, and runs kernels by name:

    device.run("add", x, y, z, size=z.size)

is `shaders/add.wgsl` on the GPU and the function `add` of `devices/numpy.py` on the CPU: the same
buffers in the same order and the same parameters by name. Kernels run in the order of the calls,
and a read waits for them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..tensor import Storage, Tensor


class DeviceError(RuntimeError):
    """The device cannot do what was asked: a limit, a failed kernel. The message says which and
    what it needs.
    """


class DeviceLost(DeviceError):
    """The GPU is gone, and everything that was on it."""


class Plan:
    """The dispatches of one captured call, and the buffers that they use; `Device.replay` runs
    them again.
    """

    def __init__(self, release: Callable):
        self._release = release
        self.commands: list = []
        self.pool: dict[int, list] = {}
        self.storages: set[Storage] = set()  # memory from elsewhere that the dispatches use
        self.compiled = None

    def add(self, command, tensors: tuple[Tensor, ...]) -> None:
        """Note a dispatch, and hold the memory it uses, lest another tensor gets it."""
        self.commands.append(command)
        for tensor in tensors:
            if not any(tensor.storage.free is free for free in self.pool.values()):
                self.storages.add(tensor.storage)

    def __del__(self):
        # A browser's garbage collector does not see how large a GPU buffer is: give it back now.
        for buffers in self.pool.values():
            for buffer in buffers:
                self._release(buffer)


@dataclass
class Counts:
    """What a device has done so far."""

    dispatches: int = 0  # kernels run
    submits: int = 0  # command buffers sent
    waited: float = 0.0  # seconds spent waiting for it


class Device:
    """What both devices share: memory that is used again, and the capture and replay of plans.

    A subclass gives `_allocate`, `_release`, `_prepare` (a dispatch, ready to run again at any
    time), `_execute`, `_replay`, `write`, `read` and `ring`.
    """

    name: str  # "webgpu" or "numpy"
    description: str  # the adapter, for people

    def __init__(self):
        self.pool: dict[
            int, list
        ] = {}  # free buffers by size: a freed tensor's memory serves the next of that size
        self._buffers: list = []  # all that were ever in the pool, lest the garbage collector
        # finalize one, with a cycle it is in, before its tensor puts it back
        self._plan: Plan | None = None
        self.counts = Counts()
        self.capturing_enabled = (
            True  # False: jit calls the Python anew each time, for tests and for debugging
        )

    # Tensors

    def empty(self, *shape: int, dtype: str = "f32") -> Tensor:
        """A tensor of whatever its memory held. dtype is "f32" or "u32"."""
        size = int(np.prod(shape, dtype=np.int64))
        free = self.pool.setdefault(self._bytes(size, dtype), [])
        if free:
            buffer = free.pop()
        else:
            buffer = self._allocate(self._bytes(size, dtype))
            if not self._plan:
                self._buffers.append(buffer)
        return Tensor(self, Storage(buffer, free), 0, shape, dtype)

    def tensor(self, array) -> Tensor:
        """A copy of an array, on this device: unsigned integers as "u32", everything else as
        "f32".
        """
        array = np.asarray(array)
        dtype = "u32" if array.dtype.kind == "u" else "f32"
        if self._plan:  # no replay writes it again, so nothing else in the plan may have its memory
            buffer = self._allocate(self._bytes(array.size, dtype))
            t = Tensor(self, Storage(buffer, []), 0, array.shape, dtype)
        else:
            t = self.empty(*array.shape, dtype=dtype)
        self.write(t, array)
        return t

    @cached_property
    def one(self) -> Tensor:
        """The number 1: the gradient of a loss with respect to itself."""
        return self.tensor([1.0])

    # Kernels

    def run(self, kernel: str, *tensors: Tensor, **params: float) -> None:
        """Run a kernel on tensors, in the order of its bindings, with its parameters by name."""
        command = self._prepare(kernel, tensors, params)
        if self._plan:
            self._plan.add(command, tensors)
        self._execute(command)
        self.counts.dispatches += 1

    @contextmanager
    def capture(self) -> Iterator[Plan]:
        """Record the kernels that run in the block, as they run.

        Buffers made in the block belong to the plan alone: its replays write to them, so nobody
        else may have them.
        """
        self._require_no_capture()
        plan = Plan(self._release)
        outer, self.pool, self._plan = self.pool, plan.pool, plan
        try:
            yield plan
        finally:
            self.pool, self._plan = outer, None

    def replay(self, plan: Plan) -> None:
        """Run a captured plan again, on what its buffers hold now."""
        self._require_no_capture()
        self._replay(plan)
        self.counts.dispatches += len(plan.commands)

    @property
    def capturing(self) -> bool:
        """Whether kernels are being recorded for a plan."""
        return self._plan is not None

    def _require_no_capture(self) -> None:
        if self._plan:
            raise RuntimeError(
                "A captured function called another one; capture the outer one only."
            )

    def submit(self) -> None:
        """Send what has been asked for so far on its way, where the device would otherwise wait
        for more.
        """


def open_device(name: str = "auto", **options) -> Device:
    """The device of that name; "auto" is WebGPU on a real adapter, else NumPy.

    Raises DeviceError when there is no such device here.
    """
    if name == "numpy":
        from .numpy import NumPyDevice

        return NumPyDevice(**options)
    if name == "webgpu":
        from .webgpu import WebGPUDevice

        return WebGPUDevice(**options)
    if name != "auto":
        raise DeviceError(f"There is no device {name!r}; the devices are auto, webgpu and numpy.")
    try:
        device = open_device("webgpu", **options)
    except DeviceError:
        return open_device("numpy")
    return open_device("numpy") if device.is_emulated else device
