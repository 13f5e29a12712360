"""compare and sweep: several runs side by side, those of files and those of one setting."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import TRAIN_FIELDS
from ..devices.base import DeviceError
from ..labs import chart, compare
from ..labs.curve import read_log
from ..labs.sweep import Sweep, read_values, with_value
from ..runs import statefile
from .inputs import (
    about_file,
    add_command,
    add_device,
    add_text,
    bad_input,
    chosen_device,
    option,
    read_corpus,
)
from .output import require_writable, write
from .terminal import Progress, complain, pause_on_interrupt
from .train import add_start, setup_of

MOST_POINTS = 800  # of a curve in the plot
PLOT = "write the plot to FILE as SVG"


def add_commands(commands: Any) -> None:
    """Add compare and sweep to the parser."""
    add = add_command(
        commands, "compare", compare_command, "Compare the settings and losses of runs."
    )
    about = "file from `train --log`, the page's CSV, or a saved run (.state)"
    add("files", metavar="FILE", nargs="+", help=about)
    add("--all", action="store_true", help="show the settings that do not differ, too")
    add("--plot", metavar="FILE", help=PLOT)

    about = "Train with several values of one setting, and compare the final losses."
    add = add_command(commands, "sweep", sweep_command, about)
    add(
        "--seed",
        metavar="SEED",
        type=str,
        help="seed of all random numbers; any text (default: hamlet)",
    )
    for one in TRAIN_FIELDS:
        add(option(one.name), metavar="X[,X...]", help=f"{one.about}; several values: the sweep")
    add_start(add)
    add_device(add, "train")
    add_text(add, "text to train on")
    add("--plot", metavar="FILE", help=PLOT)


class Side:
    """A file that is compared: its settings, of a saved run, and its losses."""

    def __init__(self, path: str):
        self.name, self.settings = path, {}
        data = Path(path).read_bytes()
        if statefile.is_state(data):
            with about_file(path):
                saved = statefile.loads(data)
            self.settings, log = compare.settings(saved), saved.state.log
            self.iters = saved.state.iter
            self.train = log[-1].smooth if len(log) else None
            self.val = compare.thinned(log, MOST_POINTS, "val")
            self.points = compare.thinned(log, MOST_POINTS)
        else:
            with about_file(path, ValueError):
                curve = read_log(data)
            self.iters, self.train = curve.iter[-1] + 1, curve.train[-1]
            pairs = zip(curve.iter, curve.val, strict=True)
            self.val = [(it, val) for it, val in pairs if val is not None]
            every = -(-len(curve) // MOST_POINTS)
            self.points = [*zip(curve.iter, curve.train, strict=True)][::every]


def compare_command(args: argparse.Namespace) -> int:
    """groundling compare"""
    with bad_input():
        if args.plot:
            require_writable(Path(args.plot), *args.files)
        sides = [Side(path) for path in args.files]
    print(f"{'run':<40}{'iters':>8}{'train':>10}{'validation':>12}{'lowest':>10}{'at iter':>9}")
    for side in sides:
        at, lowest = min(side.val, key=lambda pair: pair[1], default=(None, None))
        last = side.val[-1][1] if side.val else None
        cells = compare.cell(side.train, 10), compare.cell(last, 12), compare.cell(lowest, 10)
        where = "" if at is None else f"{at:,}"
        print(f"{side.name:<40}{side.iters:>8,}{''.join(cells)}{where:>9}".rstrip())
    known = [side for side in sides if side.settings]
    if len(known) > 1:
        print()
        _show_settings(known, args.all)
    if args.plot:
        named = {f"{side.name}": side.points for side in sides}
        write(Path(args.plot), chart.svg(named, "iteration", "training loss, nats").encode())
    return 0


def _show_settings(sides: list[Side], everything: bool) -> None:
    """Print the settings that differ, a block for each; perhaps the others, too."""
    settings = [side.settings for side in sides]
    differing = compare.differing(settings)
    for name in differing:
        print(name)
        for side in sides:
            print(f"    {side.settings.get(name, ''):<40}{side.name}")
    if not differing:
        print(f"All {len(settings[0])} settings are the same.")
    elif everything:
        print("the same in all")
        for name in settings[0]:
            if name not in differing:
                print(f"    {name:<16}{settings[0][name]}")


def sweep_command(args: argparse.Namespace) -> int:
    """groundling sweep"""
    with bad_input():
        if args.plot:
            require_writable(Path(args.plot), *(args.config or ()), *(args.text or ()))
        sweep = _sweep(args)
    count = len(sweep.values)
    print(f"{count} values of {sweep.name} on {sweep.device.description}", file=sys.stderr)
    try:
        trained = iter(sweep.train())
        first = next(trained, None)
        while first is not None:
            run = sweep.run
            print(f"{sweep.name} {first[0].value:g}", file=sys.stderr)
            with pause_on_interrupt(run), Progress(run, sys.stderr) as progress:
                first = _show_run(trained, first, progress)
    except KeyboardInterrupt:
        return complain("interrupted.", code=130)
    except DeviceError as error:
        return complain(error, code=1)
    print(sweep.table())
    if args.plot:
        write(Path(args.plot), sweep.plot().encode())
    if sweep.run:
        return 130
    return 1 if sweep.best is None else 0


def _show_run(trained: Any, first: tuple, progress: Progress) -> tuple | None:
    """Show the records of a run, and return the first one of the next run, if there is one."""
    progress.show(first[1])
    for result, record in trained:
        if result is not first[0]:
            return result, record
        progress.show(record)
    return None


def _sweep(args: argparse.Namespace) -> Sweep:
    """The sweep that the options ask for."""
    setup = setup_of(args)
    given = {one.name: getattr(args, one.name) for one in TRAIN_FIELDS}
    values = {name: read_values(name, text) for name, text in given.items() if text is not None}
    several = [name for name, found in values.items() if len(found) > 1]
    if len(several) != 1:
        told = ", ".join(map(option, several)) or "none"
        raise ValueError(
            "A sweep takes several values of exactly one setting, as in --lr 1e-3,3e-3. Given with "
            f"several values: {told}."
        )
    config = setup.train if args.seed is None else replace(setup.train, seed=args.seed)
    for name, found in values.items():
        if name not in several:
            config = with_value(config, name, found[0])
    corpus = read_corpus(args.text, setup.tokenizer)
    setup = replace(setup, train=config)
    return Sweep(setup, several[0], values[several[0]], corpus, chosen_device(args))
