"""The WebGPU device: runs the kernels of `shaders/` through wgpu-py, or in the page through an
implementation of its API over `navigator.gpu`.

A kernel's buffers, parameters and grid are read from its file: see kernel.py. The kernel "a + b"
is two kernels side by side in one dispatch, which wgsl.join makes from both files.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import wgpu

from ... import sources
from ...engine.fuse import JOINED, meet, region, split
from ...engine.lru import LRU
from ...engine.plan import Command, Plan
from ...engine.tensor import Tensor
from ..base import Device, DeviceError
from ..fused import digest
from . import attention, plans, tiles, wgsl
from .autotune import Choice
from .clock import CLOCK, Clock
from .kernel import BINDABLE, Kernel
from .readback import Ring
from .upload import Upload

# Requested at the adapter's maximum, as all parameters of a model are one buffer.
LIMITS = "max-buffer-size", "max-storage-buffer-binding-size"
MOST_JOINED = 64  # cached kernels side by side
MOST_UNIFORMS = 1024  # cached uniform buffers; a step has about 40
ADDS_UP = "position_embedding_backward"  # the kernel that sums over a batch, and so over parts
STORAGE = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST


class WebGPUDevice(Device):
    """Collects dispatches in a command buffer, submitted on request or before a read or write."""

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
        self.is_in_host_memory = self.is_emulated
        if "llvmpipe" in self.description:
            self.most_turns = 65_535  # LP_MAX_TGSI_LOOP_ITERATIONS: it ends a loop without an error
        self.kernels: dict[str, Kernel] = {}
        by = self.wgpu, self.kernel, self.clock, self.is_emulated, self.description
        self.products, self.attention = Choice(tiles, *by), Choice(attention, *by)
        self._joined = LRU(MOST_JOINED)  # by the codes of both, and the buffers that they share
        self._uniforms = LRU(MOST_UNIFORMS)  # by their bytes
        self._unused: list[wgpu.GPUBuffer] = []  # to be destroyed after the next submit
        self._encoder = self._pass = None
        self._pending: Pending | None = None  # replays to submit; then there is no encoder

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
        """Tensors for a captured function, all in one buffer."""
        return Upload(self, arrays)

    def submit(self) -> None:
        """Submit the collected dispatches and copies."""
        pending, encoder = self._pending, self._encoder  # at most one of them
        try:
            if pending:
                upload = None
                if pending.upload:
                    upload = pending.upload.storage.buffer, pending.upload.data
                    self.counts.uploaded += pending.upload.data.nbytes
                runs = [(plan.compiled, times) for plan, times in pending.runs]
                self.counts.waited += plans.run_plan(
                    self.wgpu, runs, upload, pending.scalars, pending.target, pending.at
                )
            elif encoder:
                self._end_pass()
                self.wgpu.queue.submit([encoder.finish()])
        finally:
            self._pending = self._encoder = None  # a buffer that is released before this is kept
        self.counts.submits += bool(pending or encoder)
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
        """Count the block's time as spent waiting for the GPU, in so many waits."""
        start = time.perf_counter()
        self.counts.waits += times
        yield
        self.counts.waited += time.perf_counter() - start

    def timed(self, work: Callable[[], None]) -> float:
        """The seconds that the kernels run by `work` take, by timestamp queries. Waits for them."""
        self.submit()
        self._pass = self.encoder.begin_compute_pass(timestamp_writes=self.clock.writes)
        work()
        self._end_pass()
        self.clock.resolve(self.encoder)
        self.submit()
        with self.waiting():
            return self.clock.seconds()

    def compile_all(self, progress: Callable[[int, int, str], None] = lambda *_: None) -> None:
        """Compile all kernels but the products, in parallel; calls progress(done, total, name)."""
        names = ahead()
        for name in names:
            self.kernel(name).begin({})
        for done, name in enumerate(names):
            progress(done, len(names), name)
            self.kernel(name).pipeline({})
        progress(len(names), len(names), "")

    def kernel(self, name: str) -> Kernel:
        """The kernel of that name. Assigning `kernels[name]` replaces it. DeviceError if none."""
        if name not in self.kernels:
            path = sources.kernel_path(name)
            if not sources.exists(path):
                raise DeviceError(f"There is no kernel {name!r}: no file {path}.")
            code = sources.text(path)
            self.kernels[name] = Kernel(self.wgpu, name, code, code == sources.original(path))
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
        if self._pending or self._encoder:  # what is gathered but not yet sent may use it
            self._unused.append(buffer)
        else:
            buffer.destroy()

    def source(self, kernel: str) -> str:
        """A kernel's WGSL as it is now; "" for several side by side."""
        return "" if JOINED in kernel else self.kernel(kernel).code

    def is_original(self, kernel: str, known: str) -> bool:
        """Whether a kernel's code has that digest: see fused.py."""
        return digest(self.kernel(kernel).code) == known

    def run(self, kernel: str, *tensors: Tensor, **params: float) -> None:
        """Run a kernel. What WebGPU cannot bind in place is copied first: a view that does not
        begin at a multiple of 256 bytes, and an input in a buffer that the kernel also writes to.
        A sum that is split (see tiles.py) is one more kernel, which adds its parts up.
        """
        if JOINED in kernel:
            super().run(kernel, *tensors, **params)
            return
        if (parts := self._parts(kernel, params)) > 1:
            a, b, y = tensors
            found = self.empty(parts, y.size)
            run = partial(WebGPUDevice.run, self)  # a tap has heard of the sum
            run(kernel, a, b, found, **params | {"accumulate": 0, "split": 1})
            sizes = dict(size=found.size, period=y.size, total=y.size)
            run(ADDS_UP, found, y, **sizes, accumulate=params["accumulate"])
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

    def _parts(self, name: str, params: dict) -> int:
        """In how many parts a kernel's sum is split: one where it is edited."""
        originals = self.kernel(name).is_original and self.kernel(ADDS_UP).is_original
        return self.products.parts(name, params) if originals else 1

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
        """A kernel in its plain form, or in the form that autotune.py has chosen."""
        kernel = self.kernel(name)
        for choice in (self.products, self.attention) if kernel.is_original else ():
            if name in choice.family.KERNELS:
                return choice.running(name, params)
        return kernel

    def _kernel_for(
        self, name: str, tensors: tuple[Tensor, ...], params: dict
    ) -> tuple[Kernel, list[Tensor]]:
        """A kernel (or several) and the tensors to bind; what several only read is bound once."""
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
        """The grid as three axes: one that is too long is folded into two. DeviceError."""
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
        self._send_pending()
        pipeline, group, *grid = command
        if not self._pass:
            self._pass = self.encoder.begin_compute_pass()
        self._pass.set_pipeline(pipeline)
        self._pass.set_bind_group(0, group)
        self._pass.dispatch_workgroups(*grid)

    def _replay(self, plan: Plan, inputs: Upload | None, times: int) -> None:
        if plan.compiled is None:
            plan.compiled = plans.make_plan(plan.prepared)
        if self._pending and inputs is None and not self._pending.scalars:
            self._pending.runs.append((plan, times))
            return
        self.submit()
        self._pending = Pending([(plan, times)], inputs)

    def _send_pending(self) -> None:
        if self._pending:
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
        if self._pending and not self._pending.scalars:
            pending = self._pending
            pending.scalars, pending.target, pending.at = scalars, target, 4 * slot
            return
        self._send_pending()
        self._end_pass()
        for i, (buffer, offset) in enumerate(scalars, slot):
            self.encoder.copy_buffer_to_buffer(buffer, offset, target, 4 * i, 4)


@dataclass
class Pending:
    """Replays that one call will submit: an upload, then plans, then a copy of scalars."""

    runs: list[tuple[Plan, int]]  # and how many times each
    upload: Upload | None
    scalars: Sequence[tuple[wgpu.GPUBuffer, int]] = ()  # and where in the buffer, in bytes
    target: wgpu.GPUBuffer | None = None
    at: int = 0  # bytes


def _bindable(t: Tensor) -> tuple[Tensor, int]:
    """A tensor's memory from a multiple of 256 bytes on, and where the tensor begins in it."""
    at = t.offset % BINDABLE
    return Tensor(t.device, t.storage, t.offset - at, (at + t.size,), t.dtype), at


def ahead() -> list[str]:
    """The kernels that `compile_all` compiles: all but the products, see tiles.py."""
    return [name for name in sources.kernels() if name not in tiles.KERNELS]


def _describe(info: dict) -> str:
    """An adapter in words: its name, or its vendor and architecture, and the API behind WebGPU."""
    name = (
        info.get("device")
        or " ".join(filter(None, (info.get("vendor"), info.get("architecture"))))
        or "a GPU"
    )
    kind = {"CPU": " (emulated on the CPU)"}.get(info.get("adapter_type"), "")
    return f"{name}{kind}, {info.get('backend_type') or 'WebGPU'}"
