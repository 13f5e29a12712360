"""The base class of the devices: `webgpu` (a GPU, by WGSL), `torch` (a GPU or the CPU, by PyTorch),
`wasm` and `numpy` (the CPU).

A device makes tensors, copies numbers into and out of them, and runs kernels by name:

    device.run("add", x, y, z, size=z.size)

is `shaders/add.wgsl` on the GPU and the function `add` of `devices/kernels.py` on the CPU, or of
`devices/torch/kernels.py` by PyTorch, with the same buffers in the same order and the same
parameters by name. Kernels run in the order of the calls, and a read waits for them.
"""

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import PurePath
from typing import Any
from weakref import ref

import numpy as np

from .. import sources
from ..engine.fuse import JOINED, fuse
from ..engine.plan import Command, Plan
from ..engine.tensor import Storage, Tensor, tape_as_before
from .fused import parts
from .ranks import Ranks
from .webgpu.wgsl import BINDING

INNER = tuple(f"{sources.PACKAGE}.{name}." for name in ("engine", "devices"))


def asking_line() -> str:
    """The innermost line of Python outside engine/ and devices/, such as "model.py:73"."""
    frame = sys._getframe(1)
    while frame and frame.f_globals.get("__name__", "").startswith(INNER):
        frame = frame.f_back
    if not frame:
        return ""
    path = sources.path_of(frame.f_globals.get("__name__", "")).removeprefix(sources.LIBRARY)
    return f"{path or PurePath(frame.f_code.co_filename).name}:{frame.f_lineno}"


@lru_cache(256)
def writable(code: str) -> tuple[bool, ...]:
    """For each storage buffer that a kernel's WGSL binds, whether it may write to it."""
    kinds = [kind for _, kind, _, _ in BINDING.findall(code)]
    return tuple(kind == "storage, read_write" for kind in kinds if kind != "uniform")


@contextmanager
def prepares() -> Iterator[None]:
    """Count a wait in the block as one for a compiler or a trial, which may take long."""
    Device.preparing += 1
    try:
        yield
    finally:
        Device.preparing -= 1


class DeviceError(RuntimeError):
    """The device cannot do what was asked, because of a limit or a kernel that does not compile."""


class DeviceLost(DeviceError):
    """The GPU was lost, with everything that was on it."""


class RankLost(DeviceError):
    """Another process of the run ended, so that this one cannot go on; see ranks.py."""


class Inputs:
    """The tensors that are passed to a captured function."""

    def __init__(self, device: "Device", arrays: Sequence[np.ndarray]):
        self.device = device
        self.tensors = [device.tensor(array) for array in arrays]

    def write(self, arrays: Sequence[np.ndarray]) -> None:
        """Set the numbers for the next replay."""
        for tensor, array in zip(self.tensors, arrays, strict=True):
            self.device.write(tensor, array)


@dataclass
class Counts:
    """What a device has done since it was opened."""

    dispatches: int = 0  # kernels run
    submits: int = 0  # command buffers sent
    bind_groups: int = 0  # made
    uploaded: int = 0  # bytes written to tensors
    memory: int = 0  # bytes held
    waits: int = 0  # times that Python waited for the GPU
    waited: float = 0.0  # seconds, in all of them


class Device(ABC):
    """A pool of memory, and capture and replay of plans. Subclasses define the abstract methods."""

    name: str  # one of open.DEVICES
    description: str  # of the adapter, in words
    instead_of = ""  # why there is no WebGPU device; see open.py
    preparing = 0  # waits for compilers and trials that are in progress; see `prepares`
    has_clock = False  # see WebGPUDevice.timed
    cores, gain = 1, 0.0  # of a step, and how much faster two are: see devices/wasm/cores.py
    is_in_host_memory = True  # whether its memory is the host's
    ranks = Ranks()  # the processes that train together, one on each device
    tapped = False  # whether its kernels are noted: see tap.py
    # Its limits; see limits.py.
    largest_tensor: float = math.inf  # bytes
    most_workgroups: float = math.inf  # along an axis of a dispatch
    workgroup_bytes: float = math.inf  # of memory shared within a workgroup
    most_turns: float = math.inf  # of all loops of an invocation

    def __init__(self):
        self.pool: dict[int, list] = {}  # buffers of freed tensors, by size, to be used again
        self._idle: dict[int, int] = {}  # of each size, how many were not used since `_tidy`
        # All buffers with their sizes, by id, so that the garbage collector cannot finalize one as
        # part of a cycle before its tensor has returned it.
        self._held: dict[int, tuple] = {}
        self._plan: Plan | None = None
        self._kept: set[Storage] = set()  # see `undisturbed`
        self._replayed: Callable[[], Plan | None] = lambda: None
        self.line_of_gradient = ""  # in backward(): the line whose gradient is being computed
        self.counts = Counts()
        self.capturing_enabled = True  # if False, jit calls the function each time

    # Tensors

    def empty(self, *shape: int, dtype: str = "f32") -> Tensor:
        """An uninitialized tensor. dtype is "f32" or "u32"."""
        n_bytes = self._bytes(math.prod(shape), dtype)
        if self._plan:
            return Tensor(self, self._plan.storage(n_bytes), 0, shape, dtype)
        free = self.pool.setdefault(n_bytes, [])
        if not free:
            self._tidy()
        if free:
            buffer = free.pop()
            self._idle[n_bytes] = min(self._idle.get(n_bytes, 0), len(free))
        else:
            buffer = self._buffer(n_bytes)
        return Tensor(self, Storage(buffer, free.append), 0, shape, dtype)

    def tensor(self, array) -> Tensor:
        """A copy of an array on this device: "u32" for unsigned integers, else "f32"."""
        array = np.asarray(array)
        dtype = "u32" if array.dtype.kind == "u" else "f32"
        if self._plan:  # not written by replays, so the plan must not use its memory again
            t = Tensor(self, self.storage(self._bytes(array.size, dtype)), 0, array.shape, dtype)
        else:
            t = self.empty(*array.shape, dtype=dtype)
        self._write(t, array)
        return t

    @cached_property
    def one(self) -> Tensor:
        """The number 1, the gradient of a loss with respect to itself."""
        return self.tensor([1.0])

    def inputs(self, arrays: Sequence[np.ndarray]) -> Inputs:
        """Tensors for a captured function, with the numbers of its first call."""
        return Inputs(self, arrays)

    def write(self, tensor: Tensor, array) -> None:
        """Copy an array into a tensor, after all kernels run before. RuntimeError in a capture."""
        if self._plan:
            raise RuntimeError(
                "write() cannot be used inside a jitted function: what changes from call to call "
                "must come in as an array."
            )
        self._require_not_kept([tensor])
        self._write(tensor, array)

    def read(self, tensor: Tensor) -> np.ndarray:
        """A copy of a tensor's numbers. Waits for them. RuntimeError within a capture."""
        if self._plan:
            raise RuntimeError(
                "item() and numpy() cannot read inside a jitted function: return the tensor, and "
                "read it outside."
            )
        numbers = self._read(tensor)
        self._tidy()
        return numbers

    # Memory

    def storage(self, n_bytes: int) -> Storage:
        """Memory that is freed when its last tensor is gone, and not pooled."""
        return Storage(self._buffer(n_bytes), self._give_back)

    def _buffer(self, n_bytes: int) -> Any:
        buffer = self._allocate(n_bytes)
        self._held[id(buffer)] = buffer, n_bytes
        self.counts.memory += n_bytes
        return buffer

    def _give_back(self, buffer: Any) -> None:
        _, n_bytes = self._held.pop(id(buffer))
        self.counts.memory -= n_bytes
        self._release(buffer)

    def _tidy(self, everything: bool = False) -> None:
        """Free the buffers of the pool that were not used since the last call, or all of them.
        Called at each read, and when the pool has no buffer of a size: a loop finds all its buffers
        there after its first rounds.
        """
        for n_bytes, free in self.pool.items():
            idle = len(free) if everything else self._idle.get(n_bytes, 0)
            for _ in range(idle):
                self._give_back(free.pop(0))  # the oldest first
            self._idle[n_bytes] = len(free)

    def close(self) -> None:  # noqa: B027
        """Free the device and all of its memory."""

    # Kernels

    def run(self, kernel: str, *tensors: Tensor, **params: float) -> None:
        """Run a kernel on tensors, in the order of its bindings, with its parameters by name. In a
        capture it is recorded, and runs at the end of the capture. DeviceError.
        """
        self._check(kernel, tensors, params)
        if self._kept:
            writes = self.writes(Command(kernel, tensors, params, ""))
            self._require_not_kept(t for t, written in zip(tensors, writes, strict=True) if written)
        if self._plan:
            self._plan.add(kernel, tensors, params, self.line_of_gradient or asking_line())
        else:
            self._execute(self._prepare(kernel, tensors, params))
            self.counts.dispatches += 1

    @contextmanager
    def capture(self, inputs: Inputs | None = None) -> Iterator[Plan]:
        """Record the kernels that are run in the block as a plan, and replay it at the end. Memory
        that is allocated in the block belongs to the plan. Nothing can be read or written in the
        block, since nothing has run yet.
        """
        self.require_no_capture()
        self._tidy(everything=True)  # makes room: a plan allocates its own memory
        self.submit()
        plan = self._plan = Plan()
        try:
            yield plan
            plan.commands = fuse(plan.commands, self.writes, self.stands, plan.results())
            self._arrange(plan)
            plan.lay_out(self.storage)
            plan.prepared = self._prepare_all(plan.commands)
        finally:
            self._plan = None
        self.replay(plan, inputs)

    def _arrange(self, plan: Plan) -> None:  # noqa: B027
        """Put a plan's commands in another order, before their memory is allocated."""

    def replay(self, plan: Plan, inputs: Inputs | None = None, times: int = 1) -> None:
        """Run a captured plan `times` times on the present contents of its buffers and inputs."""
        self.require_no_capture()
        self._replayed = ref(plan)
        self._replay(plan, inputs, times)
        self.counts.dispatches += times * len(plan.commands)

    @property
    def replayed(self) -> Plan | None:
        """The plan that was replayed last, or None if it was freed."""
        return self._replayed()

    def _prepare_all(self, commands: list[Command]) -> list:
        return [self._prepare(c.kernel, c.tensors, c.params) for c in commands]

    def writes(self, command: Command) -> list[bool]:
        """For each tensor of a command, whether its kernel writes to it, by the kernel's WGSL."""
        flags: list[bool] = []
        for name in command.kernel.split(JOINED):
            flags += writable(self.source(name))
        return flags if len(flags) == len(command.tensors) else [True] * len(command.tensors)

    def stands(self, kernel: str) -> bool:
        """Whether a kernel may stand for those it was made from: none of them is edited. Nor is any
        of several side by side, so that an error in an edited kernel is told by its own lines.
        """
        if JOINED in kernel:
            paths = {sources.kernel_path(part) for part in kernel.split(JOINED)}
            return paths.isdisjoint(sources.overlay)
        return all(self.is_original(*part) for part in parts(self.source(kernel)).items())

    def source(self, kernel: str) -> str:
        """A kernel's WGSL, or "" for one that has none."""
        path = sources.kernel_path(kernel)
        return sources.text(path) if sources.exists(path) else ""

    asking_line = staticmethod(asking_line)

    @property
    def noting_lines(self) -> bool:
        """Whether the line of Python that runs a kernel is noted, for a plan or by a tap."""
        return self._plan is not None or self.tapped

    def require_no_capture(self) -> None:
        """RuntimeError within a capture."""
        if self._plan:
            raise RuntimeError(
                "A captured function called another one; capture the outer one only."
            )

    def _require_not_kept(self, written: Iterable[Tensor]) -> None:
        if any(t.storage in self._kept for t in written):
            raise RuntimeError("Work beside the run cannot write to its weights.")

    @contextmanager
    def undisturbed(self, keeping: Iterable[Tensor] = ()) -> Iterator[None]:
        """In the block, whatever would write to the memory of these tensors raises a RuntimeError.
        After it, also after an error, no capture is open and the tape is as before.
        """
        before, self._kept = self._kept, self._kept | {t.storage for t in keeping}
        try:
            with tape_as_before():
                yield
        finally:
            self._kept = before
            self._plan, self.line_of_gradient = None, ""

    def submit(self) -> None:  # noqa: B027
        """Submit what was asked for so far, on a device that collects work."""

    # What a subclass defines. `_check` raises DeviceError for a dispatch that cannot be.

    @abstractmethod
    def ring(self) -> Any: ...  # scalars that are read back: see devices/webgpu/readback.py
    @abstractmethod
    def is_original(self, kernel: str, digest: str) -> bool: ...  # whether it was not edited
    @abstractmethod
    def _bytes(self, size: int, dtype: str) -> int: ...  # of so many numbers
    @abstractmethod
    def _allocate(self, n_bytes: int) -> Any: ...  # a buffer
    @abstractmethod
    def _release(self, buffer: Any) -> None: ...
    @abstractmethod
    def _write(self, tensor: Tensor, array: Any) -> None: ...
    @abstractmethod
    def _read(self, tensor: Tensor) -> np.ndarray: ...
    @abstractmethod
    def _check(self, kernel: str, tensors: tuple[Tensor, ...], params: dict) -> None: ...
    @abstractmethod
    def _prepare(self, kernel: str, tensors: tuple[Tensor, ...], params: dict) -> Any: ...
    @abstractmethod
    def _execute(self, prepared: Any) -> None: ...  # what `_prepare` returned, any number of times
    @abstractmethod
    def _replay(self, plan: Plan, inputs: Inputs | None, times: int) -> None: ...
