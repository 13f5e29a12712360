"""The torch device: its runs, when NumPy takes its place, its names, and where there is none."""

import sys
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from groundling import sources
from groundling.cli import main as cli
from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices import open as opening
from groundling.devices.base import DeviceError
from groundling.devices.numpy import NumPyDevice
from groundling.devices.open import open_device
from groundling.devices.torch.device import TorchDevice
from groundling.devices.unedited import REFERENCES
from groundling.edits import live
from groundling.runs import statefile
from groundling.runs.run import Run
from groundling.train import train

TWIN = dict(seed="hamlet", iters=40, warmup=10, lr=3e-4, min_lr=3e-5)


def trained(device, corpus: Corpus, **settings) -> Run:
    run = Run(TrainConfig(**TWIN | settings), corpus, device)
    run.sample_every = 0
    for _ in train(run):
        pass
    return run


@pytest.fixture(scope="module")
def twin(device: TorchDevice, corpus: Corpus) -> Run:
    """The golden run of 40 iterations."""
    return trained(device, corpus)


def test_a_run_s_losses_and_weights_are_numpy_s(twin: Run, corpus: Corpus, golden: dict):
    on_numpy = trained(NumPyDevice(), corpus)
    pairs = zip(twin.log, on_numpy.log, strict=True)
    assert max(abs(a.train / b.train - 1) for a, b in pairs) < 1e-6
    np.testing.assert_allclose(twin.model.weights(), on_numpy.model.weights(), 0, 1e-5)
    for it, loss in golden["twin"]["training loss by iter"].items():
        assert twin.log[int(it)].train == pytest.approx(loss, abs=2e-3)
    norm = golden["twin"]["global gradient norm at iter 0, before clipping"]
    assert twin.log[0].grad_norm == pytest.approx(norm, abs=2e-3)


def test_the_same_seed_gives_the_same_bytes_also_in_two_parts(
    twin: Run, device: TorchDevice, corpus: Corpus
):
    first = Run(TrainConfig(**TWIN), corpus, device)
    first.sample_every = 0
    for _ in train(first, stop_at=20):
        pass
    second = statefile.load_state(statefile.save_state(first), corpus, TorchDevice("cpu"))
    for _ in train(second):
        pass
    assert second.model.weights().tobytes() == twin.model.weights().tobytes()


@pytest.fixture
def on_numpy(device: TorchDevice, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernels that NumPy ran."""
    names, run = [], device._on_numpy
    monkeypatch.setattr(device, "_on_numpy", lambda *call: names.append(call[0]) or run(*call))
    return names


@pytest.mark.parametrize("model", [{}, {"dropout": 0.1}, {"n_embd": 24, "n_head": 3, "d_ff": 20}])
def test_a_run_takes_no_function_of_numpy(device: TorchDevice, on_numpy: list, model: dict):
    corpus = Corpus("To be, or not to be, that is the question.\n" * 20)
    shape = dict(block_size=16, n_layer=1) | model
    config = TrainConfig(iters=3, batch_size=3, eval_interval=2, eval_batches=1, warmup=1)
    for _ in train(Run(config, corpus, device, GPTConfig(vocab_size=corpus.vocab_size, **shape))):
        pass
    assert on_numpy == []


def test_an_edited_function_takes_the_kernels_place(device: TorchDevice, on_numpy: list):
    def gelu(device: TorchDevice) -> np.ndarray:
        x, y = device.tensor(np.linspace(-2, 2, 9)), device.empty(9)
        device.run("gelu", x, y, size=9)
        return y.numpy()

    usual = gelu(device)
    text = sources.original(REFERENCES).replace("t *= 0.5\n    np.multiply", "np.multiply")
    live.load({REFERENCES: text})
    edited = import_module("groundling.devices.open").open_device("torch:cpu")
    assert gelu(edited) == pytest.approx(2 * usual, abs=1e-6)
    device.kernels["gelu"] = lambda x, y, *, size: np.copyto(y, -x)
    assert gelu(device) == pytest.approx(np.linspace(2, -2, 9))
    del device.kernels["gelu"]
    assert (gelu(device) == usual).all()
    assert on_numpy == ["gelu"]


def test_a_buffer_too_small_is_for_numpy_to_refuse(device: TorchDevice, on_numpy: list):
    x, y = device.empty(8), device.empty(4)
    with pytest.raises(ValueError, match="could not be broadcast|operands"):
        device.run("gelu", x, y, size=8)
    assert on_numpy == ["gelu"]


def test_words_keep_their_bits(device: TorchDevice):
    words = np.array([0, 7, 2**31, 2**32 - 1], np.uint32)
    np.testing.assert_array_equal(device.tensor(words).numpy(), words)


def test_products_are_in_float32_unless_tf32_is_asked_for():
    assert torch.get_float32_matmul_precision() == "highest"
    try:
        assert "TF32" in TorchDevice("cpu", tf32=True).description
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        assert "TF32" not in TorchDevice("cpu").description
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("name", ["torch:cuda:99", "torch:nonsense", "torch:meta:x"])
def test_a_device_that_pytorch_has_not_is_refused(name: str):
    with pytest.raises(DeviceError, match=f"PyTorch cannot use '{name.partition(':')[2]}' here: "):
        open_device(name)


def test_each_process_has_a_gpu_of_its_own_and_no_number_can_be_asked_for(monkeypatch):
    module = import_module("groundling.devices.torch.device")
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch, "empty", lambda *_, device: None)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    for name in ("", "cuda", "cuda:0", "cuda:3"):
        module._place(name)
    assert [place.index for place in chosen] == [1, 1, 0, 3]
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert module._place("cuda") == torch.device("cuda", 1)
    for name in ("cuda:0", "cuda:1"):
        with pytest.raises(DeviceError) as refused:
            open_device(f"torch:{name}")
        assert str(refused.value) == (
            f"PyTorch cannot use '{name}' here: it is one GPU, and torchrun started 2 processes, "
            "which take one each by torch:cuda."
        )


def test_only_torch_takes_a_name_after_a_colon():
    with pytest.raises(DeviceError, match="not 'numpy'"):
        open_device("numpy:cuda")


def test_without_pytorch_one_sentence_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setattr(opening, "find_spec", lambda name: None if name == "torch" else True)
    with pytest.raises(DeviceError, match=r"pip install 'groundling\[torch\]'"):
        open_device("torch")
    assert cli.main(["train", "--device", "torch", "--iters", "1"]) == 2
    assert capsys.readouterr().err == (
        "groundling: PyTorch is not installed here: pip install 'groundling[torch]'.\n"
    )


def test_auto_takes_a_gpu_of_pytorch_s_where_webgpu_has_none(monkeypatch: pytest.MonkeyPatch):
    module = import_module("groundling.devices.torch.device")
    monkeypatch.setattr(opening, "may_have_gpu", lambda: True)
    monkeypatch.setattr(module, "gpu", lambda: "cpu")  # as good as a GPU
    monkeypatch.setitem(sys.modules, "wgpu", None)
    device = open_device("auto")
    assert device.name == "torch" and "wgpu cannot be loaded here" in device.instead_of
    monkeypatch.setattr(module, "gpu", lambda: "")
    assert open_device("auto").name == "numpy"
    assert find_spec("torch")


def test_auto_leaves_pytorch_alone_where_no_driver_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(opening, "GPU_DRIVERS", ("/dev/no*", "/dev/nul"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert not opening.may_have_gpu()
    monkeypatch.setitem(sys.modules, "groundling.devices.torch.device", None)  # or it would fail
    monkeypatch.setitem(sys.modules, "wgpu", None)
    assert open_device("auto").name == "numpy"
    monkeypatch.setattr(opening, "GPU_DRIVERS", ("/dev/no*", "/dev/nul*"))
    assert opening.may_have_gpu()
    monkeypatch.setattr(opening, "GPU_DRIVERS", ())
    for platform in ("darwin", "win32"):
        monkeypatch.setattr(sys, "platform", platform)
        assert opening.may_have_gpu()
