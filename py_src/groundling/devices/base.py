"""Where a computation runs. One interface, two devices: `webgpu` (a GPU, by way of WGSL) and
`numpy`.

A device makes tensors, moves numbers in and out of them, and runs kernels by name:

    device.run("add", x, y, z, size=z.size)

is `shaders/add.wgsl` on the GPU and the function `add` of `devices/numpy.py` on the CPU: the same
buffers in the same order and the same parameters by name. Kernels run in the order of the calls,
and a read waits for them.
"""

import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
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
from .stands import parts

BINDING = re.compile(r"@binding\(\d+\)\s*var<storage, (\w+)>")

INNER = tuple(f"{sources.PACKAGE}.{name}." for name in ("engine", "devices"))


def asking_line() -> str:
    """The line of Python, outside of the library's machinery, that asked for what is being done:
    "model.py:73", or "labs/lens.py:40".
    """
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
    return tuple(access == "read_write" for access in BINDING.findall(code))


@contextmanager
def prepares() -> Iterator[None]:
    """What is waited for in the block is a compiler, or a trial: it ends by itself, however long it
    takes.
    """
    Device.preparing += 1
    try:
        yield
    finally:
        Device.preparing -= 1


class DeviceError(RuntimeError):
    """The device cannot do what was asked: a limit, a failed kernel. The message says which and
    what it needs.
    """


class DeviceLost(DeviceError):
    """The GPU is gone, and everything that was on it."""


class Inputs:
    """The tensors that a captured function gets, and their numbers at each call."""

    def __init__(self, device: "Device", arrays: Sequence[np.ndarray]):
        self.device = device
        self.tensors = [device.tensor(array) for array in arrays]

    def write(self, arrays: Sequence[np.ndarray]) -> None:
        """Take new numbers, for the next replay."""
        for tensor, array in zip(self.tensors, arrays, strict=True):
            self.device.write(tensor, array)


@dataclass
class Counts:
    """What a device has done so far."""

    dispatches: int = 0  # kernels run
    submits: int = 0  # command buffers sent
    bind_groups: int = 0  # made
    uploaded: int = 0  # bytes written to tensors
    memory: int = 0  # bytes held
    waits: int = 0  # times that Python stopped for it: an await, in the page
    waited: float = 0.0  # seconds spent so


class Device:
    """What both devices share: memory that is used again, and the capture and replay of plans.

    A subclass gives `_bytes`, `_allocate`, `_release`, `_check` (an error where a dispatch cannot
    be), `_prepare` (a dispatch, ready to run again at any time), `_execute`, `_replay`, `_write`,
    `_read`, `source`, `is_original` and `ring`.
    """

    name: str  # "webgpu" or "numpy"
    description: str  # the adapter, for people
    instead_of = ""  # why it is not the one that was wished for; see open.py
    # What it can take; see limits.py.
    preparing = 0  # compilers and trials that are waited for; see `prepares`
    has_clock = False  # see WebGPUDevice.timed
    largest_tensor: float = math.inf  # bytes
    most_workgroups: float = math.inf  # along an axis of a dispatch
    workgroup_bytes: float = math.inf  # that the invocations of a workgroup share
    most_turns: float = math.inf  # of an invocation's loops, all together

    def __init__(self):
        self.pool: dict[
            int, list
        ] = {}  # free buffers by size: a freed tensor's memory serves the next of that size
        self._idle: dict[int, int] = {}  # how many of each size nobody has taken since `_tidy`
        self._held: dict[int, tuple] = {}  # all buffers and their bytes, by id: lest the garbage
        # collector finalize one, with a cycle it is in, before its tensor gives it back
        self._plan: Plan | None = None
        self._replayed: Callable[[], Plan | None] = lambda: None
        self.line_of_gradient = ""  # while backward() runs: the line whose gradient it makes
        self.counts = Counts()
        self.capturing_enabled = (
            True  # False: jit calls the Python anew each time, for tests and for debugging
        )

    # Tensors

    def empty(self, *shape: int, dtype: str = "f32") -> Tensor:
        """A tensor of whatever its memory held. dtype is "f32" or "u32"."""
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
        """A copy of an array, on this device: unsigned integers as "u32", everything else as
        "f32".
        """
        array = np.asarray(array)
        dtype = "u32" if array.dtype.kind == "u" else "f32"
        if self._plan:  # no replay writes it again, so nothing else in the plan may have its memory
            t = Tensor(self, self.storage(self._bytes(array.size, dtype)), 0, array.shape, dtype)
        else:
            t = self.empty(*array.shape, dtype=dtype)
        self._write(t, array)
        return t

    @cached_property
    def one(self) -> Tensor:
        """The number 1: the gradient of a loss with respect to itself."""
        return self.tensor([1.0])

    def inputs(self, arrays: Sequence[np.ndarray]) -> Inputs:
        """Tensors for a captured function, with the numbers of its first call."""
        return Inputs(self, arrays)

    def write(self, tensor: Tensor, array) -> None:
        """Put an array's numbers in a tensor, after all that was asked for before."""
        if self._plan:
            raise RuntimeError(
                "write() cannot be used inside a jitted function: what changes from call to call "
                "must come in as an array."
            )
        self._write(tensor, array)

    def read(self, tensor: Tensor) -> np.ndarray:
        """A copy of a tensor's numbers. Waits until they are there."""
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
        """Memory that goes back to the device, and not to the pool."""
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
        """Give back what nobody has taken from the pool since this was last called, or all of it.

        It is called at each read, and where the pool has nothing of a size: a loop that does the
        same each time soon finds all it needs there, and what the work before it needed goes.
        """
        for n_bytes, free in self.pool.items():
            idle = len(free) if everything else self._idle.get(n_bytes, 0)
            for _ in range(idle):
                self._give_back(free.pop(0))  # the ones that have been there the longest
            self._idle[n_bytes] = len(free)

    def close(self) -> None:
        """Give the device and all its memory back. Nothing that is on it can be used any more."""

    # Kernels

    def run(self, kernel: str, *tensors: Tensor, **params: float) -> None:
        """Run a kernel on tensors, in the order of its bindings, with its parameters by name.

        In a capture it is noted, and runs when the capture ends.
        """
        self._check(kernel, tensors, params)
        if self._plan:
            self._plan.add(kernel, tensors, params, self.line_of_gradient or asking_line())
        else:
            self._execute(self._prepare(kernel, tensors, params))
            self.counts.dispatches += 1

    @contextmanager
    def capture(self, inputs: Inputs | None = None) -> Iterator[Plan]:
        """Note the kernels that are asked for in the block, and run them, as `replay` will, at its
        end.

        Memory made in the block belongs to the plan alone: its replays write to it, so nobody else
        may have it. Nothing can be read or written in the block, for nothing has run yet.
        """
        self.require_no_capture()
        self._tidy(everything=True)  # the plan has memory of its own; what was pooled makes room
        self.submit()
        plan = self._plan = Plan()
        try:
            yield plan
            plan.commands = fuse(plan.commands, self.writes, self.stands, plan.results())
            plan.lay_out(self.storage)
            plan.prepared = self._prepare_all(plan.commands)
        finally:
            self._plan = None
        self.replay(plan, inputs)

    def replay(self, plan: Plan, inputs: Inputs | None = None, times: int = 1) -> None:
        """Run a captured plan again, on what its buffers and its inputs hold now; or `times` times,
        each on what the one before has left.
        """
        self.require_no_capture()
        self._replayed = ref(plan)
        self._replay(plan, inputs, times)
        self.counts.dispatches += times * len(plan.commands)

    @property
    def replayed(self) -> Plan | None:
        """The plan that was replayed last, for as long as someone else has it."""
        return self._replayed()

    def _prepare_all(self, commands: list[Command]) -> list:
        return [self._prepare(c.kernel, c.tensors, c.params) for c in commands]

    def writes(self, command: Command) -> list[bool]:
        """For each tensor of a command, whether its kernel writes to it, as the WGSL has it."""
        flags: list[bool] = []
        for name in command.kernel.split(JOINED):
            flags += writable(self.source(name))
        return flags if len(flags) == len(command.tensors) else [True] * len(command.tensors)

    def stands(self, kernel: str) -> bool:
        """Whether a kernel may stand for those it was made from: none of them is edited. Nor is any
        of several side by side, so that an error in an edited kernel is told by its own lines.
        """
        if JOINED in kernel:
            paths = {f"{sources.SHADERS}{part}.wgsl" for part in kernel.split(JOINED)}
            return paths.isdisjoint(sources.overlay)
        return all(self.is_original(*part) for part in parts(self.source(kernel)).items())

    def source(self, kernel: str) -> str:
        """A kernel's WGSL; nothing for one that has none."""
        path = f"{sources.SHADERS}{kernel}.wgsl"
        return sources.text(path) if sources.exists(path) else ""

    asking_line = staticmethod(asking_line)

    @property
    def capturing(self) -> bool:
        """Whether kernels are noted for a plan, and not run."""
        return self._plan is not None

    def require_no_capture(self) -> None:
        """RuntimeError within a capture."""
        if self._plan:
            raise RuntimeError(
                "A captured function called another one; capture the outer one only."
            )

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """However the block is left, afterwards no capture is open, and the tape is as before."""
        try:
            with tape_as_before():
                yield
        finally:
            self._plan, self.line_of_gradient = None, ""

    def submit(self) -> None:
        """Send what has been asked for so far on its way, where the device would otherwise wait
        for more.
        """
