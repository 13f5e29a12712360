"""A step in two halves: what is done in them, and that a second core changes no byte."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.base import Device
from groundling.devices.numpy import NumPyDevice
from groundling.devices.wasm import device as module
from groundling.devices.wasm.cores import GAIN, Pair, Trial
from groundling.devices.wasm.device import WasmDevice
from groundling.devices.wasm.hosts import Wasmtime, open_host
from groundling.engine.jit import jit
from groundling.engine.ops import embedding, gather_batch, gelu, position_embedding
from groundling.engine.tensor import Tensor
from groundling.runs.run import Run
from groundling.train import train

pytestmark = pytest.mark.native
CORPUS = Corpus("To be, or not to be, that is the question.\n" * 20)


def trained(device: WasmDevice, iters: int = 4, batch_size: int = 4, accumulate: int = 1, **model):
    """A run that was trained, with the evaluations at both ends."""
    shape = dict(vocab_size=CORPUS.vocab_size, block_size=16, n_layer=2, n_embd=24, n_head=3)
    rest = dict(warmup=1, eval_interval=3, eval_batches=1)
    config = TrainConfig(iters=iters, batch_size=batch_size, accumulate=accumulate, **rest)
    run = Run(config, CORPUS, device, GPTConfig(**shape | {"d_ff": 20} | model))
    for _ in train(run):
        run.plan = device.replayed
    return run


class Elsewhere:
    """A second core of these tests, with a memory of its own in which there is nothing at first. It
    does not answer its order of that number in time, and is then asked so often before it is free.
    """

    def __init__(self, host: Wasmtime, fails_at: int = 0, late: float = math.inf):
        self.host, self.own = host, open_host()
        self.fails_at, self.late, self.orders = fails_at, late, 0
        self.busy = 0.0  # how often it is still to be asked

    def is_free(self) -> bool:
        self.busy = max(0, self.busy - 1)
        return not self.busy

    def job(self, calls: list[list], needs: list[int], leaves: list[int]) -> tuple:
        return calls, needs, leaves

    def begin(self, job: tuple) -> bool:
        assert not self.busy, "it has not answered yet"
        calls, needs, self.leaves = job
        self.orders += 1
        memory, store = self.own.memory, self.own.store
        memory.grow(store, self.host.memory.size(self.host.store) - memory.size(store))
        self._copy(self.host, self.own, needs)
        for name, _, *arguments in calls:
            self.own.exports[name](store, *arguments)
        return True

    def wait(self, most: float) -> bool:
        assert most >= 1
        if self.orders == self.fails_at:
            self.busy = self.late
            return False
        self._copy(self.own, self.host, self.leaves)
        return True

    def _copy(self, source: Wasmtime, to: Wasmtime, ranges: list[int]) -> None:
        for start, end in zip(ranges[::2], ranges[1::2], strict=True):
            to.bytes[start:end] = source.bytes[start:end]


@pytest.mark.parametrize(
    "how", [{}, {"accumulate": 2}, {"block_size": 7, "n_head": 1}, {"batch_size": 6}]
)
def test_two_cores_make_the_bytes_of_one(
    device: WasmDevice, monkeypatch: pytest.MonkeyPatch, how: dict
):
    alone = trained(device, **how)
    monkeypatch.setattr(Trial, "cores", lambda trial: 2)
    monkeypatch.setattr(device, "second", second := Elsewhere(device.host))
    both = trained(device, **how)
    assert second.orders >= 4 + 2  # of steps and evaluations
    assert both.model.weights().tobytes() == alone.model.weights().tobytes()
    assert (both.val_loss, both.train_loss) == (alone.val_loss, alone.train_loss)


@pytest.mark.parametrize("at", [1, 4])
@pytest.mark.parametrize("late", [3, math.inf], ids=["late", "dead"])
def test_a_second_core_changes_no_byte_where_it_is_late_or_dead_and_is_used_once_it_has_answered(
    device: WasmDevice, monkeypatch: pytest.MonkeyPatch, at: int, late: float
):
    alone = trained(device, iters=8)
    monkeypatch.setattr(Trial, "cores", lambda trial: 2)
    monkeypatch.setattr(device, "second", second := Elsewhere(device.host, at, late))
    assert trained(device, iters=8).model.weights().tobytes() == alone.model.weights().tobytes()
    if late == math.inf:
        assert (second.orders, device.cores) == (at, 1)
    else:
        assert second.orders > at


def test_a_run_on_one_core_is_not_told_to_have_those_of_the_run_before(
    device: WasmDevice, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Trial, "gain", lambda trial: 1.8)
    monkeypatch.setattr(device, "second", Elsewhere(device.host))
    trained(device)
    assert (device.cores, device.gain) == (2, 1.8)
    trained(device, batch_size=5)
    assert (device.cores, device.gain) == (1, 0.0)


def test_the_halves_have_the_gradient_of_the_whole_in_less_memory(
    monkeypatch: pytest.MonkeyPatch,
):
    def gradient() -> tuple[np.ndarray, float, int]:
        run = trained(device := WasmDevice(), iters=1, batch_size=8)
        return run.model.gather(run.model.flat_grad), run.train_loss, device.counts.memory

    halves, loss, less = gradient()
    monkeypatch.setattr(module, "halve", lambda *_: None)
    whole, expected, memory = gradient()
    assert halves == pytest.approx(whole, abs=1e-6)
    assert loss == pytest.approx(expected, abs=1e-6)
    assert (halves != whole).any(), "they are the same sums"
    assert less < 0.8 * memory


@pytest.mark.parametrize(
    ("how", "halved"),
    [({}, True), ({"batch_size": 5}, False), ({"batch_size": 1}, False), ({"dropout": 0.1}, False)],
)
def test_what_is_done_in_halves(device: WasmDevice, how: dict, halved: bool):
    assert (trained(device, **how).plan.compiled is not None) == halved


def test_an_edited_function_has_the_whole_batch(
    device: WasmDevice, monkeypatch: pytest.MonkeyPatch
):
    def layernorm(x, weight, bias, y, stats, *, rows: int, n_embd, eps):
        seen.append(rows)
        original(x, weight, bias, y, stats, rows=rows, n_embd=n_embd, eps=eps)

    original, seen = device.kernels["layernorm"], []
    monkeypatch.setitem(device.kernels, "layernorm", layernorm)
    trained(device, batch_size=4)
    assert set(seen) >= {4 * 16}
    assert 2 * 16 not in seen


@pytest.mark.parametrize(
    "last",
    [
        lambda x, table: x.view(2, 2, 3) + x.view(2, 2, 3, offset=12),
        lambda x, table: position_embedding(x.view(1, 8, 3), table),
    ],
    ids=["sequences of one half and of the other", "a table as long as both halves"],
)
def test_what_goes_across_the_halves_is_not_done_in_them(device: WasmDevice, last: Callable):
    def found(device: Device) -> tuple[np.ndarray, Pair | None]:
        text = device.tensor(np.arange(9, dtype=np.uint32))
        table = device.tensor(np.linspace(-1, 1, 27).reshape(9, 3))

        @jit(device)
        def step(offsets: Tensor) -> Tensor:
            x = embedding(gather_batch(text, offsets, 2)[0], table)
            for _ in range(4):
                x = gelu(x)
            return last(x, table)

        result = step(np.array([0, 3, 5, 6], np.uint32)).numpy()
        return result, device.replayed.compiled

    (numbers, halves), (expected, _) = found(device), found(NumPyDevice())
    assert halves
    assert numbers == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("two", "cores"), [(0.06, 2), (0.099, 1), (0.3, 1)])
def test_the_faster_way_is_taken_and_the_other_tried_now_and_then(two: float, cores: int):
    trial, taken = Trial(), []
    for _ in range(200):
        taken.append(trial.cores())
        trial.seconds[taken[-1]].append({1: 0.1, 2: two}[taken[-1]])
    assert trial.best() == cores
    assert trial.gain() == pytest.approx(0.1 / two)
    others = sum(each != cores for each in taken)
    assert 3 <= others <= 12
    for _ in range(3):  # the machine has changed
        trial.seconds[1].append(1.0 if cores == 1 else 0.99 * GAIN * two)
    assert trial.best() == 3 - cores


def test_a_short_step_is_left_to_one_core():
    trial = Trial()
    for _ in range(100):
        assert trial.cores() == 1
        trial.seconds[1].append(0.002)
