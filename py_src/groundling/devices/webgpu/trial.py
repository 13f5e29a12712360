"""Trials of kernels: each runs on the same numbers, is checked, and is timed against the others."""

import time
from functools import lru_cache

import numpy as np
import wgpu

from ...engine.tensor import Storage, Tensor
from ...rng import Stream
from ..kernels import KERNELS
from .clock import Clock
from .kernel import BINDABLE, Kernel

SECONDS = 0.005  # of one measurement, at least: many rounds, so that the overhead does not count
HOPELESS = 3.0  # times as slow as the fastest: not timed again
MOST_TURNS = 8  # of timing, or fewer once the two best times of each form differ by less than ALIKE
ALIKE = 1.2


def race(trials: "dict[str, Trial]") -> dict[str, float]:
    """The best seconds of a kernel in each form, measured in turns, after a first run of each."""
    rounds, first = 1, next(iter(trials.values()))
    while (taken := first.seconds(rounds)) < SECONDS and rounds < 1024:
        rounds *= 4
    times = {form: [taken if t is first else t.seconds(rounds)] for form, t in trials.items()}
    best = min(map(min, times.values()))
    near = [form for form in times if min(times[form]) <= HOPELESS * best]
    for _ in range(MOST_TURNS):
        near.reverse()
        for form in near:
            times[form].append(trials[form].seconds(rounds))
        if all(sorted(times[form])[1] <= ALIKE * min(times[form]) for form in near):
            break
    return {form: min(times[form]) / rounds for form in times}


class Trial:
    """A kernel with random numbers in two buffers: what it reads, and what it writes. `sizes` are
    those of its tensors; the last one is there in `parts`, which add up to its result.
    """

    def __init__(
        self,
        gpu: wgpu.GPUDevice,
        clock: Clock | None,
        kernel: Kernel,
        params: dict[str, float],
        sizes: list[int],
        parts: int = 1,
    ):
        self.gpu, self.clock, self.kernel, self.params = gpu, clock, kernel, params
        self.parts, sizes = parts, [*sizes[:-1], parts * sizes[-1]]
        self.given = [np.resize(_noise(), size) for size in sizes]
        self.written = [how == "storage, read_write" for how in kernel.access]
        words, self.places = [0, 0], []
        for size, written in zip(sizes, self.written, strict=True):
            self.places.append(words[written])
            words[written] += -(-size // BINDABLE) * BINDABLE
        make, usage = gpu.create_buffer_with_data, "STORAGE | COPY_SRC"
        self.buffers = [
            make(data=self._packed(n, i == 1), usage=usage) for i, n in enumerate(words)
        ]
        storages = [Storage(buffer) for buffer in self.buffers]
        tensors = [
            Tensor(None, storages[written], at, (size,))
            for at, size, written in zip(self.places, sizes, self.written, strict=True)
        ]
        uniform = make(data=kernel.pack(self.params), usage="UNIFORM")
        self.pipeline, self.group, *self.grid = kernel.prepare(tensors, uniform, self.params)
        self.buffers.append(uniform)

    def _packed(self, words: int, written: bool) -> np.ndarray:
        """The numbers of the bindings that are written to, or of the others, as one array."""
        packed = np.zeros(words, np.float32)
        for array, at, how in zip(self.given, self.places, self.written, strict=True):
            if how == written:
                packed[at : at + array.size] = array
        return packed

    def _run(self, rounds: int) -> None:
        """Submit so many runs in one pass."""
        encoder = self.gpu.create_command_encoder()
        timed = {"timestamp_writes": self.clock.writes} if self.clock else {}
        work = encoder.begin_compute_pass(**timed)
        for _ in range(rounds):
            work.set_pipeline(self.pipeline)
            work.set_bind_group(0, self.group)
            work.dispatch_workgroups(*self.grid)
        work.end()
        if self.clock:
            self.clock.resolve(encoder)
        self.gpu.queue.submit([encoder.finish()])

    def found(self) -> np.ndarray:
        """What it writes in one run. Waits for it."""
        self._run(1)
        return np.frombuffer(self.gpu.queue.read_buffer(self.buffers[1]), np.float32)

    def is_right(self, found: np.ndarray) -> bool:
        """Whether that is the reference's result for the same numbers, but for rounding."""
        *others, last = self.given
        whole = last[: last.size // self.parts]
        KERNELS[self.kernel.name](*others, whole, **self.params)
        expected = self._packed(found.size, True)
        if self.parts > 1:
            found, expected = found[: last.size].reshape(self.parts, -1).sum(axis=0), whole
        return bool(np.abs(found - expected).max() <= 1e-5 * max(1, np.abs(expected).max()))

    def seconds(self, rounds: int) -> float:
        """The time of so many runs, by timestamp queries if there are any. Waits for them."""
        began = time.perf_counter()
        self._run(rounds)
        if self.clock:
            return max(self.clock.seconds(), 1e-9)
        self.gpu.queue.read_buffer(self.buffers[1], 0, 4)
        return time.perf_counter() - began

    def close(self) -> None:
        """Free its memory."""
        for buffer in self.buffers:
            buffer.destroy()


@lru_cache(1)
def _noise() -> np.ndarray:
    return Stream("tiles").uniform(997).astype(np.float32) - np.float32(0.5)
