"""Going on from what there is: a run that is trained further, and a new run with the weights of a
file.
"""

from dataclasses import replace

import numpy as np

from ..config import GPTConfig
from ..data import Corpus, tokenizer_of
from ..devices.base import Device
from ..model import initial_weights
from .checkpoint import Checkpoint, CheckpointError, digest, vocabulary
from .configfile import Setup
from .run import Origin, Run

SCHEDULES = "stretch", "hold"
SHAPE = "n_layer", "n_head", "n_embd", "d_ff", "block_size"


def extend(run: Run, iters: int, schedule: str = "stretch") -> None:
    """Let a run train to another last iteration, recorded among its changes.

    "stretch" makes its learning-rate schedule as long; "hold" keeps the rate at which a finished
    run ended. ValueError if the run is past `iters`, or is to hold a rate that it has not reached.
    """
    if schedule == "stretch":
        run.change(iters=iters)
        return
    if run.iter < run.config.iters:
        raise ValueError(
            f"The run is at iter {run.iter:,} of {run.config.iters:,}, and only a finished run can "
            "hold the learning rate of its end. Finish it first, or stretch its schedule."
        )
    run.change(iters=iters, lr=run.config.min_lr)


def begin_from(
    ckpt: Checkpoint, setup: Setup, corpus: Corpus, device: Device, shaped: bool = False
) -> Run:
    """A new run that begins with the weights of a file: AdamW, the schedule and the random streams
    start anew. The model is the file's; if `shaped`, the setup's must be the same.

    On a text with other characters those that both have keep their rows of the embedding, and the
    rows of the others are drawn from the seed: see the run's `origin`. CheckpointError for another
    shape, for other tokens, or if no character is the same; Refused if the device cannot train it.
    """
    config = ckpt.config
    if shaped:
        for name in SHAPE:
            here, asked = getattr(config, name), getattr(setup.model, name)
            if here != asked:
                raise CheckpointError(f"{name} is {here} in the file, and {asked} was asked for.")
        config = replace(config, dropout=setup.model.dropout)
    if tokenizer_of(ckpt.vocab_hash) != corpus.tokenizer:
        raise CheckpointError(
            f"The file's model reads {tokenizer_of(ckpt.vocab_hash)!r}, and {corpus.name!r} is "
            f"read as {corpus.tokenizer!r}."
        )
    config = replace(config, vocab_size=corpus.vocab_size)
    weights, drawn = ckpt.weights, ""
    if ckpt.vocab_hash != corpus.vocab_hash:
        weights, drawn = _moved(ckpt, config, corpus, setup.train.seed)
    run = Run(setup.train, corpus, device, config, weights)
    run.sample_every = setup.sample_interval
    run.origin = Origin(digest(ckpt.weights), ckpt.seed, ckpt.iter, drawn)
    return run


def _moved(
    ckpt: Checkpoint, config: GPTConfig, corpus: Corpus, seed: str
) -> tuple[np.ndarray, str]:
    """The weights for another text's characters, and those characters whose rows were drawn."""
    known, C = vocabulary(ckpt).vocab, config.n_embd
    row_of = {character: row for row, character in enumerate(known)}
    drawn = "".join(character for character in corpus.vocab if character not in row_of)
    if len(drawn) == corpus.vocab_size:
        raise CheckpointError(
            f"No character of {corpus.name!r} is among the {len(known):,} that the file's model "
            "knows."
        )
    weights = ckpt.weights[ckpt.config.vocab_size * C :]
    embedding = ckpt.weights[: ckpt.config.vocab_size * C].reshape(-1, C)
    size = corpus.vocab_size * C
    fresh = initial_weights(config, seed)[:size] if drawn else np.empty(size, np.float32)
    rows = fresh.reshape(-1, C)
    for token, character in enumerate(corpus.vocab):
        if character in row_of:
            rows[token] = embedding[row_of[character]]
    return np.concatenate([fresh, weights]), drawn


def describe(run: Run) -> str:
    """Which weights the run begins with, in a sentence or two; "" for those of its seed."""
    origin = run.origin
    if origin is None:
        return ""
    told = f"The run begins with the weights of seed {origin.seed!r}, iter {origin.iter:,}."
    if origin.drawn:
        kept = "".join(c for c in run.corpus.vocab if c not in origin.drawn)
        told += (
            f" {len(kept):,} characters keep their rows of the embedding: {kept!r}. "
            f"{len(origin.drawn):,} are drawn: {origin.drawn!r}."
        )
    return told


def early(run: Run) -> str:
    """Why the run stopped early, in a sentence; "" unless its patience ended."""
    if not run.patience or run.worse < run.patience:
        return ""
    return f"None of the last {run.worse:,} validation losses was below {run.lowest:.4f}."
