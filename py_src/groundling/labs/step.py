"""One training step taken apart: what every kernel of it was given and made.

    step = take_apart(run)          # the step that `train(run)` would take next
    print(step.loss, [part.kind for part in step.parts])

It is made on a copy of the run, by train.py's own `training_step`, one kernel at a time instead of
captured: an edited model, loop or optimizer is shown as it is, and the run stays as it was.
labs/stages.py tells it in words and figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from .. import train
from ..config import TrainConfig
from ..data import Corpus
from ..devices.tap import Tap
from ..engine.parameters import Module, by_name
from ..engine.plan import Command
from ..engine.tensor import Tensor
from ..runs.configfile import Setup
from ..runs.cost import cost
from ..runs.run import Run
from ..sampling import surprise

MOST_BYTES = 2**28  # that a step may need on the device: its numbers are copied to the host too
Weights = dict[str, np.ndarray]
"""A number for each weight, by the parameter's name, in its shape."""


@dataclass(frozen=True)
class Part:
    """A part of a step, and the kernels that ran in it with the lines of Python that ran them."""

    kind: str  # "batch", "embeddings", "block", "logits", "loss", the same with " back", or so
    block: int | None  # which, of the blocks
    calls: list[tuple[str, str]]  # kernel, and line such as "model.py:105 back"


@dataclass
class Step:
    """A step and its numbers; B sequences of T tokens, C channels, V tokens in the vocabulary."""

    iter: int
    t: int  # AdamW's, of this step
    lr: float
    config: TrainConfig
    corpus: Corpus
    rate: float  # of dropout
    tokens: np.ndarray  # (B, T), and so are the targets; where a batch has parts, the first one's
    targets: np.ndarray
    shares: int  # parts of the batch
    residual: list[np.ndarray]  # (B, T, C) each: before the first block, and after each
    added: list[dict[str, np.ndarray]]  # of each block: what its modules made, by name, (B, T, C)
    logits: np.ndarray  # (B, T, V)
    loss: float
    norm: float  # of the gradient, before it is clipped
    gradients: list[np.ndarray]  # of the loss, by each of `residual`
    by_logits: np.ndarray  # of the loss, by the logits
    before: dict[str, Weights]  # "w", "g", "m", "v"; g before the clip
    after: dict[str, Weights]  # g after the clip
    parts: list[Part]
    written: dict[str, int]  # which of `parts` finished the gradient of a parameter

    @property
    def surprises(self) -> np.ndarray:
        """-ln p of each target, in nats: float64 (B, T)."""
        return surprise(self.logits, self.targets)

    @property
    def log_sums(self) -> np.ndarray:
        """The logarithm of the sum of e^logit at each position: float64 (B, T)."""
        logits = self.logits.astype(np.float64)
        most = logits.max(-1)
        return most + np.log(np.exp(logits - most[..., None]).sum(-1))


def take_apart(run: Run) -> Step:
    """The next step of a run that rests. Waits for the device. ValueError, in a sentence, for what
    cannot be taken apart: a step too large, or code edited so that it has other parts.
    """
    need = cost(Setup(model=run.model.config, train=run.config)).total
    if need > MOST_BYTES:
        raise ValueError(
            f"A step of this model needs {need / 1e6:,.0f} MB on the device, and one of up to "
            f"{MOST_BYTES / 1e6:,.0f} MB can be taken apart. Choose a smaller model or batch."
        )
    if not hasattr(train, "training_step"):
        raise ValueError("train.py is edited: it has no training_step that could be taken apart.")
    state = run.state()
    double = Run(run.config, run.corpus, run.device, run.model.config, state.weights)
    double.restore(state)
    double.model.recomputes = False
    model, optimizer, device = double.model, double.optimizer, double.device
    watch = _Watch(double)
    before = watch.weights()
    lr = train.learning_rate(run.iter, run.config)
    offsets = double.offsets("train", double.batches).reshape(run.config.accumulate, -1)
    captures, device.capturing_enabled = device.capturing_enabled, False
    try:
        with Tap(device, watch.note), watch.hooks():
            step = train.training_step(double)
            loss, norm = step(optimizer.advance(lr), double.dropout_key(), *offsets)
        after = watch.weights() | {"g": by_name(model.gather(model.flat_grad), model.shapes)}
        figures = loss.item(), norm.item()
        if not all(map(math.isfinite, figures)):
            raise ValueError("The numbers of this step are not finite: there is nothing to see.")
    finally:
        device.capturing_enabled = captures
    parts, written = watch.parts()
    return Step(
        iter=run.iter,
        t=optimizer.t,
        lr=lr,
        config=run.config,
        corpus=run.corpus,
        rate=model.config.dropout,
        shares=len(offsets),
        loss=figures[0],
        norm=figures[1],
        before=before | {"g": watch.gradient},
        after=after,
        parts=parts,
        written=written,
        **watch.numbers(),
    )


@dataclass
class _Watch:
    """What is seen of a step as it runs: outputs of modules, gradients, and where each came."""

    run: Run
    calls: list[Command] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)  # by event: how many calls came before it
    seen: dict[str, np.ndarray] = field(default_factory=dict)  # outputs, inputs and gradients
    gradient: Weights = field(default_factory=dict)  # before the clip
    grads: dict[int, str] = field(default_factory=dict)  # by a tensor's id: whose gradient it holds
    last: dict[str, int] = field(default_factory=dict)  # by parameter: what wrote its gradient last

    def __post_init__(self) -> None:
        model = self.run.model
        self.blocks = [
            each
            for value in vars(model).values()
            for each in (value if isinstance(value, list) else [])
            if isinstance(each, Module)
        ]
        if not self.blocks:
            raise ValueError("This model has no list of blocks: its step cannot be taken apart.")
        self.grads = {id(each.grad): name for name, each in model.parameters.items()}
        self.behind = False  # whether the last kernel was of the backward pass

    def weights(self) -> dict[str, Weights]:
        """w, m and v as they are now."""
        model, optimizer = self.run.model, self.run.optimizer
        flats = {"w": model.flat, "m": optimizer.m, "v": optimizer.v}
        return {name: by_name(model.gather(flat), model.shapes) for name, flat in flats.items()}

    def note(self, call: Command) -> None:
        """Hear of a kernel that is about to run."""
        if call.line.endswith(" back"):
            self.behind = True
            for tensor in call.tensors if "behind" not in self.places else ():
                if name := self.grads.get(id(tensor)):
                    self.last[name] = len(self.calls)
        elif self.behind:  # all parameters have their gradients, and nothing was done with them
            self.behind = False
            self.places.setdefault("behind", len(self.calls))
            self.places["clip"] = len(self.calls)
            model = self.run.model
            self.gradient = by_name(model.gather(model.flat_grad), model.shapes)
            for name, parameter in model.parameters.items():
                if not parameter.has_grad:  # what is there is of no step
                    self.gradient[name][:] = 0
        self.calls.append(Command(call.kernel, (), {}, call.line))

    @contextmanager
    def hooks(self) -> Iterator[None]:
        """Watch the modules, the loss and the optimizer in a `with` block."""
        model, optimizer = self.run.model, self.run.optimizer
        hooked = [self._hook(model, "forward", "logits"), self._hook(model, "loss", "loss")]
        hooked.append(self._hook(optimizer, "step", "adamw"))
        for i, block in enumerate(self.blocks):
            hooked.append(self._hook(block, "forward", f"block {i}"))
            for name, part in vars(block).items():
                if isinstance(part, Module):
                    hooked.append(self._hook(part, "forward", f"block {i} {name}"))
        try:
            yield
        finally:
            for thing, method in hooked:
                vars(thing).pop(method, None)

    def _hook(self, thing: object, method: str, name: str) -> tuple[object, str]:
        """Watch a method: its inputs, its result, and when it begins and ends; the first time."""
        function: Callable = getattr(thing, method)

        def noting(*inputs: Tensor, **more: object) -> Tensor:
            if f"{name} begins" in self.places:
                return function(*inputs, **more)
            self.places[f"{name} begins"] = len(self.calls)
            if name in ("loss", "block 0"):  # what goes into another module came out of one
                for i, x in enumerate(inputs):
                    self._see(x, f"{name} {i}")
            y = function(*inputs, **more)
            self.places[f"{name} ends"] = len(self.calls)
            self._see(y, name)
            return y

        setattr(thing, method, noting)
        return thing, method

    def _see(self, tensor: object, name: str) -> None:
        """Copy a tensor, and its gradient when the backward pass has it."""
        if not isinstance(tensor, Tensor):
            return
        self.seen[name] = tensor.numpy()

        def note(dy: Tensor) -> None:
            self.places[f"{name} back"] = len(self.calls)
            self.seen[f"{name} back"] = dy.numpy()

        tensor.register_hook(note)

    def _all(self, names: list[str]) -> list[np.ndarray]:
        try:
            return [self.seen[name] for name in names]
        except KeyError as error:
            raise _lacks(error.args[0]) from None

    def numbers(self) -> dict:
        """The fields of a Step that were seen."""
        stream = ["block 0 0", *(f"block {i}" for i in range(len(self.blocks)))]
        tokens, targets, logits, by_logits = self._all(
            ["loss 0", "loss 1", "logits", "logits back"]
        )
        residual = self._all(stream)
        return {
            "tokens": tokens,
            "targets": targets,
            "residual": residual,
            "added": [
                {
                    key.removeprefix(f"block {i} "): x
                    for key, x in self.seen.items()  # in the order in which they came
                    if key.startswith(f"block {i} ") and key not in stream
                    if not key.endswith(" back") and x.shape == residual[0].shape
                }
                for i in range(len(self.blocks))
            ],
            "logits": logits,
            "by_logits": by_logits,
            "gradients": self._all([f"{name} back" for name in stream]),
        }

    def parts(self) -> tuple[list[Part], dict[str, int]]:
        """The parts of the step, and in which of them each gradient was finished."""
        count = len(self.blocks)
        bounds = [("batch", None, "loss begins"), ("embeddings", None, "block 0 begins")]
        bounds += [("block", i, f"block {i} ends") for i in range(count)]
        bounds += [("logits", None, "logits ends"), ("loss", None, "loss ends")]
        bounds += [("logits back", None, f"block {count - 1} back")]
        bounds += [("block back", i, f"block {i - 1} back") for i in range(count - 1, 0, -1)]
        bounds += [("block back", 0, "block 0 0 back"), ("embeddings back", None, "behind")]
        bounds += [("clip", None, "adamw begins"), ("adamw", None, "adamw ends")]
        found, ends, at = [], [], 0
        for kind, block, end in bounds:
            if end not in self.places:
                raise _lacks(kind)
            at = self.places["clip"] if kind == "clip" else at
            calls = self.calls[at : self.places[end]]
            found.append(Part(kind, block, [(call.kernel, call.line) for call in calls]))
            at = max(at, self.places[end])
            ends.append(at)
        written = {
            name: next((i for i, end in enumerate(ends) if place < end), len(ends) - 1)
            for name, place in self.last.items()
        }
        return found, written


def _lacks(part: str) -> ValueError:
    return ValueError(
        f"The code is edited: the part “{part}” of its step was not found, so that it cannot be "
        "taken apart."
    )
