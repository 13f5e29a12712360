"""What these tests share: their device is NumPy, which every host has (tests/gpu runs many of them
on WebGPU), and they may import the modules of py_src/browser.
"""

import sys
from importlib.abc import MetaPathFinder
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest

from groundling.devices.numpy import NumPyDevice

BROWSER = Path(__file__).parents[2] / "py_src/browser"


class BrowserModules(MetaPathFinder):
    """Finds `session` and its like, and not that folder's wgpu, which would hide the real one."""

    def find_spec(self, name, path=None, target=None):
        file = BROWSER / f"{name}.py"
        return spec_from_file_location(name, file) if path is None and file.is_file() else None


sys.meta_path.append(BrowserModules())


@pytest.fixture
def device() -> NumPyDevice:
    """A NumPy device in float32."""
    return NumPyDevice()
