"""The torch device: kernels.py's functions, by PyTorch, on CUDA, Apple's MPS or the CPU.

A function stands for the NumPy function of its name while that function is the original; what has
been edited, what has no function here, and buffers that do not fit or overlap run on NumPy, on the
CPU.
"""

import os
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from ...engine.tensor import Tensor
from ..base import DeviceError, writable
from ..numpy import NumPyDevice
from ..ranks import started
from ..sizes import fits
from ..unedited import is_original
from .kernels import KERNELS
from .ranks import AVERAGE, ranks

# Numbers in a buffer: the bits of "u32" lie in int32, as PyTorch does little with uint32.
DTYPES = {"f32": torch.float32, "u32": torch.int32}


class TorchDevice(NumPyDevice):
    """Runs kernels at once, or in their order on a GPU. `place` is one of PyTorch's devices, such
    as "cuda:1", "mps" or "cpu"; by default a GPU if there is one. DeviceError.
    """

    name = "torch"

    def __init__(self, place: str = "", tf32: bool = False):
        super().__init__()
        self.place = _place(place)
        self.is_in_host_memory = self.place.type != "cuda"
        self.ranks = ranks(self.place)
        if self.ranks.size > 1:
            self.kernels[AVERAGE] = self.ranks.mean
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        rounded = ", TF32 products" if tf32 else ""
        self.description = f"PyTorch {torch.__version__} on {_name(self.place)}{rounded}"

    def _allocate(self, n_bytes: int) -> torch.Tensor:
        return torch.empty(n_bytes, dtype=torch.uint8, device=self.place)

    def _array(self, tensor: Tensor) -> torch.Tensor:
        numbers = tensor.storage.buffer.view(DTYPES[tensor.dtype])
        return numbers[tensor.offset : tensor.offset + tensor.size]

    def _write(self, tensor: Tensor, array) -> None:
        if np.size(array) != tensor.size:
            raise ValueError(f"{np.size(array)} numbers do not fit a tensor of {tensor.shape}.")
        self.counts.uploaded += 4 * tensor.size
        numbers = np.array(array, self.dtypes[tensor.dtype], order="C").reshape(-1)
        self._array(tensor).copy_(_tensor(numbers))

    def _read(self, tensor: Tensor) -> np.ndarray:
        return _numpy(self._array(tensor)).reshape(tensor.shape).copy()

    def _pieces(self, kernel: str, arrays: list[torch.Tensor], params: dict) -> list[Callable]:
        params = {name: np.asarray(value).item() for name, value in params.items()}
        if kernel == AVERAGE:
            return [partial(self.kernels[kernel], *arrays, **params)]
        stands = kernel in KERNELS and is_original(kernel, self.kernels[kernel])
        if stands and fits(kernel, [len(array) for array in arrays], params):
            written = zip(arrays, writable(self.source(kernel)), strict=True)
            if not any(_overlap(array, arrays) for array, writes in written if writes):
                return [partial(KERNELS[kernel], *arrays, **params)]
        return [partial(self._on_numpy, kernel, arrays, params)]

    def _on_numpy(self, kernel: str, arrays: list[torch.Tensor], params: dict) -> None:
        numbers = [_numpy(array) for array in arrays]  # on the CPU they share their memory
        self.kernels[kernel](*numbers, **params)
        if self.place.type != "cpu":
            for array, changed in zip(arrays, numbers, strict=True):
                array.copy_(_tensor(changed))


def _numpy(array: torch.Tensor) -> np.ndarray:
    """The numbers of a buffer, as NumPy has them."""
    numbers = array.cpu().numpy()
    return numbers.view(np.uint32) if array.dtype == torch.int32 else numbers


def _tensor(numbers: np.ndarray) -> torch.Tensor:
    """The reverse of _numpy, on the CPU."""
    return torch.from_numpy(numbers.view(np.int32) if numbers.dtype == np.uint32 else numbers)


def _overlap(array: torch.Tensor, arrays: list[torch.Tensor]) -> bool:
    """Whether an array shares memory with another one of these, which NumPy's functions allow."""
    start, end = array.data_ptr(), array.data_ptr() + array.nbytes
    return sum(a.data_ptr() < end and start < a.data_ptr() + a.nbytes for a in arrays) > 1


def gpu() -> str:
    """The kind of GPU that PyTorch can use here, or ""."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else ""


def _place(name: str) -> torch.device:
    """PyTorch's device of a name. DeviceError if there is none here."""
    try:
        place = torch.device(name or gpu() or "cpu")
        if place.type == "cuda":
            place = _own_gpu(place.index)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # by kind of device
        why = str(error).splitlines()[0].rstrip(".")
        raise DeviceError(f"PyTorch cannot use {name!r} here: {why}.") from error
    if place.type == "cuda":
        torch.cuda.set_device(place)  # which NCCL then takes
    return place


def _own_gpu(index: int | None) -> torch.device:
    """The GPU of that number, or by default the one that this process has to itself. DeviceError if
    several processes are to share one.
    """
    if index is None:
        index = int(os.environ.get("LOCAL_RANK", 0))
    elif started() > 1:
        raise DeviceError(
            f"it is one GPU, and torchrun started {started()} processes, which take one each by "
            "torch:cuda."
        )
    return torch.device("cuda", index)


def _name(place: torch.device) -> str:
    if place.type == "cuda":
        return torch.cuda.get_device_name(place)
    return {"cpu": "the CPU", "mps": "Apple's GPU"}.get(place.type, str(place))
