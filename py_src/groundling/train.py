"""Train a GPT on Shakespeare, character by character.

Natively:     groundling train --seed hamlet
In the page:  press Start
In Python:    run = Run(TrainConfig(), shakespeare(), open_device())
              for record in train(run):
                  print(record.iter, record.train)

The loop is `train`, just below. A run's whole state is in a `Run` (runs/run.py): leave `train` by
`run.pause()`, call it again, and it goes on from exactly where it was.
"""

import math
from collections.abc import Callable, Iterator

from .config import TrainConfig
from .engine.jit import jit
from .engine.ops import gather_batch
from .engine.tensor import no_grad
from .optim import clip_grad_norm_
from .runs.records import Record
from .runs.run import Run


def train(run: Run, stop_at: int | None = None) -> Iterator[Record]:
    """Train up to the last iteration, or up to `stop_at`, or until `run.pause()`; yields a Record
    for each iteration, as the losses arrive.
    """
    run.begin()
    optimizer = run.optimizer
    stop_at = math.inf if stop_at is None else stop_at
    while run.iter < min(stop_at, run.config.iters) and not run.ranks.any(run.pausing):
        it = run.iter
        config = run.config  # may change between iterations
        is_last = it == config.iters - 1
        val = evaluate(run) if it % config.eval_interval == 0 or is_last else None
        if run.sample_every and it % run.sample_every == 0:
            run.write_sample()
        lr = learning_rate(it, config)
        offsets = run.offsets("train", run.batches)
        parts = offsets.reshape(config.accumulate, -1)
        step = run.captured(training_step)
        loss, norm = step(optimizer.advance(lr), run.dropout_key(), *parts)
        run.iter += 1
        run.losses.push((it, lr, val), loss, norm)  # read back some steps later
        yield from run.records()
    run.losses.drain()
    yield from run.records()
    if run.sample_every and run.iter == run.config.iters:
        run.write_sample()
    run.end()


def training_step(run: Run) -> Callable:
    """The jitted update `step(hyper, dropout_key, *parts)`: what `optimizer.advance` returned, the
    key of the dropout masks, and the batch's offsets in the text, in one part or more. It returns
    the loss before the update and the gradient's norm, each (1,).
    """
    model, optimizer, text, ranks = run.model, run.optimizer, run.train_tokens, run.ranks
    T, grad_clip = model.config.block_size, run.config.grad_clip

    @jit(model.device)  # the first call records the kernels; later calls replay them
    def step(hyper, dropout_key, *parts):
        model.zero_grad()
        total = None
        for part, offsets in enumerate(parts):
            model.train(dropout_key, ranks.rank * len(parts) + part)
            x, y = gather_batch(text, offsets, T)
            loss = model.loss(x, y)
            if len(parts) > 1:
                loss = loss * (1 / len(parts))  # the gradients add up to those of the mean
            loss.backward()
            total = loss.detach() if total is None else total + loss.detach()
        ranks.average(total, *model.flat_grad)  # where several processes train together
        norm = clip_grad_norm_(model, grad_clip)
        optimizer.step(hyper)
        model.eval()
        return total, norm

    return step


def validation_step(run: Run) -> Callable:
    """The jitted `loss(offsets)` on sequences of the validation text: (1,)."""
    model, text, T = run.model, run.val_tokens, run.model.config.block_size

    @jit(model.device)
    def loss(offsets):
        model.eval()
        with no_grad():
            loss = model.loss(*gather_batch(text, offsets, T))
        run.ranks.average(loss)
        return loss

    return loss


def evaluate(run: Run) -> float:
    """The mean loss of the next few validation batches, in nats. Waits for the device."""
    config = run.config
    loss, total = run.captured(validation_step), 0.0
    for _ in range(config.eval_batches):
        offsets = run.offsets("val", run.validation)
        parts = offsets.reshape(config.accumulate, -1)
        total += sum(loss(part).item() for part in parts) / len(parts)
    run.evaluated(total / config.eval_batches)
    return run.val_loss


def learning_rate(it: int, config: TrainConfig) -> float:
    """Linear warmup to config.lr over config.warmup iterations, then half a cosine down to
    config.min_lr.
    """
    if it < config.warmup:
        return config.lr * (it + 1) / config.warmup
    progress = (it - config.warmup) / max(1, config.iters - config.warmup)
    return config.min_lr + 0.5 * (1 + math.cos(math.pi * progress)) * (config.lr - config.min_lr)
