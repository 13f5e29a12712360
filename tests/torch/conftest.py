"""The device of these tests: PyTorch on the CPU. `python build.py test tests/torch` installs it."""

import pytest
import torch
from conftest import build, chromium, page, profile, runner, site_url  # noqa: F401  tests/browser's

from groundling.devices.torch.device import TorchDevice


@pytest.fixture(scope="session")
def device() -> TorchDevice:
    """One torch device for all tests, on one thread: other tests run beside them."""
    torch.set_num_threads(1)
    return TorchDevice("cpu")
