"""The GPT, from tokens to loss. Edit a `forward`, and the gradients follow.

B sequences of T tokens; C = n_embd channels; V = vocab_size. The architecture is GPT-2's (Radford
et al. 2019) without biases in the linear layers: pre-LayerNorm blocks, learned positions, GELU, and
the token embedding used once more, as the unembedding.
"""

import math
from collections.abc import Callable

import numpy as np

from .config import GPTConfig
from .devices.base import Device
from .devices.limits import Refused, limits, refusal
from .engine.ops import (
    causal_attention,
    cross_entropy,
    dropout,
    embedding,
    gelu,
    layernorm,
    linear,
    position_embedding,
    unembedding,
)
from .engine.parameters import Model, Module, parameter_count, within
from .engine.tensor import Tensor, recompute
from .rng import Stream

DRAW = 2**16  # weights that are drawn at a time; even, as the draws come in pairs


class GPT(Model):
    """A GPT on a device, with these weights: float32 (parameters,), in checkpoint order.

    Raises Refused, before any memory is allocated, if the device cannot run such a model.
    """

    def __init__(self, config: GPTConfig, device: Device, weights: np.ndarray):
        if problem := refusal(config, limits(device)):
            raise Refused(problem)
        super().__init__(device, parameter_shapes(config))
        w, self.config = self.parameters, config
        self.wte, self.wpe = w["wte"], w["wpe"]
        self.dropout = Dropout(config, place=0)
        self.h = [Block(config, within(w, f"h.{i}"), i) for i in range(config.n_layer)]
        self.ln_f = LayerNorm(within(w, "ln_f"))
        self.recomputes = False  # gradient checkpointing: see engine.tensor.recompute
        self.load(weights)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, T, V) of the token that follows each of tokens (B, T)."""
        return unembedding(self.hidden(tokens), self.wte)

    def hidden(self, tokens: Tensor) -> Tensor:
        """The residual stream after the last block and the final LayerNorm: (B, T, C)."""
        x = position_embedding(embedding(tokens, self.wte), self.wpe)
        x = self.dropout(x)
        for block in self.h:
            x = recompute(block, x) if self.recomputes else block(x)
        return self.ln_f(x)

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """The mean cross-entropy, in nats, of the targets: both (B, T) -> (1,)."""
        return cross_entropy(self.forward(tokens), targets)

    def train(self, key: Tensor, part: int = 0) -> None:
        """Turn dropout on. The masks follow from the iteration's key, uint32 (2,), and the part of
        the batch that is computed.
        """
        for module in self.modules():
            if isinstance(module, Dropout):
                module.key, module.part = key, part

    def eval(self) -> None:
        """Turn dropout off."""
        self.train(None)


class Block(Module):
    """Attention, then the MLP, each on the normalized stream and added to it: (B, T, C)."""

    def __init__(self, config: GPTConfig, w: dict, layer: int):
        self.ln_1, self.ln_2 = LayerNorm(within(w, "ln_1")), LayerNorm(within(w, "ln_2"))
        self.attn = Attention(config, within(w, "attn"), 2 * layer + 1)
        self.mlp = MLP(config, within(w, "mlp"), 2 * layer + 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Attention(Module):
    """Causal self-attention with n_head heads: (B, T, C) -> (B, T, C)."""

    def __init__(self, config: GPTConfig, w: dict, place: int):
        self.c_attn, self.c_proj, self.n_head = w["c_attn"], w["c_proj"], config.n_head
        self.dropout = Dropout(config, place)

    def forward(self, x: Tensor) -> Tensor:
        y = self.attend(linear(x, self.c_attn))
        return self.dropout(linear(y, self.c_proj))

    def attend(self, qkv: Tensor) -> Tensor:
        """The outputs of all heads, side by side: Q | K | V (B, T, 3C) -> (B, T, C)."""
        return causal_attention(qkv, self.n_head)


class MLP(Module):
    """Two linear layers at each position: (B, T, C) -> (B, T, d_ff) -> (B, T, C)."""

    def __init__(self, config: GPTConfig, w: dict, place: int):
        self.c_fc, self.c_proj = w["c_fc"], w["c_proj"]
        self.dropout = Dropout(config, place)

    def forward(self, x: Tensor) -> Tensor:
        y = gelu(linear(x, self.c_fc))
        return self.dropout(linear(y, self.c_proj))


class LayerNorm(Module):
    """Normalizes each row of x (..., C) to mean 0 and variance 1, then scales and shifts it."""

    def __init__(self, w: dict):
        self.weight, self.bias = w["weight"], w["bias"]

    def forward(self, x: Tensor) -> Tensor:
        return layernorm(x, self.weight, self.bias)


class Dropout(Module):
    """In training, zeroes elements with probability `rate` and scales the others up to make up for
    it. Each place in the model has a mask of its own.
    """

    def __init__(self, config: GPTConfig, place: int):
        self.rate, self.place, self.places = config.dropout, place, 2 * config.n_layer + 1
        self.key, self.part = None, 0  # see GPT.train

    def forward(self, x: Tensor) -> Tensor:
        if self.key is None or not self.rate:
            return x
        return dropout(x, self.key, self.rate, self.part * self.places + self.place)


def parameter_shapes(config: GPTConfig) -> dict[str, tuple[int, ...]]:
    """Every parameter's name and shape, in checkpoint order. Linear weights are [in, out]."""
    C, F = config.n_embd, config.d_ff
    shapes = {"wte": (config.vocab_size, C), "wpe": (config.block_size, C)}
    for layer in range(config.n_layer):
        block = {
            "ln_1.weight": (C,),
            "ln_1.bias": (C,),
            "attn.c_attn": (C, 3 * C),  # a row is Q | K | V
            "attn.c_proj": (C, C),
            "ln_2.weight": (C,),
            "ln_2.bias": (C,),
            "mlp.c_fc": (C, F),
            "mlp.c_proj": (F, C),
        }
        shapes |= {f"h.{layer}.{name}": shape for name, shape in block.items()}
    return shapes | {"ln_f.weight": (C,), "ln_f.bias": (C,)}


def initial_weights(
    config: GPTConfig, seed: str, drawn: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """The weights at iter 0, float32 (parameters,): gains 1, biases 0, all else N(0, 0.02).
    `drawn(done, total)` is called to report progress.

    Models wider than the default draw their embeddings from N(0, 0.03 / sqrt(n_embd)). The
    embedding is also the unembedding, so with a standard deviation of 0.02 the logit of repeating
    the last token would begin near 0.014 n_embd, and the other logits' standard deviation at
    0.02 sqrt(n_embd): a first loss 0.1 nats above ln V at a width of 192. Drawn so, it is within
    0.02 nats. A smaller gain in ln_f has the same effect but trains more slowly: 3.60 nats after
    200 iterations of a small model of width 128, against 3.04.
    """
    stream, shapes = Stream(seed), parameter_shapes(config)
    weights = np.empty(parameter_count(shapes), np.float32)
    at, C = 0, config.n_embd
    embedding_std = 0.02 if GPTConfig.n_embd >= C else 0.03 / math.sqrt(C)
    for name, shape in shapes.items():
        n, std = math.prod(shape), embedding_std if name in ("wte", "wpe") else 0.02
        for start in range(at, at + n, DRAW):
            part = weights[start : min(start + DRAW, at + n)]
            if len(shape) == 2:
                part[:] = stream.normal(part.size) * std
            else:
                part[:] = 1.0 if name.endswith(".weight") else 0.0
            if drawn:
                drawn(start + part.size, weights.size)
        at += n
    return weights
