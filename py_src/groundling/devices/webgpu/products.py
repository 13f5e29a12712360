"""Which form of the matrix products in tiles.py is the fastest on a device.

A run must not depend on a measurement of time, so time decides only between forms that give the
same numbers to the bit. Where the compiler reorders sums, so that all forms differ, a GPU takes the
shared form and an emulated adapter the plain one. Each kernel is first checked against its NumPy
reference.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress

import wgpu

from ..base import DeviceError, prepares
from . import memory, tiles, trial
from .clock import Clock
from .kernel import Kernel
from .trial import Trial

ONE = "matmul_nn"  # the product that is timed
ROWS, EMULATED_ROWS = 2048, 512  # its rows, at a width of 64: a batch of 32, and about 10 ms
CLEARLY = 1.3  # times as fast an unexpected form must be to win: the machine may be busy
BY_FOURS, BY_ONES = (72, 64, 256), (71, 63, 101)  # rows, width and columns of a check
BY_RULE = "by rule, as each size gives other numbers here"
Right = dict[tuple[str, str], Kernel]
"""Kernels whose numbers are right in another form, by name and variant (see tiles.variant)."""


class Products:
    """The kernels that contain a matrix product, in the form that is fastest on a device. `told` is
    the form and the reason for it, or "" before the choice; `plain` gives a kernel's plain form.
    """

    def __init__(
        self,
        gpu: wgpu.GPUDevice,
        plain: Callable[[str], Kernel],
        clock: Clock | None,
        is_emulated: bool,
        description: str,
    ):
        self.gpu, self.plain, self.clock = gpu, plain, clock
        self.is_emulated, self.description = is_emulated, description
        self.forget()

    def forget(self) -> None:
        """Choose again when a product is needed next."""
        self.told = ""
        self.right: Right = {}
        self._made: Right = {}  # whether right or not
        self._templates = tiles.templates()  # that they were made from

    def choose(self, remembered: str = "") -> str:
        """Choose the form, unless it is chosen, and return its name. One that was chosen before
        (`remembered`, or in memory.py) is checked, but not timed again. Waits for the GPU.
        """
        if self._templates != tiles.templates():  # one was edited
            self.forget()
        if not self.told:
            key = memory.key(self.description, self.gpu.adapter_info)
            before = remembered or memory.recall(key)
            with prepares():
                self.told, self.right = self._decide(before)
            if self.chosen != before:
                memory.keep(key, self.chosen)
        return self.chosen

    @property
    def chosen(self) -> str:
        """The name of the chosen form."""
        return self.told.split(":")[0]

    def running(self, name: str, params: dict[str, float]) -> Kernel:
        """The kernel to run for these parameters."""
        variant = tiles.variant(self.choose(), name, params)
        return self.right.get((name, variant)) or self.plain(name)

    def form(self, name: str, variant: str) -> Kernel:
        """A kernel in a variant of another form, right or not. DeviceError."""
        if variant == tiles.PLAIN:
            return self.plain(name)
        if (name, variant) not in self._made:
            code = tiles.text(variant, name, self.plain(name).code)
            self._made[name, variant] = Kernel(self.gpu, name, code, True)
        return self._made[name, variant]

    def _decide(self, remembered: str) -> tuple[str, Right]:
        """The form with the reason for it, and the kernels that are right in it; see `choose`."""
        ours = {name: self.plain(name) for name in tiles.KINDS if self.plain(name).is_original}
        if ONE not in ours:
            return f"{tiles.PLAIN}: that is how the edited {ONE} has them", {}
        why = "the fastest here before"
        if remembered == tiles.PLAIN:
            return f"{tiles.PLAIN}: {why}", {}
        shared = self.gpu.limits["max-compute-workgroup-storage-size"]
        has_shared = not self.is_emulated and shared >= tiles.SHARED_BYTES
        forms = [tiles.WIDE, *([tiles.SHARED] if has_shared else [])]
        if self.is_emulated and remembered in forms:
            return self._checked(remembered, why, ours)
        if self.is_emulated:  # there is one other form, and compiling takes long: all at once
            self._begin((name, tiles.WIDE) for name in ours)
        forms = [tiles.PLAIN, *forms]
        self._begin((ONE, form) for form in forms)
        rows, trials = EMULATED_ROWS if self.is_emulated else ROWS, {}
        for form in forms:
            with suppress(DeviceError):  # the plain form is tried too
                trials[form] = Trial(self.gpu, self.clock, self.form(ONE, form), rows)
        forms = [form for form in forms if form in trials]
        outcomes = {one.found().tobytes() for one in trials.values()}
        form = remembered
        if len(outcomes) > 1:
            form, why = (tiles.SHARED, BY_RULE) if tiles.SHARED in forms else (tiles.PLAIN, "")
        elif remembered not in forms:
            expected = tiles.WIDE if self.is_emulated else tiles.SHARED
            for _ in range(2):  # what is not expected has to win twice
                times = trial.race(trials)
                form = min(times, key=lambda f: times[f] * (1 if f == expected else CLEARLY))
                if form == expected:
                    break
            gain = times[tiles.PLAIN] / times[form]
            why = f"{gain:.1f} times as fast here" if gain > 1 else "about as fast here as any"
        for one in trials.values():
            one.close()
        if form == tiles.PLAIN:
            same = len(outcomes) == 1
            return f"{form}: {'the fastest' if same else 'larger ones give other numbers'} here", {}
        return self._checked(form, why, ours)

    def _checked(self, form: str, why: str, ours: dict[str, Kernel]) -> tuple[str, Right]:
        """The result of `_decide`, each kernel checked, on a GPU against the plain kernel too
        unless the rule has decided. Emulated adapters keep the order of sums, and compile slowly.
        """
        exactly = not self.is_emulated and why != BY_RULE
        names = [(name, variant) for name in ours for variant in tiles.variants(form, name)]
        self._begin([*names, *((name, tiles.PLAIN) for name in ours if exactly)])
        told, right = f"{form}: {why}", {}
        for name, variant in names:
            if fault := self.fault(name, variant, ours[name] if exactly else None):
                as_written = f"{name}{variant.removeprefix(form)} in {tiles.PLAIN}"
                told += f"; {as_written}, as the other {fault.partition(':')[0]} here"
            else:
                right[name, variant] = self.form(name, variant)
        return told, right

    def fault(self, name: str, variant: str, plain: Kernel | None = None) -> str:
        """What is wrong with a kernel in a variant, or "": that it does not compile, differs from
        its reference, or differs by a bit from `plain`. Waits for the GPU.
        """
        sizes = BY_ONES if "by ones" in variant else BY_FOURS
        try:
            one = Trial(self.gpu, None, self.form(name, variant), *sizes)
        except DeviceError as error:
            return f"does not compile: {error}"
        found, fault = one.found(), ""
        if not one.is_right(found):
            fault = "gives wrong numbers"
        elif plain is not None:
            other = Trial(self.gpu, None, plain, *sizes)
            fault = "" if found.tobytes() == other.found().tobytes() else "gives other numbers"
            other.close()
        one.close()
        return fault

    def _begin(self, names: Iterable[tuple[str, str]]) -> None:
        """Compile these kernels in parallel. An error is raised again where one is tried."""
        for name, variant in names:
            with suppress(DeviceError):
                self.form(name, variant).begin({})
