"""Look inside a model at work: where every head looks, what the residual stream would say after
each layer, and the weights and gradients of each layer.

The model's own forward pass runs, and its kernels are noted, so an edited model is shown as it is.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..devices.tap import Tap
from ..engine.jit import jit
from ..engine.plan import Command
from ..engine.tensor import Tensor, no_grad
from ..model import GPT
from ..runs.run import Run

NORMS = "layernorm", "rmsnorm"
"""The kernels that the residual stream enters a part of a block by: the first is its input."""


@dataclass(frozen=True)
class Look:
    """What a model does with n tokens. H heads in each of L layers, V tokens in the vocabulary.

    `attention` is (L, H, n, n): how much each position (the third axis) takes from each one (the
    last), rows that sum to 1. `lens` is (L + 1, n, V): the probabilities of the next token, were
    the model to end before its first layer, after it, ... and after the last; its last entry is
    what the model says. It is empty where the model's parts are not two norms to a layer.
    """

    attention: np.ndarray
    lens: np.ndarray


class Lens:
    """A view into a model. Its forward pass is captured once, for all prompts."""

    def __init__(self, model: GPT):
        self.model, T = model, model.config.block_size

        @jit(model.device)
        def forward(tokens: Tensor) -> tuple[list[Tensor], list[int], list[Tensor]]:
            model.eval()
            calls: list[Command] = []
            with no_grad(), Tap(model.device, calls.append):
                logits = model.forward(tokens)
            found = [call for call in calls if call.kernel == "attention"]
            qkv, n_head = [c.tensors[0] for c in found], [c.params["n_head"] for c in found]
            return qkv, n_head, _read_out(calls, logits, model)

        self._forward, self._padded = forward, np.zeros((1, T), np.uint32)

    def look(self, tokens: np.ndarray) -> Look:
        """What the model does with tokens, uint32 (n,). ValueError unless 1 <= n <= its context."""
        n, config = len(tokens), self.model.config
        if not 1 <= n <= config.block_size:
            raise ValueError(f"A look takes 1 to {config.block_size} characters, not {n}.")
        self._padded[:] = 0  # what follows is not seen by what comes before
        self._padded[0, :n] = tokens
        qkv, n_head, logits = self._forward(self._padded)
        maps = [attention(t.numpy()[0, :n], h) for t, h in zip(qkv, n_head, strict=True)]
        probabilities = [softmax(t.numpy()[0, :n]) for t in logits]
        empty = np.zeros((0, n, config.vocab_size), np.float32)
        return Look(
            np.stack(maps) if maps else np.zeros((0, config.n_head, n, n), np.float32),
            np.stack(probabilities) if probabilities else empty,
        )


def _read_out(calls: list[Command], logits: Tensor, model: GPT) -> list[Tensor]:
    """The logits at each layer's entry, by what follows the last norm; and `logits`."""
    norms = [
        i
        for i, call in enumerate(calls)
        if call.kernel in NORMS and call.tensors[0].shape[-1] == model.config.n_embd
    ]
    if len(norms) != 2 * model.config.n_layer + 1:
        return []
    tail = calls[norms[-1] :]
    final = tail[0].tensors[0]
    entries = [calls[i].tensors[0] for i in norms[:-1:2]]
    return [_again(tail, final, entry, logits, model) for entry in entries] + [logits]


def _again(calls: list[Command], was: Tensor, now: Tensor, result: Tensor, model: GPT) -> Tensor:
    """Run kernels again with another input; the tensor that stands where `result` was."""
    place, weights = {was.storage: now}, {tensor.storage for tensor in model.flat}

    def other(tensor: Tensor) -> Tensor:
        if tensor.storage in weights:
            return tensor
        if tensor.storage not in place:
            place[tensor.storage] = tensor.device.empty(*tensor.shape, dtype=tensor.dtype)
        return place[tensor.storage]

    for call in calls:
        model.device.run(call.kernel, *map(other, call.tensors), **call.params)
    return place[result.storage]


def attention(qkv: np.ndarray, n_head: int) -> np.ndarray:
    """Causal attention weights softmax(q k / sqrt(d)) from qkv (n, 3C) as Q | K | V: (H, n, n)."""
    n, C = len(qkv), qkv.shape[1] // 3
    q, k = (
        qkv[:, i * C : (i + 1) * C].reshape(n, n_head, -1).transpose(1, 0, 2).astype(np.float64)
        for i in (0, 1)
    )
    scores = q @ k.transpose(0, 2, 1) / math.sqrt(C // n_head)
    scores[:, ~np.tri(n, dtype=bool)] = -np.inf
    return softmax(scores)


def softmax(x: np.ndarray) -> np.ndarray:
    """Each row to numbers that sum to 1, float32."""
    e = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)).astype(np.float32)


# ---- layers --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Health:
    """How a part of a model fares. `gradient` is the norm of its last gradient, after clipping, and
    `update` that of its last step as a share of the norm of its weights; None where none was made.
    """

    name: str
    size: int
    mean: float
    rms: float
    norm: float
    gradient: float | None
    update: float | None


def health(run: Run) -> list[Health]:
    """The health of each part: embeddings, each layer's parts, last norm. Waits for the device."""
    model, optimizer, config = run.model, run.optimizer, run.config
    w = model.weights().astype(np.float64)
    g = step = None
    if optimizer.t and run.log and run.log[-1].iter == run.iter - 1:
        g = model.gather(model.flat_grad)
        m, v = (model.gather(x).astype(np.float64) for x in (optimizer.m, optimizer.v))
        lr, t = run.log[-1].lr, optimizer.t
        adam = m / (1 - config.beta1**t) / (np.sqrt(v / (1 - config.beta2**t)) + config.eps)
        before = (w + lr * adam) / (1 - lr * config.weight_decay)
        step = w - before
    parts: dict[str, list[slice]] = {}
    at = 0
    for name, shape in model.shapes.items():
        parts.setdefault(_part(name), []).append(slice(at, at + math.prod(shape)))
        at += math.prod(shape)
    return [_health(name, places, w, g, step) for name, places in parts.items()]


def _part(name: str) -> str:
    """h.2.attn.c_proj -> layer 3 attention"""
    if not name.startswith("h."):
        return {"wte": "characters", "wpe": "positions"}.get(name, "last norm")
    _, layer, part, *_ = name.split(".")
    what = {"attn": "attention", "mlp": "MLP"}.get(part, "norms")
    return f"layer {int(layer) + 1} {what}"


def _health(name: str, places: list[slice], w, g, step) -> Health:
    def all_of(flat: np.ndarray) -> np.ndarray:
        return np.concatenate([flat[place] for place in places])

    weights = all_of(w)
    norm = float(np.linalg.norm(weights))
    return Health(
        name,
        weights.size,
        float(weights.mean()),
        norm / math.sqrt(weights.size),
        norm,
        None if g is None else float(np.linalg.norm(all_of(g).astype(np.float64))),
        None if step is None else float(np.linalg.norm(all_of(step))) / max(norm, 1e-30),
    )
