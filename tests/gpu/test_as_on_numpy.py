"""What tests/unit shows on NumPy holds on the GPU: its tests that need a device, run on ours."""

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
)
FIXTURES = "model", "finished", "data", "saved", "use"  # of these files


def load(path: Path) -> dict:
    """The names in a Python file."""
    spec = importlib.util.spec_from_file_location(f"unit_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)


for file in FILES:
    for name, value in load(Path(__file__).parents[1] / "unit" / f"test_{file}.py").items():
        needs = inspect.signature(value).parameters if name.startswith("test_") else ()
        if name in FIXTURES or {"device", "model"} & set(needs):
            assert name not in globals(), f"two tests are called {name}"
            globals()[name] = value
