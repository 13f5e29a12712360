"""What a captured function is given, on its way to a GPU."""

from collections.abc import Sequence

import numpy as np

from ...engine.tensor import Tensor
from ..base import Device, Inputs
from .kernel import BINDABLE


class Upload(Inputs):
    """The inputs of a captured function in one buffer, so that a call uploads once."""

    def __init__(self, device: Device, arrays: Sequence[np.ndarray]):
        self.device = device
        dtypes = ["u32" if array.dtype.kind == "u" else "f32" for array in arrays]
        starts, words = [], 0
        for array in arrays:
            starts.append(words)
            words += -(-array.size // BINDABLE) * BINDABLE
        self.data = np.zeros(max(words, 1), np.uint32)
        self.storage = device.storage(self.data.nbytes)
        self.tensors = [
            Tensor(device, self.storage, start, array.shape, dtype)
            for start, array, dtype in zip(starts, arrays, dtypes, strict=True)
        ]
        self._views = [
            self.data[t.offset : t.offset + t.size].view("<f4" if t.dtype == "f32" else "<u4")
            for t in self.tensors
        ]
        self.write(arrays)

    def write(self, arrays: Sequence[np.ndarray]) -> None:
        """Set the inputs of the next replay. A replay that waits to be sent is sent first."""
        self.device.submit()
        for view, array in zip(self._views, arrays, strict=True):
            view[:] = array.reshape(-1)
