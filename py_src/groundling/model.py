"""The GPT: its parameters."""

import math

import numpy as np

from .config import GPTConfig
from .rng import Stream


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
