"""What tests/unit shows on NumPy holds on the GPU: its tests that need a device, run on ours."""

from on_devices import of_devices

globals().update(of_devices())
