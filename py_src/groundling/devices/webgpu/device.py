"""The WebGPU device: runs the kernels of `shaders/` through wgpu, natively and (by way of a shim)
in the page.

What it knows of a kernel is written in the kernel's file: see kernel.py. "a + b" is two kernels
side by side in one dispatch, made of both files by wgsl.py.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import wgpu

from ... import sources
from ...engine.fuse import JOINED, meet, region, split
from ...engine.plan import Command, Plan
from ...engine.recent import Recent
from ...engine.tensor import Tensor
from ..base import Device, DeviceError
from ..stands import digest
from . import plans, tiles, wgsl
from .clock import CLOCK, Clock
from .kernel import BINDABLE, Kernel
from .products import Products
from .ring import Ring
from .upload import Upload

LIMITS = (
    "max-buffer-size",
    "max-storage-buffer-binding-size",
)  # asked for in full: models are one buffer
MOST_JOINED = 64  # kept: kernels side by side
MOST_UNIFORMS = 1024  # a step has about 40; what is bound stays, if it is kept here or not
STORAGE = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST


class WebGPUDevice(Device):
    """Gathers dispatches into one command buffer and sends it when told to, or when a read or
    write has to come next.
    """

    name = "webgpu"

    def __init__(self):
        super().__init__()
        try:
            adapter = wgpu.gpu.request_adapter_sync(power_preference="high-performance")
            if adapter is None:
                raise RuntimeError("no adapter")
            limits = {name: adapter.limits[name] for name in LIMITS}
            features = [CLOCK] if CLOCK in adapter.features else []
            self.wgpu = adapter.request_device_sync(
                required_features=features, required_limits=limits
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise DeviceError(f"No WebGPU adapter can be had here: {error}.") from error
        self.clock = Clock(self.wgpu) if features else None
        self.has_clock = bool(features)
        self.largest_tensor = min(self.wgpu.limits[name] for name in LIMITS)
        self.most_workgroups = self.wgpu.limits["max-compute-workgroups-per-dimension"]
        self.workgroup_bytes = self.wgpu.limits["max-compute-workgroup-storage-size"]
        self.description = _describe(adapter.info)
        self.is_emulated = adapter.info.get("adapter_type") == "CPU"
        if "llvmpipe" in self.description:
            self.most_turns = (
                65_535  # then it leaves a loop with no word: LP_MAX_TGSI_LOOP_ITERATIONS
            )
        self.kernels: dict[str, Kernel] = {}
        self.products = Products(
            self.wgpu, self.kernel, self.clock, self.is_emulated, self.description
        )
        self._joined = Recent(MOST_JOINED)  # by their sources, and which buffers they share
        self._uniforms = Recent(MOST_UNIFORMS)  # by their bytes
        self._unused: list[wgpu.GPUBuffer] = []  # to be destroyed after the next submit
        self._encoder = self._pass = None
        self._turn: Turn | None = None  # a plan that waits to be sent, when nothing else does

    def _write(self, tensor: Tensor, array) -> None:
        self.submit()
        data = np.ascontiguousarray(array, np.float32 if tensor.dtype == "f32" else np.uint32)
        if data.size != tensor.size:
            raise ValueError(f"{data.size} numbers do not fit a tensor of shape {tensor.shape}.")
        if data.size:
            self.counts.uploaded += data.nbytes
            self.wgpu.queue.write_buffer(tensor.storage.buffer, 4 * tensor.offset, data)

    def _read(self, tensor: Tensor) -> np.ndarray:
        self.submit()
        start, size = 4 * tensor.offset, 4 * tensor.size
        with self.waiting():
            data = self.wgpu.queue.read_buffer(tensor.storage.buffer, start, size)
        dtype = np.float32 if tensor.dtype == "f32" else np.uint32
        return np.frombuffer(data, dtype).reshape(tensor.shape).copy()

    def inputs(self, arrays: Sequence[np.ndarray]) -> Upload:
        """Tensors for a captured function, side by side in one buffer."""
        return Upload(self, arrays)

    def submit(self) -> None:
        """Send the gathered dispatches and copies to the GPU."""
        turn, encoder = self._turn, self._encoder  # one of them at most
        try:
            if turn:
                upload = None
                if turn.upload:
                    upload = turn.upload.storage.buffer, turn.upload.data
                    self.counts.uploaded += turn.upload.data.nbytes
                runs = [(plan.compiled, times) for plan, times in turn.runs]
                self.counts.waited += plans.run_plan(
                    self.wgpu, runs, upload, turn.scalars, turn.target, turn.at
                )
            elif encoder:
                self._end_pass()
                self.wgpu.queue.submit([encoder.finish()])
        finally:
            self._turn = self._encoder = None  # not before: what is released until now waits
        self.counts.submits += bool(turn or encoder)
        while self._unused:
            self._unused.pop().destroy()

    def close(self) -> None:
        """Destroy the device, and so all that was made from it."""
        self.wgpu.destroy()

    def ring(self) -> Ring:
        """Scalars that are read back while the GPU goes on."""
        return Ring(self.wgpu, self.copy_scalars, self.submit, self.waiting)

    @contextmanager
    def waiting(self, times: int = 1) -> Iterator[None]:
        """Count the block as so many waits for the device, and its time as spent on them."""
        start = time.perf_counter()
        self.counts.waits += times
        yield
        self.counts.waited += time.perf_counter() - start

    def timed(self, work: Callable[[], None]) -> float:
        """The seconds that the kernels which `work` runs take, by the device's own clock. Waits."""
        self.submit()
        self._pass = self.encoder.begin_compute_pass(timestamp_writes=self.clock.writes)
        work()
        self._end_pass()
        self.clock.resolve(self.encoder)
        self.submit()
        with self.waiting():
            return self.clock.seconds()

    def compile_all(self, progress: Callable[[int, int, str], None] = lambda *_: None) -> None:
        """Compile every kernel in `shaders/`, all at once where the host can; progress(done,
        total, name). Of products those that are needed: see tiles.py.
        """
        names = ahead()
        for name in names:
            self.kernel(name).begin({})
        for done, name in enumerate(names):
            progress(done, len(names), name)
            self.kernel(name).pipeline({})
        progress(len(names), len(names), "")

    def kernel(self, name: str) -> Kernel:
        """The kernel of that name, read from `shaders/` the first time. Assign `kernels[name]` to
        change one.
        """
        if name not in self.kernels:
            try:
                code = sources.text(f"{sources.SHADERS}{name}.wgsl")
            except FileNotFoundError:
                raise DeviceError(
                    f"There is no kernel {name!r}: no file shaders/{name}.wgsl."
                ) from None
            is_ours = code == sources.original(f"{sources.SHADERS}{name}.wgsl")
            self.kernels[name] = Kernel(self.wgpu, name, code, is_ours)
        return self.kernels[name]

    def _bytes(self, size: int, dtype: str) -> int:
        return 4 * max(size, 1)

    def _allocate(self, n_bytes: int) -> wgpu.GPUBuffer:
        if n_bytes > self.largest_tensor:
            name = min(LIMITS, key=lambda name: self.wgpu.limits[name])
            raise DeviceError(
                f"A tensor of {n_bytes:,} bytes is more than this adapter takes: "
                f"its {name} is {self.largest_tensor:,}."
            )
        return self.wgpu.create_buffer(size=n_bytes, usage=STORAGE)

    def _release(self, buffer: wgpu.GPUBuffer) -> None:
        if self._turn or self._encoder:  # what is gathered but not yet sent may use it
            self._unused.append(buffer)
        else:
            buffer.destroy()

    def source(self, kernel: str) -> str:
        """A kernel's WGSL, as it is now; nothing for several side by side."""
        return "" if JOINED in kernel else self.kernel(kernel).code

    def is_original(self, kernel: str, known: str) -> bool:
        """Whether a kernel's code has that digest: see stands.py."""
        return digest(self.kernel(kernel).code) == known

    def run(self, kernel: str, *tensors: Tensor, **params: float) -> None:
        """Run a kernel, by way of copies of what WebGPU cannot bind where it lies: a view that
        begins at no multiple of 256 bytes, and what is read from a buffer that is also written to.
        """
        if JOINED in kernel:
            super().run(kernel, *tensors, **params)
            return
        writes = [how == "storage, read_write" for how in self.kernel(kernel).access]
        written = [t for t, writes_to in zip(tensors, writes, strict=False) if writes_to]
        if any(meet(a, b) for a, b in combinations(written, 2)):
            raise DeviceError(
                f"Kernel {kernel} cannot write to one stretch of memory by two names."
            )
        storages, bound = {t.storage for t in written}, list(tensors)
        for i, (t, writes_to) in enumerate(zip(tensors, writes, strict=False)):
            if t.offset % BINDABLE or (t.storage in storages and not writes_to):
                bound[i] = self.empty(*t.shape, dtype=t.dtype)
                whole, at = _bindable(t)
                super().run("move", whole, bound[i], size=t.size, x_start=at, y_start=0)
        super().run(kernel, *bound, **params)
        for t, copy, writes_to in zip(tensors, bound, writes, strict=False):
            if writes_to and copy is not t:
                whole, at = _bindable(t)
                super().run("move", copy, whole, size=t.size, x_start=0, y_start=at)

    def _check(self, name: str, tensors: tuple[Tensor, ...], params: dict) -> None:
        if JOINED in name:
            return  # each of them was checked
        kernel = self.kernel(name)
        if len(tensors) != kernel.n_buffers:
            raise DeviceError(
                f"Kernel {name} has {kernel.n_buffers} buffers; it was given {len(tensors)}."
            )
        kernel.pack(params)
        self._fold(name, kernel.workgroups(params))

    def _running(self, name: str, params: dict) -> Kernel:
        """A kernel as it is written, or in larger tiles where those are faster here, and right."""
        kernel = self.kernel(name)
        is_product = kernel.is_ours and name in tiles.KINDS
        return self.products.running(name, params) if is_product else kernel

    def _kernel_for(
        self, name: str, tensors: tuple[Tensor, ...], params: dict
    ) -> tuple[Kernel, list[Tensor]]:
        """A kernel, or several side by side, and the tensors to bind: each stretch that both only
        read is bound once.
        """
        if JOINED not in name:
            return self._running(name, params), list(tensors)
        parts = [
            self._kernel_for(part, own, theirs)[0]
            for part, own, theirs in split(
                name, tensors, params, lambda part: self.kernel(part).n_buffers
            )
        ]
        access = [one for part in parts for one in zip(part.access, part.elements, strict=True)]
        places: dict = {}
        numbers = [
            places.setdefault((region(t), kind) if how == "storage, read" else i, i)
            for i, (t, (how, kind)) in enumerate(zip(tensors, access, strict=True))
        ]
        key = *(part.code for part in parts), *numbers

        def join() -> Kernel:
            grids = [",".join(part.grid) for part in parts]
            return Kernel(self.wgpu, name, wgsl.join([part.code for part in parts], grids, numbers))

        return self._joined.get_or(key, join), [tensors[i] for i in dict.fromkeys(numbers)]

    def _prepare_all(self, commands: list[Command]) -> list:
        for c in commands:
            self._kernel_for(c.kernel, c.tensors, c.params)[0].begin(c.params)
        return super()._prepare_all(commands)

    def _prepare(self, name: str, tensors: tuple[Tensor, ...], params: dict) -> tuple:
        kernel, tensors = self._kernel_for(name, tensors, params)
        self.counts.bind_groups += 1
        pipeline, group, *grid = kernel.prepare(tensors, self._uniform(kernel.pack(params)), params)
        return pipeline, group, *self._fold(name, grid)

    def _uniform(self, data: bytes) -> wgpu.GPUBuffer:
        """A uniform buffer with these bytes; equal parameters share one."""
        make, usage = self.wgpu.create_buffer_with_data, wgpu.BufferUsage.UNIFORM
        return self._uniforms.get_or(data, lambda: make(data=data, usage=usage))

    def _fold(self, name: str, grid: list[int]) -> tuple[int, int, int]:
        """The grid as three axes. A long single axis goes on in the second: kernels number
        workgroups through both.
        """
        most = self.most_workgroups
        if len(grid) == 1 and grid[0] > most:
            grid = [most, -(-grid[0] // most)]
        if max(grid) > most:
            raise DeviceError(
                f"Kernel {name} needs {max(grid):,} workgroups along one axis; this adapter's "
                f"max-compute-workgroups-per-dimension is {most:,}."
            )
        return tuple(grid + [1] * (3 - len(grid)))

    def _execute(self, command: tuple) -> None:
        self._send_turn()
        pipeline, group, *grid = command
        if not self._pass:
            self._pass = self.encoder.begin_compute_pass()
        self._pass.set_pipeline(pipeline)
        self._pass.set_bind_group(0, group)
        self._pass.dispatch_workgroups(*grid)

    def _replay(self, plan: Plan, inputs: Upload | None, times: int) -> None:
        if plan.compiled is None:
            plan.compiled = plans.make_plan(plan.prepared)
        if self._turn and inputs is None and not self._turn.scalars:
            self._turn.runs.append((plan, times))
            return
        self.submit()
        self._turn = Turn([(plan, times)], inputs)

    def _send_turn(self) -> None:
        if self._turn:
            self.submit()

    @property
    def encoder(self) -> wgpu.GPUCommandEncoder:
        """The command encoder that the next submit sends."""
        self._encoder = self._encoder or self.wgpu.create_command_encoder()
        return self._encoder

    def _end_pass(self) -> None:
        if self._pass:
            self._pass.end()
            self._pass = None

    def copy_scalars(self, sources: Sequence[Tensor], target: wgpu.GPUBuffer, slot: int) -> None:
        """Copy tensors of one element into a buffer's words from the slot-th on."""
        scalars = [(source.storage.buffer, 4 * source.offset) for source in sources]
        if self._turn and not self._turn.scalars:
            self._turn.scalars, self._turn.target, self._turn.at = scalars, target, 4 * slot
            return
        self._send_turn()
        self._end_pass()
        for i, (buffer, offset) in enumerate(scalars, slot):
            self.encoder.copy_buffer_to_buffer(buffer, offset, target, 4 * i, 4)


@dataclass
class Turn:
    """Replays, to be sent by one call: an upload, then plans, and scalars copied out after them."""

    runs: list[tuple[Plan, int]]  # and how many times each
    upload: Upload | None
    scalars: Sequence[tuple[wgpu.GPUBuffer, int]] = ()  # and where in the buffer, in bytes
    target: wgpu.GPUBuffer | None = None
    at: int = 0  # bytes


def _bindable(t: Tensor) -> tuple[Tensor, int]:
    """A tensor's stretch of memory from where it can be bound on, and where in that it begins."""
    at = t.offset % BINDABLE
    return Tensor(t.device, t.storage, t.offset - at, (at + t.size,), t.dtype), at


def ahead() -> list[str]:
    """The kernels that are compiled before they are needed: all but products, see tiles.py."""
    return [name for name in sources.kernels() if name not in tiles.KINDS]


def _describe(info: dict) -> str:
    """An adapter for people: its name, or what else it says of itself, and the API it is driven
    by.
    """
    name = (
        info.get("device")
        or " ".join(filter(None, (info.get("vendor"), info.get("architecture"))))
        or "a GPU"
    )
    kind = {"CPU": " (emulated on the CPU)"}.get(info.get("adapter_type"), "")
    return f"{name}{kind}, {info.get('backend_type') or 'WebGPU'}"
