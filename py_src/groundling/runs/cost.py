"""What a model costs to train, and whether a device can have it.

cost(setup)                      parameters, bytes and FLOPs
refusal(setup, limits(device))   why a device cannot train it, with the number, or ""
"""

import math
from dataclasses import dataclass

from ..config import GPTConfig, TrainConfig
from ..data import Corpus
from ..devices.base import Device
from ..devices.limits import Limits, Refused, limits, too_many_turns
from ..devices.limits import refusal as unfit
from ..engine.parameters import ALIGN, parameter_count
from ..model import parameter_shapes
from .configfile import Setup

STORED = 16  # turns in which the embedding's gradient stores what it has added up
MOST_KEPT = 2**30  # bytes of activations; beyond them a block's are made again on the way back


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
    V, T, C = model.vocab_size, model.block_size, model.n_embd
    F, L = model.d_ff, model.n_layer
    shapes = parameter_shapes(model)
    parameters = parameter_count(shapes)
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
    """Whether activations are computed again in the backward pass: if they exceed MOST_KEPT."""
    return 4 * model.n_layer * _block(model, train) > MOST_KEPT


def _block(model: GPTConfig, train: TrainConfig) -> int:
    """The numbers that a block keeps of a part of a batch: two residual streams, two norms, Q K V,
    the attention's output and projection, the MLP's hidden layer twice, and its output.
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
        if 4 * len(corpus.train) > limits.tensor and not corpus.on_disk:
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
    ranks, train = device.ranks.size, setup.train
    if train.batch_size % (ranks * train.accumulate):
        parts = f" in {train.accumulate} parts each" if train.accumulate > 1 else ""
        raise Refused(
            f"batch_size is {train.batch_size}, which {ranks} processes{parts} cannot share: it "
            f"must be a multiple of {ranks * train.accumulate}."
        )
    if setup.model.vocab_size < corpus.vocab_size:
        raise Refused(
            f"vocab_size is {setup.model.vocab_size}, and the text {corpus.name!r} has "
            f"{corpus.vocab_size} different tokens."
        )
    if problem := refusal(setup, limits(device), corpus):
        raise Refused(problem)
