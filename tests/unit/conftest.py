"""What these tests share: their device is NumPy, or within a page the one that it has for the CPU
(tests/gpu and tests/wasm run many of them on theirs), and they may import the modules of
py_src/browser.
"""

import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest

from groundling.devices.numpy import NumPyDevice
from groundling.devices.wasm.device import WasmDevice

BROWSER = Path(__file__).parents[2] / "py_src/browser"


class BrowserModules(MetaPathFinder):
    """Finds `session` and its like, and not that folder's wgpu, which would hide the real one."""

    def find_spec(self, name, path=None, target=None):
        for file in (BROWSER / f"{name}.py", BROWSER / f"{name}/__init__.py"):
            if path is None and name != "wgpu" and file.is_file():
                return spec_from_file_location(name, file)
        return None


sys.meta_path.append(BrowserModules())


@pytest.fixture(autouse=True)
def well_typed() -> Iterator[None]:
    """Fails a test in which a message is posted that is not of its type."""
    yield
    wrong = getattr(sys.modules.get("paging"), "wrong", [])
    found = wrong[:]
    wrong.clear()
    assert not found


@pytest.fixture
def device() -> NumPyDevice:
    """A device in float32, on the CPU."""
    return WasmDevice() if sys.platform == "emscripten" else NumPyDevice()
