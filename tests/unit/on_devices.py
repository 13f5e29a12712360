"""The tests of this folder that need a device, for the folders that have another one than NumPy."""

import importlib.util
import inspect
from pathlib import Path

FILES = (
    "tensor",
    "jit",
    "device_memory",
    "programs",
    "fuse",
    "gradients",
    "model",
    "optim",
    "train",
    "sampling",
    "samples",
    "state",
    "twin",
    "large",
    "guide",
    "link",
    "recipes",
    "lens",
    "step",
)
FIXTURES = "model", "finished", "data", "saved", "use"  # of these files


def of_devices() -> dict[str, object]:
    """The tests and their fixtures, by name."""
    found: dict[str, object] = {}
    for file in FILES:
        for name, value in load(Path(__file__).parent / f"test_{file}.py").items():
            needs = inspect.signature(value).parameters if name.startswith("test_") else ()
            if name in FIXTURES or {"device", "model"} & set(needs):
                assert name not in found, f"two tests are called {name}"
                found[name] = value
    return found


def load(path: Path) -> dict:
    """The names in a Python file."""
    spec = importlib.util.spec_from_file_location(f"unit_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)
