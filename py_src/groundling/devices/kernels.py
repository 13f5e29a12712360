"""The reference of every kernel of `shaders/`: a NumPy function of the same name, buffers and
parameters.

The WGSL is checked against these functions, and the NumPy device runs them. Each takes flat arrays
in the order of the kernel's bindings, shapes them by its parameters, and writes its results in
place, in float32, or in float64 to be checked by finite differences. Formulas and their sources are
in the WGSL of the same name. The file is long because it has a function for each of those files.
"""

import math
import sys
from functools import lru_cache

import numpy as np

KERNELS = {}
IS_BARE = sys.platform == "emscripten"
"""Whether this NumPy is without BLAS and without fast functions, as Pyodide's is."""


def kernel(function):
    """Register a function as the reference of the kernel of its name."""
    KERNELS[function.__name__] = function
    return function


def by_rows(count: str, buffers: str, columns: str = ""):
    """Declare that a kernel's rows, whose number is its parameter `count`, are independent, so that
    it may be called on half of them. A row is a stretch of each of the `buffers`, and a column of
    each of the `columns`, half of which is passed as a matrix.
    """

    def enter(function):
        function.rows = count, set(buffers.split()), set(columns.split())
        return function

    return enter


# In the order in which a training step meets them.


def _store(y, value, accumulate):
    """The last line of most kernels."""
    if accumulate:
        y += value
    else:
        y[...] = value


def _product(a, b, y, accumulate):
    if IS_BARE and a.ndim == 2:
        # Sums of rows of b, each times a number: 5.7 GFLOP/s there, where matmul has 1.2 to 2.9.
        product = np.einsum("km,kn->mn", np.ascontiguousarray(a.T), np.ascontiguousarray(b))
        _store(y, product, accumulate)
    elif accumulate:
        y += a @ b
    else:
        np.matmul(a, b, out=y)


@kernel
def gather_batch(corpus, offsets, x, y, *, batch, time):
    at = offsets[:, None] + np.arange(time, dtype=np.uint32)
    x[:] = corpus[at].reshape(-1)
    y[:] = corpus[at + 1].reshape(-1)


@kernel
@by_rows("rows", "tokens y")
def embedding(tokens, weight, y, *, rows, n_embd, vocab_size):
    tokens = np.minimum(tokens, vocab_size - 1)
    np.take(
        weight.reshape(vocab_size, n_embd), tokens, axis=0, out=y.reshape(rows, n_embd), mode="clip"
    )


@kernel
def embedding_backward(tokens, dy, dweight, *, rows, n_embd, vocab_size, accumulate):
    # One matrix product with the one-hot tokens: fast, and each row's sum has one order.
    one_hot = np.zeros((rows, vocab_size), dy.dtype)
    one_hot[np.arange(rows), tokens] = 1
    _product(one_hot.T, dy.reshape(rows, n_embd), dweight.reshape(vocab_size, n_embd), accumulate)


@kernel
def position_embedding(x, weight, y, *, size, period):
    np.add(x.reshape(-1, period), weight[:period], out=y.reshape(-1, period))


@kernel
def position_embedding_backward(dy, dweight, *, size, period, total, accumulate):
    if not accumulate:
        dweight[period:] = 0
    _store(dweight[:period], dy.reshape(-1, period).sum(axis=0), accumulate)


@kernel
@by_rows("rows", "x y stats")
def layernorm(x, weight, bias, y, stats, *, rows, n_embd, eps):
    x, y = x.reshape(rows, n_embd), y.reshape(rows, n_embd)
    mean, rstd = stats.reshape(rows, 2).T
    np.divide(x @ np.ones(n_embd, x.dtype), n_embd, out=mean)
    np.subtract(x, mean[:, None], out=y)
    rstd[:] = 1 / np.sqrt(np.einsum("rc,rc->r", y, y) / n_embd + x.dtype.type(eps))
    y *= rstd[:, None]
    y *= weight
    y += bias


@kernel
@by_rows("rows", "x stats dy dx")
def layernorm_backward(x, weight, stats, dy, dx, *, rows, n_embd, accumulate):
    x, dy, dx = (a.reshape(rows, n_embd) for a in (x, dy, dx))
    mean, rstd = stats.reshape(rows, 2).T
    along = x - mean[:, None]
    g = dy * weight
    along *= (np.einsum("rc,rc->r", g, along) * rstd**2 / n_embd)[:, None]
    g -= (g @ np.full(n_embd, 1 / n_embd, g.dtype))[:, None]
    g -= along
    g *= rstd[:, None]
    _store(dx, g, accumulate)


@kernel
def layernorm_backward_params(
    x, stats, dy, dweight, dbias, *, rows, n_embd, accumulate_weight, accumulate_bias
):
    x, dy = x.reshape(rows, n_embd), dy.reshape(rows, n_embd)
    mean, rstd = stats.reshape(rows, 2).T
    products = x - mean[:, None]
    products *= dy
    _store(dweight, rstd @ products, accumulate_weight)
    _store(dbias, np.ones(rows, dy.dtype) @ dy, accumulate_bias)


@kernel
@by_rows("m", "a y")
def matmul_nn(a, b, y, *, m, k, n, accumulate):
    _product(a.reshape(m, k), b.reshape(k, n), y.reshape(m, n), accumulate)


@kernel
@by_rows("m", "a y")
def matmul_nt(a, b, y, *, m, k, n, accumulate):
    _product(a.reshape(m, k), b.reshape(n, k).T, y.reshape(m, n), accumulate)


@kernel
@by_rows("m", "y", columns="a")
def matmul_tn(a, b, y, *, m, k, n, accumulate):
    _product(a.reshape(k, m).T, b.reshape(k, n), y.reshape(m, n), accumulate)


@kernel
@by_rows("batch", "qkv y lse")
def attention(qkv, y, lse, *, batch, time, n_head, head_size):
    q, k, v = _heads(qkv, batch, time, n_head, head_size)
    scores = _scores(q, k, head_size)
    highest = scores.max(axis=2)
    scores -= highest[:, :, None]
    np.exp(scores, out=scores)
    total = np.ones(time, scores.dtype) @ scores  # five times as fast as sum(axis=2)
    out = scores.swapaxes(2, 3) @ v
    out /= total[..., None]
    y.reshape(batch, time, n_head, head_size)[:] = out.swapaxes(1, 2)
    lse.reshape(total.shape)[:] = highest + np.log(total)


@kernel
@by_rows("batch", "qkv y lse dy dqkv")
def attention_backward(qkv, y, lse, dy, dqkv, *, batch, time, n_head, head_size, accumulate):
    q, k, v = _heads(qkv, batch, time, n_head, head_size)
    dq, dk, dv = _heads(dqkv, batch, time, n_head, head_size)
    y, dy = (a.reshape(batch, time, n_head, head_size).swapaxes(1, 2) for a in (y, dy))
    p = _scores(q, k, head_size)  # and now the probabilities, from their denominators
    p -= lse.reshape(batch, n_head, 1, time)
    np.exp(p, out=p)
    _product(p, dy, dv, accumulate)
    ds = v @ dy.swapaxes(2, 3)
    ds -= np.einsum("bhtc,bhtc->bht", y, dy)[:, :, None]
    ds *= p
    scale = 1 / math.sqrt(head_size)
    _product(ds.swapaxes(2, 3), k * scale, dq, accumulate)
    _product(ds, q * scale, dk, accumulate)


def _heads(qkv, batch, time, n_head, head_size):
    """Views of Q, K and V (or their gradients), each (batch, n_head, time, head_size)."""
    return qkv.reshape(batch, time, 3, n_head, head_size).transpose(2, 0, 3, 1, 4)


def _scores(q, k, head_size):
    """Scaled scores (..., T, T), with -inf where the key comes after the query. A column for each
    query: NumPy finds the highest of each column in half the time that it takes for rows.
    """
    scores = k @ (q * (1 / math.sqrt(head_size))).swapaxes(2, 3)
    scores += _mask(q.shape[2], scores.dtype)
    return scores


@lru_cache(2)
def _mask(time, dtype):
    return np.tril(np.full((time, time), -np.inf, dtype), -1)


@kernel
@by_rows("size", "x y")
def gelu(x, y, *, size):
    t = _gelu_tanh(x)
    t += 1
    t *= 0.5
    np.multiply(t, x, out=y)


@kernel
@by_rows("size", "x dy dx")
def gelu_backward(x, dy, dx, *, size, accumulate):
    t = _gelu_tanh(x)
    slope = x * x
    slope *= 3 * 0.044715 * _SQRT_2_PI
    slope += _SQRT_2_PI
    slope *= x
    t += 1  # and 1 - tanh^2 is (1 + tanh) (2 - (1 + tanh))
    rest = 2 - t
    rest *= slope
    rest += 1
    t *= rest
    t *= 0.5
    t *= dy
    _store(dx, t, accumulate)


_SQRT_2_PI = math.sqrt(2 / math.pi)


def _gelu_tanh(x):
    u = x * x
    u *= 0.044715 * _SQRT_2_PI
    u += _SQRT_2_PI
    u *= x
    if not IS_BARE:
        return np.tanh(u, out=u)
    u *= 2  # 1 - 2 / (exp(2 u) + 1): a third of the time there
    np.minimum(u, 80, out=u)
    np.exp(u, out=u)
    u += 1
    np.divide(-2, u, out=u)
    u += 1
    return u


@kernel
@by_rows("size", "x y")
def relu(x, y, *, size):
    np.maximum(x, 0, out=y)


@kernel
@by_rows("size", "x dy dx")
def relu_backward(x, dy, dx, *, size, accumulate):
    _store(dx, np.where(x > 0, dy, 0), accumulate)


@kernel
def rmsnorm(x, y, *, rows, size, period, normed, eps):
    x, y = x.reshape(rows, size), y.reshape(rows, size)
    np.multiply(x, _rms_factors(x, period, normed, eps), out=y)


@kernel
def rmsnorm_backward(x, dy, dx, *, rows, size, period, normed, eps, accumulate):
    x, dy, dx = (a.reshape(rows, size) for a in (x, dy, dx))
    r = _rms_factors(x, period, normed, eps)
    along = r * r * np.einsum("rc,rc->r", x, dy)[:, None] / size
    along[_passed(rows, period, normed)] = 0
    _store(dx, r * (dy - along * x), accumulate)


def _rms_factors(x, period, normed, eps):
    """What each row is multiplied by, (rows, 1)."""
    rows, size = x.shape
    r = 1 / np.sqrt(np.einsum("rc,rc->r", x, x) / size + x.dtype.type(eps))
    r[_passed(rows, period, normed)] = 1
    return r[:, None]


def _passed(rows, period, normed):
    """Which rows are left as they are."""
    return np.arange(rows) % period >= normed


@kernel
@by_rows("size", "x y z")
def add(x, y, z, *, size):
    np.add(x, y, out=z)


@kernel
@by_rows("size", "x y z")
def multiply(x, y, z, *, size, accumulate):
    _store(z, x * y, accumulate)


@kernel
@by_rows("size", "x y")
def copy(x, y, *, size, factor, accumulate):
    _store(y, factor * x, accumulate)


@kernel
def move(x, y, *, size, x_start, y_start):
    y[y_start : y_start + size] = x[x_start : x_start + size]


@kernel
def fill(y, *, size, value):
    y[:] = value


@kernel
def dropout(x, key, y, *, size, layer, accumulate, rate):
    i = np.arange(size, dtype=np.uint32)
    words = (i, np.full_like(i, layer), np.full_like(i, key[0]), np.full_like(i, key[1]))
    kept = (_pcg4d(*words) >> np.uint32(8)) / 2**24 >= np.float32(rate)
    _store(y, np.where(kept, x / (1 - rate), 0), accumulate)


def _pcg4d(x, y, z, w):
    """The first word of pcg4d, of four uint32 arrays."""
    x, y, z, w = (v * np.uint32(1664525) + np.uint32(1013904223) for v in (x, y, z, w))
    for shift in (16, 0):
        x += y * w
        y += z * x
        z += x * y
        w += y * z
        if shift:
            x, y, z, w = (v ^ (v >> np.uint32(shift)) for v in (x, y, z, w))
    return x


@kernel
@by_rows("rows", "logits targets losses lse")
def cross_entropy(logits, targets, losses, lse, *, rows, vocab_size, label_smoothing):
    logits = logits.reshape(rows, vocab_size)
    highest = logits.max(axis=1)
    shifted = logits - highest[:, None]
    lse[:] = highest + np.log(np.exp(shifted, out=shifted).sum(axis=1))
    losses[:] = lse - logits[np.arange(rows), targets]
    if label_smoothing:
        uniform_loss = lse - logits.mean(axis=1)
        losses += label_smoothing * (uniform_loss - losses)


@kernel
def cross_entropy_backward(
    logits, targets, lse, dloss, dlogits, *, rows, vocab_size, label_smoothing, accumulate
):
    d = logits.reshape(rows, vocab_size) - lse[:, None]
    np.exp(d, out=d)
    d[np.arange(rows), targets] -= 1 - label_smoothing
    if label_smoothing:
        d -= label_smoothing / vocab_size
    d *= dloss[0] / rows
    _store(dlogits.reshape(rows, vocab_size), d, accumulate)


@kernel
def mean(x, y, *, size):
    y[0] = x.mean()


@kernel
def sum_squares(x, partial, *, size):
    stretches = np.zeros((256, -(-size // 256)), x.dtype)
    stretches.reshape(-1)[:size] = x
    np.vecdot(stretches, stretches, out=partial)


@kernel
@by_rows("size", "x")
def clip(partial, x, norm, *, size, max_norm):
    norm[0] = np.sqrt(partial.sum())
    x *= min(1, max_norm / (norm[0] + 1e-6))


@kernel
@by_rows("size", "g w m v")
def adamw(hyper, g, w, m, v, *, size, beta1, beta2, eps, weight_decay):
    lr, correction1, root_correction2 = hyper
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    squares = g * g
    squares *= 1 - beta2
    v += squares
    step = np.sqrt(v)
    step /= root_correction2
    step += eps
    np.divide(m, step, out=step)
    step *= lr / correction1
    w *= 1 - lr * weight_decay
    w -= step


@kernel
def last_row(x, length, y, *, n_embd):
    at = (int(length[0]) - 1) * n_embd
    y[:] = x[at : at + n_embd]


@kernel
def embedding_at(window, length, wte, wpe, y, *, n_embd, vocab_size):
    at = int(length[0]) - 1
    token = min(int(window[at]), vocab_size - 1)
    np.add(wte.reshape(vocab_size, n_embd)[token], wpe.reshape(-1, n_embd)[at], out=y)


@kernel
def attention_at(qkv, length, cache, y, *, n_head, head_size):
    n_embd, time = n_head * head_size, int(length[0])
    rows = cache.reshape(-1, 3 * n_embd)
    rows[time - 1, n_embd:] = qkv[n_embd:]
    rows = rows[:time].reshape(time, 3, n_head, head_size)
    q = qkv[:n_embd].reshape(n_head, head_size, 1) * (1 / math.sqrt(head_size))
    scores = (rows[:, 1].swapaxes(0, 1) @ q)[..., 0]
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    out = y.reshape(n_head, head_size)
    np.einsum("ht,thc->hc", scores, rows[:, 2], out=out)
    out /= scores.sum(axis=1, keepdims=True)


@kernel
def keep_row(x, count, y, *, size, stride):
    at = int(count[0]) * stride
    y[at : at + size] = x


@kernel
def sample_token(logits, uniforms, settings, window, length, out, count, *, vocab_size, block_size):
    temperature, top_k, top_p = settings
    ranked = np.argsort(-logits, kind="stable")
    prob = np.exp((logits - logits[ranked[0]]) / temperature)
    top = prob[ranked[: int(top_k)]]
    before = np.cumsum(top) - top
    kept = (before < top_p * top.sum()) | (np.arange(len(top)) == 0)
    allowed = np.zeros_like(prob)
    allowed[ranked[: len(top)][kept]] = top[kept]
    sums = np.cumsum(allowed)
    draw = np.searchsorted(sums, uniforms[count[0]] * sums[-1], side="right")
    token = min(draw, np.flatnonzero(allowed)[-1])
    out[count[0]] = token
    count[0] += 1
    if length[0] < block_size:
        window[length[0]] = token
        length[0] += 1
    else:
        window[:-1] = window[1:].copy()
        window[-1] = token


# What fuse.py puts in the place of two: the two, one after the other.


@kernel
def embedding_position(tokens, wte, wpe, y, *, rows, n_embd, vocab_size, period):
    embedding(tokens, wte, y, rows=rows, n_embd=n_embd, vocab_size=vocab_size)
    y = y.reshape(-1, period)
    y += wpe[:period]


@kernel
@by_rows("m", "a x z")
def matmul_residual(a, b, x, z, *, m, k, n):
    matmul_nn(a, b, z, m=m, k=k, n=n, accumulate=0)
    z += x


@kernel
@by_rows("rows", "x h stats y")
def layernorm_matmul(x, weight, bias, b, h, stats, y, *, rows, n_embd, n, eps):
    layernorm(x, weight, bias, h, stats, rows=rows, n_embd=n_embd, eps=eps)
    matmul_nn(h, b, y, m=rows, k=n_embd, n=n, accumulate=0)


@kernel
@by_rows("rows", "x h stats u y")
def layernorm_matmul_gelu(x, weight, bias, b, h, stats, u, y, *, rows, n_embd, n, eps):
    layernorm_matmul(x, weight, bias, b, h, stats, u, rows=rows, n_embd=n_embd, n=n, eps=eps)
    gelu(u, y, size=u.size)


@kernel
@by_rows("m", "a x dx")
def matmul_nt_gelu_backward(a, b, x, dx, *, m, k, n):
    matmul_nt(a, b, dx, m=m, k=k, n=n, accumulate=0)
    gelu_backward(x, dx, dx, size=dx.size, accumulate=0)


@kernel
@by_rows("size", "g w m v")
def clip_adamw(
    partial, hyper, g, w, m, v, norm, *, size, max_norm, beta1, beta2, eps, weight_decay
):
    clip(partial, g, norm, size=size, max_norm=max_norm)
    settings = dict(beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)
    adamw(hyper, g, w, m, v, size=size, **settings)
