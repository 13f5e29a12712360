"""What tests/unit shows on NumPy holds on the torch device: its tests that need one, run on it."""

from on_devices import of_devices

globals().update(of_devices())
