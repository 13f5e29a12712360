"""A training run: the model, the optimizer, the random streams and the progress."""

import math
import sys
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field, fields, replace
from types import ModuleType
from typing import Literal

import numpy as np

from ..config import CHANGEABLE, Change, GPTConfig, TrainConfig, with_peak
from ..data import Corpus
from ..devices.base import Device
from ..devices.ranks import Ranks
from ..model import GPT, initial_weights
from ..optim import AdamW
from ..rng import Stream, cyrb128
from ..sources import PACKAGE, code_hash
from . import cost, samples
from .checkpoint import Checkpoint, now
from .configfile import Setup
from .records import Log, Record
from .samples import Sample

ADAMW = "beta1", "beta2", "eps", "weight_decay"
CAPTURED = "grad_clip", *ADAMW  # settings that are part of the captured step
CODE = "model", "optim", "engine.ops", "engine.tensor"  # modules whose functions it calls
STREAMS = "batches", "validation", "sampling"


@dataclass(frozen=True)
class Origin:
    """The file of weights that a run began with, where it did not begin with those of its seed."""

    weights: str  # SHA-256 of the file's weights
    seed: str  # of the file
    iter: int
    drawn: str  # the text's characters that the file lacks: their rows were drawn from the seed


@dataclass(eq=False, repr=False)
class Progress:
    """The progress of a run, without its weights and streams."""

    first: int = 0  # the iteration it began at: 0, or that of the weights file it was loaded from
    iter: int = 0  # updates made
    val_loss: float | None = None  # the latest validation loss, nats
    log: Log = field(default_factory=Log)  # a Record of each iteration from `first` on
    samples: list[Sample] = field(default_factory=list)  # text that the model wrote during training
    edits: list[tuple[int, str]] = field(default_factory=list)
    """Each change of the code: the first iteration that used it, and its diff."""
    changes: list[Change] = field(default_factory=list)  # of the settings
    sample_every: int = Setup.sample_interval  # iterations; 0: never
    origin: Origin | None = None  # None if it began with the weights of its seed

    def progress(self) -> dict:
        """A copy of each field of this class, by name."""
        return {each.name: copy(getattr(self, each.name)) for each in fields(Progress)}


@dataclass(kw_only=True)
class State(Progress):
    """All that the rest of a run depends on, on the host. statefile.py stores it in a file."""

    model: GPTConfig
    config: TrainConfig
    step: int  # AdamW's t
    batches: tuple[int, int, int, int]  # where the stream of training batches is
    validation: tuple[int, int, int, int]  # where the stream of validation batches is
    sampling: tuple[int, int, int, int]  # where the stream of sampled characters is
    weights: np.ndarray  # float32 (parameters,), in checkpoint order; and so are
    m: np.ndarray  # AdamW's averages of the gradient
    v: np.ndarray  # and of its square


class NonFiniteLoss(ArithmeticError):
    """The loss of an iteration is infinite or NaN, and by then so are the weights."""

    def __init__(self, record: Record):
        super().__init__(
            f"The loss at iter {record.iter} is {record.train}; training cannot go on from there."
        )
        self.record = record


class Run(Progress):
    """A training run on a device: `config`, `model`, `optimizer`, and its progress.

    Raises Refused, before any memory is allocated, if the device cannot train it.
    """

    def __init__(
        self,
        config: TrainConfig,
        corpus: Corpus,
        device: Device,
        model_config: GPTConfig | None = None,
        weights: np.ndarray | None = None,  # initial weights, instead of those drawn from the seed
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
        share = config.batch_size // device.ranks.size
        batch = np.zeros(share * (model_config.block_size + 1), np.uint32)
        self.train_tokens, self.val_tokens = (
            device.tensor(batch if corpus.on_disk else tokens)  # see offsets
            for tokens in (corpus.train, corpus.val)
        )
        self.code_hash = code_hash()
        self.training = self.pausing = self.waiting = False  # see pause
        self.keeps_best = False  # whether `evaluated` sets `best`
        self.patience = 0  # evaluations in a row without a better loss before a pause; 0: any
        self._start(Progress())
        self._made_of, self._kernels = [], {}  # as `_has_changed` last found them
        self._has_changed()
        self.recapture()

    def _start(self, progress: Progress) -> None:
        """Set the progress, and each random stream to its beginning."""
        seed = self.config.seed
        self.batches, self.validation = Stream(seed), Stream(f"{seed}:val")
        self.sampling = Stream(f"{seed}:sample")
        self.dropout_seed = cyrb128(f"{seed}:dropout")[0]
        self.losses = self.device.ring()  # being read back, so that the GPU is never idle
        vars(self).update(progress.progress())
        self.best: Checkpoint | None = None  # the weights of the lowest validation loss
        losses = self.log.column("val")
        losses = losses[~np.isnan(losses)]
        # the lowest of all validation losses, and how many have followed it
        self.lowest = float(losses.min(initial=math.inf))
        self.worse = len(losses) - 1 - int(losses.argmin()) if len(losses) else 0

    @property
    def ranks(self) -> Ranks:
        """The processes that train this run together."""
        return self.device.ranks

    # ---- what `train` uses -----------------------------------------------------------------------

    def begin(self) -> None:
        """`train` calls this first. It clears a pause, except one that was requested before `train`
        was, and drops the captured functions if anything that they depend on has changed.
        """
        self.training, self.pausing, self.waiting = True, self.pausing and self.waiting, False
        if self._has_changed():
            self.recapture()

    def end(self) -> None:
        """`train` calls this last. After the last iteration it frees the memory of the step."""
        self.training = False
        if self.iter == self.config.iters:
            self.recapture()

    def pause(self) -> None:
        """Make `train` end after the current iteration, once all losses have been read back. If it
        is not running, the next call ends before its first iteration. `pausing` is True until the
        run continues.
        """
        self.pausing, self.waiting = True, not self.training

    def captured(self, make: Callable[["Run"], Callable]) -> Callable:
        """The jitted function make(self), which is kept until `recapture`."""
        if make not in self._captured:
            self._captured[make] = make(self)
        return self._captured[make]

    def recapture(self) -> None:
        """Drop the captured functions and their memory; the next call runs their Python again."""
        self._captured: dict[Callable, Callable] = {}

    def _has_changed(self) -> bool:
        """Whether what a captured step depends on (model, code, texts, kernels) has changed."""
        before, kernels_before = self._made_of, self._kernels
        code = (sys.modules[f"{PACKAGE}.{name}"] for name in CODE)
        given = self.config.grad_clip, self.train_tokens, self.val_tokens
        self._made_of = [*attributes(*self.model.modules(), self.optimizer, *code), *given]
        self._kernels = dict(self.device.kernels)  # to which more are added as they are needed
        return not (same(before, self._made_of) and kernels_before.items() <= self._kernels.items())

    def offsets(self, split: Literal["train", "val"], stream: Stream) -> np.ndarray:
        """Where the sequences of the next batch, or this process's share of them, begin in
        `train_tokens` or `val_tokens`: uint32 (batch_size / ranks.size,). A text on disk is not on
        the device: the sequences are copied there first.
        """
        B, T = self.config.batch_size, self.model.config.block_size
        offsets = self.ranks.share(self.corpus.offsets(split, stream, B, T))
        if not self.corpus.on_disk:
            return offsets
        tokens = {"train": self.train_tokens, "val": self.val_tokens}[split]
        self.device.write(tokens, self.corpus.sequences(split, offsets, T).ravel())
        return np.arange(len(offsets), dtype=np.uint32) * (T + 1)

    def dropout_key(self) -> np.ndarray:
        """This iteration's key for `ops.dropout`, uint32 (2,)."""
        return np.array([self.dropout_seed, self.iter], np.uint32)

    def records(self) -> Iterator[Record]:
        """Log the losses that have arrived, and yield their Records. NonFiniteLoss."""
        while self.losses.arrived:
            (it, lr, val), train, grad_norm = self.losses.arrived.popleft()
            smooth = 0.9 * self.log[-1].smooth + 0.1 * train if self.log else train
            record = Record(it, train, lr, val, grad_norm, smooth)
            if not math.isfinite(train):
                raise NonFiniteLoss(record)
            self.log.append(record)
            yield record

    def evaluated(self, loss: float) -> None:
        """`evaluate` calls this with the validation loss of the current weights: they are kept if
        it is the lowest and `keeps_best`, and the run is paused when its patience ends.
        """
        self.val_loss = loss
        self.worse += 1
        if loss < self.lowest:
            self.lowest, self.worse = loss, 0
            if self.keeps_best:
                self.best = self.checkpoint()
        if self.patience and self.worse >= self.patience:
            self.pause()

    def write_sample(self) -> None:
        """Add a sample, at most one an iteration, if the validation loss is finite. Waits."""
        done = self.samples and self.samples[-1].iter == self.iter
        if done or (self.val_loss is not None and not math.isfinite(self.val_loss)):
            return
        sample = samples.write(self.model, self.corpus, self.sampling, self.iter, self.val_loss)
        self.samples.append(sample)

    @property
    def train_loss(self) -> float | None:
        """The running average of the training loss, in nats; None at first."""
        return self.log[-1].smooth if self.log else None

    # ---- settings --------------------------------------------------------------------------------

    def set_lr(self, peak: float) -> None:
        """Change the peak learning rate from the next iteration on. ValueError if out of range."""
        config = with_peak(self.config, peak)
        self.change(lr=config.lr, min_lr=config.min_lr)

    def change(self, **settings: float) -> None:
        """Change settings, except SETTLED ones, from the next iteration on. ValueError."""
        for name in settings:
            if name not in CHANGEABLE:
                raise ValueError(f"{name} cannot change while a run goes on.")
        config = replace(self.config, **settings)
        if config.iters < self.iter:
            raise ValueError(f"iters is {config.iters}, and the run is at iter {self.iter}.")
        for name in settings:
            was, new = getattr(self.config, name), getattr(config, name)
            if was != new:
                self.changes.append((self.iter, name, was, new))
        self.config = config
        for name in ADAMW:
            setattr(self.optimizer, name, getattr(config, name))
        if not settings.keys().isdisjoint(CAPTURED):
            self.recapture()

    # ---- out and in ------------------------------------------------------------------------------

    def checkpoint(self) -> Checkpoint:
        """The current weights with the metadata of a `.bin` file."""
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
        """Continue from saved weights, at their iteration of the schedule, with the file's seed.
        AdamW and the random streams start anew. ValueError, and nothing changes, if the file is of
        another model or vocabulary.
        """
        dropout = self.model.config.dropout  # not stored in the file
        if replace(checkpoint.config, dropout=dropout) != self.model.config:
            raise ValueError(
                f"The file is of another model: {checkpoint.config}, not {self.model.config}."
            )
        if checkpoint.vocab_hash != self.corpus.vocab_hash:
            raise ValueError("The file was trained on a text with other characters than this one.")
        self.config = replace(self.config, seed=checkpoint.seed)
        self.model.load(checkpoint.weights)
        self.optimizer.reset()
        at, every = checkpoint.iter, self.sample_every
        self._start(Progress(at, at, checkpoint.val_loss, Log(at), sample_every=every))

    def state(self) -> State:
        """What `restore` needs to continue exactly, on any device. Waits for losses being read."""
        flats = self.model.flat, self.optimizer.m, self.optimizer.v
        weights, m, v = (self.model.gather(flat) for flat in flats)
        return replace(self.facts(), weights=weights, m=m, v=v)

    def floats(self) -> Iterator[np.ndarray]:
        """The weights, m and v of `state`, in this order, in pieces: see Model.pieces."""
        for flat in (self.model.flat, self.optimizer.m, self.optimizer.v):
            yield from self.model.pieces(flat)

    def facts(self) -> State:
        """The `state` with empty weights, m and v."""
        self.losses.drain()
        for _ in self.records():
            pass  # each is in the log now
        if self.first + len(self.log) != self.iter:
            raise RuntimeError(
                f"The log has {len(self.log)} records from iter {self.first} on; "
                f"they do not end at iter {self.iter}."
            )
        return State(
            **self.progress(),
            model=self.model.config,
            config=self.config,
            step=self.optimizer.t,
            **{name: getattr(self, name).state for name in STREAMS},
            **dict.fromkeys(("weights", "m", "v"), np.empty(0, np.float32)),
        )

    def restore(self, state: State) -> None:
        """Set the run to a `state()`. ValueError, and nothing changes, if the model is another."""
        if state.model != self.model.config:
            raise ValueError(
                f"The state is of another model: {state.model}, not {self.model.config}."
            )
        self.config = state.config
        self._start(state)
        for name in STREAMS:
            getattr(self, name).state = getattr(state, name)
        self.model.load(state.weights)
        self.optimizer = AdamW(self.model, *(getattr(self.config, name) for name in ADAMW))
        self.optimizer.t = state.step
        self.model.scatter(state.m, self.optimizer.m)
        self.model.scatter(state.v, self.optimizer.v)


def begin(
    setup: Setup,
    corpus: Corpus,
    device: Device,
    drawn: Callable[[int, int], None] | None = None,
) -> Run:
    """A new run of a setup on a text; `drawn` is told how many initial weights there are so far.

    Raises ValueError if the text has another tokenizer, and Refused if the device cannot train it.
    """
    setup = setup.on(corpus)
    run = Run(setup.train, corpus, device, setup.model, drawn=drawn)
    run.sample_every = setup.sample_interval
    return run


def attributes(*things: object) -> list:
    """The names and values of the attributes of modules, and of objects and their classes; of a
    dictionary or list also the items. Two such lists are the `same` if nothing was set in between.
    `t`, an optimizer's count of its steps, is left out.
    """
    found: list = []
    for thing in things:
        named = list(vars(thing).items())
        if not isinstance(thing, ModuleType):
            named += vars(type(thing)).items()
        for name, value in named:
            if name != "t" and not name.startswith("__"):
                items = value if isinstance(value, list | tuple) else [value]
                items = [*value, *value.values()] if isinstance(value, dict) else items
                found += [name, *items]
    return found


def same(these: list, those: list) -> bool:
    """Whether two lists have the very same objects."""
    return len(these) == len(those) and all(a is b for a, b in zip(these, those, strict=True))
