"""The kernels of the torch device: a PyTorch function for each reference of devices/kernels.py, of
the same name, buffers and parameters.

Buffers are flat tensors: float32, or int32 for the reference's uint32, whose bits they hold. No
function waits for the device, and each sum has one order on each device: the same input on the same
number of threads gives the same bytes. Products go to the library of the device's vendor. Norms and
GELU are operators of ATen's core set, which has their gradients as functions of their own.
"""

import math

import torch
from torch.nn import functional as F

aten = torch.ops.aten
KERNELS = {}


def kernel(function):
    """Register a function as the kernel of its name."""
    KERNELS[function.__name__] = function
    return function


def _store(y, value, accumulate):
    if accumulate:
        y += value
    else:
        y.copy_(value)


def _product(a, b, y, accumulate):
    if accumulate:
        y.addmm_(a, b)
    else:
        torch.mm(a, b, out=y)


def _indices(words, count):
    """Words as indices of `count` things; what is beyond the last counts as the last."""
    return (words.to(torch.int64) & 0xFFFFFFFF).clamp_max(count - 1)


def _place(length, count):
    """The index of the last of `length` things, of which there are at most `count`: (1,)."""
    return (_indices(length, count + 1) - 1).clamp_min(0)


@kernel
def gather_batch(corpus, offsets, x, y, *, batch, time):
    at = _indices(offsets, len(corpus))[:, None] + torch.arange(time, device=x.device)
    x.view(batch, time).copy_(corpus[at.clamp_max(len(corpus) - 1)])
    y.view(batch, time).copy_(corpus[(at + 1).clamp_max(len(corpus) - 1)])


@kernel
def embedding(tokens, weight, y, *, rows, n_embd, vocab_size):
    tokens, weight = _indices(tokens, vocab_size), weight.view(vocab_size, n_embd)
    torch.index_select(weight, 0, tokens, out=y.view(rows, n_embd))


@kernel
def embedding_backward(tokens, dy, dweight, *, rows, n_embd, vocab_size, accumulate):
    # A product with the one-hot tokens: index_add_ on a GPU adds in no certain order.
    one_hot = F.one_hot(_indices(tokens, vocab_size), vocab_size).to(dy.dtype)
    _product(one_hot.T, dy.view(rows, n_embd), dweight.view(vocab_size, n_embd), accumulate)


@kernel
def position_embedding(x, weight, y, *, size, period):
    torch.add(x.view(-1, period), weight[:period], out=y.view(-1, period))


@kernel
def position_embedding_backward(dy, dweight, *, size, period, total, accumulate):
    if not accumulate:
        dweight[period:] = 0
    _store(dweight[:period], dy.view(-1, period).sum(0), accumulate)


@kernel
def layernorm(x, weight, bias, y, stats, *, rows, n_embd, eps):
    x, y = x.view(rows, n_embd), y.view(rows, n_embd)
    normed, mean, rstd = torch.native_layer_norm(x, (n_embd,), weight, bias, eps)
    y.copy_(normed)
    torch.cat((mean, rstd), 1, out=stats.view(rows, 2))


@kernel
def layernorm_backward(x, weight, stats, dy, dx, *, rows, n_embd, accumulate):
    # Only weight's dtype and size matter to the gradient of the bias, so it stands for the bias.
    x, dy, dx = (a.view(rows, n_embd) for a in (x, dy, dx))
    mean, rstd = stats.view(rows, 2).split(1, 1)
    needed = True, False, False
    value = aten.native_layer_norm_backward(
        dy, x, (n_embd,), mean.contiguous(), rstd.contiguous(), weight, weight, needed
    )[0]
    _store(dx, value, accumulate)


@kernel
def layernorm_backward_params(
    x, stats, dy, dweight, dbias, *, rows, n_embd, accumulate_weight, accumulate_bias
):
    x, dy = x.view(rows, n_embd), dy.view(rows, n_embd)
    mean, rstd = stats.view(rows, 2).split(1, 1)
    products = (x - mean).mul_(rstd).mul_(dy)
    _store(dweight, products.sum(0), accumulate_weight)
    _store(dbias, dy.sum(0), accumulate_bias)


@kernel
def matmul_nn(a, b, y, *, m, k, n, accumulate):
    _product(a.view(m, k), b.view(k, n), y.view(m, n), accumulate)


@kernel
def matmul_nt(a, b, y, *, m, k, n, accumulate):
    _product(a.view(m, k), b.view(n, k).T, y.view(m, n), accumulate)


@kernel
def matmul_tn(a, b, y, *, m, k, n, accumulate):
    _product(a.view(k, m).T, b.view(k, n), y.view(m, n), accumulate)


@kernel
def attention(qkv, y, lse, *, batch, time, n_head, head_size):
    # By products: F.scaled_dot_product_attention does not return lse, which the gradient needs.
    q, k, v = _heads(qkv, batch, time, n_head, head_size)
    scores = _scores(q, k, head_size)
    total = scores.logsumexp(3)
    out = scores.sub_(total[..., None]).exp_() @ v
    y.view(batch, time, n_head, head_size).copy_(out.transpose(1, 2))
    lse.view(total.shape).copy_(total)


@kernel
def attention_backward(qkv, y, lse, dy, dqkv, *, batch, time, n_head, head_size, accumulate):
    q, k, v = _heads(qkv, batch, time, n_head, head_size)
    dq, dk, dv = _heads(dqkv, batch, time, n_head, head_size)
    y, dy = (a.view(batch, time, n_head, head_size).transpose(1, 2) for a in (y, dy))
    scores = _scores(q, k, head_size)
    p = scores.sub_(lse.view(batch, n_head, time, 1)).exp_()
    _store(dv, p.transpose(2, 3) @ dy, accumulate)
    ds = (dy @ v.transpose(2, 3)).sub_((y * dy).sum(3, keepdim=True)).mul_(p)
    scale = 1 / math.sqrt(head_size)
    _store(dq, ds @ (k * scale), accumulate)
    _store(dk, ds.transpose(2, 3) @ (q * scale), accumulate)


def _heads(qkv, batch, time, n_head, head_size):
    """Views of Q, K and V (or their gradients), each (batch, n_head, time, head_size)."""
    return qkv.view(batch, time, 3, n_head, head_size).permute(2, 0, 3, 1, 4)


def _scores(q, k, head_size):
    """Scaled scores (..., T, T), a row for each query, with -inf where the key comes after it."""
    scores = (q * (1 / math.sqrt(head_size))) @ k.transpose(2, 3)
    later = torch.ones(scores.shape[2:], dtype=torch.bool, device=q.device).triu_(1)
    return scores.masked_fill_(later, -math.inf)


@kernel
def gelu(x, y, *, size):
    aten.gelu.out(x, approximate="tanh", out=y)


@kernel
def gelu_backward(x, dy, dx, *, size, accumulate):
    _store(dx, aten.gelu_backward(dy, x, approximate="tanh"), accumulate)


@kernel
def relu(x, y, *, size):
    torch.clamp_min(x, 0, out=y)


@kernel
def relu_backward(x, dy, dx, *, size, accumulate):
    _store(dx, dy.masked_fill(x <= 0, 0), accumulate)


@kernel
def rmsnorm(x, y, *, rows, size, period, normed, eps):
    x, y = x.view(rows, size), y.view(rows, size)
    torch.mul(x, _rms_factors(x, period, normed, eps), out=y)


@kernel
def rmsnorm_backward(x, dy, dx, *, rows, size, period, normed, eps, accumulate):
    x, dy, dx = (a.view(rows, size) for a in (x, dy, dx))
    r = _rms_factors(x, period, normed, eps)
    along = r * r * (x * dy).sum(1, keepdim=True) / size
    along.masked_fill_(_passed(x, period, normed), 0)
    _store(dx, r * (dy - along * x), accumulate)


def _rms_factors(x, period, normed, eps):
    """What each row is multiplied by, (rows, 1)."""
    r = torch.rsqrt((x * x).mean(1, keepdim=True) + eps)
    return r.masked_fill_(_passed(x, period, normed), 1)


def _passed(x, period, normed):
    """Which rows are left as they are, (rows, 1)."""
    return (torch.arange(len(x), device=x.device) % period >= normed)[:, None]


@kernel
def add(x, y, z, *, size):
    torch.add(x, y, out=z)


@kernel
def multiply(x, y, z, *, size, accumulate):
    _store(z, x * y, accumulate)


@kernel
def copy(x, y, *, size, factor, accumulate):
    if accumulate:
        y.add_(x, alpha=factor)
    else:
        torch.mul(x, factor, out=y)


@kernel
def move(x, y, *, size, x_start, y_start):
    y[y_start : y_start + size] = x[x_start : x_start + size].clone()  # they may overlap


@kernel
def fill(y, *, size, value):
    y.fill_(value)


@kernel
def dropout(x, key, y, *, size, layer, accumulate, rate):
    words = torch.arange(size, device=x.device), layer, *(key.to(torch.int64) & MASK)
    kept = (_pcg4d(*words) >> 8).to(x.dtype) / 2**24 >= rate
    _store(y, (x / (1 - rate)).masked_fill_(~kept, 0), accumulate)


MASK = 0xFFFFFFFF  # of a word's bits in int64, whose products wrap around beyond them


def _pcg4d(x, y, z, w):
    """The first word of pcg4d, of four words."""
    x, y, z, w = (v * 1664525 + 1013904223 & MASK for v in (x, y, z, w))
    for shift in (16, 0):
        x = x + y * w & MASK
        y = y + z * x & MASK
        z = z + x * y & MASK
        w = w + y * z & MASK
        if shift:
            x, y, z, w = (v ^ (v >> shift) for v in (x, y, z, w))
    return x


@kernel
def cross_entropy(logits, targets, losses, lse, *, rows, vocab_size, label_smoothing):
    logits, targets = logits.view(rows, vocab_size), _indices(targets, vocab_size)
    torch.logsumexp(logits, 1, out=lse)
    torch.sub(lse, logits.gather(1, targets[:, None])[:, 0], out=losses)
    if label_smoothing:
        losses.lerp_(lse - logits.mean(1), label_smoothing)


@kernel
def cross_entropy_backward(
    logits, targets, lse, dloss, dlogits, *, rows, vocab_size, label_smoothing, accumulate
):
    targets = _indices(targets, vocab_size)[:, None]
    d = (logits.view(rows, vocab_size) - lse[:, None]).exp_()
    d.scatter_(1, targets, d.gather(1, targets) - (1 - label_smoothing))
    if label_smoothing:
        d -= label_smoothing / vocab_size
    _store(dlogits.view(rows, vocab_size), d.mul_(dloss / rows), accumulate)


@kernel
def mean(x, y, *, size):
    torch.mean(x.view(1, size), 1, out=y)


@kernel
def sum_squares(x, partial, *, size):
    length = -(-size // 256)
    whole = size // length
    partial[whole:] = 0
    torch.sum(x[: whole * length].square().view(whole, length), 1, out=partial[:whole])
    if whole * length < size:
        partial[whole] = x[whole * length :].square().sum()


@kernel
def clip(partial, x, norm, *, size, max_norm):
    norm.copy_(partial.sum().sqrt())
    x *= (max_norm / (norm + 1e-6)).clamp_max(1)


@kernel
def adamw(hyper, g, w, m, v, *, size, beta1, beta2, eps, weight_decay):
    lr, correction1, root_correction2 = hyper
    m.mul_(beta1).add_(g, alpha=1 - beta1)
    v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
    step = m / v.sqrt().div_(root_correction2).add_(eps)
    w.mul_(1 - lr * weight_decay).sub_(step.mul_(lr / correction1))


@kernel
def last_row(x, length, y, *, n_embd):
    x = x.view(-1, n_embd)
    torch.index_select(x, 0, _place(length, len(x)), out=y.view(1, n_embd))


@kernel
def embedding_at(window, length, wte, wpe, y, *, n_embd, vocab_size):
    at = _place(length, len(window))
    token = _indices(window[at], vocab_size)
    torch.add(wte.view(-1, n_embd)[token], wpe.view(-1, n_embd)[at], out=y.view(1, n_embd))


@kernel
def attention_at(qkv, length, cache, y, *, n_head, head_size):
    n_embd = n_head * head_size
    rows = cache.view(-1, 3 * n_embd)
    at = _place(length, len(rows))
    rows[at, n_embd:] = qkv[n_embd:]
    later = torch.arange(len(rows), device=at.device) > at  # what these rows hold is nothing yet
    _, k, v = rows.masked_fill(later[:, None], 0).view(-1, 3, n_head, head_size).permute(1, 2, 0, 3)
    q = qkv[:n_embd].view(n_head, 1, head_size) * (1 / math.sqrt(head_size))
    scores = (q @ k.transpose(1, 2)).masked_fill_(later, -math.inf)
    torch.matmul(scores.softmax(2), v, out=y.view(n_head, 1, head_size))


@kernel
def keep_row(x, count, y, *, size, stride):
    y[_indices(count, 2**31) * stride + torch.arange(size, device=x.device)] = x


@kernel
def sample_token(logits, uniforms, settings, window, length, out, count, *, vocab_size, block_size):
    temperature, top_k, top_p = settings
    top, ranked = logits.sort(descending=True, stable=True)
    prob = torch.exp((logits - top[:1]) / temperature)
    rank = torch.arange(vocab_size, device=logits.device)
    top = prob[ranked] * (rank < top_k)
    before = top.cumsum(0) - top
    kept = top * ((before < top_p * top.sum()) | (rank == 0))
    sums = torch.zeros_like(prob).scatter_(0, ranked, kept).cumsum(0)
    at, n = _indices(count, len(out)), _indices(length, block_size + 1)
    draw = torch.searchsorted(sums, uniforms[at] * sums[-1], right=True)
    last = torch.where(kept > 0, ranked, 0).max()
    token = torch.minimum(draw, last).to(torch.int32)
    out[at] = token
    count += 1
    window.copy_(torch.where(n < block_size, window, window.roll(-1)))
    window[n.clamp_max(block_size - 1)] = token
    length.copy_((n + 1).clamp_max(block_size))


# What engine/fuse.py puts in the place of two: the two, one after the other.


@kernel
def embedding_position(tokens, wte, wpe, y, *, rows, n_embd, vocab_size, period):
    embedding(tokens, wte, y, rows=rows, n_embd=n_embd, vocab_size=vocab_size)
    y.view(-1, period).add_(wpe[:period])


@kernel
def matmul_residual(a, b, x, z, *, m, k, n):
    matmul_nn(a, b, z, m=m, k=k, n=n, accumulate=0)  # not addmm, which rounds otherwise
    z += x


@kernel
def layernorm_matmul(x, weight, bias, b, h, stats, y, *, rows, n_embd, n, eps):
    layernorm(x, weight, bias, h, stats, rows=rows, n_embd=n_embd, eps=eps)
    matmul_nn(h, b, y, m=rows, k=n_embd, n=n, accumulate=0)


@kernel
def layernorm_matmul_gelu(x, weight, bias, b, h, stats, u, y, *, rows, n_embd, n, eps):
    layernorm_matmul(x, weight, bias, b, h, stats, u, rows=rows, n_embd=n_embd, n=n, eps=eps)
    gelu(u, y, size=len(u))


@kernel
def matmul_nt_gelu_backward(a, b, x, dx, *, m, k, n):
    matmul_nt(a, b, dx, m=m, k=k, n=n, accumulate=0)
    gelu_backward(x, dx, dx, size=len(x), accumulate=0)


@kernel
def clip_adamw(
    partial, hyper, g, w, m, v, norm, *, size, max_norm, beta1, beta2, eps, weight_decay
):
    clip(partial, g, norm, size=size, max_norm=max_norm)
    settings = dict(beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)
    adamw(hyper, g, w, m, v, size=size, **settings)
