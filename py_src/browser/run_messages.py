"""What the page is told of a run, its model and its settings, and the settings that it asks for."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import groundling.config
import groundling.data
import groundling.model
import groundling.runs.samples
from groundling.edits import live
from groundling.engine.parameters import parameter_count

if TYPE_CHECKING:
    from page_run import PageRun
    from wire import Message

    from groundling.config import GPTConfig, TrainConfig
    from groundling.data import Corpus
    from groundling.devices.base import Device
    from groundling.runs.records import Record


DRAWING = 0.1  # seconds between two reports of how many weights are drawn
RATE_WINDOW = 3.0  # seconds that iterations per second are measured over


class Pace:
    """The speed of a run over the last RATE_WINDOW seconds."""

    def __init__(self):
        self.marks: deque[tuple[float, int]] = deque()  # (time, iter)

    def rate(self, now: float, iter: int) -> float | None:
        """Iterations per second of a run that is at this iteration now."""
        self.marks.append((now, iter))
        while len(self.marks) > 3 and now - self.marks[0][0] > RATE_WINDOW:
            self.marks.popleft()
        then, first = self.marks[0]
        return (iter - first) / (now - then) if now > then else None


def drawing(
    post: Callable[[Message], None], clock: Callable[[], float]
) -> Callable[[int, int], None]:
    """Returns a function that posts how many weights are drawn, at intervals."""
    last = clock()

    def drawn(done: int, total: int) -> None:
        nonlocal last
        if (now := clock()) - last > DRAWING:
            last = now
            post({"type": "drawing", "done": done, "total": total})

    return drawn


def adapter(device: Device, missing: str, detail: str) -> Message:
    """A device, and what is missing if it is not the one requested."""
    return {
        "device": device.name,
        "name": device.description,
        "fallback": device.name != "webgpu" or device.is_emulated,
        "missing": missing,
        "detail": detail,
    }


def model_of(config: GPTConfig, corpus: Corpus) -> Message:
    """A model, and the text that it is for."""
    shapes = groundling.model.parameter_shapes(config)
    return {
        "uniformLoss": math.log(config.vocab_size),
        "vocabSize": config.vocab_size,
        "unit": "byte" if corpus.tokenizer == groundling.data.BYTES else "character",
        "opening": groundling.runs.samples.opening(corpus),
        "parameters": parameter_count(shapes),
    }


def progress(page_run: PageRun, elapsed: float, rate: float | None) -> Message:
    """The state of a run after so many seconds at so many iterations per second."""
    run = page_run.run
    tokens = run.config.batch_size * run.model.config.block_size
    val_loss = run.val_loss if run.val_loss is not None and run.val_loss < math.inf else None
    best = getattr(run, "best", None)  # edited code may lack it
    return {
        "iter": page_run.iter,
        "iters": run.config.iters,
        "trainLoss": run.train_loss,
        "valLoss": val_loss,
        "perplexity": perplexity(val_loss),
        "lr": run.log[-1].lr if run.log else None,
        "itersPerSecond": rate,
        "tokensPerSecond": None if rate is None else rate * tokens,
        "elapsed": elapsed,
        "cores": run.device.cores,
        "best": best and {"iter": best.iter, "valLoss": best.val_loss},
    }


def row(record: Record) -> Message:
    """A record as the chart has it."""
    return {name: getattr(record, name) for name in ("iter", "train", "smooth", "lr", "val")}


def perplexity(nats: float | None) -> float | None:
    """exp(loss): the number of equally likely characters. None if it is huge."""
    return math.exp(nats) if nats is not None and nats < 20 else None


def settings(config: TrainConfig) -> Message:
    """The settings that the page's fields show."""
    return {
        "seed": config.seed,
        "iters": config.iters,
        "batchSize": config.batch_size,
        "lr": config.lr,
    }


def limits() -> Message:
    """The ranges of the page's fields; of the seed, the range of its length."""
    known = groundling.config.TRAIN_LIMITS
    return {
        "seed": (0, groundling.config.MAX_SEED),
        "iters": known["iters"],
        "batchSize": known["batch_size"],
        "lr": known["lr"],
    }


def train_config(message: Message, usual: TrainConfig) -> TrainConfig:
    """The page's fields over the usual settings, by the code in force. ValueError."""
    config = replace(
        groundling.config.with_peak(usual, message["lr"]),
        seed=message["seed"],
        iters=message["iters"],
        batch_size=message["batchSize"],
    )
    return live.again(groundling.config.TrainConfig, config)
