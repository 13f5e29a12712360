"""How long a training step takes on a device, and how much of that is ours, not the GPU's."""

import time
from statistics import median

from .config import TrainConfig
from .corpus import Corpus
from .devices import Device
from .train import Run, train


def measure(device: Device, corpus: Corpus, batch_size: int = 16, steps: int = 12) -> dict:
    """Train the default model for some steps and time them, after three to warm up.

    Seconds: `step` is the median time of a step, `host` the mean time of one that is not spent
    waiting for the device (on NumPy all of it is host). `dispatches` and `submits` are per step.
    """
    warmup, spans, counts = 3, [], device.counts
    last = 0.0
    run = Run(TrainConfig(batch_size=batch_size, eval_interval=10**6), corpus, device)
    for record in train(run):
        now = time.perf_counter()
        if record.iter == warmup:
            start, begun, before = now, run.iter, (counts.dispatches, counts.submits, counts.waited)
        elif record.iter > warmup:
            spans.append(now - last)
        if record.iter == warmup + steps:
            break
        last = now
    done = run.iter - begun
    return {
        "device": device.description,
        "batch_size": batch_size,
        "steps": steps,
        "step": median(spans),
        "host": (now - start - (counts.waited - before[2])) / done,
        "dispatches": (counts.dispatches - before[0]) / done,
        "submits": (counts.submits - before[1]) / done,
        "tokens_per_second": batch_size * run.model.config.block_size / median(spans),
    }
