"""The GPU of these tests: a real one, or one that a CPU emulates. Without it they fail.

With GROUNDLING_DAWN set, `import wgpu` gives wgpudawn, the same API on Chrome's WebGPU: see
test_dawn.py.
"""

import os

if os.environ.get("GROUNDLING_DAWN"):
    import wgpudawn

    wgpudawn.install_as_wgpu()

# isort: split
import pytest

from groundling.devices.open import open_device
from groundling.devices.webgpu.device import WebGPUDevice


@pytest.fixture(scope="session")
def device() -> WebGPUDevice:
    """One WebGPU device for all tests. An adapter that cannot be had is an error, never a skip."""
    return open_device("webgpu")
