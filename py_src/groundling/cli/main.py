"""Train a GPT, let it write, and look inside its files, from the command line.

groundling train [--preset NAME] [--config FILE…] [--seed S] [--iters N] [... as --help has them]
                 [--device auto|webgpu|numpy] [--text PATH…] [--out FILE] [--log FILE.jsonl]
                 [--stop-at N] [--state FILE] [--sample-interval N] [--checkpoint-interval N]
groundling train --resume FILE [--anyway] [--stop-at N] [--state FILE] [--device ...] [...]
groundling run FOLDER|FILE.zip [as for train; what is not given comes from the project]
groundling presets [--device ...]
groundling sample FILE [--prompt P] [--seed S] [--temperature T] [--top-k K] [--top-p P]
                       [--length N] [--device ...] [--text PATH…]
groundling inspect FILE [FILE]
groundling doctor LOG | --case NAME [--iters N] [--device ...]
groundling twin --seed-a A --seed-b B [--iters N] [--device ...] [--text PATH…]
groundling export FILE --to safetensors|nanogpt|gpt2 OUT [--text PATH…]
groundling import FILE OUT [--like FILE]
groundling link FILE
groundling replay LINK [--edits] [--device ...] [--text PATH…]
groundling recipes [NAME]
groundling bench [--batch-size B] [--sizes] [--json FILE] [--device ...]

FILE is weights (`.bin`) or, wherever those will do, a state (`.state`). A training that reaches its
last iteration writes its weights. One that ends earlier, by --stop-at, writes its state if that is
kept, and its weights if there is an --out or no state is kept.

On the way the state is kept every checkpoint_interval iterations: in the --state FILE, or, without
one, where a --config or --checkpoint-interval asks for it, under a name made of the seed and the
iteration, of which the newest stays.

Ctrl-C ends the training after the iteration it is in and keeps what was learned. The exit code is
0; 1 when the training failed, also by the code of a project, the doctor finds something wrong, the
twins differ, or the replay is not what the link says; 2, with one sentence, when the input is at
fault; 130 after Ctrl-C.
"""

import argparse
import hashlib
import importlib
import json
import math
import os
import signal
import sys
import textwrap
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import NoReturn

from .. import __version__, sources
from ..config import TRAIN_FIELDS, TrainConfig, check_number, with_peak
from ..data import CHARACTERS, Corpus, Vocabulary, cache, shakespeare, tokenizer_of
from ..devices.base import Device, DeviceError
from ..devices.limits import limits
from ..devices.open import open_device
from ..devices.webgpu import memory
from ..edits import live, project, recipes
from ..edits.errors import CodeError, describe
from ..labs import bench, doctor, evidence, link
from ..labs.curve import read_log
from ..labs.twin import ITERS, Twin, feeds
from ..model import GPT
from ..runs import checkpoint, configfile, cost, interchange, presets, statefile, texts
from ..runs.checkpoint import HEADER_BYTES, Checkpoint, CheckpointError
from ..runs.inspector import Contents, Difference, compare, size
from ..runs.records import Record
from ..runs.run import NonFiniteLoss, Run
from ..runs.samples import beginning, prompt
from ..runs.statefile import OtherOrigin
from ..runs.writer import stream
from ..sources import hash_of
from ..train import train
from . import output, terminal
from .terminal import Progress

COMMANDS = (
    "train | run | presets | sample | inspect | doctor | twin | export | import | link | replay | "
    "recipes | bench"
)
INTERVALS = configfile.INTERVAL_FIELDS
SETTINGS = "seed", *(field.name for field in TRAIN_FIELDS)


def main(argv: list[str] | None = None) -> int:
    """Run a command; the exit code."""
    args = _parser().parse_args(argv)
    with suppress(FileNotFoundError):  # there is nowhere to remember anything
        memory.store = memory.File(cache() / "adapters.json")
    with terminal.shown():
        return _obey(args)


def _obey(args: argparse.Namespace) -> int:
    try:
        return args.command(args)
    except BadInput as error:
        return _complain(error, code=2)
    except KeyboardInterrupt:
        return _complain("stopped.", code=130)
    except OSError as error:  # of what is printed: a full disk, or `groundling inspect FILE | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again
        if isinstance(error, BrokenPipeError):
            return 1
        where = error.filename or "What was printed"
        return _complain(f"{where}: {error.strerror}. It was not written.", code=1)


def train_command(args: argparse.Namespace) -> int:
    """groundling train"""
    with bad_input():
        setup = _setup(args)
        run = _resumed(args) if args.resume else _begun(args, setup)
        config = run.config
        end = config.iters if args.stop_at is None else min(args.stop_at, config.iters)
        if args.stop_at is not None and end <= run.iter < config.iters:
            raise ValueError(f"--stop-at is {args.stop_at}, and the run is at iter {run.iter}.")
        keeper = Keeper(run, args, setup)
        weights = args.out or checkpoint.file_name(config.seed, end, run.model.config)
        for path in filter(None, (weights, args.state)):
            if [weights, args.state, args.log].count(path) > 1:
                raise ValueError(f"{path} cannot be two files of the run.")
            _require_writable(Path(path))
        log = LogFile(args.log)  # last: what it had before is lost
    parameters = sum(map(math.prod, run.model.shapes.values()))
    print(
        f"{parameters:,} parameters, seed {config.seed!r}, {config.iters:,} iters of "
        f"{config.batch_size} x {run.model.config.block_size} characters; {run.device.description}",
        file=sys.stderr,
    )
    try:
        with pause_on_interrupt(run), log, Progress(run, sys.stderr) as progress:
            for record in run.log:
                log.add(record)
            told = len(run.samples)
            while not run.pausing:
                stop = keeper.next_at
                for record in train(run, min(end, stop)):
                    log.add(record)
                    progress.show(record)
                    told = _show_samples(run, told, progress)
                if run.iter != stop or run.iter >= end:
                    break
                keeper.keep()
            _show_samples(run, told, progress)
        finished = run.iter >= config.iters
        if finished or args.out or keeper.every == math.inf:  # first: it takes the least room
            keeper.save(args.out, checkpoint.file_name, checkpoint.stream(run.checkpoint()))
        if keeper.every < math.inf:
            keeper.keep()
    except KeyboardInterrupt:
        return _complain(f"stopped. {keeper.left}", code=130)
    except NonFiniteLoss as error:
        log.end_with(error.record)  # so that `groundling doctor` sees it
        return _complain(f"{error} {keeper.left} A lower --lr may help.", code=1)
    except CheckpointError as error:
        return _complain(f"{error} {keeper.left}", code=1)
    except Exception as error:
        if not isinstance(error, DeviceError) or _of_edits(error):
            error.add_note(keeper.left)
            raise
        return _complain(f"{error} {keeper.left}", code=1)
    val = "" if run.val_loss is None else f", validation loss {run.val_loss:.4f}"
    how = "Finished" if finished else "Stopped at"
    names = f"saved {' and '.join(keeper.saved)}" if keeper.saved else "nothing was saved"
    print(f"{how} iter {run.iter}{val}: {names}")
    if keeper.failed or log.failed:
        return 1
    return 0 if run.iter >= end else 130


class Keeper:
    """Writes a run's files. One that cannot be written is told, and the rest goes on. Its state is
    kept on the way, `every` so many iterations: infinity where nobody asks.
    """

    def __init__(self, run: Run, args: argparse.Namespace, setup: configfile.Setup):
        self.run, self.name, self.log, self.kept = run, args.state, args.log, ""
        self.saved: list[str] = []  # names of what is there
        self.failed = False
        asked = args.state or args.config or args.checkpoint_interval
        self.every = setup.checkpoint_interval if asked else math.inf

    @property
    def next_at(self) -> float:
        """The iteration after which it is to be kept next."""
        return self.every * (self.run.iter // self.every + 1)

    @property
    def left(self) -> str:
        """What there is when the run fails or is stopped."""
        others = [name for name in self.saved if name != self.kept]
        told = [f"Its last state is in {self.kept}."] if self.kept else []
        told += [f"Its weights are in {name}." for name in others]
        told += [f"Its log is in {self.log}."] if self.log else []
        return " ".join(told) or "Nothing was written."

    def keep(self) -> None:
        """Write the state; where it goes by the iteration, the one before is deleted."""
        before = self.kept
        name = self.save(self.name, statefile.file_name, statefile.stream_run(self.run))
        if name is None:
            return
        self.kept = name
        if before and before != name:
            self.saved.remove(before)
            Path(before).unlink(missing_ok=True)

    def save(self, asked: str | None, file_name: Callable, pieces: Iterable) -> str | None:
        """Write a file of the run, where it was asked for or under its usual name; which that is,
        or None, and it is told, if it could not be written.
        """
        try:
            name = _save(asked, file_name, self.run, pieces)
        except OSError as error:
            self.failed = True
            _complain(f"{error.filename}: {error.strerror}. It was not written.", code=1)
            return None
        if name not in self.saved:
            self.saved.append(name)
        return name


class LogFile:
    """The file that --log names, if it does. Where it can be written to no longer, that is told,
    and the run goes on. OSError where it cannot be from the beginning.
    """

    def __init__(self, path: str | None):
        self.path, self.failed = path, False
        self.file = open(path, "w", encoding="ascii") if path else None  # noqa: SIM115

    def __enter__(self) -> "LogFile":
        return self

    def __exit__(self, *error) -> None:
        if self.file:
            with suppress(OSError):  # of what could not be written before
                self.file.close()

    def add(self, record: Record) -> None:
        """Write a record's line."""
        if not self.file or self.failed:
            return
        try:
            print(log_line(record), file=self.file, flush=True)
        except OSError as error:
            self.failed = True
            _complain(f"{self.path}: {error.strerror}. The log ends there; the run goes on.", 1)

    def end_with(self, record: Record) -> None:
        """Write the record that ended the run, once all else is written."""
        if self.path and not self.failed:
            with suppress(OSError), open(self.path, "a", encoding="ascii") as file:
                print(log_line(record), file=file)


def _show_samples(run: Run, told: int, progress: "Progress") -> int:
    """Print what the run has written since the first `told` samples; how many it is now."""
    measures = evidence.Evidence(run.corpus) if told < len(run.samples) else None
    for sample in run.samples[told:]:
        loss = "" if sample.loss is None else f", validation loss {sample.loss:.4f}"
        found, text = measures.of(sample.text), f"{prompt(run.corpus)}|{sample.text}"
        words = "" if found.words is None else f", {found.words:.0%} of the words are known"
        phased = evidence.has_phases(run.corpus, run.model.config)
        phase = f": {evidence.phase_of(sample.iter).name}" if phased else ""
        progress.above(
            f"iter {sample.iter}{loss}{phase}",
            f"    {text.replace(chr(10), '↵')}",
            f"    {found.characters:.0%} of the {run.corpus.vocab_size} characters, "
            f"KL {found.unigram_kl:.2f} (pairs {found.bigram_kl:.2f}) nats{words}",
        )
    return len(run.samples)


def _begun(args: argparse.Namespace, setup: configfile.Setup) -> Run:
    """A new run of a setup, with the settings that the options have."""
    given = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    usual = setup.train if args.lr is None else with_peak(setup.train, args.lr)
    setup = replace(setup, train=replace(usual, **given))
    corpus, device = _corpus(args.text, setup.tokenizer), _device(args)
    if setup.vocab_given not in (None, corpus.vocab_size):
        raise ValueError(
            f"vocab_size is {setup.vocab_given}; the text {corpus.name!r} has "
            f"{corpus.vocab_size} different characters. A config may leave it out."
        )
    setup = setup.on(corpus)
    cost.check(setup, device, corpus)  # before we speak of the text
    if args.text:
        parameters = cost.cost(setup).parameters
        print(f"{texts.describe(corpus)} {texts.advice(corpus, parameters)[1]}", file=sys.stderr)
    run = Run(setup.train, corpus, device, setup.model)
    run.sample_every = setup.sample_interval
    return run


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _setup(args: argparse.Namespace) -> configfile.Setup:
    """The preset that the options name, under the config files and the intervals that they have."""
    name = args.preset or "shakespeare"
    if name not in presets.PRESETS:
        raise ValueError(f"There is no preset {name!r}; there are {', '.join(presets.PRESETS)}.")
    setup = presets.PRESETS[name]
    for path in args.config or ():
        try:
            setup = configfile.loads(Path(path).read_bytes(), setup)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    for one in INTERVALS:
        if (value := getattr(args, one.name)) is not None:
            check_number(one.name, value, one.limits)
            setup = replace(setup, **{one.name: value})
    return setup


def _resumed(args: argparse.Namespace) -> Run:
    """The run in the state file that the options name."""
    for name in SETTINGS:
        if getattr(args, name) is not None:
            raise ValueError(f"{_option(name)} comes from the state; leave it out.")
    for name in ("config", "preset"):
        if getattr(args, name):
            raise ValueError(f"What --{name} tells comes from the state; leave it out.")
    with _about(args.resume):
        saved = statefile.loads(Path(args.resume).read_bytes())
        corpus, device = _corpus(args.text, tokenizer_of(saved.vocab_hash)), _device(args)
        try:
            run = statefile.resume(saved, corpus, device, args.anyway)
        except OtherOrigin as error:
            raise CheckpointError(f"{error} --anyway goes on all the same.") from None
    run.sample_every = args.sample_interval or run.sample_every
    if (here := f"{device.name}: {device.description}") != saved.device:
        print(
            f"groundling: the state comes from {saved.device}; from here on the numbers are those "
            f"of {here}, the same but for rounding.",
            file=sys.stderr,
        )
    return run


def run_command(args: argparse.Namespace) -> int:
    """groundling run"""
    with bad_input():
        try:
            found = project.read(Path(args.project))
        except project.ProjectError as error:
            raise ValueError(f"{args.project}: {error}") from None
    if not args.resume:
        for name in project.SETTINGS:
            if getattr(args, name) is None:
                setattr(args, name, getattr(found.config, name))
    if found.code != hash_of({}):
        print(
            f"groundling: the project's edits are of Groundling {found.version}, whose code was "
            f"{found.code[:12]}…; here it is {hash_of({})[:12]}…. They may not fit.",
            file=sys.stderr,
        )
    return _under(found.files, "train_command", args)


def _under(edits: dict[str, str], command: str, args: argparse.Namespace) -> int:
    """A command of ours by the library as edited. Where it is the edits that fail: where, and 1."""
    try:
        before = live.load(edits)
        try:
            return getattr(importlib.import_module(__name__), command)(args)
        finally:
            live.restore(before)
    except (Exception, SystemExit) as error:
        cause = error.__cause__ if isinstance(error, BadInput) else None
        if told := _of_edits(cause or error, edits):
            return _show_code_error(told, getattr(error, "__notes__", ["Nothing was written."]))
        raise


def _of_edits(error: BaseException, edits: dict[str, str] | None = None) -> CodeError | None:
    """What to tell of an error that edited code has raised; None if it is not in the edits."""
    told = describe(error, sources.overlay if edits is None else edits)
    return told if any(frame.yours for frame in told.frames) else None


def _show_code_error(told: CodeError, left: list[str]) -> int:
    """Print the places in the edits that an error came by, what it is, and what was written."""
    lines = []
    for frame in told.frames:
        if frame.yours:
            within = f", in {frame.name}" if frame.name else ""
            lines.append(f"{frame.path}, line {frame.line}{within}")
            end = frame.end_column if frame.end_line == frame.line else len(frame.text)
            text = frame.text.lstrip()
            start = max(0, frame.column - (len(frame.text) - len(text)))
            lines += [f"    {text}", f"    {' ' * start}{'^' * max(1, end - frame.column)}"]
    lines += [told.message, *textwrap.wrap(told.hint, 100)]
    print(*lines, sep="\n", file=sys.stderr)
    return _complain(" ".join([f"{told.title}.", *left]), code=1)


def sample_command(args: argparse.Namespace) -> int:
    """groundling sample"""
    with bad_input():
        ckpt, corpus = _weights(args)
        text = beginning(corpus) if args.prompt is None else args.prompt
        parts = stream(
            GPT(ckpt.config, _device(args), ckpt.weights),
            corpus,
            text,
            args.length,
            ckpt.seed if args.seed is None else args.seed,
            temperature=args.temperature,
            top_k=args.top_k,
            top_p=args.top_p,
        )
        first = next(parts)  # here the settings are checked
    print(text, first, sep="", end="", flush=True)
    for part in parts:
        print(part, end="", flush=True)
    print()
    return 0


def inspect_command(args: argparse.Namespace) -> int:
    """groundling inspect"""
    with bad_input():
        one = _read(args.file)
        two = _read(args.other) if args.other else None
        differences = compare(one, two) if two else None
    if two:
        _show_differences(one, two, differences)
    else:
        _show_contents(one)
    return 0


def _show_contents(file: Contents) -> None:
    print(file.header)
    print()
    floats = file.data[file.start :]
    print(f"file     {len(file.data):>11,} bytes   sha256 {_sha256(file.data)}")
    print(f"header   {HEADER_BYTES:>11,} bytes")
    if file.saved:
        print(f"state    {file.start - HEADER_BYTES:>11,} bytes")
        third = len(floats) // 3
        for i, name in enumerate(("weights", "m", "v")):
            part = floats[i * third : (i + 1) * third]
            print(f"{name:<8} {third:>11,} bytes   sha256 {_sha256(part)}")
        print()
        _show_state(file.saved)
    else:
        print(f"weights  {len(floats):>11,} bytes   sha256 {_sha256(floats)}")
    print()
    for what, count in size(file.ckpt.config):
        print(f"{count:>9,}  {what}")
    count = len(file.ckpt.weights)
    print(f"{count:>9,}  parameters, 4 bytes each: {4 * count:,} bytes")
    print()
    numbers = "".join(f" {name:>11}" for name in ("mean", "std", "min", "max"))
    print(f"{'tensor':<20} {'shape':>12} {'float':>11} {'byte':>11}{numbers}")
    for part in file.parts:
        shape = " x ".join(map(str, part.shape))
        numbers = "".join(f" {number:>11.5g}" for number in part.statistics)
        print(f"{part.name:<20} {shape:>12} {part.at:>11,} {part.byte:>11,}{numbers}")
    print(f"{'end':<20} {'':>12} {file.floats:>11,} {len(file.data):>11,}")


def _show_state(saved: statefile.Saved) -> None:
    run = saved.state
    print(f"seed {run.config.seed!r}, iter {run.iter:,} of {run.config.iters:,}")
    settings = asdict(run.config).items()
    print(", ".join(f"{name} {value}" for name, value in settings if name not in ("seed", "iters")))
    print(f"AdamW after {run.step:,} steps, {len(run.log):,} records from iter {run.first:,} on")
    print(f"made on {saved.device}, by code {saved.code_hash}, on text {saved.corpus_hash}")


def _show_differences(one: Contents, two: Contents, differences: list[Difference]) -> None:
    print(one.header, two.header, sep="\n")
    print()
    print(f"{'tensor':<20} {'shape':>12} {'floats':>9} {'differ':>9} {'max |a-b|':>11} {'rms':>11}")
    for d in differences:
        shape, n = " x ".join(map(str, d.shape)), math.prod(d.shape)
        print(f"{d.name:<20} {shape:>12} {n:>9,} {d.count:>9,} {d.largest:>11.5g} {d.rms:>11.5g}")
    print()
    tensors = sum(d.count > 0 for d in differences)
    if tensors:
        floats = sum(d.count for d in differences)
        print(f"{floats:,} floats in {tensors} of {len(differences)} tensors differ.")
    else:
        print(f"All {len(differences)} tensors are the same, to the bit.")


def presets_command(args: argparse.Namespace) -> int:
    """groundling presets"""
    with bad_input():
        device = _device(args)
        rows = presets.table(limits(device), presets.rate(device))
    heads = ("preset", "layers", "heads", "width", "context", "parameters", "weights", "gradients")
    heads += ("m and v", "activations", "GFLOP/step", "s/step")
    print("{:<12}{:>7}{:>6}{:>6}{:>8}{:>13}{:>11}{:>11}{:>11}{:>13}{:>12}{:>9}".format(*heads))
    for row in rows:
        sizes = (
            f"{_megabytes(row['weights']):>11}{_megabytes(row['weights']):>11}"
            f"{_megabytes(row['moments']):>11}{_megabytes(row['activations']):>13}"
        )
        print(
            f"{row['name']:<12}{row['layers']:>7}{row['heads']:>6}{row['width']:>6}"
            f"{row['context']:>8}{row['parameters']:>13,}{sizes}"
            f"{row['flops'] / 1e9:>12,.2f}{row['seconds']:>9.3g}"
        )
        if row["recomputed"]:
            print(f"{'':<12}its blocks' activations are made again on the way back")
        if row["refusal"]:
            print(f"{'':<12}not here: {row['refusal']}")
    print(f"\nBatches as the presets have them. Times are estimates, for {device.description}.")
    return 0


def _megabytes(n_bytes: float) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"


def doctor_command(args: argparse.Namespace) -> int:
    """groundling doctor"""
    with bad_input():
        if (args.log is None) == (args.case is None):
            raise ValueError("Name a log or a --case, one of the two.")
        if args.log:
            try:
                curve = read_log(Path(args.log).read_bytes())
            except ValueError as error:
                raise ValueError(f"{args.log}: {error}") from None
        else:
            case, device = doctor.CASES[args.case], _device(args)
            exam = doctor.Examination(case, shakespeare(), device, args.iters)
    if args.case:
        print(f"{case.wrong} {args.iters} iters, on {device.description}", file=sys.stderr)
        try:
            with Progress(exam.run, sys.stderr) as progress:
                for record in exam.train():
                    progress.show(record)
        except DeviceError as error:
            return _complain(error, code=1)
        curve = exam.curve
    verdict = doctor.diagnose(curve)
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
        seeds, device = (args.seed_a, args.seed_b), _device(args)
        twin = Twin(seeds, _corpus(args.text), device, args.iters)
    print(f"{args.iters} iters each, on {device.description}")
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
        return _complain(error, code=1)
    verdict = twin.verdict()
    print()
    for i, name in enumerate("ab"):
        print(f"{name}  .bin     sha256 {verdict.files[i]}")
        print(f"   weights  sha256 {verdict.weights[i]}")
    print()
    print(verdict)
    return 0 if verdict.identical else 1


def export_command(args: argparse.Namespace) -> int:
    """groundling export"""
    out = Path(args.out)
    with bad_input():
        if args.to == "gpt2":
            ckpt, vocabulary = _weights(args)
            files = interchange.to_gpt2(ckpt, vocabulary)
            out.mkdir(exist_ok=True)
            for name, data in files.items():
                write(out / name, data)
        else:
            _require_writable(out)
            ckpt = _read(args.file).ckpt
            write(out, getattr(interchange, f"to_{args.to}")(ckpt))
    print(f"Exported iter {ckpt.iter} of seed {ckpt.seed!r}: saved {out}")
    return 0


def import_command(args: argparse.Namespace) -> int:
    """groundling import"""
    path, out = Path(args.file), Path(args.out)
    with bad_input():
        _require_writable(out)
        like = _read(args.like).ckpt if args.like else None
        with _about(args.file):
            if path.is_dir():
                names = [n for n in ("config.json", "model.safetensors") if (path / n).is_file()]
                files = {name: (path / name).read_bytes() for name in names}
                ckpt = interchange.from_gpt2(files, like)
            elif zipfile.is_zipfile(path):
                ckpt = interchange.from_nanogpt(path.read_bytes(), like)
            else:
                ckpt = interchange.from_safetensors(path.read_bytes(), like)
        write(out, checkpoint.dumps(ckpt))
    print(f"Imported iter {ckpt.iter} of seed {ckpt.seed!r}: saved {out}")
    return 0


def link_command(args: argparse.Namespace) -> int:
    """groundling link"""
    with bad_input(), _about(args.file):
        print(link.dumps(link.claim(statefile.loads(Path(args.file).read_bytes()))))
    return 0


def replay_command(args: argparse.Namespace) -> int:
    """groundling replay"""
    with bad_input():
        claimed = link.loads(args.link)
    if claimed.edits and claimed.edits != sources.overlay:
        if args.edits:
            return _under(claimed.edits, "replay_command", args)
        print(live.diff({}, claimed.edits))
        raise BadInput(
            "the link's run was by edited code, as shown above. It was not run: read it, and run "
            "this again with --edits if that is what you want."
        )
    with bad_input():
        corpus = _corpus(args.text, claimed.tokenizer)
        replay = link.Replay(claimed, corpus, _device(args))
    config = claimed.config
    print(
        f"The link claims: seed {config.seed!r}, iter {claimed.iter:,} of {config.iters:,}, ",
        end="",
    )
    print(f"validation loss {claimed.val_loss}, on {claimed.device}.")
    if replay.other_code:
        print(f"Its code was {claimed.code_hash[:12]}…, which is not this code.")
    print(f"Training it again on {replay.device}.", flush=True)
    try:
        with pause_on_interrupt(replay.run), Progress(replay.run, sys.stderr) as progress:
            for record, _ in replay.train():
                progress.show(record)
    except (NonFiniteLoss, DeviceError) as error:
        if _of_edits(error):
            raise
        return _complain(error, code=1)
    verdict = replay.verdict()
    print(verdict)
    if replay.run.pausing:
        return 130
    return 1 if verdict.kind == "different" else 0


def log_line(record: Record) -> str:
    """The record as JSON: iter, train, lr, and val where there was an evaluation. A loss that is no
    number is null.
    """
    fields = {"iter": record.iter, "train": record.train, "lr": record.lr}
    if record.val is not None:
        fields["val"] = record.val
    numbers = {name: x if math.isfinite(x) else None for name, x in fields.items()}
    return json.dumps(numbers)


def _save(asked: str | None, file_name: Callable, run: Run, pieces: Iterable) -> str:
    """Write a run's file, where it was asked for or under its usual name; which that is."""
    if asked:
        write_pieces(Path(asked), pieces)
        return asked
    usual = Path(file_name(run.config.seed, run.iter, run.model.config))
    name = write_pieces(usual, pieces, keep=True)
    if name != usual:
        print(f"groundling: {usual} is of another run, and stays as it is.", file=sys.stderr)
    return str(name)


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. OSError, with its name."""
    write_pieces(path, [(0, data)])


def write_pieces(path: Path, pieces: Iterable[tuple[int, bytes]], keep: bool = False) -> Path:
    """The same from pieces, each with its place; to `keep` what is there of another run, under
    another name, which is returned.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            for at, piece in pieces:
                file.seek(at)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())  # before it takes the place of what was there
        return part.replace(output.unused(path, part) if keep else path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):  # that of a write has no name
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


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


def _device(args: argparse.Namespace) -> Device:
    """The device that the options name; a line tells why "auto" has not taken a GPU."""
    device = open_device(args.device)
    if device.instead_of:
        print(f"groundling: {device.instead_of} NumPy computes instead.", file=sys.stderr)
    return device


def _corpus(paths: list[str] | None, tokenizer: str = CHARACTERS) -> Corpus:
    if not paths:
        return shakespeare(tokenizer)
    return texts.read(texts.gather(paths), tokenizer)


def _weights(args: argparse.Namespace) -> tuple[Checkpoint, Vocabulary]:
    """The weights of a file, and what their tokens stand for: the text's, if one is given."""
    ckpt = _read(args.file).ckpt
    if args.text:
        corpus = _corpus(args.text, tokenizer_of(ckpt.vocab_hash))
        return _read(args.file, corpus).ckpt, corpus
    with _about(args.file):
        return ckpt, checkpoint.vocabulary(ckpt)


def _read(path: str, corpus: Corpus | None = None) -> Contents:
    """What the file holds; only weights made for the corpus, if there is one."""
    with _about(path):
        file = Contents(Path(path).read_bytes())
        if corpus:
            checkpoint.require_vocab(file.ckpt, corpus.vocab_hash)
        if corpus and file.ckpt.config.vocab_size != corpus.vocab_size:
            raise CheckpointError(
                f"It knows {file.ckpt.config.vocab_size} characters and {corpus.name!r} "
                f"has {corpus.vocab_size}."
            )
        return file


@contextmanager
def _about(path: str) -> Iterator[None]:
    """In this block a CheckpointError or LinkError is about the file, and gets to say its name."""
    try:
        yield
    except (CheckpointError, link.LinkError) as error:
        raise type(error)(f"{path}: {error}") from None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _require_writable(path: Path) -> None:
    """Better now than after the training."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not the name of a file.")
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
        told = f"{self.prog}: {message}; {self.prog} --help shows what there is."
        self.exit(2, f"{terminal.visible(told)}\n")


def recipes_command(args: argparse.Namespace) -> int:
    """groundling recipes"""
    known = {recipe.name: recipe for recipe in recipes.RECIPES}
    if args.name is None:
        for recipe in known.values():
            print(f"{recipe.name:<18}{recipe.title}")
        return 0
    if args.name not in known:
        raise BadInput(f"There is no recipe {args.name!r}; there are {', '.join(known)}.")
    recipe = known[args.name]
    print(f"{recipe.title}\n", *textwrap.wrap(recipe.text, 100), "", sep="\n")
    print(recipes.diff(recipe), end="")
    return 0


def bench_command(args: argparse.Namespace) -> int:
    """groundling bench"""
    with bad_input():
        replace(TrainConfig(), batch_size=args.batch_size)
        if args.json:
            _require_writable(Path(args.json))
        device, corpus = _device(args), shakespeare()
    try:
        if args.sizes:
            figures = {"ceilings": bench.ceilings(device), "sizes": bench.by_size(device, corpus)}
            print(f"{bench.machine()}; {device.description}; batch 2")
            print(bench.size_table(figures["sizes"], figures["ceilings"]))
        else:
            figures = bench.all_figures(device, corpus, args.batch_size)
            print(f"{bench.machine()}\n{bench.report(figures)}")
    except DeviceError as error:
        return _complain(error, code=1)
    if args.json:
        write(Path(args.json), bench.dumps(figures).encode())
    return 0


def _parser() -> argparse.ArgumentParser:
    default = TrainConfig()
    parser = _Parser(prog="groundling", description="A GPT built from the ground up.")
    parser.add_argument("--version", action="version", version=f"groundling {__version__}")
    commands = parser.add_subparsers(required=True, metavar=COMMANDS)

    def command(name, function, about):
        sub = commands.add_parser(
            name,
            help=about,
            description=about,
            epilog="Defaults are in brackets.",
            allow_abbrev=False,
        )
        sub.set_defaults(command=function)
        return sub.add_argument

    def device(add):
        about = f"the device to compute on; auto is a GPU where there is one {value}"
        add("--device", choices=["auto", "webgpu", "numpy"], default="auto", help=about)

    def text(add, what, usual):
        about = f"{what}: text files, folders of .txt and .md, patterns, or - for stdin ({usual})"
        add("--text", metavar="PATH", nargs="+", help=about)

    value = "(%(default)s)"

    def training(add, usual):
        told = usual.get("seed", default.seed)
        add("--seed", metavar="S", help=f"text that every random number comes from ({told})")
        for one in TRAIN_FIELDS:
            told = usual.get(one.name, getattr(default, one.name))
            low, high = one.limits
            about = f"{one.about}, from {low:,} to {high:,} ({told})"
            add(_option(one.name), metavar="X", type=type(low), help=about)
        for one in INTERVALS:
            told = getattr(configfile.Setup, one.name)
            add(_option(one.name), metavar="N", type=int, help=f"{one.about} ({told})")
        add("--preset", metavar="NAME", help="a model and its training (shakespeare)")
        add(
            "--config",
            metavar="FILE",
            nargs="+",
            help="JSON files with a model, its training, or both (none)",
        )
        device(add)
        text(add, "what to learn", "tiny-shakespeare")
        add("--out", metavar="FILE", help="file for the weights (named by seed and iteration)")
        add("--log", metavar="FILE.jsonl", help="file for a line of JSON per iteration (none)")
        about = "stop after N iterations; the learning rate's schedule stays that of --iters (none)"
        add("--stop-at", metavar="N", type=int, help=about)
        add("--state", metavar="FILE", help="file for the whole run, also on the way (none)")
        add("--resume", metavar="FILE", help="state file of a run to continue as it began (none)")
        add(
            "--anyway",
            action="store_true",
            help="resume even if the code or the text is not the same",
        )

    training(command("train", train_command, "Train a GPT and save its weights."), {})

    add = command("run", run_command, "Train a project: edits of this library, and settings.")
    add("project", metavar="FOLDER|FILE.zip", help="as the page's Code tab writes it")
    training(add, dict.fromkeys(project.SETTINGS, "the project's"))

    add = command("presets", presets_command, "The presets, what they cost, and how fast they are.")
    device(add)

    add = command("sample", sample_command, "Let a trained GPT write.")
    add("file", metavar="FILE", help="weights that `train` or the page has saved")
    add("--prompt", metavar="P", help="the text to go on from (its text's beginning)")
    add("--seed", metavar="S", help="text that every random number comes from (the file's)")
    add("--temperature", metavar="T", type=float, default=0.8, help=f"divides the logits {value}")
    add("--top-k", metavar="K", type=int, help="draw among the K likeliest characters (all)")
    about = f"draw among the likeliest characters whose chances add up to P {value}"
    add("--top-p", metavar="P", type=float, default=1.0, help=about)
    add("--length", metavar="N", type=int, default=500, help=f"number of characters {value}")
    device(add)
    text(add, "what it has learned", "as the file says")

    add = command("inspect", inspect_command, "Show what a file holds, or how two differ.")
    add("file", metavar="FILE", help="weights or a state")
    add("other", metavar="FILE", nargs="?", help="another one, to compare tensor by tensor")

    add = command("doctor", doctor_command, "Read a loss curve, and say what is wrong with it.")
    add("log", metavar="LOG", nargs="?", help="what `train --log` or the page's CSV has")
    add("--case", choices=doctor.CASES, help="train one of the doctor's own cases, and read it")
    add(
        "--iters",
        metavar="N",
        type=int,
        default=doctor.ITERS,
        help=f"iterations of the case {value}",
    )
    device(add)

    add = command("twin", twin_command, "Train two seeds side by side; are they the same bytes?")
    add("--seed-a", metavar="A", default=default.seed, help=f"seed of one run {value}")
    add("--seed-b", metavar="B", default=default.seed, help=f"seed of the other {value}")
    add("--iters", metavar="N", type=int, default=ITERS, help=f"number of iterations {value}")
    device(add)
    text(add, "what to learn", "tiny-shakespeare")

    add = command("export", export_command, "Write weights in another program's format.")
    add("file", metavar="FILE", help="weights or a state")
    add("--to", required=True, choices=interchange.KINDS, help="the format")
    add("out", metavar="OUT", help="a file; for gpt2 a folder")
    text(add, "for gpt2: what it has learned", "as the file says")

    add = command("import", import_command, "Read weights in another program's format.")
    add("file", metavar="FILE", help="a file or a folder, as `export` writes them")
    add("out", metavar="OUT", help="the weights")
    add("--like", metavar="FILE", help="weights or a state whose header it takes (its own)")

    add = command("link", link_command, "Tell a run as a link that others can replay.")
    add("file", metavar="FILE", help="a state")

    add = command("replay", replay_command, "Train a link's run again, and check what it claims.")
    add("link", metavar="LINK", help="the link, or what follows its #")
    add("--edits", action="store_true", help="run the link's edits of the code, once you read them")
    device(add)
    text(add, "what it has learned", "tiny-shakespeare")

    add = command("recipes", recipes_command, "Short worked edits of this library to learn from.")
    add("name", metavar="NAME", nargs="?", help="one of them, as a diff (a list of all)")

    add = command("bench", bench_command, "Time a training step, and where its time goes.")
    add("--batch-size", metavar="B", type=int, default=16, help=f"sequences per update {value}")
    add("--sizes", action="store_true", help="what wider models and longer contexts cost")
    add("--json", metavar="FILE", help="the figures as JSON, too (none)")
    device(add)
    return parser
