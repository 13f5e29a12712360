"""Whether a kernel does on the GPU what its NumPy reference does: checked for every edited kernel.

    for row in check(["gelu", "my_kernel"], device):
        print(row.kernel, row.ok, row.message)

It works for any kernel: the code in force trains and uses a small model of awkward sizes on the
NumPy device, where the inputs of the kernels are recorded. The WGSL then runs on the same numbers,
and every result is compared with the reference's, in float64.

Tolerance: 1e-5 of the largest number in a buffer, as in tests/gpu/test_parity.py. float32 keeps
6e-8, and sums of a thousand terms lose some thirty times that. Where large terms cancel, it is ten
times the float32 error of the reference, if that is more.
"""

import io
import math
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from types import ModuleType

import numpy as np

from .. import sources
from ..config import GPTConfig, TrainConfig
from ..data import Corpus
from ..devices.base import Device, DeviceError
from ..devices.kernels import KERNELS
from ..devices.numpy import NumPyDevice
from ..devices.webgpu.wgsl import BINDING
from ..edits.errors import wgsl_problem
from ..rng import Stream
from ..runs.run import Run
from ..runs.writer import generate
from ..train import train

TOLERANCE = 1e-5  # of the largest number
CANCELLED = 10  # times the reference's own error in float32
CALLS = 12  # of a kernel that are checked, at most
ALIKE = 2  # of them with the same sizes and parameters, at most
GUARD = 64  # numbers before and after each buffer: 256 bytes, where every adapter can bind one
SENTINEL = 0x7FC0ABCD  # which they hold: a NaN that no arithmetic makes
CHARACTERS = "".join(map(chr, range(48, 48 + 65)))
SMALL = GPTConfig(65, block_size=67, n_layer=1, n_head=3, n_embd=12, d_ff=20, dropout=0.1)
ORDINARY = GPTConfig(65)  # for code that cannot do with SMALL


@dataclass(frozen=True)
class Row:
    """How a kernel compares with its reference at the worst place; None if not finite."""

    kernel: str
    ok: bool
    largest: float | None
    tolerance: float
    where: str  # which buffer, which number of it, in a call with which parameters
    message: str


@dataclass
class Call:
    """One dispatch of a kernel on the NumPy device: its buffers before and after."""

    params: dict[str, float]
    before: list[np.ndarray]
    after: list[np.ndarray]


def check(kernels: Iterable[str], device: Device) -> list[Row]:
    """Check kernels, as `shaders/` and the edits have them, on a WebGPU device, which is left as it
    was. Raises what the code in force raises.
    """
    kernels = sorted(kernels)
    if device.name != "webgpu":
        text = f"The {device.name} device has no use for WGSL, so it was not checked."
        return [Row(kernel, True, None, 0.0, "", text) for kernel in kernels]
    calls = trace(kernels)
    return [
        _check(name, calls[name], device)
        if sources.is_kernel(sources.kernel_path(name))
        else _check_template(name, device)
        for name in kernels
    ]


def trace(kernels: Iterable[str]) -> dict[str, list[Call]]:
    """The calls of these kernels, by name, as a small model is trained and used on NumPy."""
    try:
        return _trace(kernels, SMALL)
    except Exception:
        return _trace(kernels, ORDINARY)  # the error that this raises, if it does, is the reader's


def _trace(kernels: Iterable[str], config: GPTConfig) -> dict[str, list[Call]]:
    calls: dict[str, list[Call]] = {kernel: [] for kernel in kernels}
    device = _Unwritten()
    for kernel in calls.keys() & KERNELS.keys():
        device.kernels[kernel] = _Noted(KERNELS[kernel], calls[kernel])
    stream = Stream("parity")
    text = CHARACTERS + "".join(CHARACTERS[word % 65] for word in stream.words(1500))
    settings = TrainConfig(
        **dict(seed="parity", iters=2, batch_size=2, lr=0.1, min_lr=0.1, warmup=0),
        **dict(eval_interval=1, eval_batches=1),
    )
    with redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        run = Run(settings, Corpus(text), device, config)
        run.sample_every = 0
        weights = run.model.weights()  # fresh ones are so small that most of the model is linear
        run.model.load(weights + 0.3 * stream.normal(weights.size).astype(weights.dtype))
        for _ in train(run):
            pass
        generate(run.model, run.corpus, text[:3], 2, "parity")
    return calls


class _Unwritten(NumPyDevice):
    """The NumPy device with memory full of NaNs, which shows what a kernel leaves unwritten."""

    def _allocate(self, n_bytes: int) -> np.ndarray:
        return np.full(n_bytes, 0xFF, np.uint8)


class _Noted:
    """A reference that notes what it is called with."""

    def __init__(self, reference: Callable, calls: list[Call]):
        self.reference, self.calls = reference, calls
        self.__code__ = reference.__code__  # by which the device knows how many buffers there are
        self.met: Counter = Counter()  # calls with these sizes and parameters

    def __call__(self, *arrays: np.ndarray, **params: float) -> None:
        like = tuple(a.size for a in arrays), tuple(params.items())
        self.met[like] += 1
        if self.met[like] > ALIKE or len(self.calls) == CALLS:
            self.reference(*arrays, **params)
            return
        before = [a.copy() for a in arrays]
        self.reference(*arrays, **params)
        self.calls.append(Call(params, before, [a.copy() for a in arrays]))


def _check(name: str, calls: list[Call], device: Device) -> Row:
    try:
        code = sources.text(sources.kernel_path(name))
        results = _run(name, code, calls, device)
    except (DeviceError, FileNotFoundError) as error:
        return _refused(name, str(error))
    if name not in KERNELS:
        return _refused(
            name,
            f"There is no NumPy reference to compare it with: write a function {name} of the same "
            "buffers and parameters, under @kernel.",
        )
    if not calls:
        text = "It compiles. This model does not use it, so it was not checked further."
        return Row(name, True, None, 0.0, "", text)
    names = [name for _, kind, name, _ in BINDING.findall(code) if kind != "uniform"]
    worst, row = -math.inf, None
    for call, found in zip(calls, results, strict=True):
        ratio, each = _compare(name, names, call, found)
        if ratio > worst:
            worst, row = ratio, each
    if row.ok:
        n = "one call" if len(calls) == 1 else f"{len(calls)} calls"
        text = f"It does in {n} what its NumPy reference does."
        return Row(name, True, row.largest, row.tolerance, row.where, text)
    return row


def _check_template(name: str, device: Device) -> Row:
    """Check each kernel that is made from a template of `shaders/tiles/`."""
    path = sources.kernel_path(name)
    choice = device.products if path in device.products.family.TEMPLATES else device.attention
    family = choice.family
    made = [pair for pair in _made(family) if family.template(pair[1], pair[0]) == path]
    forms = {variant for _, variant in made}
    if family.SHARED in forms and device.is_emulated:
        text = "An emulated adapter does not use it, so it was not checked."
        return Row(name, True, None, 0.0, "", text)
    chosen = choice.choose()
    for kernel, variant in made:
        if fault := choice.fault(kernel, variant):
            where = f"variant {variant}"
            if problem := wgsl_problem(fault):
                said, line, *_ = problem
                made_of = family.text(variant, kernel, choice.plain(kernel).code).lines
                where, fault = f"line {made_of[line - 1]}, {where}", f"does not compile: {said}"
            text = f"The kernel {kernel}, made from it, {fault}"
            return Row(name, False, None, 0.0, where, text)
    text = "Each kernel made from it does what its NumPy reference does."
    if chosen not in forms:
        text += f" It is not used: the form that was chosen here is {chosen}."
    return Row(name, True, None, 0.0, "", text)


def everything(device: Device) -> dict:
    """All that can be checked on a WebGPU device: every kernel and form, and a new trial of forms,
    whose times are in seconds. For JSON.
    """
    kernels = [asdict(row) for row in check(sources.kernels(), device)]
    forms, trials = [], []
    for choice in (device.products, device.attention):
        choice.forget()
        choice.choose(remembered="nothing")
        trials.append({"told": choice.told, "seconds": choice.times})
        for kernel, variant in _made(choice.family):
            fault = choice.fault(kernel, variant)
            same = not choice.fault(kernel, variant, choice.plain(kernel))
            row = {"kernel": kernel, "form": variant, "ok": not fault, "message": fault}
            forms.append(row | {"same_bits": same})  # as the plain form
    return {"kernels": kernels, "forms": forms, "trials": trials}


def told(found: dict) -> str:
    """What `everything` found, for people."""
    kernels, forms = found["kernels"], found["forms"]
    exact = sum(row["same_bits"] for row in forms)
    lines = [
        f"{sum(row['ok'] for row in kernels)} of {len(kernels)} kernels are right",
        f"{sum(row['ok'] for row in forms)} of {len(forms)} forms are right, {exact} to the bit",
    ]
    wrong = [row for row in kernels + forms if not row["ok"]]
    lines += [f"  {row['kernel']} {row.get('form', '')}: {row['message']}" for row in wrong]
    for one in found["trials"]:
        times = (f"{1e6 * seconds:.1f} us in {form}" for form, seconds in one["seconds"].items())
        lines += [one["told"], *(f"  {line}" for line in times)]
    return "\n".join(lines)


def _made(family: ModuleType) -> list[tuple[str, str]]:
    """The kernels that are made from templates, each in all variants of all forms."""
    forms = [
        (kernel, variant)
        for form in family.FORMS[1:]
        for kernel in family.KERNELS
        for variant in family.variants(form, kernel)
    ]
    return [*dict.fromkeys(forms), *family.SPLITS]


def _run(name: str, code: str, calls: list[Call], device: Device) -> list[list[np.ndarray]]:
    """What each call's buffers, with their guards, hold after the kernel has run on them."""
    from ..devices.webgpu.kernel import Kernel  # here, since NumPy alone needs no wgpu

    own = device.kernels.get(name)
    is_this = own is not None and own.code == code
    kernel = device.kernels[name] = own if is_this else Kernel(device.wgpu, name, code)
    try:
        kernel.pipeline({})  # also where nobody calls it: does it compile?
        wholes = []
        for call in calls:
            tensors = [device.tensor(_guarded(array)) for array in call.before]
            views = [
                tensor.view(array.size, offset=GUARD)
                for tensor, array in zip(tensors, call.before, strict=True)
            ]
            device.run(name, *views, **call.params)
            wholes.append(tensors)
        return [[tensor.numpy() for tensor in tensors] for tensors in wholes]
    finally:
        if own:
            device.kernels[name] = own
        else:
            del device.kernels[name]


def _guarded(array: np.ndarray) -> np.ndarray:
    """An array's bits between two guards, as uint32: no NaN changes on its way."""
    guard = np.full(GUARD, SENTINEL, np.uint32)
    return np.concatenate([guard, array.view(np.uint32), guard])


def _compare(
    kernel: str, names: list[str], call: Call, found: list[np.ndarray]
) -> tuple[float, Row]:
    """One call on both: the largest error in tolerances (inf: just wrong), and its row."""
    exact = [a.astype(np.float64) if a.dtype.kind == "f" else a.copy() for a in call.before]
    with np.errstate(all="ignore"):
        KERNELS[kernel](*exact, **call.params)
    settings = ", ".join(f"{name}={value:g}" for name, value in call.params.items())
    worst, row = -math.inf, Row(kernel, True, 0.0, 0.0, "", "")
    for name, whole, before, own, expected in zip(
        names, found, call.before, call.after, exact, strict=True
    ):
        guards = np.concatenate([whole[:GUARD], whole[-GUARD:]])
        bits = whole[GUARD:-GUARD]
        if (guards != SENTINEL).any():
            text = f"It writes outside its buffer {name}."
            return math.inf, Row(kernel, False, None, 0.0, f"{name} ({settings})", text)
        result = bits.view(before.dtype)
        with np.errstate(all="ignore"):
            error = np.abs(result.astype(np.float64) - expected)
            own_error = np.abs(own.astype(np.float64) - expected)
        same = (bits == before.view(np.uint32)) & (own.view(np.uint32) == before.view(np.uint32))
        same |= result == expected  # infinities too
        same |= np.isnan(result) & np.isnan(expected)
        error[same] = 0
        tolerance = 0.0
        if before.dtype.kind == "f":
            finite = np.isfinite(expected) & np.isfinite(own_error)
            largest = np.abs(expected[finite]).max(initial=0)
            tolerance = max(TOLERANCE * largest, CANCELLED * own_error[finite].max(initial=0))
        error[np.isnan(error)] = np.inf
        at = int(error.argmax())
        largest = float(error[at])
        ratio = 0.0 if largest == 0 else largest / tolerance if tolerance else math.inf
        if ratio > worst:
            where = f"{name}[{at}] of {result.size:,} ({settings})" if largest else ""
            wrong = int((error > tolerance).sum())
            text = (
                f"{name}[{at}] is {result[at]:.7g}, and its NumPy reference has "
                f"{expected[at]:.7g}: {wrong:,} of {result.size:,} numbers are further off than "
                "rounding explains."
            )
            largest = largest if math.isfinite(largest) else None
            worst = ratio
            row = Row(kernel, bool(ratio <= 1), largest, float(tolerance), where, text)
    return worst, row


def _refused(kernel: str, said: str) -> Row:
    """A kernel that cannot be run: its compiler's words with the place, or ours."""
    where = ""
    if problem := wgsl_problem(said):
        said, line, column, _ = problem
        where = f"line {line}, column {column}"
    return Row(kernel, False, None, 0.0, where, said)
