"""A folder in which nanoGPT's own train.py goes on with a run: https://github.com/karpathy/nanoGPT

ckpt.pt               the model; AdamW's averages in the order of nanoGPT's parameters; iter_num
train.bin, val.bin    the text's tokens, uint16
meta.pkl              which character each token stands for
config.py             the settings, by whose path train.py is run
"""

import math
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..data import Corpus
from . import interchange, torchfile
from .checkpoint import CheckpointError
from .statefile import Saved, weights_of

DIFFERENT = (
    "What differs there: GELU is the exact one, and ours its tanh form; batches are drawn by "
    "PyTorch, not from this run's seed; linear layers have biases, which are 0 and begin to learn; "
    "LayerNorms and biases have no weight decay."
)
NO_LOSS = 1e9  # nanoGPT's best_val_loss before the first evaluation


def folder(saved: Saved, corpus: Corpus, out: str) -> dict[str, bytes | Path]:
    """The files of the folder, by name, or where a copy of one is; `out` is its whole path.
    CheckpointError for another text, a model that nanoGPT cannot have, or more characters than
    uint16 has numbers.
    """
    if (saved.vocab_hash, saved.corpus_hash) != (corpus.vocab_hash, corpus.sha256):
        raise CheckpointError(
            f"The run was trained on another text (SHA-256 {saved.corpus_hash[:12]}…) than "
            f"{corpus.name!r} ({corpus.sha256[:12]}…). Name it: --text or --data."
        )
    if corpus.vocab_size > 2**16:
        raise CheckpointError(
            f"The vocabulary has {corpus.vocab_size:,} characters; uint16 has numbers for 65,536."
        )
    # a pickle of plain values, as nanoGPT's prepare.py writes it; none is ever read here
    meta = {
        "vocab_size": corpus.vocab_size,
        "itos": dict(enumerate(corpus.vocab)),
        "stoi": {character: token for token, character in enumerate(corpus.vocab)},
    }
    return {
        "ckpt.pt": torchfile.dumps(checkpoint(saved)),
        "train.bin": _tokens(corpus.train),
        "val.bin": _tokens(corpus.val),
        "meta.pkl": pickle.dumps(meta, protocol=4),
        "config.py": config(saved, out).encode(),
    }


def _tokens(tokens: np.ndarray) -> bytes | Path:
    """A file of tokens: that of prepared.py, which has the same layout, where they are in one."""
    if isinstance(tokens, np.memmap):
        return Path(tokens.filename)
    return tokens.astype("<u2").tobytes()


def checkpoint(saved: Saved) -> dict:
    """What ckpt.pt holds, with arrays for tensors. CheckpointError."""
    state, ckpt = saved.state, weights_of(saved)
    held = interchange.nanogpt_checkpoint(ckpt)
    losses = state.log.column("val")
    best = float(np.nanmin(losses, initial=math.inf)) if len(losses) else math.inf
    return held | {
        "optimizer": _optimizer(saved),
        "best_val_loss": best if best < math.inf else NO_LOSS,
        "config": settings(saved),
    }


def _optimizer(saved: Saved) -> dict:
    """The state_dict of torch.optim.AdamW as nanoGPT's configure_optimizers makes it: matrices
    first, with weight decay, then all else, each in the order of its modules.
    """
    state, ckpt = saved.state, weights_of(saved)
    moments = [
        interchange.to_gpt2_names(replace(ckpt, weights=moment), out_in=True)
        for moment in (state.m, state.v)
    ]
    names = sorted(moments[0], key=lambda name: moments[0][name].ndim < 2)  # stable
    step = np.array(float(state.step), np.float32)
    matrices = sum(moments[0][name].ndim >= 2 for name in names)
    adamw = state.config
    group = {
        "lr": adamw.lr,
        "betas": (adamw.beta1, adamw.beta2),
        "eps": adamw.eps,
        "amsgrad": False,
        "maximize": False,
        "foreach": None,
        "capturable": False,
        "differentiable": False,
        "fused": None,
    }
    numbers = list(range(len(names)))
    return {
        "state": {
            number: {
                "step": step.copy(),
                "exp_avg": moments[0][name],
                "exp_avg_sq": moments[1][name],
            }
            for number, name in enumerate(names)
        },
        "param_groups": [
            group | {"weight_decay": adamw.weight_decay, "params": numbers[:matrices]},
            group | {"weight_decay": 0.0, "params": numbers[matrices:]},
        ],
    }


def settings(saved: Saved) -> dict:
    """The run's settings by nanoGPT's names."""
    model, run = saved.state.model, saved.state.config
    return {
        "init_from": "resume",
        "dtype": "float32",
        "eval_interval": run.eval_interval,
        "eval_iters": run.eval_batches,
        "batch_size": run.batch_size // run.accumulate,
        "gradient_accumulation_steps": run.accumulate,
        "block_size": model.block_size,
        "n_layer": model.n_layer,
        "n_head": model.n_head,
        "n_embd": model.n_embd,
        "dropout": model.dropout,
        "bias": True,
        "learning_rate": run.lr,
        "min_lr": run.min_lr,
        "max_iters": run.iters,
        "lr_decay_iters": run.iters,
        "warmup_iters": run.warmup,
        "beta1": run.beta1,
        "beta2": run.beta2,
        "weight_decay": run.weight_decay,
        "grad_clip": run.grad_clip,
    }


def config(saved: Saved, out: str) -> str:
    """The config file. nanoGPT joins `dataset` to its `data` folder: a whole path replaces that."""
    state = saved.state
    lines = [
        f"# A run of Groundling, seed {state.config.seed!a}, at iter {state.iter:,}.",
        f"# In nanoGPT's folder: python train.py {out}/config.py",
        "# (without a GPU: --device=cpu --compile=False; to train further: --max_iters=N)",
        f"out_dir = {out!r}",
        f"dataset = {out!r}",
        *(f"{name} = {value!r}" for name, value in settings(saved).items()),
    ]
    return "\n".join(lines) + "\n"
