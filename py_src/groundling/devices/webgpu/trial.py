"""The trial of the forms that tiles.py has of matrix products: which is the fastest on a device.

A run must not depend on who wins a race: the same seed on the same adapter gives the same bytes,
also on another day. So time decides between forms that give the same numbers to the bit, and what
differs from the plain form by a bit stays plain. Where the compiler adds up in an order of its own,
so that they all differ, time does not decide: a GPU then has the shared form by rule, and an
emulated adapter the plain one.

Whoever decides, each kernel is checked against its NumPy twin before it is used.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ..rng import Stream
from ..tensor import Storage, Tensor
from . import DeviceError, tiles
from .numpy import KERNELS

if TYPE_CHECKING:
    from .webgpu import Kernel, WebGPUDevice

ONE = "matmul_nn"  # the product that is timed
ROWS, EMULATED_ROWS = 2048, 512  # of it, at a width of 64: a batch of 32, and what takes 10 ms
SECONDS = 0.005  # of one measurement, at least: many rounds, so that starting them does not decide
HOPELESS = 3.0  # times as slow as the fastest is not timed a second time
MOST_TURNS = 8  # until the two best times of each form are ALIKE, as on a machine that is not busy
ALIKE = 1.2
CLEARLY = 1.3  # times as fast must be what is not expected to win: a busy machine is no reason
BY_FOURS, BY_ONES = (72, 64, 256), (71, 63, 101)  # rows, width, columns of a check; with edges
ALIGN = 64  # words: 256 bytes, where every adapter can bind a buffer
BY_RULE = "by rule, as each size gives other numbers here"


def choose(device: WebGPUDevice, remembered: str) -> tuple[str, dict[tuple[str, str], Kernel]]:
    """The form that products take, and why, for people; and the kernels that are right in it, by
    name and tiles.variant. A form that is remembered by its name wins without a race.
    """
    plain = {name: device.kernel(name) for name in tiles.KINDS if device.kernel(name).is_ours}
    if ONE not in plain:
        return f"{tiles.PLAIN}: that is how the edited {ONE} has them", {}
    why = "the fastest here before"
    if remembered == tiles.PLAIN:
        return f"{tiles.PLAIN}: {why}", {}
    has_shared = not device.is_emulated and device.workgroup_bytes >= tiles.SHARED_BYTES
    forms = [tiles.WIDE, *([tiles.SHARED] if has_shared else [])]
    if device.is_emulated and remembered in forms:
        return _checked(device, remembered, why, plain)
    if device.is_emulated:  # then the forms are one, and compiling takes long: all at once
        _begin(device.form(name, tiles.WIDE) for name in plain)
    kernels = {form: device.form(ONE, form) for form in (tiles.PLAIN, *forms)}
    _begin(kernels.values())
    rows, trials = EMULATED_ROWS if device.is_emulated else ROWS, {}
    for form, kernel in kernels.items():
        with suppress(DeviceError):  # an adapter that cannot compile one: the plain one will tell
            trials[form] = Trial(device, kernel, rows)
    forms = [form for form in forms if form in trials]
    outcomes = {trial.found().tobytes() for trial in trials.values()}
    form = remembered
    if len(outcomes) > 1:
        form, why = (tiles.SHARED, BY_RULE) if tiles.SHARED in forms else (tiles.PLAIN, "")
    elif remembered not in forms:
        expected = tiles.WIDE if device.is_emulated else tiles.SHARED
        for _ in range(2):  # what is not expected has to win twice
            times = race(trials)
            form = min(times, key=lambda f: times[f] * (1 if f == expected else CLEARLY))
            if form == expected:
                break
        gain = times[tiles.PLAIN] / times[form]
        why = f"{gain:.1f} times as fast here" if gain > 1 else "about as fast here as any"
    for trial in trials.values():
        trial.close()
    if form == tiles.PLAIN:
        said = "the fastest here" if len(outcomes) == 1 else "larger ones give other numbers here"
        return f"{form}: {said}", {}
    return _checked(device, form, why, plain)


def race(trials: dict[str, Trial]) -> dict[str, float]:
    """The seconds that a product takes in each form, at best, by turns. All have run before."""
    rounds, first = 1, trials[tiles.PLAIN]
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


def _checked(
    device: WebGPUDevice, form: str, why: str, plain: dict[str, Kernel]
) -> tuple[str, dict[tuple[str, str], Kernel]]:
    """What `choose` ends with. On a GPU each kernel is held against the plain one too, unless the
    rule has decided; emulated adapters add up as they are told, and take long to compile both.
    """
    exactly = not device.is_emulated and why != BY_RULE
    names = [(name, variant) for name in plain for variant in tiles.variants(form, name)]
    kernels = {(name, variant): device.form(name, variant) for name, variant in names}
    _begin((*kernels.values(), *(plain.values() if exactly else ())))
    said, right = f"{form}: {why}", {}
    for (name, variant), kernel in kernels.items():
        if fault := _fault(device, kernel, variant, plain[name] if exactly else None):
            as_written = f"{name}{variant.removeprefix(form)} in {tiles.PLAIN}"
            said += f"; {as_written}, as the other {fault} here"
        else:
            right[name, variant] = kernel
    return said, right


def _begin(kernels: Iterable[Kernel]) -> None:
    """Compile them beside each other. An error will come again where one is tried."""
    for kernel in kernels:
        with suppress(DeviceError):
            kernel.begin({})


def _fault(device: WebGPUDevice, kernel: Kernel, variant: str, plain: Kernel | None) -> str:
    """What is wrong with a kernel, or ""; also that its numbers are not those of a plain one."""
    sizes = BY_ONES if "by ones" in variant else BY_FOURS
    try:
        trial = Trial(device, kernel, *sizes)
    except DeviceError:
        return "does not compile"
    found, fault = trial.found(), ""
    if not trial.is_right(found):
        fault = "gives wrong numbers"
    elif plain is not None:
        other = Trial(device, plain, *sizes)
        fault = "" if found.tobytes() == other.found().tobytes() else "gives other numbers"
        other.close()
    trial.close()
    return fault


class Trial:
    """A kernel with numbers of its own, in two buffers: what it reads, and what it writes."""

    def __init__(
        self, device: WebGPUDevice, kernel: Kernel, rows: int, width: int = 64, columns: int = 256
    ):
        self.device, self.kernel = device, kernel
        self.params, sizes = tiles.trial(kernel.name, kernel.n_buffers, rows, width, columns)
        self.given = [np.resize(_noise(), size) for size in sizes]
        self.written = [how == "storage, read_write" for how in kernel.access]
        words, self.places = [0, 0], []
        for size, written in zip(sizes, self.written, strict=True):
            self.places.append(words[written])
            words[written] += -(-size // ALIGN) * ALIGN
        make, usage = device.wgpu.create_buffer_with_data, "STORAGE | COPY_SRC"
        self.buffers = [
            make(data=self._packed(n, i == 1), usage=usage) for i, n in enumerate(words)
        ]
        storages = [Storage(buffer) for buffer in self.buffers]
        tensors = [
            Tensor(device, storages[written], at, (size,))
            for at, size, written in zip(self.places, sizes, self.written, strict=True)
        ]
        self.outcome = Tensor(device, storages[1], 0, (words[1],))
        uniform = device._uniform(kernel.pack(self.params))
        self.command = kernel.prepare(tensors, uniform, self.params)

    def _packed(self, words: int, written: bool) -> np.ndarray:
        """The numbers of the buffers that are written, or of the others, as they lie in one."""
        packed = np.zeros(words, np.float32)
        for array, at, how in zip(self.given, self.places, self.written, strict=True):
            if how == written:
                packed[at : at + array.size] = array
        return packed

    def run(self, rounds: int) -> None:
        """Ask for it so many times."""
        for _ in range(rounds):
            self.device._execute(self.command)

    def found(self) -> np.ndarray:
        """What it has written after one round. Waits."""
        self.run(1)
        return self.device._read(self.outcome)

    def is_right(self, found: np.ndarray) -> bool:
        """Whether that is what the NumPy twin makes of the same numbers, but for rounding."""
        KERNELS[self.kernel.name](*self.given, **self.params)
        expected = self._packed(found.size, True)
        return bool(np.abs(found - expected).max() <= 1e-5 * max(1, np.abs(expected).max()))

    def seconds(self, rounds: int) -> float:
        """How long so many take: by the device's clock, or else by ours. Waits."""
        if self.device.has_clock:
            return max(self.device.timed(lambda: self.run(rounds)), 1e-9)
        began = time.perf_counter()
        self.run(rounds)
        self.device._read(self.outcome.view(1))
        return time.perf_counter() - began

    def close(self) -> None:
        """Let its memory go."""
        self.device._unused += self.buffers


@lru_cache(1)
def _noise() -> np.ndarray:
    return Stream("tiles").uniform(997).astype(np.float32) - np.float32(0.5)
