"""The wasm device: the kernels of `shaders/wasm/`, on the CPU. It is the page's device where there
is no GPU, and trains to the same bytes there, in any browser, as natively in wasmtime.

A kernel stands for the NumPy function of its name while that function is the original; what has
been edited, what has no kernel, and what a kernel cannot do run on NumPy.
"""

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from ...engine.plan import Plan
from ...engine.tensor import Tensor
from ..base import Inputs, writable
from ..numpy import NumPyDevice
from ..sizes import SIZES, fits, told
from ..unedited import is_original
from .cores import Pair, Trial
from .halves import Halves, halve, stretches
from .hosts import open_host

MOST_WORKSPACE = 2**28  # bytes


class WasmDevice(NumPyDevice):
    """Runs kernels at once, in WebAssembly, on one core or in the page on two. DeviceError."""

    name = "wasm"

    def __init__(self):
        super().__init__()
        self.host = open_host()
        self.description = "WebAssembly on the CPU"
        self.workspace = self.host.allocate(2**16)
        self.second = self.host.second()
        self.trials: dict[tuple, Trial] = {}  # by what is done in halves

    def _allocate(self, n_bytes: int) -> np.ndarray:
        return self.host.allocate(n_bytes)

    def _release(self, buffer: np.ndarray) -> None:
        self.host.release(buffer)

    def _arrange(self, plan: Plan) -> None:
        plan.compiled = halve(plan, self)
        if not plan.compiled and any(c.line.endswith(" back") for c in plan.commands):
            self.cores, self.gain = 1, 0.0  # of this step

    def _replay(self, plan: Plan, inputs: Inputs | None, times: int) -> None:
        if isinstance(plan.compiled, Halves):
            plan.compiled = self._pair(plan, plan.compiled)
        if plan.compiled is None:
            super()._replay(plan, inputs, times)
            return
        pair = plan.compiled
        for _ in range(times):
            pair.run(plan, self.second)
        if pair.halves.sums:
            known = pair.trial if self.second and self.second.is_free() else Trial()
            self.cores, self.gain = known.best(), known.gain()

    def _pair(self, plan: Plan, halves: Halves) -> Pair:
        calls = [
            call for each in plan.prepared[halves.second : halves.end] for call in each.args[0]
        ]
        key = tuple((c.kernel, *c.params.values()) for c in plan.commands)
        trial, job = self.trials.setdefault(key, Trial()), None
        if self.second and all(hasattr(call, "kernel") for call in calls):
            needs, leaves = map(self._ranges, halves.exchanged(plan, self.writes))
            job = self.second.job([[call.kernel, *call.args] for call in calls], needs, leaves)
        return Pair(halves, trial, job)

    def _ranges(self, tensors: Iterable[Tensor]) -> list[int]:
        """The addresses at which ranges of memory begin and end."""
        arrays = [(self.host.address(array), array.nbytes) for array in map(self._array, tensors)]
        return [at for both in stretches((at, at + size) for at, size in arrays) for at in both]

    def _pieces(self, kernel: str, arrays: list[np.ndarray], params: dict) -> list[Callable]:
        params = {name: np.asarray(value).item() for name, value in params.items()}
        call = self._call(kernel, arrays, params)
        return [call or partial(self.kernels[kernel], *arrays, **params)]

    def _call(self, kernel: str, arrays: list[np.ndarray], params: dict) -> Callable | None:
        """The call of a kernel's export, or None if it cannot stand for its function."""
        function = self.kernels[kernel]
        if kernel not in SIZES or not is_original(kernel, function):
            return None
        names = function.__code__.co_varnames[len(arrays) :][: function.__code__.co_kwonlyargcount]
        if set(names) != set(params):
            return None
        own = [params[name] for name in names]
        sizes = [array.size for array in arrays]
        if not fits(kernel, sizes, params) or not self._make_room(kernel, own):
            return None
        written = zip(arrays, writable(self.source(kernel)), strict=True)
        if any(_overlap(array, arrays) for array, writes in written if writes):
            return None
        call = self.host.call(
            kernel,
            *map(self.host.address, [self.workspace, *arrays]),
            *own,
            *told(kernel, sizes, params),
        )
        call.kernel = kernel
        call.held = self.workspace, arrays  # as long as their addresses are
        return call

    def _make_room(self, kernel: str, params: Iterable[float]) -> bool:
        """Let the workspace have what a kernel needs; False if that is too much."""
        needs = f"{kernel}_workspace"
        size = self.host.call(needs, *params)() if needs in self.host.exports else 0
        if not 0 <= size <= MOST_WORKSPACE:
            return False
        if size > self.workspace.size:
            self.workspace = self.host.allocate(size)
        return True


def _overlap(array: np.ndarray, arrays: list[np.ndarray]) -> bool:
    """Whether an array shares memory with another one of these, which NumPy's functions allow."""
    return sum(np.may_share_memory(array, other) for other in arrays) > 1
