"""How fast a training step is on a device, and where each millisecond of it goes.

    figures = measure(open_device(), shakespeare())
    print(table(figures))

Everything is measured on runs of its own, which are thrown away.
"""

import json
import platform
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from itertools import pairwise
from statistics import median

import numpy as np

from ..config import GPTConfig, TrainConfig
from ..data import Corpus
from ..devices.base import Device
from ..engine.fuse import JOINED, split
from ..engine.plan import Command
from ..runs.run import Run
from ..runs.writer import generate
from ..train import train

WARMUP = 3  # windows that are not counted: they compile and capture
LEAST = 0.02  # seconds that a kernel is timed for at least, over and over where it is short
CLOCK = 0.25  # of these seconds where the device has a clock of its own, which counts no waiting
WIDTHS = 64, 128, 256, 384
CONTEXTS = 64, 128, 256, 512


def measure(
    device: Device,
    corpus: Corpus,
    batch_size: int = 16,
    windows: int = 12,
    model: GPTConfig | None = None,
) -> dict:
    """What `measuring` ends with."""
    return _ended(measuring(device, corpus, batch_size, windows, model))


def _ended(work: Generator[None, None, dict]) -> dict:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def measuring(
    device: Device,
    corpus: Corpus,
    batch_size: int,
    windows: int,
    model: GPTConfig | None = None,
) -> Generator[None, None, dict]:
    """Train a model for some windows of steps, after three to warm up, and time them. A window is
    the steps that are read back at once. In seconds: `step`, the median over windows; `spread`,
    their tenth and ninetieth percentile; `host`, the time of Python and JavaScript in a step;
    `first`, until the first loss. `dispatches`, `submits`, `bind_groups`, `waits` and `uploaded`
    (bytes) are per step; `memory` is in bytes; `flops` counts matrix products and attention. The
    CPU did a step on `cores`, and two are `gain` times as fast as one; 0 where it is not known. On
    a GPU `host` leaves out the wait for it, and is measured in a model of as many layers whose
    sizes are 1: the same commands, with next to no work. Its whole step is `floor`.
    """
    found = yield from _timed(device, corpus, batch_size, windows, model)
    if device.counts.submits:
        model = model or GPTConfig(vocab_size=corpus.vocab_size)
        least = replace(model, block_size=1, n_head=1, n_embd=1, d_ff=1)
        bare = yield from _timed(device, corpus, 1, 4 * windows, least)
        told = device.products.told, device.attention.told  # "" of edited kernels
        tiles = "; attention in ".join(filter(None, told))
        found |= {"host": bare["host"], "floor": bare["step"], "tiles": tiles}
    return found


def _timed(
    device: Device, corpus: Corpus, batch_size: int, windows: int, model: GPTConfig | None
) -> Generator[None, None, dict]:
    counts, marks, memory = device.counts, [], device.counts.memory
    config = TrainConfig(batch_size=batch_size, eval_interval=10**6, eval_batches=1)
    began = time.perf_counter()
    run = Run(config, corpus, device, model)
    first = 0.0
    training = train(run)
    for record in training:
        yield
        first = first or time.perf_counter() - began
        if not marks or not counts.waited or counts.waited > marks[-1][2]:
            marks.append((time.perf_counter(), record.iter, counts.waited))
            if len(marks) == WARMUP:
                begun, before = run.iter, dict(vars(counts))
            if len(marks) == WARMUP + windows:
                break
    spans = [
        ((t1 - t0) / (i1 - i0), (t1 - t0 - (w1 - w0)) / (i1 - i0))
        for (t0, i0, w0), (t1, i1, w1) in pairwise(marks[WARMUP - 1 :])
    ]
    _land(run, training)
    steps, hosts = zip(*spans, strict=True)
    done = run.iter - begun
    step, sizes = median(steps), run.model.config
    return {
        "device": device.description,
        "model": f"{sizes.n_layer} layers, {sizes.n_head} heads, width {sizes.n_embd}, "
        f"context {sizes.block_size}",
        "batch_size": batch_size,
        "step": step,
        "spread": [float(q) for q in np.quantile(steps, (0.1, 0.9))],
        "host": median(hosts),
        "first": first,
        **{
            name: (getattr(counts, name) - before[name]) / done
            for name in ("dispatches", "submits", "bind_groups", "waits", "uploaded")
        },
        "memory": counts.memory - memory,
        "cores": device.cores,
        "gain": device.gain,
        "tokens_per_second": batch_size * sizes.block_size / step,
        "flops": device.ranks.size * sum(map(flops, device.replayed.commands)),
    }


def _land(run: Run, training: Iterator) -> None:
    """End a training, with nothing left in flight."""
    run.pause()
    for _ in training:
        pass


def flops(command: Command) -> float:
    """The floating-point operations of a command in matrix products and causal attention."""
    if JOINED in command.kernel:
        parts = split(command.kernel, (), command.params, lambda _: 0)
        return sum(flops(Command(name, (), params)) for name, _, params in parts)
    p = command.params
    if command.kernel.startswith("matmul"):
        return 2.0 * p["m"] * p["k"] * p["n"]
    if command.kernel.startswith("layernorm_matmul"):
        return 2.0 * p["rows"] * p["n_embd"] * p["n"]
    if command.kernel.startswith("attention"):
        square = p["batch"] * p["n_head"] * p["time"] ** 2 * p["head_size"]
        return square * (5.0 if "backward" in command.kernel else 2.0)
    return 0.0


def ceilings(device: Device, size: int = 384) -> dict:
    """The device's best `flops` per second (a matrix product) and `bytes` per second (a copy)."""
    a, b, y = (device.empty(size, size) for _ in range(3))
    device.run("fill", a, size=size * size, value=0.5)
    device.run("fill", b, size=size * size, value=0.5)
    sizes = dict(m=size, k=size, n=size, accumulate=0)
    product = _seconds(device, lambda: device.run("matmul_nn", a, b, y, **sizes))
    n = 2**22
    long, other = device.empty(n), device.empty(n)
    device.run("fill", long, size=n, value=1.0)
    copy = dict(size=n, factor=1.0, accumulate=0)
    moved = _seconds(device, lambda: device.run("copy", long, other, **copy))
    return {"flops": 2 * size**3 / product, "bytes": 8 * n / moved}


def profile(
    device: Device, corpus: Corpus, batch_size: int = 16, model: GPTConfig | None = None
) -> Iterator[dict]:
    """Each command of a step: its `kernel`, `line` of Python and `seconds` by itself. Waits."""
    config = TrainConfig(batch_size=batch_size, eval_interval=10**6, eval_batches=1)
    run = Run(config, corpus, device, model)
    training = train(run)
    next(training)
    _land(run, training)
    plan = device.replayed
    for i, command in enumerate(plan.commands):
        if i % 6 == 0:  # gradients that add up over the rounds would grow past all bounds
            device.replay(plan)
        call = lambda c=command: device.run(c.kernel, *c.tensors, **c.params)  # noqa: E731
        yield {
            "kernel": command.kernel,
            "line": command.line,
            "seconds": _seconds(device, call),
            "flops": flops(command),
        }


def sampling(
    device: Device, corpus: Corpus, length: int = 64, model: GPTConfig | None = None
) -> float:
    """Characters per second that a model writes, once it has begun to."""
    config = TrainConfig(batch_size=1, eval_batches=1)
    writer = Run(config, corpus, device, model).model
    generate(writer, corpus, "\n", 8, "warm")
    began = time.perf_counter()
    generate(writer, corpus, "\n", length, "bench")
    return length / (time.perf_counter() - began)


def all_figures(
    device: Device, corpus: Corpus, batch_size: int, model: GPTConfig | None = None
) -> dict:
    """`measure`, `ceilings`, `profile` and `sampling`, one after the other."""
    return {
        "step": measure(device, corpus, batch_size, model=model),
        "ceilings": ceilings(device),
        "commands": list(profile(device, corpus, batch_size, model)),
        "characters_per_second": sampling(device, corpus, model=model),
    }


def report(figures: dict) -> str:
    """`all_figures` for people."""
    best = figures["ceilings"]
    return "\n".join(
        [
            table(figures["step"], best),
            f"  at best   {best['flops'] / 1e9:9.2f} GFLOP/s in a product of matrices, "
            f"{best['bytes'] / 1e9:.2f} GB/s in a copy",
            f"  sampling  {figures['characters_per_second']:9.1f} characters/s",
            "  each kernel by itself:",
            by_kernel(figures["commands"]),
        ]
    )


def by_size(device: Device, corpus: Corpus, batch_size: int = 2, windows: int = 3) -> list[dict]:
    """`measure` for models of several widths, then of several contexts; without a floor."""
    found = []
    for width, context in [(w, 64) for w in WIDTHS] + [(64, c) for c in CONTEXTS[1:]]:
        sizes = dict(n_embd=width, n_head=width // 16, d_ff=4 * width, block_size=context)
        model = GPTConfig(vocab_size=corpus.vocab_size, **sizes)
        found.append(_ended(_timed(device, corpus, batch_size, windows, model)))
    return found


def machine() -> str:
    """This computer, for people."""
    return f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"


def table(m: dict, best: dict | None = None) -> str:
    """What was measured, line by line."""
    low, high = (1000 * q for q in m["spread"])
    rate = m["flops"] / m["step"]
    each = " on each core" * (m["cores"] > 1)  # a product alone is made on one
    cores = [f"  cores     {m['cores']:9}; two are {m['gain']:.2f} times as fast"]
    share = f", {rate / m['cores'] / best['flops']:.0%} of its best product{each}" if best else ""
    return "\n".join(
        [
            f"{m['device']}: {m['model']}, batch {m['batch_size']}",
            f"  step      {1000 * m['step']:9.2f} ms ({low:.2f} to {high:.2f}), "
            f"{m['tokens_per_second']:,.0f} tokens/s, {rate / 1e9:.2f} GFLOP/s{share}",
            *(cores if m["gain"] else ()),
            f"  host      {1000 * m['host']:9.2f} ms of it",
            *_on_a_gpu(m),
            f"  a step    {m['dispatches']:g} dispatches, {m['submits']:g} submits, "
            f"{m['bind_groups']:g} bind groups, {m['uploaded']:,.0f} bytes uploaded, "
            f"{m['waits']:.2g} waits",
            f"  first     {m['first']:9.2f} s to the first loss; {m['memory'] / 1e6:.1f} MB",
        ]
    )


def _on_a_gpu(m: dict) -> list[str]:
    if "floor" not in m:
        return []
    floor = m["floor"]
    return [
        f"  floor     {1000 * floor:9.2f} ms for the same dispatches with next to nothing to do: "
        f"{1 / floor:,.0f} it/s at most",
        f"  tiles     {m['tiles']}",
    ]


def by_kernel(commands: list[dict]) -> str:
    """Where the time goes, kernel by kernel, the longest first."""
    totals: dict[str, list[float]] = {}
    for c in commands:
        times = totals.setdefault(c["kernel"], [])
        times.append(c["seconds"])
    whole = sum(map(sum, totals.values()))
    ordered = sorted(totals.items(), key=lambda item: -sum(item[1]))
    return "\n".join(
        f"  {1000 * sum(times):9.2f} ms {sum(times) / whole:4.0%}  {len(times):2} x {kernel}"
        for kernel, times in ordered
    )


def size_table(rows: list[dict], best: dict) -> str:
    """What each size costs, and what share that is of the device's best product."""
    lines = ["  model                                      ms a step  tokens/s  GFLOP/s  of best"]
    for m in rows:
        rate = m["flops"] / m["step"]
        lines.append(
            f"  {m['model']:40} {1000 * m['step']:11.1f} {m['tokens_per_second']:9,.0f} "
            f"{rate / 1e9:8.2f} {rate / best['flops']:8.0%}"
        )
    return "\n".join(lines)


def dumps(figures: dict) -> str:
    """Figures as JSON, with the machine they are of."""
    return json.dumps({"machine": machine(), **figures}, indent=1)


def _seconds(device: Device, work: Callable[[], None]) -> float:
    """The seconds of some dispatches: the least of three times, without the time of a wait."""

    def wait() -> float:
        device.read(device.one)
        return time.perf_counter()

    def took(rounds: int) -> float:
        def repeat() -> None:
            for _ in range(rounds):
                work()

        if device.has_clock:
            return device.timed(repeat)
        began = time.perf_counter()
        repeat()
        return max(wait() - began - idle, 0.0)

    work()
    wait()
    idle = min(-time.perf_counter() + wait() for _ in range(3))
    rounds, found, least = 1, [], LEAST * (CLOCK if device.has_clock else 1)
    while len(found) < 3:
        seconds = took(rounds)
        if seconds < least and rounds < 1000 and not found:
            rounds *= 4
            continue
        found.append(seconds / rounds)
    return min(found)
