"""The GPU of these tests: a real one, or one that a CPU emulates. Without it they fail."""

import secrets

import numpy as np
import pytest

from groundling.devices import open_device
from groundling.devices.webgpu import WebGPUDevice


@pytest.fixture(scope="session")
def device() -> WebGPUDevice:
    """One WebGPU device for all tests. An adapter that cannot be had is an error, never a skip."""
    return open_device("webgpu")


@pytest.fixture
def rng() -> np.random.Generator:
    """Fresh random numbers for each test; a failed one prints the seed that repeats it."""
    seed = secrets.randbits(64)
    print(f"rng: np.random.default_rng({seed})")
    return np.random.default_rng(seed)
