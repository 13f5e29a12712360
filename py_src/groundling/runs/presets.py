"""The presets, from 69 thousand to 473 million parameters, and how long each takes to train.

seconds(setup, rate(device))   about how long a step takes on a device
"""

import math
import time
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ..config import GPTConfig, TrainConfig
from ..data import BYTES
from ..devices.base import Device
from ..devices.limits import Limits
from ..model import GPT, initial_weights
from .configfile import Setup
from .cost import cost, refusal

GUIDE = TrainConfig(
    seed="42",
    iters=10_000,
    batch_size=16,
    min_lr=3e-4,
    warmup=0,
    eval_interval=100,
)


def _byte(name: str, n_layer: int, n_head: int, n_embd: int, block_size: int) -> Setup:
    model = GPTConfig(256, block_size, n_layer, n_head, n_embd, 4 * n_embd)
    return Setup(name, BYTES, model, GUIDE, sample_interval=500, checkpoint_interval=500)


PRESETS = {
    setup.name: setup
    for setup in (
        Setup(),
        _byte("byte-v0", 4, 4, 128, 128),
        _byte("tiny", 2, 3, 48, 32),
        _byte("small", 3, 3, 96, 64),
        _byte("medium", 4, 4, 128, 96),
        _byte("large", 6, 6, 192, 128),
        _byte("xl", 8, 8, 256, 128),
        _byte("huge", 12, 8, 256, 256),
        _byte("massive", 14, 12, 384, 256),
        _byte("mega", 14, 12, 384, 512),
        _byte("behemoth", 24, 20, 1280, 512),
    )
}


PROBE = Setup("probe", BYTES, GPTConfig(256, 64, 1, 4, 128, 512), replace(GUIDE, batch_size=4))


def rate(device: Device, patience: float = 0.5) -> float:
    """FLOPs a second of training a small model, the best of some passes within `patience` seconds.
    A larger model uses a GPU better.
    """
    model = GPT(PROBE.model, device, initial_weights(PROBE.model, "probe"))
    shape = PROBE.train.batch_size, PROBE.model.block_size
    tokens = device.tensor(np.arange(math.prod(shape), dtype=np.uint32).reshape(shape) % 256)
    best, end = math.inf, None
    while end is None or time.perf_counter() < end:
        begun = time.perf_counter()
        loss = model.loss(tokens, tokens)
        model.zero_grad()
        loss.backward()
        loss.item()
        seconds = time.perf_counter() - begun
        best = min(best, seconds) if end else math.inf  # the first one compiles
        end = end or time.perf_counter() + patience
        if best == math.inf and time.perf_counter() >= end:
            best = seconds
    return cost(PROBE).flops / best


def seconds(setup: Setup, rate: float) -> float:
    """About how long a step takes."""
    return cost(setup).flops / rate


COSTS = "parameters", "weights", "moments", "activations", "recomputed", "flops"


def table(limits: Limits | None = None, rate: float | None = None) -> Iterable[dict]:
    """A row for each preset: shape and cost, and on a device its time and why it is refused."""
    for name, setup in PRESETS.items():
        need, model = cost(setup), setup.model
        yield {
            "name": name,
            "layers": model.n_layer,
            "heads": model.n_head,
            "width": model.n_embd,
            "context": model.block_size,
            **{name: getattr(need, name) for name in COSTS},
            "seconds": seconds(setup, rate) if rate else None,
            "refusal": refusal(setup, limits) if limits else "",
        }
