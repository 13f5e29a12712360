"""The operations of a GPT: each dispatches its forward kernel and records its backward kernels on
the tape.

Shapes: B sequences of T tokens, C channels, V tokens in the vocabulary. Formulas and bindings stand
at the head of each kernel in `shaders/`. To add an operation: a kernel forward, a kernel backward,
and a function like these.
"""

from .tensor import Tensor, record


def embedding(tokens: Tensor, weight: Tensor) -> Tensor:
    """Rows of a table: tokens (B, T) of weight (V, C) -> (B, T, C)."""
    V, C = weight.shape
    y = weight.device.empty(*tokens.shape, C)
    sizes = dict(rows=tokens.size, n_embd=C, vocab_size=V)
    weight.device.run("embedding", tokens, weight, y, **sizes)

    def backward(dy, into):
        dweight, accumulate = into(weight)
        dy.device.run("embedding_backward", tokens, dy, dweight, **sizes, accumulate=accumulate)

    return record(y, (weight,), backward)


def position_embedding(x: Tensor, weight: Tensor) -> Tensor:
    """Adds its row of weight (at least T, C) to every position of x (B, T, C)."""
    B, T, C = x.shape
    if weight.shape[0] < T or weight.shape[1] != C:
        raise ValueError(
            f"A position table of shape {weight.shape} has no row for each position of {x.shape}."
        )
    y = x.device.empty(*x.shape)
    sizes = dict(size=x.size, period=T * C)
    x.device.run("position_embedding", x, weight, y, **sizes)

    def backward(dy, into):
        dweight, accumulate = into(weight)
        more = dict(total=weight.size, accumulate=accumulate)
        dy.device.run("position_embedding_backward", dy, dweight, **sizes, **more)
        into.pass_on(x)

    return record(y, (x, weight), backward)


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """x @ weight: (..., in) by (in, out) -> (..., out). No bias."""
    (K, N), M = weight.shape, x.size // x.shape[-1]
    if x.shape[-1] != K:
        raise ValueError(
            f"linear: x of shape {x.shape} has {x.shape[-1]} channels, but the weight takes {K}."
        )
    y = x.device.empty(*x.shape[:-1], N)
    x.device.run("matmul_nn", x, weight, y, m=M, k=K, n=N, accumulate=0)

    def backward(dy, into):
        dx, accumulate = into(x)
        dy.device.run("matmul_nt", dy, weight, dx, m=M, k=N, n=K, accumulate=accumulate)
        dweight, accumulate = into(weight)
        dy.device.run("matmul_tn", x, dy, dweight, m=K, k=M, n=N, accumulate=accumulate)

    return record(y, (x, weight), backward)


def unembedding(x: Tensor, weight: Tensor) -> Tensor:
    """x @ transpose(weight): (..., C) by the embedding table (V, C) -> logits (..., V)."""
    (V, C), M = weight.shape, x.size // x.shape[-1]
    if x.shape[-1] != C:
        raise ValueError(
            f"unembedding: x of shape {x.shape} has {x.shape[-1]} channels, but the table has {C}."
        )
    logits = x.device.empty(*x.shape[:-1], V)
    x.device.run("matmul_nt", x, weight, logits, m=M, k=C, n=V, accumulate=0)

    def backward(dlogits, into):
        dx, accumulate = into(x)
        dlogits.device.run("matmul_nn", dlogits, weight, dx, m=M, k=V, n=C, accumulate=accumulate)
        dweight, accumulate = into(weight)
        dlogits.device.run("matmul_tn", dlogits, x, dweight, m=V, k=M, n=C, accumulate=accumulate)

    return record(logits, (x, weight), backward)


def layernorm(x: Tensor, weight: Tensor, bias: Tensor, eps: float = 1e-5) -> Tensor:
    """Each row of x (..., C) to mean 0 and variance 1, then times weight (C) plus bias (C)."""
    C, rows = x.shape[-1], x.size // x.shape[-1]
    if weight.shape != (C,) or bias.shape != (C,):
        raise ValueError(
            f"layernorm: x has {C} channels, but the gain has shape {weight.shape} "
            f"and the bias {bias.shape}; both must be ({C},)."
        )
    empty = x.device.empty
    y, stats = empty(*x.shape), empty(rows, 2)
    x.device.run("layernorm", x, weight, bias, y, stats, rows=rows, n_embd=C, eps=eps)

    def backward(dy, into):
        run, sizes = dy.device.run, dict(rows=rows, n_embd=C)
        dweight, add_weight = into(weight)
        dbias, add_bias = into(bias)
        accumulate = dict(accumulate_weight=add_weight, accumulate_bias=add_bias)
        run("layernorm_backward_params", x, stats, dy, dweight, dbias, **sizes, **accumulate)
        dx, accumulate = into(x)
        run("layernorm_backward", x, weight, stats, dy, dx, **sizes, accumulate=accumulate)

    return record(y, (x, weight, bias), backward)


def causal_attention(qkv: Tensor, n_head: int) -> Tensor:
    """Causal multi-head attention: (B, T, 3C) as Q | K | V -> (B, T, C)."""
    B, T, C3 = qkv.shape
    C = C3 // 3
    if C3 % 3 or C % n_head:
        raise ValueError(
            f"causal_attention: {C3} channels are not Q, K and V for {n_head} heads of one size."
        )
    y, lse = qkv.device.empty(B, T, C), qkv.device.empty(B, n_head, T)
    sizes = dict(batch=B, time=T, n_head=n_head, head_size=C // n_head)
    qkv.device.run("attention", qkv, y, lse, **sizes)
    out = y.detach()

    def backward(dy, into):
        dqkv, accumulate = into(qkv)
        tensors = qkv, out, lse, dy, dqkv
        dy.device.run("attention_backward", *tensors, **sizes, accumulate=accumulate)

    return record(y, (qkv,), backward)


def gelu(x: Tensor) -> Tensor:
    """GELU in its tanh form, element by element."""
    return _of_each("gelu", x)


def relu(x: Tensor) -> Tensor:
    """max(x, 0), element by element."""
    return _of_each("relu", x)


def _of_each(kernel: str, x: Tensor) -> Tensor:
    """A function of each element, by the kernels `kernel` and `kernel`_backward."""
    y = x.device.empty(*x.shape)
    x.device.run(kernel, x, y, size=x.size)

    def backward(dy, into):
        dx, accumulate = into(x)
        dy.device.run(f"{kernel}_backward", x, dy, dx, size=x.size, accumulate=accumulate)

    return record(y, (x,), backward)


def rmsnorm(
    x: Tensor, size: int | None = None, width: int | None = None, eps: float = 1e-5
) -> Tensor:
    """Each stretch of `size` channels of x (..., C) divided by its root mean square, without a
    gain; only within the first `width` channels, the rest is passed on. Both are C unless given.
    """
    C = x.shape[-1]
    size, width = size or C, width or C
    if C % size or width % size or width > C:
        raise ValueError(
            f"rmsnorm: stretches of {size} channels do not fill {width} of {C} channels evenly."
        )
    rows = dict(rows=x.size // size, size=size, period=C // size, normed=width // size, eps=eps)
    y = x.device.empty(*x.shape)
    x.device.run("rmsnorm", x, y, **rows)

    def backward(dy, into):
        dx, accumulate = into(x)
        dy.device.run("rmsnorm_backward", x, dy, dx, **rows, accumulate=accumulate)

    return record(y, (x,), backward)


def dropout(x: Tensor, key: Tensor, rate: float, layer: int) -> Tensor:
    """x with a share `rate` of its elements zeroed and the rest scaled up to keep the mean.

    key is a "u32" tensor of 2, new at each step; layer tells the model's dropouts apart.
    """
    y = x.device.empty(*x.shape)
    x.device.run("dropout", x, key, y, size=x.size, layer=layer, rate=rate, accumulate=0)

    def backward(dy, into):
        dx, accumulate = into(x)
        dy.device.run(
            "dropout", dy, key, dx, size=x.size, layer=layer, rate=rate, accumulate=accumulate
        )

    return record(y, (x,), backward)


def cross_entropy(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """The mean of -log softmax(logits)[target] in nats: (..., V) and as many targets -> (1,).

    With label_smoothing, from 0 to 1, that share of the target is spread evenly over all V tokens.
    """
    V, rows = logits.shape[-1], targets.size
    if logits.size != rows * V:
        raise ValueError(
            f"cross_entropy: logits of shape {logits.shape} for targets of shape {targets.shape}."
        )
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing is {label_smoothing}; it must be from 0 to 1.")
    device, sizes = logits.device, dict(rows=rows, vocab_size=V, label_smoothing=label_smoothing)
    losses, lse, loss = device.empty(rows), device.empty(rows), device.empty(1)
    device.run("cross_entropy", logits, targets, losses, lse, **sizes)
    device.run("mean", losses, loss, size=rows)

    def backward(dloss, into):
        dlogits, accumulate = into(logits)
        tensors = logits, targets, lse, dloss, dlogits
        device.run("cross_entropy_backward", *tensors, **sizes, accumulate=accumulate)

    return record(loss, (logits,), backward)


def gather_batch(corpus: Tensor, offsets: Tensor, block_size: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets, each (B, T): T tokens from each of offsets (B), and one token later."""
    B, T = offsets.size, block_size
    x, y = corpus.device.empty(B, T, dtype="u32"), corpus.device.empty(B, T, dtype="u32")
    corpus.device.run("gather_batch", corpus, offsets, x, y, batch=B, time=T)
    return x, y


def last_row(x: Tensor, length: Tensor) -> Tensor:
    """Row `length` - 1 of x (1, T, C) -> (1, C). For sampling only: it is not on the tape."""
    C = x.shape[-1]
    y = x.device.empty(1, C)
    x.device.run("last_row", x, length, y, n_embd=C)
    return y
