"""The device of these tests: NumPy, which every host has. tests/gpu runs many of them on WebGPU."""

import pytest

from groundling.devices.numpy import NumPyDevice


@pytest.fixture
def device() -> NumPyDevice:
    """A NumPy device in float32."""
    return NumPyDevice()
