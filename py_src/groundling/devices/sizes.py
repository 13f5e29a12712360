"""How many numbers each kernel reads and writes.

Nothing is checked within WebAssembly, where an address too far would be Python's own memory, and
PyTorch enlarges an output that is too small. So the wasm and torch devices call a kernel only if
every buffer has the numbers that its parameters ask for.
"""

import math
from collections.abc import Callable, Mapping, Sequence

ANY = None
"""The size of a buffer that is indexed by the numbers of another one: the kernel is told it, after
its parameters, and keeps each index below it.
"""


def fits(kernel: str, sizes: Sequence[int], params: Mapping[str, float]) -> bool:
    """Whether buffers of these sizes, in numbers, are as large as the parameters ask for, and
    they ask for some.
    """
    whole = [value for value in params.values() if isinstance(value, int)]
    if not all(0 <= value < 2**31 for value in whole):
        return False
    needed = SIZES[kernel](**params)
    return len(sizes) == len(needed) and all(
        least is ANY or 0 < least <= size for size, least in zip(sizes, needed, strict=True)
    )


def told(kernel: str, sizes: Sequence[int], params: Mapping[str, float]) -> list[int]:
    """The sizes that a kernel takes after its parameters."""
    needed = SIZES[kernel](**params)
    return [size for size, least in zip(sizes, needed, strict=True) if least is ANY]


def _attention(batch, time, n_head, head_size, **_):
    y = batch * time * n_head * head_size
    return 3 * y, y, batch * n_head * time


def _attention_backward(**params):
    qkv, y, lse = _attention(**params)
    return qkv, y, lse, y, qkv


def _repeats(size, period):
    """A buffer of `period` numbers that is added to each stretch of `size` numbers."""
    return period if period and size % period == 0 else math.inf


SIZES: dict[str, Callable[..., tuple]] = {
    "gather_batch": lambda batch, time: (ANY, batch, batch * time, batch * time),
    "embedding": lambda rows, n_embd, vocab_size: (rows, vocab_size * n_embd, rows * n_embd),
    "embedding_backward": lambda rows, n_embd, vocab_size, **_: (
        *(rows, rows * n_embd, vocab_size * n_embd),
    ),
    "embedding_position": lambda rows, n_embd, vocab_size, period: (
        *(rows, vocab_size * n_embd, _repeats(rows * n_embd, period), rows * n_embd),
    ),
    "position_embedding": lambda size, period: (size, _repeats(size, period), size),
    "position_embedding_backward": lambda size, period, total, **_: (
        *(size, max(total, _repeats(size, period))),
    ),
    "layernorm": lambda rows, n_embd, **_: (
        *(rows * n_embd, n_embd, n_embd, rows * n_embd, 2 * rows),
    ),
    "layernorm_backward": lambda rows, n_embd, **_: (
        *(rows * n_embd, n_embd, 2 * rows, rows * n_embd, rows * n_embd),
    ),
    "layernorm_backward_params": lambda rows, n_embd, **_: (
        *(rows * n_embd, 2 * rows, rows * n_embd, n_embd, n_embd),
    ),
    "layernorm_matmul": lambda rows, n_embd, n, **_: (
        *(rows * n_embd, n_embd, n_embd, n_embd * n, rows * n_embd, 2 * rows, rows * n),
    ),
    "layernorm_matmul_gelu": lambda rows, n_embd, n, **_: (
        *(rows * n_embd, n_embd, n_embd, n_embd * n),
        *(rows * n_embd, 2 * rows, rows * n, rows * n),
    ),
    "rmsnorm": lambda rows, size, period, **_: (rows * size if period else math.inf,) * 2,
    "rmsnorm_backward": lambda rows, size, period, **_: (rows * size if period else math.inf,) * 3,
    "matmul_nn": lambda m, k, n, **_: (m * k, k * n, m * n),
    "matmul_nt": lambda m, k, n, **_: (m * k, k * n, m * n),
    "matmul_tn": lambda m, k, n, **_: (m * k, k * n, m * n),
    "matmul_residual": lambda m, k, n: (m * k, k * n, m * n, m * n),
    "matmul_nt_gelu_backward": lambda m, k, n: (m * k, k * n, m * n, m * n),
    "attention": _attention,
    "attention_backward": _attention_backward,
    "gelu": lambda size: (size,) * 2,
    "gelu_backward": lambda size, **_: (size,) * 3,
    "relu": lambda size: (size,) * 2,
    "relu_backward": lambda size, **_: (size,) * 3,
    "add": lambda size: (size,) * 3,
    "multiply": lambda size, **_: (size,) * 3,
    "copy": lambda size, **_: (size,) * 2,
    "move": lambda size, x_start, y_start: (x_start + size, y_start + size),
    "fill": lambda size, **_: (size,),
    "dropout": lambda size, **_: (size, 2, size),
    "cross_entropy": lambda rows, vocab_size, **_: (rows * vocab_size, rows, rows, rows),
    "cross_entropy_backward": lambda rows, vocab_size, **_: (
        *(rows * vocab_size, rows, rows, 1, rows * vocab_size),
    ),
    "mean": lambda size: (size, 1),
    "sum_squares": lambda size: (size, 256),
    "clip": lambda size, **_: (256, size, 1),
    "adamw": lambda size, **_: (3, size, size, size, size),
    "clip_adamw": lambda size, **_: (256, 3, size, size, size, size, 1),
    "last_row": lambda n_embd: (ANY, 1, n_embd),
    "embedding_at": lambda n_embd, vocab_size: (ANY, 1, vocab_size * n_embd, ANY, n_embd),
    "attention_at": lambda n_head, head_size: (
        *(3 * n_head * head_size, 1, ANY, n_head * head_size),
    ),
    "keep_row": lambda size, stride: (size, 1, ANY if stride else math.inf),
    "sample_token": lambda vocab_size, block_size: (*(vocab_size, ANY, 3, block_size, 1, ANY, 1),),
}
"""By kernel, a function of its parameters: the numbers of each buffer, in the order of bindings."""
