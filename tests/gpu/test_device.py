"""The WebGPU device itself: what it sends, what it refuses, and that it agrees with NumPy."""

import hashlib
import math
import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import wgpu

from groundling import sources
from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.base import DeviceError
from groundling.devices.numpy import NumPyDevice
from groundling.devices.open import open_device
from groundling.devices.webgpu import tiles
from groundling.devices.webgpu.device import WebGPUDevice
from groundling.devices.webgpu.kernel import Kernel
from groundling.devices.webgpu.readback import Ring
from groundling.edits.errors import describe
from groundling.engine import ops
from groundling.runs.run import Run
from groundling.runs.writer import generate
from groundling.train import train

TEXT = (
    "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind to suffer\n" * 20
)
CONFIG = TrainConfig(
    **dict(seed="gpu", iters=60, batch_size=4, lr=1e-2, min_lr=1e-3, warmup=4),
    **dict(eval_interval=10_000, eval_batches=1),
)
ENDLESS = replace(CONFIG, iters=1_000_000)  # its second evaluation is far off


def small_run(device, config: TrainConfig = CONFIG) -> Run:
    corpus = Corpus(TEXT)
    sizes = dict(block_size=9, n_layer=2, n_head=3, n_embd=12, d_ff=20, dropout=0.1)
    return Run(config, corpus, device, GPTConfig(vocab_size=corpus.vocab_size, **sizes))


# It agrees with NumPy


def test_the_initial_weights_are_golden_on_the_gpu(
    device: WebGPUDevice, corpus: Corpus, golden: dict
):
    weights = Run(TrainConfig(), corpus, device).checkpoint().weights
    expected = golden["init"]["sha256 of the 824064 weight bytes at iter 0"]["hamlet"]
    assert hashlib.sha256(weights.tobytes()).hexdigest() == expected


def test_a_run_follows_the_same_run_on_numpy(device: WebGPUDevice):
    """With dropout too. Rounding grows as training goes on: 1e-3 of a nat after 30 iterations."""
    config = replace(CONFIG, iters=30)
    losses = [[r.train for r in train(small_run(d, config))] for d in (device, NumPyDevice())]
    np.testing.assert_allclose(losses[0][:5], losses[1][:5], atol=1e-5)
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-3)


def test_a_run_begun_on_numpy_goes_on_here(device: WebGPUDevice):
    there, here = small_run(NumPyDevice()), small_run(device)
    for record in train(there):
        if record.iter == 20:
            there.pause()
    here.restore(there.state())
    assert here.checkpoint().weights.tobytes() == there.checkpoint().weights.tobytes()
    pairs = list(zip(train(here), train(there), strict=True))
    assert [a.iter for a, _ in pairs] == list(range(21, 60))
    np.testing.assert_allclose(
        [a.train for a, _ in pairs[:5]], [b.train for _, b in pairs[:5]], atol=1e-4
    )


def test_the_same_seed_says_the_same_on_both_devices(device: WebGPUDevice):
    """Two devices may part where a draw falls within rounding, 1e-6, of an edge: not in 100."""
    there = small_run(NumPyDevice())
    assert list(train(there))[-1].train < 2.5
    here = small_run(device)
    here.load(there.checkpoint())
    for settings in ({}, {"temperature": 1.5, "top_k": 7}, {"top_p": 0.8}, {"top_k": 1}):
        said = [
            generate(run.model, run.corpus, "To be", 100, "s", **settings) for run in (here, there)
        ]
        assert said[0] == said[1]


# What it sends


def test_a_training_step_is_one_submit(device: WebGPUDevice, monkeypatch: pytest.MonkeyPatch):
    run, sent = small_run(device, ENDLESS), []
    queue, send = type(device.wgpu.queue), Ring._send
    submit = queue.submit

    def send_window(ring: Ring) -> None:
        before = len(sent)
        send(ring)
        del sent[before:]  # wgpu-py, natively, submits an empty command buffer with a mapping

    monkeypatch.setattr(queue, "submit", lambda self, work: sent.append(work) or submit(self, work))
    monkeypatch.setattr(Ring, "_send", send_window)
    for record in train(run):
        if record.iter == 5:
            run.pause()
    begun, before = run.iter, len(sent)
    for record in train(run):
        if record.iter == begun + 20:
            run.pause()
    assert len(sent) - before == run.iter - begun
    assert all(len(work) == 1 for work in sent)


def test_a_training_step_reads_nothing_back_but_its_ring(
    device: WebGPUDevice, monkeypatch: pytest.MonkeyPatch
):
    run, queue = small_run(device, ENDLESS), type(device.wgpu.queue)
    steps = train(run)
    next(steps)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a training step read a buffer")

    monkeypatch.setattr(queue, "read_buffer", refuse)
    for record in steps:
        if record.iter == 20:
            break


def test_a_replayed_step_waits_for_nothing(device: WebGPUDevice, monkeypatch: pytest.MonkeyPatch):
    """Python stops once in a window of steps, for the losses of the window before."""
    monkeypatch.setattr(Ring, "MOST", 8)
    monkeypatch.setattr(Ring, "SECONDS", 1e6)
    run, waits, push = small_run(device, ENDLESS), [], Ring.push

    def noting(ring: Ring, *step: object) -> None:
        push(ring, *step)
        waits.append(device.counts.waits)

    monkeypatch.setattr(Ring, "push", noting)
    for record in train(run):
        if record.iter == 40:
            break
    stops = np.flatnonzero(np.diff(waits[-33:]))
    assert len(stops) == 4 and set(np.diff(stops)) == {8}
    assert waits[-1] - waits[-33] == 4


def test_a_replayed_step_makes_no_buffers_and_no_bind_groups(
    device: WebGPUDevice, monkeypatch: pytest.MonkeyPatch
):
    run, made = small_run(device, ENDLESS), []
    steps = train(run)
    for record in steps:
        if record.iter == 8:
            break
    for name in ("create_buffer", "create_buffer_with_data", "create_bind_group"):
        create = getattr(wgpu.GPUDevice, name)
        monkeypatch.setattr(
            type(device.wgpu),
            name,
            lambda self, *args, _name=name, _create=create, **kwargs: (
                made.append(_name) or _create(self, *args, **kwargs)
            ),
        )
    for record in steps:
        if record.iter == 40:
            break
    # The ring may still have to grow: it keeps three windows of losses in turn.
    assert len(made) <= 2, made
    assert set(made) <= {"create_buffer"}


def test_a_text_is_one_submit_where_the_device_is_fast(
    device: WebGPUDevice, monkeypatch: pytest.MonkeyPatch
):
    """From the second on: the first tells how fast it is. It has a character that fills the cache,
    some that the cache is for, and those of a window that slides.
    """
    monkeypatch.setattr("groundling.runs.writer.SECONDS", 1e6)
    monkeypatch.setattr("groundling.runs.writer.TOO_LONG", 1e6)
    run = small_run(device)
    text = generate(run.model, run.corpus, "To be", 300, "s")
    for _ in range(2):
        before = device.counts.submits
        assert generate(run.model, run.corpus, "To be", 300, "s") == text
        assert device.counts.submits - before == 1


def test_a_text_is_measured_again_when_its_one_submit_takes_too_long(
    device: WebGPUDevice, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("groundling.runs.writer.SECONDS", 1e6)
    monkeypatch.setattr("groundling.runs.writer.TOO_LONG", 0.0)
    run, submits = small_run(device), []
    for _ in range(3):
        before = device.counts.submits
        generate(run.model, run.corpus, "To be", 40, "s")
        submits.append(device.counts.submits - before)
    assert submits[1] == 1 < submits[2]


def test_on_a_slow_device_a_submit_is_one_character(
    device: WebGPUDevice, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("groundling.runs.writer.SECONDS", 0.0)
    run = small_run(device)
    generate(run.model, run.corpus, "To be", 12, "s")
    before = device.counts.submits
    generate(run.model, run.corpus, "To be", 12, "s")
    assert device.counts.submits - before == 12


def test_the_devices_clock_tells_the_time(device: WebGPUDevice):
    """As ours does, where a kernel takes longer than it takes to ask."""
    assert device.has_clock  # lavapipe's does; without one the bench uses ours
    a, b, y = (device.tensor(np.zeros(256 * 256)) for _ in range(3))
    sizes = dict(m=256, k=256, n=256, accumulate=0)

    def work() -> None:
        for _ in range(4):
            device.run("matmul_nn", a, b, y, **sizes)

    device.timed(work)  # compiles
    began = time.perf_counter()
    told = device.timed(work)
    assert 0 < told < time.perf_counter() - began
    assert min(device.timed(lambda: None) for _ in range(5)) < told / 4  # others may have the core


def test_we_run_ahead_of_the_gpu_by_two_windows_at_most(device: WebGPUDevice):
    run = small_run(device, ENDLESS)
    for record in train(run):
        assert run.iter - record.iter <= 2 * Ring.MOST + 1
        if record.iter == 400:
            break


# What it refuses


def test_a_tensor_past_a_limit_is_refused_by_the_limits_name(device: WebGPUDevice):
    limit = min(
        device.wgpu.limits[name] for name in ("max-buffer-size", "max-storage-buffer-binding-size")
    )
    with pytest.raises(DeviceError, match=rf"max-[a-z-]+ is {limit:,}"):
        device.empty(limit // 4 + 1)


def test_a_grid_past_a_limit_is_refused_by_the_limits_name(device: WebGPUDevice):
    most = device.wgpu.limits["max-compute-workgroups-per-dimension"]
    tensors = [device.empty(1) for _ in range(3)]
    with pytest.raises(DeviceError, match=rf"matmul_nn .*workgroups-per-dimension is {most:,}"):
        device.run("matmul_nn", *tensors, m=32 * most + 1, k=1, n=1, accumulate=0)


def test_a_wrong_call_of_a_kernel_is_refused_by_the_kernels_name(device: WebGPUDevice):
    x = device.empty(4)
    with pytest.raises(DeviceError, match="no kernel 'warp'"):
        device.run("warp", x)
    with pytest.raises(DeviceError, match="gelu has 2 buffers; it was given 3"):
        device.run("gelu", x, x, x, size=4)
    with pytest.raises(DeviceError, match="gelu: its parameters are .*size"):
        device.run("gelu", x, device.empty(4), length=4)
    with pytest.raises(DeviceError, match="gelu: its parameters are .*size"):
        device.run("gelu", x, device.empty(4), size=2.5)


def test_a_kernel_that_does_not_compile_is_refused_by_name_and_place(device: WebGPUDevice):
    code = sources.text("shaders/gelu.wgsl")
    broken = Kernel(device.wgpu, "gelu", code.replace("y[i] =", "z[i] ="))
    with pytest.raises(DeviceError, match=r"(?s)gelu does not compile.*z") as raised:
        broken.pipeline({"size": 1})
    files = {"shaders/gelu.wgsl": broken.code}
    [frame] = describe(raised.value, files).frames
    assert (frame.path, frame.yours) == ("shaders/gelu.wgsl", True)
    assert frame.text[frame.column : frame.end_column] == "z"
    assert frame.text.strip().startswith("z[i] =")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("// grid: size / 64", ""),
        ("struct Params", "struct Settings"),
        ("@binding(1)", "@binding(3)"),
        ("var<uniform> p: Params", "var<storage, read> p: Params"),
    ],
)
def test_a_kernel_that_does_not_say_how_it_is_run_is_refused(
    device: WebGPUDevice, old: str, new: str
):
    code = sources.text("shaders/gelu.wgsl")
    assert old in code
    with pytest.raises(DeviceError, match="Kernel gelu:"):
        Kernel(device.wgpu, "gelu", code.replace(old, new))


def test_an_edited_kernel_takes_the_place_of_the_old(device: WebGPUDevice):
    code = sources.text("shaders/gelu.wgsl")
    relu = code.replace("y[i] = 0.5", "y[i] = max(v, 0.0); _ = 0.5")
    assert relu != code
    x, old = device.tensor([-1.0, 2.0]), device.kernel("gelu")
    device.kernels["gelu"] = Kernel(device.wgpu, "gelu", relu)
    try:
        np.testing.assert_array_equal(ops.gelu(x).numpy(), [0, 2])
    finally:
        device.kernels["gelu"] = old
    assert ops.gelu(x).numpy()[1] == pytest.approx(1.9546, abs=1e-4)


# How it is opened


def test_every_kernel_compiles_ahead_and_is_counted():
    device, seen = WebGPUDevice(), []
    device.compile_all(lambda done, total, name: seen.append((done, total, name)))
    names = [name for name in sources.kernels() if name not in tiles.KERNELS]
    total = len(names)
    assert seen == [*((i, total, name) for i, name in enumerate(names)), (total, total, "")]


def test_without_an_adapter_webgpu_is_refused_and_auto_is_numpy(monkeypatch: pytest.MonkeyPatch):
    def request(**_: object) -> None:
        raise RuntimeError("there is no driver")

    monkeypatch.setattr(wgpu.gpu, "request_adapter_sync", request)
    with pytest.raises(DeviceError, match="No WebGPU adapter"):
        open_device("webgpu")
    instead = open_device("auto")
    assert instead.name == "numpy"
    assert instead.instead_of == "No WebGPU adapter can be had here: there is no driver."


def test_on_a_machine_without_a_desktop_nothing_is_printed():
    env = {name: value for name, value in os.environ.items() if name != "XDG_RUNTIME_DIR"}
    opened = "from groundling.devices.open import open_device; open_device('webgpu'); import os; "
    opened += "assert 'XDG_RUNTIME_DIR' not in os.environ"
    done = subprocess.run([sys.executable, "-c", opened], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_auto_prefers_numpy_to_an_emulated_gpu(device: WebGPUDevice):
    assert open_device("auto").name == ("numpy" if device.is_emulated else "webgpu")


def test_a_device_of_no_known_name_is_refused():
    with pytest.raises(DeviceError, match="'cuda'; the devices are auto, webgpu, torch"):
        open_device("cuda")


def test_a_device_says_what_it_is(device: WebGPUDevice):
    assert device.description
    assert device.name == "webgpu"
    assert math.isfinite(device.counts.waited)


def test_a_device_that_is_closed_leaves_others_as_they_are(device: WebGPUDevice):
    other = WebGPUDevice()
    kept = 2 * other.tensor(np.ones(4, np.float32))
    other.close()
    with pytest.raises((wgpu.GPUError, RuntimeError)):
        kept.numpy()
    del kept
    x = device.tensor(np.ones(4, np.float32))
    np.testing.assert_array_equal((x + x).numpy(), [2, 2, 2, 2])
