"""presets, doctor, twin and bench: cost, diagnosis, comparison and timing of training."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import TrainConfig
from ..data import shakespeare
from ..devices.base import DeviceError
from ..devices.limits import limits
from ..labs import bench, doctor, parity
from ..labs.curve import read_log
from ..labs.diagnosis import diagnose
from ..labs.twin import ITERS, Twin, feeds
from ..runs import presets
from ..runs.run import NonFiniteLoss
from .inputs import (
    DEFAULT,
    about_file,
    add_command,
    add_device,
    add_text,
    bad_input,
    chosen_device,
    read_corpus,
)
from .output import require_writable, write
from .terminal import Progress, complain
from .train import add_preset, preset_of


def add_commands(commands: Any) -> None:
    """Add presets, doctor, twin and bench to the parser."""
    about = "List the presets with their memory and time per step."
    add_device(add_command(commands, "presets", presets_command, about))

    add = add_command(commands, "doctor", doctor_command, "Diagnose a loss curve.")
    add("log", metavar="LOG", nargs="?", help="file from `train --log`, or the page's CSV")
    about = f"train and diagnose an example: {', '.join(doctor.CASES)}"
    add("--case", metavar="NAME", choices=doctor.CASES, help=about)
    about = f"number of training iterations of the case {DEFAULT}"
    add("--iters", metavar="N", type=int, default=doctor.ITERS, help=about)
    add_device(add, "train")

    add = add_command(commands, "twin", twin_command, "Train with two seeds and compare the bytes.")
    for name in "ab":
        about = f"seed of run {name} {DEFAULT}"
        add(f"--seed-{name}", metavar="SEED", type=str, default=TrainConfig.seed, help=about)
    about = f"number of training iterations {DEFAULT}"
    add("--iters", metavar="N", type=int, default=ITERS, help=about)
    add_device(add, "train")
    add_text(add, "text to train on")

    add = add_command(commands, "bench", bench_command, "Time a training step and its parts.")
    add_preset(add, "model to train")
    about = "sequences per iteration (default: the preset's)"
    add("--batch-size", metavar="N", type=int, help=about)
    about = "time wider models and longer contexts instead, at batch 2"
    add("--sizes", action="store_true", help=about)
    about = "first check every kernel and form on a GPU, and time the forms"
    add("--check", action="store_true", help=about)
    add("--json", metavar="FILE", help="also write the results to FILE as JSON")
    add_device(add)


def presets_command(args: argparse.Namespace) -> int:
    """groundling presets"""
    with bad_input():
        device = chosen_device(args)
        rows = presets.table(limits(device), presets.rate(device))
    heads = ("preset", "layers", "heads", "width", "context", "parameters", "weights", "gradients")
    heads += ("m and v", "activations", "GFLOP/step", "s/step")
    line = "{:<12}{:>7}{:>6}{:>6}{:>8}{:>13}{:>11}{:>11}{:>11}{:>13}{:>12}{:>9}"
    print(line.format(*heads))
    for row in rows:
        shape = (row[name] for name in ("name", "layers", "heads", "width", "context"))
        parts = "weights", "weights", "moments", "activations"
        sizes = (f"{row[name] / 1e6:,.1f} MB" for name in parts)
        costs = f"{row['flops'] / 1e9:,.2f}", f"{row['seconds']:.3g}"
        print(line.format(*shape, f"{row['parameters']:,}", *sizes, *costs))
        if row["recomputed"]:
            print(f"{'':<12}activations are recomputed in the backward pass")
        if row["refusal"]:
            print(f"{'':<12}cannot be trained here: {row['refusal']}")
    print(f"\nBatch sizes are the presets'. Times are estimates for {device.description}.")
    return 0


def doctor_command(args: argparse.Namespace) -> int:
    """groundling doctor"""
    with bad_input():
        if (args.log is None) == (args.case is None):
            raise ValueError("Give either LOG or --case.")
        if args.log:
            with about_file(args.log, ValueError):
                curve = read_log(Path(args.log).read_bytes())
        else:
            case, device = doctor.CASES[args.case], chosen_device(args)
            exam = doctor.Examination(case, shakespeare(), device, args.iters)
    if args.case:
        print(f"{case.wrong} {args.iters} iterations on {device.description}", file=sys.stderr)
        try:
            with Progress(exam.run, sys.stderr) as progress:
                for record in exam.train():
                    progress.show(record)
        except DeviceError as error:
            return complain(error, code=1)
        curve = exam.curve
    verdict = diagnose(curve)
    print(f"{verdict.title}. {verdict.says}")
    print()
    for what, value in verdict.evidence:
        print(f"{what:<20} {value}")
    print()
    print(verdict.change)
    if options := [f"--{name} {value:g}" for name, value in verdict.fix.items()]:
        print(f"Try: groundling train {' '.join(options)}")
    return 0 if verdict.healthy else 1


def twin_command(args: argparse.Namespace) -> int:
    """groundling twin"""
    with bad_input():
        seeds, device = (args.seed_a, args.seed_b), chosen_device(args)
        twin = Twin(seeds, read_corpus(args.text), device, args.iters)
    print(f"{args.iters} iterations each on {device.description}")
    for seed in dict.fromkeys(seeds):
        print(f"{seed!r} decides " + ";\n    ".join(feeds(seed)))
    print()
    print(f"{'iter':>6}  {'loss a':>9}  {'loss b':>9}")
    every = max(1, args.iters // 8)
    try:
        for a, b in twin.train():
            if a.iter % every == 0 or a.iter in (args.iters - 1, twin.parted):
                mark = "  differ" if a != b else ""
                print(f"{a.iter:>6}  {a.train:>9.5f}  {b.train:>9.5f}{mark}", flush=True)
    except (NonFiniteLoss, DeviceError) as error:
        return complain(error, code=1)
    verdict = twin.verdict()
    print()
    for i, name in enumerate("ab"):
        print(f"{name}  .bin     sha256 {verdict.files[i]}")
        print(f"   weights  sha256 {verdict.weights[i]}")
    print()
    print(verdict)
    return 0 if verdict.identical else 1


def bench_command(args: argparse.Namespace) -> int:
    """groundling bench"""
    with bad_input():
        if args.sizes and (args.preset or args.batch_size is not None):
            raise ValueError("--sizes cannot be used with --preset or --batch-size.")
        setup = preset_of(args)
        batch_size = setup.train.batch_size if args.batch_size is None else args.batch_size
        replace(setup.train, batch_size=batch_size)
        if args.json:
            require_writable(Path(args.json))
        device, corpus = chosen_device(args), shakespeare(setup.tokenizer)
        model, ranks = setup.on(corpus).model, device.ranks
        if args.check and device.name != "webgpu":
            raise ValueError("--check is of WebGPU's kernels: add --device webgpu.")
    about = bench.machine() + (f", {ranks.size} processes" if ranks.size > 1 else "")
    checks = {}
    try:
        if args.check:
            checks = parity.everything(device)
            print(parity.told(checks))
        if args.sizes:
            figures = {"ceilings": bench.ceilings(device), "sizes": bench.by_size(device, corpus)}
            print(f"{about}; {device.description}; batch 2")
            print(bench.size_table(figures["sizes"], figures["ceilings"]))
        elif ranks.size > 1:  # a kernel that is timed by itself would wait for the other processes
            figures = {"step": bench.measure(device, corpus, batch_size, model=model)}
            print(f"{about}\n{bench.table(figures['step'])}")
        else:
            figures = bench.all_figures(device, corpus, batch_size, model)
            print(f"{about}\n{bench.report(figures)}")
    except DeviceError as error:
        return complain(error, code=1)
    if args.json and ranks.rank == 0:
        write(Path(args.json), bench.dumps({**checks, **figures}).encode())
    return 0 if all(row["ok"] for row in checks.get("kernels", []) + checks.get("forms", [])) else 1
