"""train and run: train a GPT and save its weights."""

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..config import TRAIN_FIELDS, TrainConfig, with_peak
from ..data import Corpus, tokenizer_of
from ..devices.base import DeviceError
from ..edits import project
from ..engine.parameters import parameter_count
from ..labs import bigram, phases, textstats
from ..runs import checkpoint, configfile, further, presets, statefile, texts
from ..runs.checkpoint import CheckpointError
from ..runs.configfile import INTERVAL_FIELDS, Setup
from ..runs.run import NonFiniteLoss, Run, begin
from ..runs.samples import prompt
from ..runs.statefile import OtherOrigin
from ..sources import hash_of
from ..train import train
from .edits import error_in_edits, under_edits
from .inputs import (
    about_file,
    add_command,
    add_data,
    add_device,
    add_text,
    bad_input,
    chosen_device,
    option,
    read_data,
    read_file,
)
from .logs import Logs
from .output import Saver, best_name, require_unread, require_writable
from .terminal import Progress, complain, pause_on_interrupt, restarts

SETTINGS = "seed", *(field.name for field in TRAIN_FIELDS)


def add_commands(commands: Any) -> None:
    """Add train and run to the parser."""
    _add_options(add_command(commands, "train", train_command, "Train a GPT and save its weights."))
    about = "Train with the edits and settings of a project."
    add = add_command(commands, "run", run_command, about)
    add(
        "project",
        metavar="PROJECT",
        help="folder or .zip of edits, from Keep and share in the page",
    )
    _add_options(add, dict.fromkeys(project.SETTINGS, "the project's"))


def _add_options(add: Callable, defaults: Mapping[str, object] = MappingProxyType({})) -> None:
    """Add the options of training. `defaults` replace those of Setup in their help."""
    usual = vars(TrainConfig()) | vars(Setup()) | dict(defaults)
    about = f"seed of all random numbers; any text (default: {usual['seed']})"
    add("--seed", metavar="SEED", type=str, help=about)
    for one in (*TRAIN_FIELDS, *INTERVAL_FIELDS):
        kind = type(one.limits[0])
        about = f"{one.about} (default: {usual[one.name]})"
        add(option(one.name), metavar="N" if kind is int else "X", type=kind, help=about)
    add_start(add)
    add_device(add, "train")
    add_text(add, "text to train on")
    add_data(add, "text to train on")
    about = "write the weights to FILE (default: a name with the seed and the iteration)"
    add("--out", metavar="FILE", help=about)
    about = "write a line per iteration to FILE: JSON, or CSV if its name ends in .csv"
    add("--log", metavar="FILE", help=about)
    add("--tensorboard", metavar="FOLDER", help="also log to FOLDER, for TensorBoard")
    about = "stop after N iterations, with the learning-rate schedule of --iters"
    add("--stop-at", metavar="N", type=int, help=about)
    add("--state", metavar="FILE", help="save the whole run to FILE, also while it trains")
    about = "continue the run in a state file; with --iters N, train it further, to iteration N"
    add("--resume", metavar="FILE", help=about)
    about = (
        "learning rate with --resume and --iters: stretch the schedule to the new end (default), "
    )
    about += "or hold the rate at which a finished run ended"
    add("--schedule", metavar="HOW", choices=further.SCHEDULES, help=about)
    about = "begin with the weights of a .bin or .state file, and its model; all else starts anew"
    add("--init-from", metavar="FILE", help=about)
    about = "also save the weights of the lowest validation loss, in NAME-best.bin"
    add("--keep-best", action="store_true", help=about)
    about = "stop early after N evaluations in a row without a lower validation loss"
    add("--patience", metavar="N", type=int, help=about)
    add("--anyway", action="store_true", help="resume even if the code or the text has changed")


def add_start(add: Callable) -> None:
    """Add the options that name a setup to start from."""
    add_preset(add, "model and settings to start from")
    about = "JSON files with a model, training settings, or both"
    add("--config", metavar="FILE", nargs="+", help=about)


def add_preset(add: Callable, what: str) -> None:
    """Add --preset, for `what`."""
    names = ", ".join(presets.PRESETS)
    add("--preset", metavar="NAME", help=f"{what}: {names} (default: shakespeare)")


def train_command(args: argparse.Namespace) -> int:
    """groundling train"""
    with bad_input():
        setup = setup_of(args)
        run = _resumed(args) if args.resume else _begun(args, setup)
        run.keeps_best, run.patience = args.keep_best, _patience(args)
        _go_on(run, args)
        config = run.config
        settings = f"{config} {run.model.config} {run.iter}"
        run.ranks.require_same(code=run.code_hash, text=run.corpus.sha256, settings=settings)
        end = config.iters if args.stop_at is None else min(args.stop_at, config.iters)
        if args.stop_at is not None and end <= run.iter < config.iters:
            raise ValueError(
                f"--stop-at is {args.stop_at}, but the run is at iteration {run.iter}."
            )
        saver = Saver(run, args, setup)
        weights = args.out or checkpoint.file_name(config.seed, end, run.model.config)
        _require_files(args, weights)
        logs = Logs() if run.ranks.rank else Logs(args.log, args.tensorboard)
    parameters, ranks = parameter_count(run.model.shapes), run.ranks.size
    print(
        f"{parameters:,} parameters, seed {config.seed!r}, {config.iters:,} iterations of "
        f"{config.batch_size} x {run.model.config.block_size} tokens; {run.device.description}"
        + (f", {ranks} processes" if ranks > 1 else ""),
        file=sys.stderr,
    )
    try:
        with pause_on_interrupt(run):
            with logs, Progress(run, sys.stderr) as progress:
                for record in run.log:
                    logs.add(record)
                told = len(run.samples)
                while not run.ranks.any(run.pausing):
                    stop = saver.next_at
                    for record in train(run, min(end, stop)):
                        logs.add(record)
                        progress.show(record)
                        saver.save_best()
                        told = _show_samples(run, told, progress)
                    if run.iter != stop or run.iter >= end:
                        break
                    saver.save_state()
                _show_samples(run, told, progress)
            saver.save_best()
            finished = run.iter >= config.iters
            if finished or args.out or saver.interval == math.inf:  # first: the smallest file
                saver.save_weights()
            if saver.interval < math.inf:
                saver.save_state()
    except KeyboardInterrupt:
        return complain(f"interrupted. {saver.left}", code=130)
    except NonFiniteLoss as error:
        return complain(f"{error} {saver.left} A lower --lr may help.", code=1)
    except CheckpointError as error:
        return complain(f"{error} {saver.left}", code=1)
    except Exception as error:
        if not isinstance(error, DeviceError) or error_in_edits(error):
            error.add_note(saver.left)
            raise
        return complain(f"{error} {saver.left}", code=1)
    val = "" if run.val_loss is None else f", validation loss {run.val_loss:.4f}"
    how = "Finished" if finished else "Stopped at"
    names = f"saved {' and '.join(saver.saved)}" if saver.saved else "nothing was saved"
    early = "" if run.iter >= end else further.early(run)
    print(f"{how} iter {run.iter}{val}: {names}" + (f". {early}" if early else ""))
    if saver.failed or logs.failed:
        return 1
    return 0 if run.iter >= end or early else 130


def _require_files(args: argparse.Namespace, weights: str) -> None:
    """ValueError unless the files of a run have different paths, at which they can be written
    without the loss of one that is read.
    """
    best = best_name(args.out) if args.out and args.keep_best else None
    written = [Path(path) for path in (weights, best, args.state) if path]
    named = [*written, *(Path(path) for path in (args.log, args.tensorboard) if path)]
    for path in named:
        if named.count(path) > 1:
            raise ValueError(f"{path} is named for more than one file.")
    read = *(args.config or ()), *(args.text or ())
    for path in written:
        require_writable(path, *read)
    require_unread(weights, args.resume)
    require_unread(args.log, args.resume, args.init_from, *read)


def _go_on(run: Run, args: argparse.Namespace) -> None:
    """Continue this very run from its last state, where torchrun has started it once more."""
    if not restarts() or not args.state or not Path(args.state).is_file():
        return
    with about_file(args.state):
        saved = statefile.loads(Path(args.state).read_bytes())
    its = saved.state.config, saved.state.model, saved.corpus_hash, saved.code_hash
    if its == (run.config, run.model.config, run.corpus.sha256, run.code_hash):
        run.restore(saved.state)
        print(
            f"groundling: a process had ended. The run goes on from iteration {run.iter}.",
            file=sys.stderr,
        )


def _show_samples(run: Run, told: int, progress: Progress) -> int:
    """Print the run's samples after the first `told`. Returns how many there are."""
    measurable = told < len(run.samples) and not run.corpus.on_disk
    measures = textstats.TextStats(run.corpus) if measurable else None
    if measures and not told:
        pairs, begun = bigram.Bigram(run.corpus), prompt(run.corpus)
        written = pairs.write(begun)
        progress.above(
            f"a model that only counts pairs, loss {pairs.nats:.4f}",
            f"    {begun}|{written}".replace("\n", "↵"),
            *_measured(measures.of(written), run.corpus),
        )
    for sample in run.samples[told:]:
        loss = "" if sample.loss is None else f", validation loss {sample.loss:.4f}"
        text = f"{prompt(run.corpus)}|{sample.text}"
        phased = phases.has_phases(run.corpus, run.model.config)
        phase = f": {phases.phase_of(sample.iter).name}" if phased else ""
        progress.above(
            f"iter {sample.iter}{loss}{phase}",
            f"    {text.replace(chr(10), '↵')}",
            *(_measured(measures.of(sample.text), run.corpus) if measures else ()),
        )
    return len(run.samples)


def _measured(found: textstats.Measures, corpus: Corpus) -> Iterator[str]:
    words = "" if found.words is None else f", {found.words:.0%} known words"
    yield (
        f"    {found.characters:.0%} of the {corpus.vocab_size} characters, "
        f"KL {found.unigram_kl:.2f} (bigrams {found.bigram_kl:.2f}) nats{words}"
    )


def _begun(args: argparse.Namespace, setup: Setup) -> Run:
    """A new run of a setup and the options."""
    given = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    usual = setup.train if args.lr is None else with_peak(setup.train, args.lr)
    setup = replace(setup, train=replace(usual, **given))
    if args.schedule:
        raise ValueError("--schedule is for --resume with --iters.")
    ckpt = read_file(args.init_from).ckpt if args.init_from else None
    shaped = args.preset or setup.model is not presets.PRESETS["shakespeare"].model
    if ckpt and not shaped:
        setup = replace(setup, tokenizer=tokenizer_of(ckpt.vocab_hash))
    corpus, device = read_data(args, setup.tokenizer), chosen_device(args)
    if not (ckpt or shaped):
        setup = replace(setup, tokenizer=corpus.tokenizer)
    if setup.vocab_given not in (None, corpus.vocab_size):
        raise ValueError(
            f"vocab_size is {setup.vocab_given}, but the text {corpus.name!r} has "
            f"{corpus.vocab_size} distinct characters. A config can leave vocab_size out."
        )
    if ckpt:
        with about_file(args.init_from):
            run = further.begin_from(ckpt, setup, corpus, device, bool(shaped))
        print(f"{args.init_from}: {further.describe(run)}", file=sys.stderr)
    else:
        run = begin(setup, corpus, device)
    if args.text or args.data:
        advice = texts.advice(corpus, parameter_count(run.model.shapes))[1]
        print(f"{texts.describe(corpus)} {advice}", file=sys.stderr)
    return run


def _patience(args: argparse.Namespace) -> int:
    if args.patience is not None and args.patience < 1:
        raise ValueError(f"--patience is {args.patience}; it must be at least 1.")
    return args.patience or 0


def setup_of(args: argparse.Namespace) -> Setup:
    """The preset that the options name, with their config files and intervals applied."""
    setup = preset_of(args)
    for path in args.config or ():
        with about_file(path, ValueError):
            setup = configfile.loads(Path(path).read_bytes(), setup)
    for one in INTERVAL_FIELDS:
        if (value := getattr(args, one.name, None)) is not None:
            setup = replace(setup, **{one.name: one.read(value)})
    return setup


def preset_of(args: argparse.Namespace) -> Setup:
    """The preset that --preset names."""
    name = args.preset or "shakespeare"
    if name not in presets.PRESETS:
        raise ValueError(f"Unknown preset {name!r}. Choose from {', '.join(presets.PRESETS)}.")
    return presets.PRESETS[name]


def _resumed(args: argparse.Namespace) -> Run:
    """The run in the state file that --resume names."""
    for name in (*SETTINGS, "config", "preset", "init_from"):
        if name != "iters" and getattr(args, name) is not None:
            raise ValueError(f"{option(name)} cannot be used with --resume.")
    if args.schedule and args.iters is None:
        raise ValueError("--schedule is for --resume with --iters.")
    with about_file(args.resume):
        saved = statefile.loads(Path(args.resume).read_bytes())
        corpus, device = read_data(args, tokenizer_of(saved.vocab_hash)), chosen_device(args)
        try:
            run = statefile.resume(saved, corpus, device, args.anyway)
        except OtherOrigin as error:
            raise CheckpointError(f"{error} Use --anyway to resume it anyway.") from None
    if args.iters is not None:
        further.extend(run, args.iters, args.schedule or "stretch")
    run.sample_every = args.sample_interval or run.sample_every
    if (here := statefile.device_of(run)) != saved.device:
        print(
            f"groundling: the state was saved on {saved.device}. It continues on {here}, with "
            "different rounding.",
            file=sys.stderr,
        )
    return run


def run_command(args: argparse.Namespace) -> int:
    """groundling run"""
    with bad_input(), about_file(args.project, project.ProjectError):
        found = project.read(Path(args.project))
    if not args.resume:
        for name in project.SETTINGS:
            if getattr(args, name) is None:
                setattr(args, name, getattr(found.config, name))
    if found.code != hash_of({}):
        print(
            f"groundling: the project was saved with Groundling {found.version}, code "
            f"{found.code[:12]}…. This is code {hash_of({})[:12]}…; the edits may not apply.",
            file=sys.stderr,
        )
    return under_edits(found.files, train_command, args)
