"""What tests/unit shows on NumPy holds on the wasm device: its tests that need one, run on ours."""

from on_devices import of_devices

globals().update(of_devices())
