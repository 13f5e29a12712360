"""The device of these tests: the CPU's kernels, in wasmtime or, within a page, in the browser."""

import pytest

from groundling.devices.wasm.device import WasmDevice


@pytest.fixture(scope="session")
def device() -> WasmDevice:
    """One wasm device for all tests."""
    return WasmDevice()
