"""Capture and replay: the first call of a jitted function runs its Python, later calls only its
kernels.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, Protocol

import numpy as np

from .lru import LRU
from .plan import Plan
from .tensor import Tensor

MOST_SHAPES = 8


class Device(Protocol):
    """The part of devices.base.Device that jit uses."""

    capturing_enabled: bool

    def tensor(self, array: np.ndarray) -> Tensor: ...
    def inputs(self, arrays: Sequence[np.ndarray]) -> Any: ...
    def capture(self, inputs: Any) -> AbstractContextManager[Plan]: ...
    def replay(self, plan: Plan, inputs: Any) -> None: ...
    def require_no_capture(self) -> None: ...


def jit(device: Device) -> Callable:
    """Decorate a function of arrays: its first call captures its kernels on `device`, and later
    calls replay them.

    The function gets each array as a Tensor and returns Tensors. A later call with arrays of the
    same shapes copies them into the same Tensors, replays, and returns the same result Tensors with
    new contents. So whatever changes from call to call must be passed as an array: a Python number
    keeps the value that it had in the capture. Each combination of shapes is captured by itself;
    the MOST_SHAPES most recently used are cached. RuntimeError within another capture.
    """

    def decorate(function: Callable) -> Callable:
        captured = LRU(MOST_SHAPES)

        @wraps(function)
        def call(*arrays: np.ndarray):
            arrays = [np.asarray(array) for array in arrays]
            if not device.capturing_enabled:
                return function(*[device.tensor(a) for a in arrays])
            device.require_no_capture()
            key = tuple((a.shape, a.dtype.kind) for a in arrays)

            def capture() -> tuple:
                inputs = device.inputs(arrays)
                with device.capture(inputs) as plan:
                    result = function(*inputs.tensors)
                return inputs, plan, result

            is_known = key in captured
            inputs, plan, result = captured.get_or(key, capture)
            if is_known:
                inputs.write(arrays)
                device.replay(plan, inputs)
            return result

        return call

    return decorate
