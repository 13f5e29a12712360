"""The wasm device: the bytes it promises, when NumPy takes its place, and its memory."""

import sys
from hashlib import sha256
from importlib import import_module

import numpy as np
import pytest

from groundling import sources
from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices import kernels
from groundling.devices.base import DeviceError
from groundling.devices.sizes import SIZES, fits
from groundling.devices.unedited import REFERENCES, is_unedited
from groundling.devices.wasm import hosts
from groundling.devices.wasm.device import WasmDevice
from groundling.edits import live
from groundling.runs.run import Run
from groundling.train import train

ORIGINAL = sources.original(REFERENCES)


def test_a_default_run_makes_the_golden_bytes(
    device: WasmDevice, corpus: Corpus, cpu_run: tuple[int, str]
):
    iters, expected = cpu_run
    run = Run(TrainConfig(iters=iters), corpus, device)
    run.sample_every = 0
    for _ in train(run):
        pass
    assert sha256(run.model.weights().tobytes()).hexdigest() == expected


@pytest.fixture
def on_numpy(device: WasmDevice, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernels for which a NumPy function was taken."""
    names, call = [], device._call

    def counting(kernel: str, arrays: list, params: dict):
        found = call(kernel, arrays, params)
        if found is None:
            names.append(kernel)
        return found

    monkeypatch.setattr(device, "_call", counting)
    return names


@pytest.mark.parametrize("model", [{}, {"dropout": 0.1}, {"n_embd": 24, "n_head": 3, "d_ff": 20}])
def test_a_run_takes_no_function_of_numpy(device: WasmDevice, on_numpy: list, model: dict):
    """Training, evaluation and what is written."""
    corpus = Corpus("To be, or not to be, that is the question.\n" * 20)
    shape = dict(block_size=16, n_layer=1) | model
    config = TrainConfig(iters=3, batch_size=3, eval_interval=2, eval_batches=1, warmup=1)
    for _ in train(Run(config, corpus, device, GPTConfig(vocab_size=corpus.vocab_size, **shape))):
        pass
    assert on_numpy == []


def test_every_kernel_has_sizes_and_an_export(device: WasmDevice):
    exports = {name for name in device.host.exports if not name.endswith("_workspace")}
    assert set(SIZES) == exports == set(kernels.KERNELS)


def test_a_buffer_too_small_is_for_numpy_to_refuse(device: WasmDevice, on_numpy: list):
    x, y = device.empty(8), device.empty(4)
    with pytest.raises(ValueError, match="could not be broadcast|operands"):
        device.run("gelu", x, y, size=8)
    assert on_numpy == ["gelu"]
    with pytest.raises(ValueError):
        device.run("matmul_nn", x, x, y, m=4, k=4, n=4, accumulate=0)


@pytest.mark.parametrize(
    ("kernel", "sizes", "params"),
    [
        ("add", (9, 9, 9), dict(size=-1)),
        ("add", (9, 9, 9), dict(size=2**31)),
        ("add", (9, 9), dict(size=9)),
        ("matmul_nn", (6, 6, 3), dict(m=-2, k=-3, n=-2, accumulate=0)),
        ("position_embedding", (10, 4, 10), dict(size=10, period=4)),
        ("position_embedding", (10, 4, 10), dict(size=10, period=0)),
        ("embedding", (3, 9, 9), dict(rows=3, n_embd=3, vocab_size=0)),
        ("keep_row", (3, 1, 9), dict(size=3, stride=0)),
        ("rmsnorm", (6, 6), dict(rows=2, size=3, period=0, normed=1, eps=1e-5)),
    ],
)
def test_what_does_not_fit(kernel: str, sizes: tuple, params: dict):
    assert not fits(kernel, sizes, params)


def test_an_edited_function_takes_the_kernels_place(device: WasmDevice, on_numpy: list):
    def gelu(device: WasmDevice) -> np.ndarray:
        x, y = device.tensor(np.linspace(-2, 2, 9)), device.empty(9)
        device.run("gelu", x, y, size=9)
        return y.numpy()

    usual = gelu(device)
    live.load({REFERENCES: ORIGINAL.replace("t *= 0.5\n    np.multiply", "np.multiply")})
    edited = import_module("groundling.devices.open").open_device("wasm")
    assert gelu(edited) == pytest.approx(2 * usual, abs=1e-6)
    device.kernels["gelu"] = lambda x, y, *, size: np.copyto(y, -x)
    assert gelu(device) == pytest.approx(np.linspace(2, -2, 9))
    del device.kernels["gelu"]
    assert (gelu(device) == usual).all()
    assert on_numpy == ["gelu"]


@pytest.mark.parametrize(
    ("edit", "changed"),
    [
        (("def _gelu_tanh(x):", "def _gelu_tanh(x):\n    x = 2 * x"), {"gelu", "gelu_backward"}),
        (("0.044715", "0.05"), {"gelu", "gelu_backward"}),
        (("# In the order in which", "# As"), set()),
    ],
)
def test_only_what_an_edit_changes_runs_on_numpy(edit: tuple, changed: set):
    text = ORIGINAL.replace(*edit)
    assert text != ORIGINAL
    names = "gelu", "gelu_backward", "add", "copy"
    assert {name for name in names if not is_unedited(name, text)} == changed


@pytest.mark.native
def test_without_wasmtime_or_the_module_there_is_no_such_device(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "wasmtime", None)
    with pytest.raises(DeviceError, match=r"pip install 'groundling\[wasm\]'"):
        WasmDevice()
    monkeypatch.setattr(hosts, "MODULE", "wasm/nothing.wasm")
    with pytest.raises(DeviceError, match="`python build.py setup` does it"):
        WasmDevice()


@pytest.mark.native
def test_memory_is_used_again_and_no_two_arrays_share_it(rng: np.random.Generator):
    host, most = WasmDevice().host, 0
    held: list[tuple[np.ndarray, int]] = []
    for turn in range(2000):
        if held and rng.random() < 0.5:
            array, value = held.pop(rng.integers(len(held)))
            assert (array == value).all()
            host.release(array)
        else:
            array = host.allocate(int(rng.integers(0, 100_000)))
            array[:] = turn % 256
            held.append((array, turn % 256))
            most = max(most, sum(array.size for array, _ in held))
    for array, value in held:
        assert (array == value).all()
        host.release(array)
    assert len(host.free) == 1  # all of it, joined
    assert host.memory.data_len(host.store) < 2 * most
