"""A tap on a device: it hears of every kernel that runs, and of the line of Python that ran it."""

from collections.abc import Callable

from ..engine.plan import Command
from ..engine.tensor import Tensor
from .base import Device, asking_line


class Tap:
    """In a `with` block, calls `note` with each kernel before it runs, or before it is captured."""

    def __init__(self, device: Device, note: Callable[[Command], None]):
        self.device, self.note = device, note

    def __enter__(self) -> "Tap":
        run = self.device.run

        def noting(kernel: str, *tensors: Tensor, **params: float) -> None:
            line = self.device.line_of_gradient or asking_line()
            self.note(Command(kernel, tensors, params, line))
            run(kernel, *tensors, **params)

        self.device.run = noting  # an attribute of this device, before its class's method
        self.device.tapped = True
        return self

    def __exit__(self, *error) -> None:
        del self.device.run, self.device.tapped
