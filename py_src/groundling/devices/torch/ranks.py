"""Several processes, as `torchrun` starts them: by NCCL between CUDA GPUs, by gloo on the CPU."""

import atexit
import hashlib
import os
import signal
from threading import current_thread, main_thread

import numpy as np
import torch
from torch import distributed
from torch.distributed.rendezvous import rendezvous

from ...engine.tensor import Tensor
from ..base import DeviceError, RankLost
from ..ranks import Ranks, started

AVERAGE = "average"  # the name of the kernel that only this device has


def ranks(place: torch.device) -> Ranks:
    """This process among those that torchrun started. Waits for the others. DeviceError."""
    if started() == 1:
        return Ranks()
    if place.type not in ("cpu", "cuda"):
        raise DeviceError(f"Several processes train on CUDA GPUs or the CPU, not on {place.type}.")
    return TorchRanks()


class TorchRanks(Ranks):
    """One process of several."""

    def __init__(self):
        if current_thread() is main_thread():  # torchrun ends the others so, after one has failed
            signal.signal(signal.SIGTERM, _end)
        if not distributed.is_initialized():
            _together(_join)
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()

    def average(self, *tensors: Tensor) -> None:
        for tensor in tensors:
            tensor.device.run(AVERAGE, tensor, size=tensor.size)

    def mean(self, array: torch.Tensor, *, size: int) -> None:
        """The kernel: the mean over all processes, in place."""
        _together(distributed.all_reduce, array)
        array /= self.size

    def any(self, flag: bool) -> bool:
        found = torch.tensor(int(flag))
        _together(distributed.all_reduce, found, distributed.ReduceOp.MAX)
        return bool(found)

    def require_same(self, **facts: str) -> None:
        for name, fact in facts.items():
            own = np.frombuffer(hashlib.sha256(fact.encode()).digest(), np.uint8).copy()
            own = torch.from_numpy(own)
            all_of_them = [torch.empty_like(own) for _ in range(self.size)]
            _together(distributed.all_gather, all_of_them, own)
            others = [rank for rank, one in enumerate(all_of_them) if not one.equal(all_of_them[0])]
            if others:
                raise ValueError(
                    f"The {self.size} processes do not have the same {name}: that of rank "
                    f"{', '.join(map(str, others))} is not that of rank 0."
                )


def _join() -> None:
    """Wait for the other processes. torchrun's store outlives those that it starts again: they have
    a part of it to themselves, or they would find the addresses of those before.
    """
    store, rank, size = next(rendezvous("env://"))
    store = distributed.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    distributed.init_process_group(store=store, rank=rank, world_size=size)
    # While Python ends, gloo's threads may not let go of a tensor: the process would abort.
    atexit.register(distributed.destroy_process_group)


def _together(function, *arguments) -> None:
    """Call what all processes call. RankLost if one of them is gone."""
    try:
        function(*arguments)
    except RuntimeError as error:  # gloo's is no more than that
        raise RankLost(_LOST) from error


def _end(*_) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it may come again while files are closed
    raise RankLost(_LOST)


_LOST = "Another process of this run ended, so training cannot go on."
