"""Which form of the matrix products in tiles.py is the fastest on a device.

A run must not depend on a measurement of time: the same seed on the same adapter gives the same
bytes on another day. So time decides only between forms that give the same numbers to the bit, and
a kernel that differs from the plain form by a bit stays plain. Where the compiler reorders sums, so
that all forms differ, a GPU takes the shared form and an emulated adapter the plain one.

In every case each kernel is checked against its NumPy reference before it is used.
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
ROWS, EMULATED_ROWS = 2048, 512  # of it, at a width of 64: a batch of 32, and what takes 10 ms
CLEARLY = 1.3  # times as fast must be what is not expected to win: a busy machine is no reason
BY_FOURS, BY_ONES = (72, 64, 256), (71, 63, 101)  # rows, width, columns of a check; with edges
BY_RULE = "by rule, as each size gives other numbers here"
Right = dict[tuple[str, str], Kernel]
"""Kernels that are right in another form, by their name and tiles.variant."""


class Products:
    """The kernels with a matrix product in them, in the tiles that are the fastest here, and right.

    `told` says which tiles those are, and why; nothing before they are chosen. `written` has the
    kernels as they are written.
    """

    def __init__(
        self,
        gpu: wgpu.GPUDevice,
        written: Callable[[str], Kernel],
        clock: Clock | None,
        is_emulated: bool,
        description: str,
    ):
        self.gpu, self.written, self.clock = gpu, written, clock
        self.is_emulated, self.description = is_emulated, description
        self.forget()

    def forget(self) -> None:
        """Choose again when a product is needed next."""
        self.told = ""
        self.right: Right = {}
        self._made: Right = {}  # whether right or not
        self._templates = tiles.templates()  # that they were made from

    def choose(self, remembered: str = "") -> str:
        """Choose the tiles, unless that is done: by a trial, or without a race the ones that this
        method named on the same adapter before, which memory.py has. Checked in both cases. Returns
        their name. Waits.
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
        """The name of the tiles."""
        return self.told.split(":")[0]

    def running(self, name: str, params: dict[str, float]) -> Kernel:
        """A kernel in the form that it has here for these parameters."""
        variant = tiles.variant(self.choose(), name, params)
        return self.right.get((name, variant)) or self.written(name)

    def form(self, name: str, variant: str) -> Kernel:
        """A kernel in other tiles, whether they are right here or not: see tiles.py."""
        if variant == tiles.PLAIN:
            return self.written(name)
        if (name, variant) not in self._made:
            code = tiles.text(variant, name, self.written(name).code)
            self._made[name, variant] = Kernel(self.gpu, name, code, True)
        return self._made[name, variant]

    def _decide(self, remembered: str) -> tuple[str, Right]:
        """The form that products take, and why, for people; and the kernels that are right in it. A
        form that is remembered by its name wins without a race.
        """
        plain = {name: self.written(name) for name in tiles.KINDS if self.written(name).is_ours}
        if ONE not in plain:
            return f"{tiles.PLAIN}: that is how the edited {ONE} has them", {}
        why = "the fastest here before"
        if remembered == tiles.PLAIN:
            return f"{tiles.PLAIN}: {why}", {}
        shared = self.gpu.limits["max-compute-workgroup-storage-size"]
        has_shared = not self.is_emulated and shared >= tiles.SHARED_BYTES
        forms = [tiles.WIDE, *([tiles.SHARED] if has_shared else [])]
        if self.is_emulated and remembered in forms:
            return self._checked(remembered, why, plain)
        if self.is_emulated:  # there is one other form, and compiling takes long: all at once
            self._begin((name, tiles.WIDE) for name in plain)
        forms = [tiles.PLAIN, *forms]
        self._begin((ONE, form) for form in forms)
        rows, trials = EMULATED_ROWS if self.is_emulated else ROWS, {}
        for form in forms:
            with suppress(DeviceError):  # an adapter that cannot compile one: the plain will tell
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
        return self._checked(form, why, plain)

    def _checked(self, form: str, why: str, plain: dict[str, Kernel]) -> tuple[str, Right]:
        """What `_decide` ends with. On a GPU each kernel is held against the plain one too, unless
        the rule has decided; emulated adapters add up as they are told, and take long to compile
        both.
        """
        exactly = not self.is_emulated and why != BY_RULE
        names = [(name, variant) for name in plain for variant in tiles.variants(form, name)]
        self._begin([*names, *((name, tiles.PLAIN) for name in plain if exactly)])
        told, right = f"{form}: {why}", {}
        for name, variant in names:
            if fault := self.fault(name, variant, plain[name] if exactly else None):
                as_written = f"{name}{variant.removeprefix(form)} in {tiles.PLAIN}"
                told += f"; {as_written}, as the other {fault.partition(':')[0]} here"
            else:
                right[name, variant] = self.form(name, variant)
        return told, right

    def fault(self, name: str, variant: str, plain: Kernel | None = None) -> str:
        """What is wrong with a kernel in a form, or ""; also that its numbers are not those of the
        plain one, where that is given. Waits.
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
