"""The GPT, from tokens to loss. Edit `forward`, and the gradients follow.

B sequences of T tokens; C = n_embd channels; V = vocab_size. The architecture is GPT-2's (Radford
et al. 2019) without biases in the linear layers: pre-LayerNorm blocks, learned positions, GELU, and
the embedding table used once more, as the unembedding.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial

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
from .engine.tensor import Parameter, Tensor, recompute
from .rng import Stream

DRAW = 2**16  # weights that are drawn at a time; even, as the draws come in pairs
PIECE = 2**20  # numbers that are read from the device at a time
ALIGN = 64  # floats: each parameter starts at a multiple of 256 bytes, where WebGPU can bind it


class GPT:
    """A GPT on a device, with the weights given: float32 (parameters,), in checkpoint order.

    `flat` and `flat_grad` hold all parameters and all gradients, each in one tensor, so that saving
    is one read, AdamW one dispatch and the gradient norm one sum: a list of one, or of as many as
    it takes where the device's largest tensor is smaller. `parameters` has them by name. Refused,
    before anything is asked of the device, where it cannot run such a model.
    """

    def __init__(self, config: GPTConfig, device: Device, weights: np.ndarray):
        if problem := refusal(config, limits(device)):
            raise Refused(problem)
        self.config, self.device = config, device
        self.shapes = parameter_shapes(config)
        self.places, self.sizes = {}, [0]  # of each parameter: which tensor, and where in it
        for name, shape in self.shapes.items():
            size = -(-math.prod(shape) // ALIGN) * ALIGN
            if 4 * (self.sizes[-1] + size) > device.largest_tensor and self.sizes[-1]:
                self.sizes.append(0)
            self.places[name] = len(self.sizes) - 1, self.sizes[-1]
            self.sizes[-1] += size
        self.flat = [device.empty(size) for size in self.sizes]
        self.flat_grad = self.zeros()
        self.parameters = {
            name: Parameter(self.own(self.flat, name), self.own(self.flat_grad, name))
            for name in self.shapes
        }
        self.dropout_key: Tensor | None = (
            None  # set for training with dropout; see Dropout in train.py
        )
        self.recomputes = False  # a block's activations on the way back, where they take too much
        self.part = 0  # of the batch, where that is trained in parts: each has its own dropout
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
            block = partial(self.block, layer)
            x = recompute(block, x) if self.recomputes else block(x)
        return layernorm(x, w["ln_f.weight"], w["ln_f.bias"])

    def block(self, layer: int, x: Tensor) -> Tensor:
        """Attention, then the MLP, each of what is normalised and added to it: (B, T, C)."""
        w = self.parameters
        x = x + self.attention(
            layer, layernorm(x, w[f"h.{layer}.ln_1.weight"], w[f"h.{layer}.ln_1.bias"])
        )
        return x + self.mlp(
            layer, layernorm(x, w[f"h.{layer}.ln_2.weight"], w[f"h.{layer}.ln_2.bias"])
        )

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

    def own(self, flat: list[Tensor], name: str) -> Tensor:
        """A parameter's place in what is laid out as `flat` is: a view of its shape."""
        i, at = self.places[name]
        return flat[i].view(*self.shapes[name], offset=at)

    def zeros(self) -> list[Tensor]:
        """Zeros, laid out as `flat` is."""
        return [self.device.tensor(np.zeros(size, np.float32)) for size in self.sizes]

    def gather(self, flat: list[Tensor]) -> np.ndarray:
        """What is laid out as `flat` is (weights, gradients, moments) holds, in checkpoint order,
        unpadded.
        """
        numbers, at = None, 0
        for piece in self.pieces(flat):
            if numbers is None:
                numbers = np.empty(sum(map(math.prod, self.shapes.values())), piece.dtype)
            numbers[at : at + piece.size] = piece
            at += piece.size
        return numbers

    def pieces(self, flat: list[Tensor]) -> Iterator[np.ndarray]:
        """The same in pieces, of which each is one read of at most PIECE numbers: what is saved
        need not be in Python's memory as a whole.
        """
        spans = [[] for _ in flat]  # of each tensor, from where to where its parameters are
        for name, shape in self.shapes.items():
            i, at = self.places[name]
            spans[i].append((at, at + math.prod(shape)))
        for tensor, inner in zip(flat, spans, strict=True):
            for start in range(0, tensor.size, PIECE):
                end = min(start + PIECE, tensor.size)
                numbers = tensor.view(end - start, offset=start).numpy()
                parts = [
                    numbers[max(a, start) - start : min(b, end) - start]
                    for a, b in inner
                    if a < end and b > start
                ]
                yield parts[0] if len(parts) == 1 else np.concatenate(parts)

    def scatter(self, numbers: np.ndarray, flat: list[Tensor]) -> None:
        """The reverse of gather. ValueError when there are not as many numbers as the model has
        parameters.
        """
        if numbers.size != (expected := sum(math.prod(shape) for shape in self.shapes.values())):
            raise ValueError(
                f"The model has {expected:,} parameters; got {numbers.size:,} numbers."
            )
        padded, start = [np.zeros(size, numbers.dtype) for size in self.sizes], 0
        for shape, (i, at) in zip(self.shapes.values(), self.places.values(), strict=True):
            n = math.prod(shape)
            padded[i][at : at + n] = numbers[start : start + n]
            start += n
        for tensor, values in zip(flat, padded, strict=True):
            self.device.write(tensor, values)

    def _dropout(self, x: Tensor, layer: int) -> Tensor:
        if self.config.dropout and self.dropout_key:
            layer += self.part * (2 * self.config.n_layer + 1)
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


def initial_weights(
    config: GPTConfig, seed: str, drawn: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """The weights at iter 0, float32 (parameters,): gains 1, biases 0, all else N(0, 0.02).
    `drawn(done, total)` is called on the way: ten million take seconds.

    Models wider than the default draw their embeddings from N(0, 0.03 / sqrt(n_embd)). The table
    that reads is also the one that writes, so with 0.02 the logit of a token after itself would
    begin near 0.014 n_embd, and the others' spread at 0.02 sqrt(n_embd): 0.1 nats above an even
    guess at a width of 192. So they begin within 0.02. A smaller last gain does that too, but
    learns slower: 3.60 nats after 200 iterations of a small model 128 wide, and 3.04 so.
    """
    stream, shapes = Stream(seed), parameter_shapes(config)
    weights = np.empty(sum(math.prod(shape) for shape in shapes.values()), np.float32)
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
