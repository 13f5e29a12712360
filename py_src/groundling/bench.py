"""How long a training step takes on a device, and how much of that is ours, not the GPU's."""

import time
from itertools import pairwise
from statistics import median

from .config import TrainConfig
from .corpus import Corpus
from .devices import Device
from .train import Run, train

WARMUP = 3  # windows that are not counted: they compile and capture


def measure(device: Device, corpus: Corpus, batch_size: int = 16, windows: int = 12) -> dict:
    """Train the default model for some windows of steps, and time them after three to warm up.

    A window is what comes back at once: one step where steps are slow, many where they are fast.
    Seconds, each the median over windows: `step` is the time of a step, `host` what of it is not
    spent waiting for the device (on NumPy, all). `dispatches` and `submits` are per step.
    """
    counts, marks = device.counts, []
    run = Run(TrainConfig(batch_size=batch_size, eval_interval=10**6), corpus, device)
    for record in train(run):
        if not marks or not counts.waited or counts.waited > marks[-1][2]:
            marks.append((time.perf_counter(), record.iter, counts.waited))
            if len(marks) == WARMUP:
                begun, dispatches, submits = run.iter, counts.dispatches, counts.submits
            if len(marks) == WARMUP + windows:
                break
    spans = [
        ((t1 - t0) / (i1 - i0), (t1 - t0 - (w1 - w0)) / (i1 - i0))
        for (t0, i0, w0), (t1, i1, w1) in pairwise(marks[WARMUP - 1 :])
    ]
    step, host = (median(column) for column in zip(*spans, strict=True))
    return {
        "device": device.description,
        "batch_size": batch_size,
        "step": step,
        "host": host,
        "dispatches": (counts.dispatches - dispatches) / (run.iter - begun),
        "submits": (counts.submits - submits) / (run.iter - begun),
        "tokens_per_second": batch_size * run.model.config.block_size / step,
    }
