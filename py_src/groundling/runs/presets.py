"""The presets, from 69 thousand to 473 million parameters, and what each costs to train.

    cost(setup)                    parameters, bytes and FLOPs
    refusal(setup, limits(device)) why a device cannot train it, with the number, or ""
    seconds(setup, rate(device))   about how long a step takes there

One table for the page, the command line (`groundling presets`) and the README.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from .config import GPTConfig, TrainConfig
from .configfile import Setup
from .corpus import BYTES, Corpus
from .devices import Device
from .limits import Limits, Refused, limits, too_many_turns
from .limits import refusal as unfit
from .model import ALIGN, GPT, initial_weights, parameter_shapes

STORED = 16  # turns in which the embedding's gradient stores what it has added up
MOST_KEPT = 2**30  # bytes of activations; beyond them a block's are made again on the way back
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


@dataclass(frozen=True)
class Cost:
    """What a training step needs: bytes, and floating-point operations."""

    parameters: int
    weights: int  # and as many for the gradients
    moments: int  # m and v
    activations: int  # what the forward pass keeps for the backward pass, of one part of a batch
    recomputed: bool  # whether that is one block's and what goes into each, for a third more work
    largest: tuple[str, int]  # the largest tensor, and its bytes
    flops: float  # a step: 6 a weight of a matrix and token, and attention; 8 where recomputed

    @property
    def total(self) -> int:
        """Bytes on the device."""
        return 2 * self.weights + self.moments + self.activations


def cost(setup: Setup) -> Cost:
    """What a setup needs. FLOPs as in Chowdhery et al. 2022, "PaLM", appendix B."""
    model, train = setup.model, setup.train
    V, T, C, F, L = (
        model.vocab_size,
        model.block_size,
        model.n_embd,
        model.d_ff,
        model.n_layer,
    )
    shapes = parameter_shapes(model)
    parameters = sum(math.prod(shape) for shape in shapes.values())
    padded = sum(-(-math.prod(shape) // ALIGN) * ALIGN for shape in shapes.values())
    rows = train.batch_size // train.accumulate * T
    logits = rows * V
    block, recomputed = _block(model, train), recomputes(model, train)
    kept = L * rows * C + block if recomputed else L * block
    tensors = {
        "the logits": logits,
        "an MLP's hidden layer": rows * F,
        "Q, K and V": 3 * rows * C,
        **{name: math.prod(shape) for name, shape in shapes.items()},
    }
    name = max(tensors, key=tensors.__getitem__)
    blocks = L * (4 * C * C + 2 * C * F + 2 * T * C)
    return Cost(
        parameters=parameters,
        weights=4 * padded,
        moments=8 * padded,
        activations=4 * (kept + 2 * logits + 4 * rows * C),
        recomputed=recomputed,
        largest=(name, 4 * tensors[name]),
        flops=train.batch_size * T * ((8 if recomputed else 6) * blocks + 6 * V * C),
    )


def recomputes(model: GPTConfig, train: TrainConfig) -> bool:
    """Whether a run forgets a block's activations after it, and makes them again for its gradients:
    where all of them would be more than MOST_KEPT. The numbers are the same.
    """
    return 4 * model.n_layer * _block(model, train) > MOST_KEPT


def _block(model: GPTConfig, train: TrainConfig) -> int:
    """How many numbers a block keeps of a part of a batch: two residual streams, two norms, Q K V,
    the attention's output and its projection, the MLP's hidden layer before and after the GELU, the
    MLP's output.
    """
    rows = train.batch_size // train.accumulate * model.block_size
    return rows * (9 * model.n_embd + 2 * model.d_ff + model.n_head)


def refusal(setup: Setup, limits: Limits, corpus: Corpus | None = None) -> str:
    """Why a device cannot train it, as a sentence with the number and the limit; or ""."""
    need = cost(setup)
    copies = 3 * need.weights  # of the weights as they are drawn, padded, and saved
    if limits.shared:
        copies += need.total
    if copies > limits.host:
        return (
            f"Its {need.parameters:,} parameters take about {copies / 1e9:.1f} GB of memory, and "
            f"there are {limits.host / 1e9:.1f} GB to be had here."
        )
    name, size = need.largest
    if size > limits.tensor:
        told = f"{name}: {size:,} bytes, and one tensor may have {limits.tensor:,.0f} here."
        if name not in parameter_shapes(setup.model):
            told += " Take a smaller batch, or more parts of it (accumulate)."
        return told[0].upper() + told[1:]
    rows = setup.train.batch_size // setup.train.accumulate * setup.model.block_size
    heads = rows // setup.model.block_size * setup.model.n_head
    for what, groups in (("Attention", -(-heads // 4)), ("A matrix product", -(-rows // 32))):
        if groups > limits.workgroups:
            return (
                f"{what} needs {groups:,} workgroups along one axis, and this adapter has "
                f"{limits.workgroups:,.0f}. Take a smaller batch, or more parts of it (accumulate)."
            )
    loops = f"The gradient of the embedding, over the {rows:,} tokens of a batch,"
    if rows + STORED > limits.turns:
        smaller = "a smaller batch, or more parts of it (accumulate)"
        return too_many_turns(loops, rows + STORED, limits, smaller)
    if problem := unfit(setup.model, limits):
        return problem
    if corpus is not None:
        if 4 * len(corpus.train) > limits.tensor:
            return (
                f"The text {corpus.name!r} takes {4 * len(corpus.train):,} bytes as tokens, and "
                f"one tensor may have {limits.tensor:,.0f} here. Take a shorter text."
            )
        try:
            corpus.require(setup.model.block_size)
        except ValueError as error:
            return str(error)
    return ""


def check(setup: Setup, device: Device, corpus: Corpus) -> None:
    """Refused, before anything is done on the device, for what `refusal` refuses."""
    if problem := refusal(setup, limits(device), corpus):
        raise Refused(problem)


PROBE = Setup("probe", BYTES, GPTConfig(256, 64, 1, 4, 128, 512), replace(GUIDE, batch_size=4))


def rate(device: Device, patience: float = 0.5) -> float:
    """FLOPs a second of forward and backward passes on a device, from a small model of one layer.

    The best of a few passes, within about `patience` seconds. A larger model uses a GPU better.
    """
    import numpy as np

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


def table(limits: Limits | None = None, rate: float | None = None) -> Iterable[dict]:
    """A row for each preset: its shape and cost, and on a device also the time of a step, and why
    it is refused there.
    """
    for name, setup in PRESETS.items():
        need, model = cost(setup), setup.model
        yield {
            "name": name,
            "layers": model.n_layer,
            "heads": model.n_head,
            "width": model.n_embd,
            "context": model.block_size,
            "parameters": need.parameters,
            "weights": need.weights,
            "moments": need.moments,
            "activations": need.activations,
            "recomputed": need.recomputed,
            "flops": need.flops,
            "seconds": seconds(setup, rate) if rate else None,
            "refusal": refusal(setup, limits) if limits else "",
        }
