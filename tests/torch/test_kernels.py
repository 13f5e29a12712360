"""Every kernel of the torch device against its reference in float64, on random input of awkward
shapes (tests/unit/cases.py), between guards that must be found as they were left.
"""

import inspect

import numpy as np
import pytest
from cases import CASES, SHADERS, arguments, check, make_inputs

from groundling.devices import kernels
from groundling.devices.base import Device
from groundling.devices.numpy import NumPyDevice
from groundling.devices.torch.device import TorchDevice
from groundling.devices.torch.kernels import KERNELS

GUARD = 64


@pytest.fixture(autouse=True)
def never_on_numpy(device: TorchDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails a test in which NumPy takes a kernel's place."""
    monkeypatch.setattr(device, "_on_numpy", lambda kernel, *_: pytest.fail(f"{kernel} on NumPy"))


@pytest.mark.parametrize(("kernel", "buffers", "params"), list(arguments()))
def test_a_kernel_does_what_its_reference_does(
    device: TorchDevice, rng: np.random.Generator, kernel: str, buffers: list, params: dict
):
    arrays = make_inputs(kernel, buffers, params, rng)
    oracle = run(NumPyDevice(dtype=np.float64), kernel, arrays, params)
    check(kernel, arrays, run(device, kernel, arrays, params), oracle)


def run(device: Device, kernel: str, arrays: list[np.ndarray], params: dict) -> list[np.ndarray]:
    """What each buffer holds after the kernel. Fails if it wrote beyond one."""
    wholes = [device.tensor(np.pad(array, GUARD, constant_values=77)) for array in arrays]
    views = [t.view(a.size, offset=GUARD) for t, a in zip(wholes, arrays, strict=True)]
    device.run(kernel, *views, **params)
    results = []
    for whole, array in zip(wholes, arrays, strict=True):
        before, result, after = np.split(whole.numpy(), [GUARD, GUARD + array.size])
        assert (before == 77).all() and (after == 77).all(), f"{kernel} wrote beyond a buffer"
        results.append(result)
    return results


def test_every_reference_has_a_kernel_of_the_same_buffers_and_parameters():
    assert set(KERNELS) == set(kernels.KERNELS)
    for name, function in KERNELS.items():
        assert inspect.signature(function) == inspect.signature(kernels.KERNELS[name]), name


@pytest.mark.parametrize("kernel", SHADERS)
def test_a_kernel_writes_the_same_bytes_twice(
    device: TorchDevice, rng: np.random.Generator, kernel: str
):
    for buffers, params in CASES[kernel][-3:]:
        arrays = make_inputs(kernel, buffers, params, rng)
        once, again = run(device, kernel, arrays, params), run(device, kernel, arrays, params)
        assert [a.tobytes() for a in once] == [a.tobytes() for a in again]


@pytest.mark.parametrize("token", [64, 65, 2**31, 2**32 - 1])
def test_a_token_beyond_the_vocabulary_counts_as_its_last(device: TorchDevice, rng, token: int):
    tokens = np.array([3, token, token], np.uint32)
    weight = rng.standard_normal(65 * 4, np.float32)
    arrays = [tokens, weight, np.zeros(12, np.float32)]
    y = run(device, "embedding", arrays, dict(rows=3, n_embd=4, vocab_size=65))[2]
    np.testing.assert_array_equal(y[8:], weight[-4:])
