"""Which form of a family of kernels is the fastest on a device: of the matrix products, whose forms
are in tiles.py, or of attention, whose forms are in attention.py.

A run must not depend on a measurement of time, so time decides only between forms that give the
same numbers to the bit. Where the compiler reorders sums, so that all forms differ, a GPU takes the
shared form and an emulated adapter the plain one. Each kernel is first checked against its NumPy
reference.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from types import ModuleType

import wgpu

from ... import sources
from ..base import DeviceError, prepares
from . import memory, trial
from .clock import Clock
from .kernel import Kernel
from .trial import Trial

SHARED_BYTES = 16_384  # of workgroup memory, for two shared forms in one dispatch
CLEARLY = 1.3  # times as fast an unexpected form must be to win: the machine may be busy
BY_RULE = "by rule, as each size gives other numbers here"
Right = dict[tuple[str, str], Kernel]
"""Kernels in another form, by name and variant: see `variant` in tiles.py and attention.py."""


class Choice:
    """The kernels of a family (the module tiles or attention), in the form that is fastest on a
    device. `told` is the form and the reason for it, or "" before the choice; `plain` gives a
    kernel's plain form, and `right` has those whose numbers are right in the chosen form.
    """

    def __init__(
        self,
        family: ModuleType,
        gpu: wgpu.GPUDevice,
        plain: Callable[[str], Kernel],
        clock: Clock | None,
        is_emulated: bool,
        description: str,
    ):
        self.family, self.gpu, self.plain, self.clock = family, gpu, plain, clock
        self.is_emulated, self.description = is_emulated, description
        self.forget()

    def forget(self) -> None:
        """Choose again when a kernel is needed next."""
        self.told = ""
        self.times: dict[str, float] = {}  # of the forms in a trial, in seconds
        self.right: Right = {}
        self._made: Right = {}  # whether right or not
        self._splits: dict[str, bool] = {}  # by variant, whether it is right
        self._templates = self._texts()  # that they were made from

    def _texts(self) -> list[str]:
        """The text of each template, as it is now."""
        return [sources.text(path) for path in self.family.TEMPLATES]

    def _tried(self) -> list[str]:
        """The forms that are tried on the device."""
        if self.is_emulated or not self._has_shared:
            return [self.family.PLAIN, *self.family.ON_EMULATED]
        return [*self.family.FORMS]

    @property
    def _has_shared(self) -> bool:
        return self.gpu.limits["max-compute-workgroup-storage-size"] >= SHARED_BYTES

    def choose(self, remembered: str = "") -> str:
        """Choose the form, unless it is chosen, and return its name. One that was chosen before
        (`remembered`, or in memory.py) is checked, but not timed again. Waits for the GPU.
        """
        if self._templates != self._texts():  # one was edited
            self.forget()
        if not self.told:
            key = memory.key(self.description, self.gpu.adapter_info, self.family)
            before = remembered or memory.recall(key)
            with prepares():
                self.told, self.right = self._decide(before)
            if self.chosen != before and len(self._tried()) > 1:
                memory.keep(key, self.chosen)
        return self.chosen

    @property
    def chosen(self) -> str:
        """The name of the chosen form."""
        return self.told.split(":")[0]

    def running(self, name: str, params: dict[str, float]) -> Kernel:
        """The kernel to run for these parameters."""
        variant = self.family.variant(self.choose(), name, params)
        if "split" in params:  # which is asked for only where it is right: see `parts`
            return self.form(name, variant)
        return self.right.get((name, variant)) or self.plain(name)

    def parts(self, name: str, params: dict[str, float]) -> int:
        """In how many parts a kernel's sum is split: on a GPU by a rule of sizes, if that gives
        right numbers there. Waits for the GPU at first.
        """
        parts = self.family.parts(name, params)
        if parts == 1 or self.is_emulated or not self._has_shared:
            return 1
        variant = self.family.variant(self.choose(), name, params | {"split": 1})
        if variant not in self._splits:
            with prepares():
                self._splits[variant] = not self.fault(name, variant)
        return parts if self._splits[variant] else 1

    def form(self, name: str, variant: str) -> Kernel:
        """A kernel in a variant of another form, right or not. DeviceError."""
        if variant == self.family.PLAIN:
            return self.plain(name)
        if (name, variant) not in self._made:
            code = self.family.text(variant, name, self.plain(name).code)
            self._made[name, variant] = Kernel(self.gpu, name, code, True)
        return self._made[name, variant]

    def _decide(self, remembered: str) -> tuple[str, Right]:
        """The form with the reason for it, and the kernels that are right in it; see `choose`."""
        family, why = self.family, "the fastest here before"
        ours = {name: self.plain(name) for name in family.KERNELS if self.plain(name).is_original}
        if family.TIMED not in ours:
            return f"{family.PLAIN}: that is how the edited {family.TIMED} has them", {}
        forms = self._tried()
        if self.is_emulated and remembered in family.FORMS[1:]:
            return self._checked(remembered, why, ours)
        if len(forms) == 1:
            return f"{family.PLAIN}: no other is tried on this adapter", {}
        if remembered == family.PLAIN:
            return f"{family.PLAIN}: {why}", {}
        if self.is_emulated:  # there is one other form, and compiling takes long: all at once
            self._begin((name, v) for name in ours for v in family.variants(forms[1], name))
        self._begin((family.TIMED, form) for form in forms)
        sizes, trials = family.SIZES["timed on emulated" if self.is_emulated else "timed"], {}
        for form in forms:
            with suppress(DeviceError):  # the plain form is tried too
                trials[form] = self._trial(self.form(family.TIMED, form), sizes, self.clock)
        forms = [form for form in forms if form in trials]
        outcomes = {one.found().tobytes() for one in trials.values()}
        is_ruled, form = len(outcomes) > 1, remembered
        if is_ruled:
            form, why = (family.SHARED, BY_RULE) if family.SHARED in forms else (family.PLAIN, "")
        elif remembered not in forms:
            expected = family.ON_EMULATED[0] if self.is_emulated else family.SHARED
            for _ in range(2):  # what is not expected has to win twice
                times = self.times = trial.race(trials)
                form = min(times, key=lambda f: times[f] * (1 if f == expected else CLEARLY))
                if form == expected:
                    break
            gain = times[family.PLAIN] / times[form]
            why = f"{gain:.1f} times as fast here" if gain > 1 else "about as fast here as any"
        for one in trials.values():
            one.close()
        if form == family.PLAIN:
            what = "larger ones give other numbers" if is_ruled else "the fastest"
            return f"{form}: {what} here", {}
        return self._checked(form, why, ours)

    def _checked(self, form: str, why: str, ours: dict[str, Kernel]) -> tuple[str, Right]:
        """The result of `_decide`, each kernel checked, on a GPU against the plain kernel too
        unless the rule has decided. Emulated adapters keep the order of sums, and compile slowly.
        """
        plain = self.family.PLAIN
        exactly = not self.is_emulated and why != BY_RULE
        names = [(name, variant) for name in ours for variant in self.family.variants(form, name)]
        self._begin([*names, *((name, plain) for name in ours if exactly)])
        told, right = f"{form}: {why}", {}
        for name, variant in names:
            if fault := self.fault(name, variant, ours[name] if exactly else None):
                which = " ".join([name, *variant.removeprefix(form).split()])
                as_written = f"{which} in {plain}"
                told += f"; {as_written}, as the other {fault.partition(':')[0]} here"
            else:
                right[name, variant] = self.form(name, variant)
        return told, right

    def fault(self, name: str, variant: str, plain: Kernel | None = None) -> str:
        """What is wrong with a kernel in a variant, or "": that it does not compile, differs from
        its reference, or differs by a bit from `plain`. Waits for the GPU.
        """
        of = self.family.SPLIT_SIZES if "split" in variant else self.family.SIZES
        sizes = of["by ones" if "by ones" in variant else "fours"]
        try:
            one = self._trial(self.form(name, variant), sizes, is_split="split" in variant)
        except DeviceError as error:
            return f"does not compile: {error}"
        found, fault = one.found(), ""
        if not one.is_right(found):
            fault = "gives wrong numbers"
        elif plain is not None:
            other = self._trial(plain, sizes)
            fault = "" if found.tobytes() == other.found().tobytes() else "gives other numbers"
            other.close()
        one.close()
        return fault

    def _trial(
        self,
        kernel: Kernel,
        sizes: tuple[int, ...],
        clock: Clock | None = None,
        is_split: bool = False,
    ) -> Trial:
        params, numbers = self.family.trial(kernel.name, kernel.n_buffers, *sizes)
        parts = self.family.parts(kernel.name, params) if is_split else 1
        params |= {"accumulate": 0} if is_split else {}
        return Trial(self.gpu, clock, kernel, params, numbers, parts)

    def _begin(self, names: Iterable[tuple[str, str]]) -> None:
        """Compile these kernels in parallel. An error is raised again where one is tried."""
        for name, variant in names:
            with suppress(DeviceError):
                self.form(name, variant).begin({})
