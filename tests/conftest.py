"""What tests have at hand in both hosts: CPython here, and Pyodide in Chromium (tests/browser)."""

import groundling  # noqa: F401  before NumPy, which then takes one thread

# isort: split
import json
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundling import sources
from groundling.data import Corpus, shakespeare
from groundling.devices.webgpu import memory
from groundling.edits import live

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "golden.json").read_text(encoding="utf-8"))
[CPU_RUNS] = GOLDEN["wasm"].values()


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """Facts of the default model, to the bit where bits are promised (tests/golden.json)."""
    return GOLDEN


@pytest.fixture(params=CPU_RUNS if os.environ.get("GROUNDLING_LONG") else ["20"])
def cpu_run(request: pytest.FixtureRequest) -> tuple[int, str]:
    """The iterations of a default run on the wasm device, and the SHA-256 of its weights; the long
    ones too if GROUNDLING_LONG is set.
    """
    return int(request.param), CPU_RUNS[request.param]


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """The real text, tiny-shakespeare."""
    return shakespeare()


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    """Whatever a test edits live, the next one has the library as it is."""
    before = live.Loaded(sources.overlay, live.loaded())
    yield
    now = live.loaded()
    if sources.overlay or any(
        now.get(name) is not module for name, module in before.modules.items()
    ):
        live.restore(before)


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test's trial of kernels is kept in the user's own cache folder, nor told to the next."""
    monkeypatch.setattr(memory, "store", None)
    monkeypatch.setattr(memory, "File", lambda _: None)


@pytest.fixture
def rng() -> np.random.Generator:
    """Fresh random numbers for each test; a failed one prints the seed that repeats it."""
    seed = secrets.randbits(64)
    print(f"rng: np.random.default_rng({seed})")
    return np.random.default_rng(seed)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the tests marked `native` inside Pyodide."""
    if sys.platform == "emscripten":
        native = [item for item in items if item.get_closest_marker("native")]
        config.hook.pytest_deselected(items=native)
        items[:] = [item for item in items if item not in native]
