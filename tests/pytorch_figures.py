"""Makes tests/pytorch_figures.json: what PyTorch computes from our weights and our batches.

    pip install torch==2.13.0
    PYTHONPATH=py_src python tests/pytorch_figures.py

The suite reads the figures and needs no PyTorch. They are computed in float64, so that whatever
separates us from them is ours. Random inputs come from our named streams, which the tests draw
again; of the model's tensors the file has norms and those entries whose gradients are largest, as
Adam turns the smallest gradients, mere rounding, into whole steps.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

from groundling.config import GPTConfig
from groundling.data import shakespeare
from groundling.model import initial_weights, parameter_shapes
from groundling.rng import Stream

SEED, BATCH_SIZE, STEPS = "hamlet", 8, 3
LR, BETAS, EPS, WEIGHT_DECAY, GRAD_CLIP = 1e-3, (0.9, 0.95), 1e-8, 0.1, 1.0
ENTRIES = 4  # of each tensor


def normal(name: str, *shape: int) -> torch.Tensor:
    """Numbers of the stream `pytorch:{name}`, to differentiate by."""
    numbers = Stream(f"pytorch:{name}").normal(math.prod(shape)).reshape(shape)
    return torch.from_numpy(numbers).requires_grad_()


def derivatives(y: torch.Tensor, dy: torch.Tensor, *inputs: torch.Tensor) -> list:
    return [rounded(d) for d in torch.autograd.grad(y, inputs, dy)]


def rounded(x: torch.Tensor) -> list:
    """Nine digits of each number: more than float32 has."""
    return [float(f"{number:.9g}") for number in x.detach().reshape(-1).tolist()]


def gelu() -> dict:
    x = (3 * normal("gelu x", 24)).detach().requires_grad_()
    y = F.gelu(x, approximate="tanh")
    (dx,) = derivatives(y, normal("gelu dy", 24), x)
    return {"y": rounded(y), "dx": dx}


def layernorm() -> dict:
    x, weight, bias = normal("ln x", 3, 20), normal("ln weight", 20), normal("ln bias", 20)
    y = F.layer_norm(x, (20,), weight, bias, eps=1e-5)
    dx, dweight, dbias = derivatives(y, normal("ln dy", 3, 20), x, weight, bias)
    return {"y": rounded(y), "dx": dx, "dweight": dweight, "dbias": dbias}


def attention() -> dict:
    B, T, C, n_head = 2, 7, 12, 3
    qkv = normal("attention qkv", B, T, 3 * C)
    y = causal_attention(qkv, n_head)
    (dqkv,) = derivatives(y, normal("attention dy", B, T, C), qkv)
    return {"y": rounded(y), "dqkv": dqkv}


def cross_entropy() -> dict:
    logits = normal("ce logits", 5, 11)
    loss = F.cross_entropy(logits, torch.tensor([0, 10, 3, 3, 7]))
    (dlogits,) = derivatives(loss, torch.ones((), dtype=torch.float64), logits)
    return {"loss": loss.item(), "dlogits": dlogits}


def causal_attention(qkv: torch.Tensor, n_head: int) -> torch.Tensor:
    B, T, C3 = qkv.shape
    q, k, v = (
        part.view(B, T, n_head, C3 // 3 // n_head).transpose(1, 2)
        for part in qkv.split(C3 // 3, dim=2)
    )
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return y.transpose(1, 2).reshape(B, T, C3 // 3)


def forward(w: dict[str, torch.Tensor], tokens: torch.Tensor, config: GPTConfig) -> torch.Tensor:
    """Logits of the model whose parameters are w, by name."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-5)

    x = F.embedding(tokens, w["wte"]) + w["wpe"][: tokens.shape[1]]
    for i in range(config.n_layer):
        h = causal_attention(norm(x, f"h.{i}.ln_1") @ w[f"h.{i}.attn.c_attn"], config.n_head)
        x = x + h @ w[f"h.{i}.attn.c_proj"]
        h = F.gelu(norm(x, f"h.{i}.ln_2") @ w[f"h.{i}.mlp.c_fc"], approximate="tanh")
        x = x + h @ w[f"h.{i}.mlp.c_proj"]
    return norm(x, "ln_f") @ w["wte"].T


def training() -> dict:
    """The first steps of seed hamlet at one learning rate: losses, gradients, moved weights."""
    config, corpus = GPTConfig(), shakespeare()
    w, start = {}, 0
    flat = torch.from_numpy(initial_weights(config, SEED)).double()
    for name, shape in parameter_shapes(config).items():
        n = math.prod(shape)
        w[name] = flat[start : start + n].reshape(shape).clone().requires_grad_()
        start += n
    before = {name: x.detach().clone() for name, x in w.items()}
    adamw = torch.optim.AdamW(w.values(), LR, betas=BETAS, eps=EPS, weight_decay=WEIGHT_DECAY)
    stream, tokens = Stream(SEED), torch.from_numpy(corpus.train.astype("int64"))
    losses, norms, gradients = [], [], {}
    for _ in range(STEPS):
        offsets = corpus.offsets("train", stream, BATCH_SIZE, config.block_size).tolist()
        rows = torch.stack([tokens[o : o + config.block_size + 1] for o in offsets])
        logits = forward(w, rows[:, :-1], config)
        loss = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        adamw.zero_grad()
        loss.backward()
        losses.append(loss.item())
        if not gradients:
            gradients = {name: summary(x.grad, x.grad) for name, x in w.items()}
            first = {name: x.grad.clone() for name, x in w.items()}
        norms.append(torch.nn.utils.clip_grad_norm_(w.values(), GRAD_CLIP).item())
        adamw.step()
    moved = {name: summary(x - before[name], first[name]) for name, x in w.items()}
    return {
        "about": "gradients before clipping, at the first step; moves: weights after less before",
        "losses": losses,
        "gradient_norms": norms,
        "gradients": gradients,
        "moves": moved,
    }


def summary(x: torch.Tensor, by: torch.Tensor) -> dict:
    """A tensor's norm, and its entries where `by` is largest."""
    largest = by.abs().reshape(-1).topk(ENTRIES).indices.tolist()
    return {
        "norm": rounded(x.norm())[0],
        "entries": dict(zip(largest, rounded(x.reshape(-1)[largest]), strict=True)),
    }


def main() -> None:
    figures = {
        "about": "Made by tests/pytorch_figures.py.",
        "torch": torch.__version__.partition("+")[0],
        "gelu": gelu(),
        "layernorm": layernorm(),
        "attention": attention(),
        "cross_entropy": cross_entropy(),
        "training": training(),
    }
    path = Path(__file__).with_suffix(".json")
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in figures.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
