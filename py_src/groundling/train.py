"""Train a GPT on Shakespeare, character by character.

Natively:     groundling train --seed hamlet
In the page:  press Start
In Python:    run = Run(TrainConfig(), shakespeare(), open_device())
              for record in train(run):
                  print(record.iter, record.train)

The loop is `train`, just below. A run's whole state is in a `Run`:
leave `train` by `run.pause()`, call it again, and it goes on from
exactly where it was.
"""

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from .config import SETTLED, TRAIN_LIMITS, Change, GPTConfig, TrainConfig, with_peak
from .data import Corpus
from .devices.base import Device
from .engine.jit import attributes, jit, same
from .engine.ops import gather_batch
from .engine.tensor import Tensor, no_grad
from .model import GPT, initial_weights
from .optim import AdamW, clip_grad_norm_
from .rng import Stream, cyrb128
from .runs import cost, samples
from .runs.checkpoint import Checkpoint, now
from .runs.configfile import Setup
from .runs.records import Log, Record
from .runs.samples import Sample
from .sources import code_hash


def train(run: "Run", stop_at: int | None = None) -> Iterator["Record"]:
    """Train until the last iteration, or `stop_at` of them, or `run.pause()`; yields a Record an
    iteration, as the losses arrive.
    """
    run.begin()
    model, optimizer = run.model, run.optimizer
    B, T = run.config.batch_size, model.config.block_size
    stop_at = math.inf if stop_at is None else stop_at
    while run.iter < min(stop_at, run.config.iters) and not run.pausing:
        it = run.iter
        last = it == run.config.iters - 1
        val = evaluate(run) if it % run.config.eval_interval == 0 or last else None
        if run.sample_every and it % run.sample_every == 0:
            write_sample(run)
        lr = learning_rate(it, run.config)
        offsets = run.corpus.offsets("train", run.batches, B, T)
        parts = offsets.reshape(run.config.accumulate, -1)
        loss, norm = run.step(optimizer.hyper(lr), run.dropout_key(), *parts)
        run.iter += 1
        run.losses.push((it, lr, val), loss, norm)  # some steps later it comes back
        yield from run.records()
    run.losses.drain()
    yield from run.records()
    if run.sample_every and run.iter == run.config.iters:
        write_sample(run)
    run.end()


def training_step(model: GPT, optimizer: AdamW, tokens: Tensor, grad_clip: float) -> Callable:
    """One update of a model on batches of a text: what a step of `train` runs. It gives the loss
    before the update and the gradient's norm, each (1,).
    """
    T = model.config.block_size

    @jit(model.device)  # the first call records the kernels that this runs; later ones replay them
    def step(hyper, dropout_key, *parts):  # of the batch: one, unless it does not fit at once
        model.dropout_key, total = dropout_key, None
        model.zero_grad()
        for model.part, offsets in enumerate(parts):
            x, y = gather_batch(tokens, offsets, T)
            loss = model.loss(x, y)
            if len(parts) > 1:
                loss = loss * (1 / len(parts))  # so that the gradients add up to the batch's mean
            loss.backward()
            total = loss.detach() if total is None else total + loss.detach()
        norm = clip_grad_norm_(model, grad_clip)
        optimizer.step(hyper)
        model.dropout_key, model.part = None, 0  # dropout is for training only
        return total, norm

    return step


def validation_step(model: GPT, tokens: Tensor) -> Callable:
    """The loss of a model on a batch of a text, (1,), with nothing dropped or recorded."""
    T = model.config.block_size

    @jit(model.device)
    def loss(offsets):
        model.dropout_key = None
        with no_grad():
            return model.loss(*gather_batch(tokens, offsets, T))

    return loss


def learning_rate(it: int, config: TrainConfig) -> float:
    """Linear warmup to config.lr over config.warmup iterations, then half a cosine down to
    config.min_lr.
    """
    if it < config.warmup:
        return config.lr * (it + 1) / config.warmup
    progress = (it - config.warmup) / max(1, config.iters - config.warmup)
    return config.min_lr + 0.5 * (1 + math.cos(math.pi * progress)) * (config.lr - config.min_lr)


def evaluate(run: "Run") -> float:
    """The mean loss of the next few validation batches, in nats. Waits for the device."""
    config, T = run.config, run.model.config.block_size
    total = 0.0
    for _ in range(config.eval_batches):
        offsets = run.corpus.offsets("val", run.validation, config.batch_size, T)
        parts = offsets.reshape(config.accumulate, -1)
        total += sum(run.validation_loss(part).item() for part in parts) / len(parts)
    run.val_loss = total / config.eval_batches
    return run.val_loss


def write_sample(run: "Run") -> None:
    """Let the model write, once an iteration at most, and not when it is spoiled. Waits for the
    device.
    """
    done = run.samples and run.samples[-1].iter == run.iter
    if done or (run.val_loss is not None and not math.isfinite(run.val_loss)):
        return
    run.samples.append(samples.write(run.model, run.corpus, run.sampling, run.iter, run.val_loss))


ADAMW = "beta1", "beta2", "eps", "weight_decay"
CAPTURED = "grad_clip", *ADAMW  # settings that are part of the captured step
CODE = "model", "optim", "engine.ops", "engine.tensor"  # modules whose functions it calls


@dataclass
class State:
    """All that the rest of a run depends on, off the device; runs/statefile.py has it as a file."""

    model: GPTConfig
    config: TrainConfig
    first: int  # the iteration it began at: that of the weights it was loaded from, or 0
    iter: int
    val_loss: float | None
    step: int  # AdamW's t
    batches: tuple[int, int, int, int]  # where the stream of training batches is
    validation: tuple[int, int, int, int]  # where the stream of validation batches is
    log: Log
    sampling: tuple[int, int, int, int]  # where the stream of sampled characters is
    samples: list[Sample]  # what it has written so far
    weights: np.ndarray  # float32 (parameters,), in checkpoint order; and so are
    m: np.ndarray  # AdamW's averages of the gradient
    v: np.ndarray  # and of its square
    edits: list[tuple[int, str]] = field(default_factory=list)  # see Run
    changes: list[Change] = field(default_factory=list)  # of `config`, which has them
    sample_every: int = Setup.sample_interval


class NonFiniteLoss(ArithmeticError):
    """The loss of an iteration is infinite or not a number, and so are the weights by now."""

    def __init__(self, record: Record):
        super().__init__(
            f"The loss at iter {record.iter} is {record.train}; training cannot go on from there."
        )
        self.record = record


class Run:
    """A training run: the model, the optimizer and the random streams, and how far they have come.

    `iter` counts the updates made. `log` has a Record of each, from iteration `first` on, and
    `samples` what the model wrote: every `sample_every` iterations (0: never) and at the end.
    `val_loss` is the latest validation loss, or None. `edits` has each change of the code on the
    way: the first iteration that was under it, and its diff; `changes` each of the settings.

    Refused, and nothing is asked of the device, where that cannot train it.
    """

    def __init__(
        self,
        config: TrainConfig,
        corpus: Corpus,
        device: Device,
        model_config: GPTConfig | None = None,
        weights: np.ndarray | None = None,  # to begin with, in place of the seed's
        drawn: Callable[[int, int], None] | None = None,  # see initial_weights
    ):
        self.config, self.corpus, self.device = config, corpus, device
        model_config = model_config or GPTConfig(vocab_size=corpus.vocab_size)
        setup = Setup(model=model_config, train=config)
        cost.check(setup, device, corpus)  # before anything is asked of the device
        if weights is None:
            weights = initial_weights(model_config, config.seed, drawn)
        self.model = GPT(model_config, device, weights)
        self.model.recomputes = cost.recomputes(model_config, config)
        self.optimizer = AdamW(self.model, *(getattr(config, name) for name in ADAMW))
        self.train_tokens, self.val_tokens = device.tensor(corpus.train), device.tensor(corpus.val)
        self.code_hash = code_hash()
        self.training = self.pausing = self.waiting = False  # see pause
        self.sample_every = Setup.sample_interval
        self._start(0, None)
        self._made_of, self._kernels = [], {}  # as `_has_changed` last found them
        if self._has_changed():
            self.recapture()

    def _start(self, it: int, val_loss: float | None) -> None:
        seed = self.config.seed
        self.batches, self.validation = Stream(seed), Stream(f"{seed}:val")
        self.sampling = Stream(f"{seed}:sample")
        self.dropout_seed = cyrb128(f"{seed}:dropout")[0]
        self.first = self.iter = it
        self.val_loss = val_loss
        self.losses = self.device.ring()  # on their way back, so that the GPU never waits for us
        self.log = Log(it)
        self.samples: list[Sample] = []
        self.edits: list[tuple[int, str]] = []
        self.changes: list[Change] = []

    @property
    def train_loss(self) -> float | None:
        """The running average of the training loss, in nats; None at first."""
        return self.log[-1].smooth if self.log else None

    def dropout_key(self) -> np.ndarray:
        """This iteration's key for `ops.dropout`, uint32 (2,)."""
        return np.array([self.dropout_seed, self.iter], np.uint32)

    def records(self) -> Iterator[Record]:
        """Log the losses that have arrived, and yield their Records. NonFiniteLoss if one is
        infinite or not a number.
        """
        while self.losses.arrived:
            (it, lr, val), train, grad_norm = self.losses.arrived.popleft()
            smooth = 0.9 * self.log[-1].smooth + 0.1 * train if self.log else train
            record = Record(it, train, lr, val, grad_norm, smooth)
            if not math.isfinite(train):
                raise NonFiniteLoss(record)
            self.log.append(record)
            yield record

    def pause(self) -> None:
        """Make `train` end after this iteration, once all that is on its way has arrived. If none
        is going on, the next one ends before its first iteration. `pausing` is True from here on,
        until the run goes on.
        """
        self.pausing, self.waiting = True, not self.training

    def begin(self) -> None:
        """What `train` begins with: forget a pause, unless it waits for this call to obey it. What
        was captured is kept, unless what it was made of has changed.
        """
        self.training, self.pausing, self.waiting = True, self.pausing and self.waiting, False
        if self._has_changed():
            self.recapture()

    def _has_changed(self) -> bool:
        """Whether anything that a captured step depends on has changed since the last call: the
        model, the optimizer, the code, the texts or a kernel.
        """
        before, kernels_before = self._made_of, self._kernels
        code = (sys.modules[f"{__package__}.{name}"] for name in CODE)
        given = self.config.grad_clip, self.train_tokens, self.val_tokens
        self._made_of = [*attributes(self.model, self.optimizer, *code), *given]
        self._kernels = dict(self.device.kernels)  # to which more are added as they are needed
        return not (same(before, self._made_of) and kernels_before.items() <= self._kernels.items())

    def end(self) -> None:
        """What `train` ends with. At the last iteration the memory of its step goes."""
        self.training = False
        if self.iter == self.config.iters:
            self.recapture()

    def recapture(self) -> None:
        """Have the Python of the step, and of the validation loss, run again at their next calls,
        as after a change that no attribute shows. What they have captured is freed.
        """
        clip = self.config.grad_clip
        self.step = training_step(self.model, self.optimizer, self.train_tokens, clip)
        self.validation_loss = validation_step(self.model, self.val_tokens)

    def set_lr(self, peak: float) -> None:
        """Change the peak learning rate from the next iteration on, also within `train`. ValueError
        when it is out of range.
        """
        config = with_peak(self.config, peak)
        self.change(lr=config.lr, min_lr=config.min_lr)

    def change(self, **settings: float) -> None:
        """Change settings of the training from the next iteration on, also within `train`: all but
        the SETTLED. ValueError, and nothing changes.
        """
        for name in settings:
            if name in SETTLED or name not in TRAIN_LIMITS:
                raise ValueError(f"{name} cannot change while a run goes on.")
        config = replace(self.config, **settings)
        if config.iters < self.iter:
            raise ValueError(f"iters is {config.iters}, and the run is at iter {self.iter}.")
        for name, new in settings.items():
            if (was := getattr(self.config, name)) != new:
                self.changes.append((self.iter, name, was, new))
        self.config = config
        for name in ADAMW:
            setattr(self.optimizer, name, getattr(config, name))
        if not settings.keys().isdisjoint(CAPTURED):
            self.recapture()

    def checkpoint(self) -> Checkpoint:
        """The weights as they are now, and what a file says of them."""
        return Checkpoint(
            config=self.model.config,
            seed=self.config.seed,
            iter=self.iter,
            val_loss=self.val_loss,
            vocab_hash=self.corpus.vocab_hash,
            created_at=now(),
            weights=self.model.weights(),
            vocab=self.corpus.vocab,
        )

    def load(self, checkpoint: Checkpoint) -> None:
        """Go on from saved weights: the schedule at their iter, but AdamW and the streams from
        their beginning.

        The seed becomes the file's. ValueError, and nothing changes, when the file is of another
        model or vocabulary.
        """
        dropout = self.model.config.dropout  # which a file does not tell, nor the weights need
        if replace(checkpoint.config, dropout=dropout) != self.model.config:
            raise ValueError(
                f"The file is of another model: {checkpoint.config}, not {self.model.config}."
            )
        if checkpoint.vocab_hash != self.corpus.vocab_hash:
            raise ValueError("The file was trained on a text with other characters than this one.")
        self.config = replace(self.config, seed=checkpoint.seed)
        self.model.load(checkpoint.weights)
        self.optimizer.reset()
        self._start(checkpoint.iter, checkpoint.val_loss)

    def state(self) -> State:
        """All that the rest of the run depends on: `restore` on any device continues exactly.

        Waits for the losses that are on their way.
        """
        flats = self.model.flat, self.optimizer.m, self.optimizer.v
        weights, m, v = (self.model.gather(flat) for flat in flats)
        return replace(self.facts(), weights=weights, m=m, v=v)

    def floats(self) -> Iterator[np.ndarray]:
        """The weights, m and v of `state`, one after the other, in pieces: see GPT.pieces."""
        for flat in (self.model.flat, self.optimizer.m, self.optimizer.v):
            yield from self.model.pieces(flat)

    def facts(self) -> State:
        """The `state` but for its weights, m and v, which are empty."""
        self.losses.drain()
        for _ in self.records():
            pass  # each is in the log now
        if self.first + len(self.log) != self.iter:
            raise RuntimeError(
                f"The log has {len(self.log)} records from iter {self.first} on; "
                f"they do not end at iter {self.iter}."
            )
        return State(
            model=self.model.config,
            config=self.config,
            first=self.first,
            iter=self.iter,
            val_loss=self.val_loss,
            step=self.optimizer.t,
            batches=self.batches.state,
            validation=self.validation.state,
            sampling=self.sampling.state,
            log=Log(self.first, self.log),
            samples=list(self.samples),
            **dict.fromkeys(("weights", "m", "v"), np.empty(0, np.float32)),
            edits=list(self.edits),
            changes=list(self.changes),
            sample_every=self.sample_every,
        )

    def restore(self, state: State) -> None:
        """Go back to a `state()`. ValueError, and nothing changes, when it is of another model."""
        if state.model != self.model.config:
            raise ValueError(
                f"The state is of another model: {state.model}, not {self.model.config}."
            )
        self.config = config = state.config
        self._start(state.first, state.val_loss)
        self.iter, self.samples = state.iter, list(state.samples)
        self.log = Log(state.first, state.log)
        self.batches.state, self.validation.state = state.batches, state.validation
        self.sampling.state, self.edits = state.sampling, list(state.edits)
        self.changes, self.sample_every = list(state.changes), state.sample_every
        self.model.load(state.weights)
        self.optimizer = AdamW(self.model, *(getattr(config, name) for name in ADAMW))
        self.optimizer.t = state.step
        self.model.scatter(state.m, self.optimizer.m)
        self.model.scatter(state.v, self.optimizer.v)
