"""Every kernel of a training step at the shapes that the presets have, on random numbers: WGSL
against its NumPy reference. The commands are those that a captured step of one block is fused to.

The reference works in float32 here, for speed, and the longest sums have 5,120 terms: both are
about sqrt(5,120) x 6e-8 = 4e-6 off, so the tolerance is twice that of test_parity.py.
"""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from groundling import sources
from groundling.config import GPTConfig
from groundling.devices.kernels import KERNELS
from groundling.devices.numpy import NumPyDevice
from groundling.devices.webgpu.device import WebGPUDevice
from groundling.engine.fuse import JOINED, split
from groundling.engine.jit import jit
from groundling.model import GPT, parameter_shapes
from groundling.runs.presets import PRESETS

TOLERANCE = 2e-5
WIDEST = 512  # channels; of wider models a block reads LONG tokens, and attention all
LONG = 64
TURNS = 65_535  # of an invocation's loops: what lavapipe allows, and cost.refusal knows
SHAPES = {name: setup.model for name, setup in PRESETS.items()}

Call = tuple[str, tuple[tuple[int, str], ...], tuple[tuple[str, float], ...]]
"""A kernel, the size and dtype of each buffer, and its parameters."""


class Noting(NumPyDevice):
    """Notes what a replayed step would run, and runs nothing."""

    def __init__(self):
        super().__init__()
        self.calls: set[Call] = set()

    def _prepare(self, kernel: str, tensors: tuple, params: dict) -> Callable:
        for name, own, its in split_of(kernel, tensors, params):
            buffers = tuple((t.size, t.dtype) for t in own)
            self.calls.add((name, buffers, tuple(its.items())))
        return lambda: None


def split_of(kernel: str, tensors: tuple, params: dict):
    """The parts of a dispatch that several kernels share, or itself."""
    if JOINED not in kernel:
        return [(kernel, tensors, params)]
    return split(kernel, tensors, params, lambda name: KERNELS[name].__code__.co_argcount)


def calls_of(config: GPTConfig) -> set[Call]:
    """What a step of one block runs, forward and back, on one text of the whole context."""
    device, T = Noting(), config.block_size
    rows = T if config.n_embd <= WIDEST else min(T, LONG)
    one = replace(config, n_layer=1)
    count = sum(int(np.prod(shape)) for shape in parameter_shapes(one).values())
    model = GPT(one, device, np.zeros(count, np.float32))

    @jit(device)
    def step(tokens):
        model.zero_grad()
        model.loss(tokens, tokens.detach()).backward()

    step(np.zeros((1, rows), np.uint32))
    for kernel, buffers, params in [*device.calls]:
        if kernel.startswith("attention"):  # a row of each buffer for each token
            most = min(T, TURNS // (1 + 3 * dict(params)["head_size"]))
            whole = tuple((size // rows * most, dtype) for size, dtype in buffers)
            at = tuple((name, most if name == "time" else value) for name, value in params)
            device.calls.add((kernel, whole, at))
    return device.calls


CALLS = {name: calls_of(config) for name, config in SHAPES.items()}
BINDING = r"@binding\(\d+\)\s*var<storage, (read|read_write)>"


def inputs(call: Call, rng: np.random.Generator) -> list[np.ndarray]:
    """Random numbers, or NaNs where all of a buffer is overwritten."""
    kernel, buffers, params = call
    access = re.findall(BINDING, sources.text(f"shaders/{kernel}.wgsl"))
    adds = any(value for name, value in params if name.startswith("accumulate"))
    arrays = []
    for (size, dtype), how in zip(buffers, access, strict=True):
        if dtype == "u32":
            arrays.append(rng.integers(0, dict(params)["vocab_size"], size, np.uint32))
        elif how == "read_write" and not adds:
            arrays.append(np.full(size, np.nan, np.float32))
        else:
            arrays.append(rng.standard_normal(size, np.float32))
    return arrays


def is_long_to_compile(call: Call) -> bool:
    """Whether its loops, of a constant length, are unrolled to very long code."""
    kernel, _, params = call
    sizes = dict(params)
    wide = kernel.startswith("layernorm_matmul") and sizes["n_embd"] > 96
    return wide or (kernel.startswith("attention") and sizes["head_size"] > 32)


@pytest.mark.parametrize("name", SHAPES)
def test_the_kernels_of_a_preset_do_what_their_references_do(
    device: WebGPUDevice, rng: np.random.Generator, name: str
):
    earlier = [CALLS[other] for other in list(SHAPES)[: list(SHAPES).index(name)]]
    calls = CALLS[name].difference(*earlier)
    assert calls
    if device.is_emulated:  # lavapipe compiles each of these for 12 to 40 seconds
        calls = {call for call in calls if not is_long_to_compile(call)}
    for call in sorted(calls):
        kernel, _, params = call
        arrays, found = inputs(call, rng), []
        for where in (device, NumPyDevice()):
            tensors = [where.tensor(array) for array in arrays]
            where.run(kernel, *tensors, **dict(params))
            found.append([tensor.numpy() for tensor in tensors])
        for i, (result, expected) in enumerate(zip(*found, strict=True)):
            assert not np.isnan(expected).any(), f"{call}: nothing is written to buffer {i}"
            atol = TOLERANCE * max(1, np.abs(expected).max())
            np.testing.assert_allclose(result, expected, 0, atol, err_msg=f"{call}: buffer {i}")


def test_the_presets_shapes_are_all_there():
    """Contexts up to 512, and widths from 48 to 1,280. Odd ones are in test_parity.py."""
    assert {config.block_size for config in SHAPES.values()} >= {32, 128, 512}
    times = {dict(params).get("time") for calls in CALLS.values() for _, _, params in calls}
    assert {32, 64, 96, 128, 256, 512} <= times
    widths = {dict(params).get("n_embd") for calls in CALLS.values() for _, _, params in calls}
    assert {48, 96, 192, 384, 1280} <= widths
