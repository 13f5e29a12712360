"""The GPT, from tokens to loss. Edit `forward`, and the gradients follow.

B sequences of T tokens; C = n_embd channels; V = vocab_size. The architecture is GPT-2's (Radford
et al. 2019) without biases in the linear layers: pre-LayerNorm blocks, learned positions, GELU, and
the embedding table used once more, as the unembedding.
"""

import math

import numpy as np

from .config import GPTConfig
from .devices import Device
from .ops import (
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
from .rng import Stream
from .tensor import Parameter, Tensor

ALIGN = 64  # floats: each parameter starts at a multiple of 256 bytes, where WebGPU can bind it


class GPT:
    """A GPT on a device, with the weights given: float32 (parameters,), in checkpoint order.

    `flat` and `flat_grad` hold all parameters and all gradients, each in one tensor, so that saving
    is one read, AdamW one dispatch and the gradient norm one sum. `parameters` has them by name.
    """

    def __init__(self, config: GPTConfig, device: Device, weights: np.ndarray):
        self.config, self.device = config, device
        self.shapes = parameter_shapes(config)
        self.offsets, size = {}, 0
        for name, shape in self.shapes.items():
            self.offsets[name] = size
            size += -(-math.prod(shape) // ALIGN) * ALIGN
        self.flat = device.empty(size)
        self.flat_grad = device.tensor(np.zeros(size, np.float32))
        self.parameters = {
            name: Parameter(
                self.flat.view(*shape, offset=at), self.flat_grad.view(*shape, offset=at)
            )
            for (name, shape), at in zip(self.shapes.items(), self.offsets.values(), strict=True)
        }
        self.dropout_key: Tensor | None = (
            None  # set for training with dropout; see Dropout in train.py
        )
        self.load(weights)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, T, V) of the token that follows each of tokens (B, T)."""
        return unembedding(self.hidden(tokens), self.parameters["wte"])

    def hidden(self, tokens: Tensor) -> Tensor:
        """The residual stream after the last block, normalised: (B, T, C)."""
        w = self.parameters
        x = position_embedding(embedding(tokens, w["wte"]), w["wpe"])
        x = self._dropout(x, 0)
        for layer in range(self.config.n_layer):
            x = x + self.attention(
                layer, layernorm(x, w[f"h.{layer}.ln_1.weight"], w[f"h.{layer}.ln_1.bias"])
            )
            x = x + self.mlp(
                layer, layernorm(x, w[f"h.{layer}.ln_2.weight"], w[f"h.{layer}.ln_2.bias"])
            )
        return layernorm(x, w["ln_f.weight"], w["ln_f.bias"])

    def attention(self, layer: int, x: Tensor) -> Tensor:
        """Every position gathers from itself and those before it: (B, T, C) -> (B, T, C)."""
        w = self.parameters
        qkv = linear(x, w[f"h.{layer}.attn.c_attn"])
        y = linear(causal_attention(qkv, self.config.n_head), w[f"h.{layer}.attn.c_proj"])
        return self._dropout(y, 2 * layer + 1)

    def mlp(self, layer: int, x: Tensor) -> Tensor:
        """Every position by itself: (B, T, C) -> (B, T, d_ff) -> (B, T, C)."""
        w = self.parameters
        y = linear(gelu(linear(x, w[f"h.{layer}.mlp.c_fc"])), w[f"h.{layer}.mlp.c_proj"])
        return self._dropout(y, 2 * layer + 2)

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """The mean cross-entropy, in nats, of the tokens that really followed: both (B, T) ->
        (1,).
        """
        return cross_entropy(self.forward(tokens), targets)

    def zero_grad(self) -> None:
        """Forget all gradients: the next backward pass starts anew."""
        for parameter in self.parameters.values():
            parameter.has_grad = False

    def weights(self) -> np.ndarray:
        """All weights, float32 (parameters,), in checkpoint order."""
        return self.gather(self.flat)

    def load(self, weights: np.ndarray) -> None:
        """Replace all weights: float32 (parameters,), in checkpoint order."""
        self.scatter(weights, self.flat)

    def gather(self, flat: Tensor) -> np.ndarray:
        """What a tensor laid out as `flat` is (weights, gradients, moments) holds, in checkpoint
        order, unpadded.
        """
        numbers, places = (
            flat.numpy(),
            zip(self.shapes.values(), self.offsets.values(), strict=True),
        )
        return np.concatenate([numbers[at : at + math.prod(shape)] for shape, at in places])

    def scatter(self, numbers: np.ndarray, flat: Tensor) -> None:
        """The reverse of gather. ValueError when there are not as many numbers as the model has
        parameters.
        """
        if numbers.size != (expected := sum(math.prod(shape) for shape in self.shapes.values())):
            raise ValueError(
                f"The model has {expected:,} parameters; got {numbers.size:,} numbers."
            )
        padded, start = np.zeros(flat.size, numbers.dtype), 0
        for shape, at in zip(self.shapes.values(), self.offsets.values(), strict=True):
            n = math.prod(shape)
            padded[at : at + n] = numbers[start : start + n]
            start += n
        flat.device.write(flat, padded)

    def _dropout(self, x: Tensor, layer: int) -> Tensor:
        if self.config.dropout and self.dropout_key:
            return dropout(x, self.dropout_key, self.config.dropout, layer)
        return x


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


def initial_weights(config: GPTConfig, seed: str) -> np.ndarray:
    """The weights at iter 0, float32 (parameters,): gains 1, biases 0, all else N(0, 0.02)."""
    stream = Stream(seed)
    parts = []
    for name, shape in parameter_shapes(config).items():
        n = math.prod(shape)
        if len(shape) == 2:
            parts.append(stream.normal(n) * 0.02)
        else:
            parts.append(np.full(n, 1.0 if name.endswith(".weight") else 0.0))
    return np.concatenate(parts, dtype=np.float32)
