"""The device of these tests: NumPy, which every host has. tests/gpu runs many of them on WebGPU."""

import secrets

import numpy as np
import pytest

from groundling.devices.numpy import NumPyDevice


@pytest.fixture
def device() -> NumPyDevice:
    """A NumPy device in float32."""
    return NumPyDevice()


@pytest.fixture
def rng() -> np.random.Generator:
    """Fresh random numbers for each test; a failed one prints the seed that repeats it."""
    seed = secrets.randbits(64)
    print(f"rng: np.random.default_rng({seed})")
    return np.random.default_rng(seed)
