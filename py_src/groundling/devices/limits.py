"""The limits of a device, and whether a model exceeds them.

    refusal(model, limits(device))   why a device cannot run a model, with the number, or ""

runs/cost.py has the limits for training. `GPT` and `Run` check before they allocate anything, so
every model is checked, whether from Start, a file or a link.
"""

import math
import os
import sys
from dataclasses import dataclass

from ..config import GPTConfig
from .base import Device, DeviceError
from .webgpu.wgsl import LONGEST

MOST_HEAD_SIZE = 128  # at which attention's arrays take 8,192 bytes, a function's limit
WASM_BYTES = 2**31  # of Python's 4 GiB in a page, for copies of a model


class Refused(DeviceError, ValueError):
    """A device cannot do what was asked. Nothing was run or changed."""


@dataclass(frozen=True)
class Limits:
    """What a device can take at most."""

    tensor: float  # bytes of the largest tensor
    workgroups: float  # along an axis of a dispatch
    shared_bytes: float  # of a workgroup's shared memory, in which sampling ranks the vocabulary
    turns: float  # of all loops of an invocation
    host: float  # bytes of Python's memory for copies of a model
    shared: bool  # whether the device's memory is the same memory


def limits(device: Device) -> Limits:
    """The limits of a device."""
    host = WASM_BYTES if sys.platform == "emscripten" else _memory()
    largest = device.largest_tensor, device.most_workgroups, device.workgroup_bytes
    return Limits(*largest, device.most_turns, host, device.is_in_host_memory)


def refusal(model: GPTConfig, limits: Limits) -> str:
    """Why a device cannot run a model, even without training; or ""."""
    V, T, C = model.vocab_size, model.block_size, model.n_embd
    head_size = C // model.n_head
    if head_size > MOST_HEAD_SIZE and limits.workgroups < math.inf:
        return (
            f"Each of the {model.n_head} heads is {head_size:,} wide, and attention's kernel "
            f"takes {MOST_HEAD_SIZE}. Take more heads, or a smaller width."
        )
    inner = 0 if head_size <= LONGEST else 3 * head_size  # shorter loops are unrolled
    attention = f"Attention over {T:,} tokens by heads {head_size} wide"
    for what, turns, instead in (
        (attention, T * (1 + inner), "a shorter context or more heads"),
        (f"A norm of {C:,} channels", 3 * C, "a smaller width"),
        (f"Drawing from a vocabulary of {V:,}", -(-V // 64) * (V + 2) + 3 * V + T, BYTES_INSTEAD),
    ):
        if turns > limits.turns:
            return too_many_turns(what, turns, limits, instead)
    if limits.shared_bytes < 8 * V:
        return (
            f"A vocabulary of {V:,} takes {8 * V:,} bytes to draw from, and this adapter's "
            f"workgroups share {limits.shared_bytes:,.0f}. "
            "Read the text as bytes: there are 256 of them."
        )
    return ""


BYTES_INSTEAD = "bytes for tokens, of which there are 256"


def too_many_turns(what: str, turns: int, limits: Limits, instead: str) -> str:
    """The message for a kernel whose loops an emulated adapter would end early."""
    return (
        f"{what} turns its loops {turns:,} times, and the emulated adapter here ends them after "
        f"{limits.turns:,.0f} without an error. Take the NumPy device, or {instead}."
    )


def _memory() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return math.inf
