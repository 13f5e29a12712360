"""Train a GPT, let it write, and look inside its file, from the command line.

groundling train [--seed S] [--iters N] [--batch-size B] [--lr MAX] [--min-lr MIN] [--warmup W]
                 [--device auto|webgpu|numpy] [--corpus TEXT] [--out FILE] [--log FILE.jsonl]
groundling sample FILE [--prompt P] [--seed S] [--temperature T] [--top-k K] [--top-p P]
                       [--length N] [--corpus TEXT]
groundling inspect FILE

Ctrl-C ends the training after the iteration it is in and keeps what was learned. The exit code is
0; 1 when the training failed; 2, with one sentence, when the input is at fault; 130 after Ctrl-C.
"""

import argparse
import hashlib
import json
import math
import os
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TextIO

from . import __version__, checkpoint
from .checkpoint import HEADER_BYTES, Checkpoint, CheckpointError
from .config import TrainConfig
from .corpus import Corpus, shakespeare
from .devices import DeviceError, open_device
from .model import GPT, parameter_shapes
from .sampling import stream
from .train import NonFiniteLoss, Record, Run, train

PROMPT_LENGTH = 32  # characters of the validation text that a sample follows by default


def main(argv: list[str] | None = None) -> int:
    """Run a command; the exit code."""
    args = _parser().parse_args(argv)
    try:
        return args.command(args)
    except BadInput as error:
        return _complain(error, code=2)
    except KeyboardInterrupt:
        return _complain("stopped; nothing was written.", code=130)
    except BrokenPipeError:  # of `groundling inspect FILE | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def train_command(args: argparse.Namespace) -> int:
    """groundling train"""
    with bad_input():
        config = TrainConfig(
            seed=args.seed,
            iters=args.iters,
            batch_size=args.batch_size,
            lr=args.lr,
            min_lr=args.min_lr,
            warmup=args.warmup,
        )
        out = Path(args.out or checkpoint.file_name(config.seed, config.iters))
        _require_writable(out)
        run = Run(config, _corpus(args.corpus), open_device(args.device))
        log_path = Path(args.log or os.devnull)
        log_path.write_bytes(b"")  # a path that cannot be written shows here, not after the start
    print(
        f"{len(run.model.weights()):,} parameters, seed {config.seed!r}, {config.iters:,} iters of "
        f"{config.batch_size} x {run.model.config.block_size} characters; {run.device.description}",
        file=sys.stderr,
    )
    try:
        with (
            pause_on_interrupt(run),
            log_path.open("w", encoding="ascii") as log,
            Progress(run, sys.stderr) as progress,
        ):
            for record in train(run):
                print(log_line(record), file=log, flush=True)
                progress.show(record)
    except NonFiniteLoss as error:
        return _complain(f"{error} Nothing was written. A lower --lr may help.", code=1)
    except DeviceError as error:
        return _complain(f"{error} Nothing was written.", code=1)
    ended_early = run.iter < config.iters
    if ended_early and not args.out:
        out = Path(checkpoint.file_name(config.seed, run.iter))
    with bad_input():
        write(out, checkpoint.dumps(run.checkpoint()))
    val = "" if run.val_loss is None else f", validation loss {run.val_loss:.4f}"
    print(f"{'Stopped at' if ended_early else 'Finished'} iter {run.iter}{val}: saved {out}")
    return 130 if ended_early else 0


def sample_command(args: argparse.Namespace) -> int:
    """groundling sample"""
    with bad_input():
        corpus = _corpus(args.corpus)
        _, ckpt = _read(args.file, corpus)
        prompt = corpus.decode(corpus.val[:PROMPT_LENGTH]) if args.prompt is None else args.prompt
        text = stream(
            GPT(ckpt.config, open_device(), ckpt.weights),
            corpus,
            prompt,
            args.length,
            ckpt.seed if args.seed is None else args.seed,
            temperature=args.temperature,
            top_k=args.top_k,
            top_p=args.top_p,
        )
        first = next(text)  # here the settings are checked
    print(prompt, first, sep="", end="", flush=True)
    for part in text:
        print(part, end="", flush=True)
    print()
    return 0


def inspect_command(args: argparse.Namespace) -> int:
    """groundling inspect"""
    with bad_input():
        data, ckpt = _read(args.file)
    weights = data[HEADER_BYTES:]
    print(data[:HEADER_BYTES].decode().rstrip())
    print()
    print(f"file     {len(data):>11,} bytes   sha256 {hashlib.sha256(data).hexdigest()}")
    print(f"header   {HEADER_BYTES:>11,} bytes")
    print(f"weights  {len(weights):>11,} bytes   sha256 {hashlib.sha256(weights).hexdigest()}")
    print()
    print(f"{'tensor':<20} {'shape':>12} {'float':>11} {'byte':>11} {'mean':>9} {'std':>8}")
    at = 0
    for name, shape in parameter_shapes(ckpt.config).items():
        part = ckpt.weights[at : at + math.prod(shape)].astype("f8")
        size = " x ".join(map(str, shape))
        print(
            f"{name:<20} {size:>12} {at:>11,} {HEADER_BYTES + 4 * at:>11,} "
            f"{part.mean():>9.5f} {part.std():>8.5f}"
        )
        at += part.size
    print(f"{'end':<20} {'':>12} {at:>11,} {HEADER_BYTES + 4 * at:>11,}")
    return 0


def log_line(record: Record) -> str:
    """The record as JSON: iter, train, lr, and val where there was an evaluation."""
    fields = {"iter": record.iter, "train": record.train, "lr": record.lr}
    if record.val is not None:
        fields["val"] = record.val
    return json.dumps(fields)


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)


class BadInput(Exception):
    """What the person gave cannot be used; the message is for them."""


@contextmanager
def bad_input() -> Iterator[None]:
    """In this block a ValueError, OSError or DeviceError is the fault of what was given."""
    try:
        yield
    except OSError as error:
        told = f"{error.filename}: {error.strerror}." if error.filename else str(error)
        raise BadInput(told) from error
    except (ValueError, DeviceError) as error:
        raise BadInput(str(error)) from error


@contextmanager
def pause_on_interrupt(run: Run) -> Iterator[None]:
    """In this block the first Ctrl-C pauses the run, and the second is a KeyboardInterrupt."""

    def on_interrupt(signum, frame):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        run.pause()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Progress:
    """How a run goes, for a person: one line drawn over and over on a terminal; in a file or a
    pipe, a line at every evaluation.
    """

    def __init__(self, run: Run, to: TextIO):
        self.run, self.to, self.live = run, to, to.isatty()
        self.marks = deque([(time.monotonic(), run.iter)], maxlen=100)  # (when, iters done)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error) -> None:
        if self.live and len(self.marks) > 1:
            print(file=self.to)

    def show(self, record: Record) -> None:
        """Take in a record, and draw it if it is time to."""
        done, now = record.iter + 1, time.monotonic()
        last = done == self.run.config.iters
        if last or (now - self.marks[-1][0] > 0.1 if self.live else record.val is not None):
            self.marks.append((now, done))
            line = self.line(done)
            print(f"\r{line}" if self.live else line, end="" if self.live else "\n", file=self.to)
            self.to.flush()

    def line(self, done: int) -> str:
        """412/2000 [####------] 12.3 it/s  loss 2.6123  val 2.6231  ETA 2:09"""
        total = self.run.config.iters
        (then, first), (now, _) = self.marks[0], self.marks[-1]
        rate = (done - first) / max(now - then, 1e-9)
        count, facts = f"{done}/{total}", f"{rate:.1f} it/s  loss {self.run.train_loss:.4f}"
        if self.run.val_loss is not None:
            facts += f"  val {self.run.val_loss:.4f}"
        if rate:
            facts += f"  ETA {clock((total - done) / rate)}"
        columns = shutil.get_terminal_size().columns - 1 if self.live else 100
        width = min(30, columns - len(count) - len(facts) - 4)
        bar = f"[{'#' * (width * done // total):-<{width}}] " if width > 4 else ""
        line = f"{count} {bar}{facts}"
        return line[:columns].ljust(columns) if self.live else line


def clock(seconds: float) -> str:
    """2:09, or 1:02:09 from an hour on."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _corpus(path: str | None) -> Corpus:
    if path is None:
        return shakespeare()
    try:
        return Corpus(Path(path).read_bytes().decode(), name=Path(path).name)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: byte {error.start} cannot be read.") from None


def _read(path: str, corpus: Corpus | None = None) -> tuple[bytes, Checkpoint]:
    """The file's bytes and what they mean; only weights made for the corpus, if there is one."""
    data = Path(path).read_bytes()
    try:
        ckpt = checkpoint.loads(data, corpus and corpus.vocab_hash)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    if corpus and ckpt.config.vocab_size != corpus.vocab_size:
        raise CheckpointError(
            f"{path}: It knows {ckpt.config.vocab_size} characters and {corpus.name!r} "
            f"has {corpus.vocab_size}."
        )
    return data, ckpt


def _require_writable(path: Path) -> None:
    """Better now than after the training."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder; --out takes the name of a file.")
    if not path.parent.is_dir():
        raise ValueError(f"There is no folder {path.parent} to write {path.name} in.")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"The folder {path.parent} may not be written to.")


def _complain(message: object, code: int) -> int:
    print(f"groundling: {message}", file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One sentence instead of the usage in full."""
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help shows what there is.\n")


def _parser() -> argparse.ArgumentParser:
    default = TrainConfig()
    parser = _Parser(prog="groundling", description="A GPT built from the ground up.")
    parser.add_argument("--version", action="version", version=f"groundling {__version__}")
    commands = parser.add_subparsers(required=True, metavar="train | sample | inspect")

    def command(name, function, about):
        sub = commands.add_parser(
            name,
            help=about,
            description=about,
            epilog="In brackets: what holds when an option is not given.",
            allow_abbrev=False,
        )
        sub.set_defaults(command=function)
        return sub.add_argument

    value = "(%(default)s)"
    add = command("train", train_command, "Train a GPT and save its weights.")
    add("--seed", metavar="S", default=default.seed, help=f"names every random number {value}")
    add("--iters", metavar="N", type=int, default=default.iters, help=f"how many updates {value}")
    add("--batch-size", metavar="B", type=int, default=default.batch_size, help=f"texts {value}")
    add("--lr", metavar="MAX", type=float, default=default.lr, help=f"peak learning rate {value}")
    add("--min-lr", metavar="MIN", type=float, default=default.min_lr, help=f"the last {value}")
    add(
        "--warmup", metavar="W", type=int, default=default.warmup, help=f"iters to the peak {value}"
    )
    add("--device", choices=["auto", "webgpu", "numpy"], default="auto", help=f"runs it {value}")
    add("--corpus", metavar="TEXT", help="a UTF-8 text file to learn (tiny-shakespeare)")
    add("--out", metavar="FILE", help="the weights (a name made of the seed and the iter)")
    add("--log", metavar="FILE.jsonl", help="a line of JSON for each iter (none)")

    add = command("sample", sample_command, "Let a trained GPT write.")
    add("file", metavar="FILE", help="weights that `train` or the page has saved")
    add("--prompt", metavar="P", help="the text to go on from (the validation text's beginning)")
    add("--seed", metavar="S", help="names every random number (the file's seed)")
    add("--temperature", metavar="T", type=float, default=0.8, help=f"how daring {value}")
    add("--top-k", metavar="K", type=int, help="draw among the K likeliest characters (all)")
    add("--top-p", metavar="P", type=float, default=1.0, help=f"... the likeliest P of all {value}")
    add("--length", metavar="N", type=int, default=500, help=f"how many characters {value}")
    add("--corpus", metavar="TEXT", help="the text that it has learned (tiny-shakespeare)")

    add = command("inspect", inspect_command, "Show what a weights file holds.")
    add("file", metavar="FILE", help="weights that `train` or the page has saved")
    return parser
