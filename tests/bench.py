"""Times a training step of the default model on each device here: `python build.py bench`."""

import time

from groundling.config import TrainConfig
from groundling.corpus import shakespeare
from groundling.devices import DeviceError, open_device
from groundling.train import Run, train

SECONDS = 5.0  # to measure for, after the first steps, which compile and capture
FIRST = 3


def step_time(run: Run) -> float:
    """Seconds a step, from the end of the first steps until the last loss has arrived."""
    start = steps = 0
    for record in train(run):
        if record.iter + 1 == FIRST:
            start = time.perf_counter()
        elif start and time.perf_counter() - start > SECONDS:
            run.pause()
        steps = record.iter + 1 - FIRST
    return (time.perf_counter() - start) / steps


def main() -> None:
    corpus = shakespeare()
    for name in ("numpy", "webgpu"):
        try:
            device = open_device(name)
        except DeviceError as error:
            print(f"{name}: {error}")
            continue
        print(f"{name}: {device.description}")
        for batch_size in (8, 16, 32, 64):
            config = TrainConfig(batch_size=batch_size, eval_interval=2000)
            seconds = step_time(Run(config, corpus, device))
            tokens = batch_size * 64 / seconds
            print(
                f"  batch {batch_size:2}: {1000 * seconds:7.1f} ms a step, {1 / seconds:6.1f} it/s,"
                f" {tokens:8,.0f} tokens/s",
                flush=True,
            )


if __name__ == "__main__":
    main()
