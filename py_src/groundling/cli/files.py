"""sample, inspect, average, export and import: commands on files of weights."""

import argparse
import hashlib
import math
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..config import check_number
from ..data import Vocabulary, tokenizer_of
from ..model import GPT
from ..runs import average, checkpoint, interchange, nanogpt, statefile
from ..runs.average import OUTER_LR, OUTER_MOMENTUM
from ..runs.checkpoint import HEADER_BYTES, Checkpoint
from ..runs.decoding import decode
from ..runs.inspector import Contents, Difference, compare, size
from ..runs.samples import beginning
from ..runs.writer import stream
from ..sampling import until
from .inputs import (
    DEFAULT,
    FILE,
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
    read_weights,
)
from .output import require_writable, write, write_folder


def add_commands(commands: Any) -> None:
    """Add sample, inspect, average, export and import to the parser."""
    add = add_command(commands, "sample", sample_command, "Generate text with a trained GPT.")
    add("file", metavar="FILE", help=FILE)
    about = "text to continue (default: the beginning of the validation text)"
    add("--prompt", metavar="TEXT", type=str, help=about)
    about = "read the text to continue from FILE, or from - for stdin"
    add("--prompt-file", metavar="FILE", help=about)
    add("--stop", metavar="TEXT", help="end before TEXT, once the model writes it")
    add("--seed", metavar="SEED", type=str, help="seed of the sampling (default: that of the file)")
    about = f"divide the logits by T; 0 always takes the most likely token {DEFAULT}"
    add("--temperature", metavar="T", type=float, default=0.8, help=about)
    about = "sample from the K most likely tokens (default: all)"
    add("--top-k", metavar="K", type=int, help=about)
    about = f"sample from the most likely tokens with a total probability of P {DEFAULT}"
    add("--top-p", metavar="P", type=float, default=1.0, help=about)
    about = f"number of tokens to generate {DEFAULT}"
    add("--length", metavar="N", type=int, default=500, help=about)
    add_device(add)
    add_text(add, "text that the model was trained on", "the one that the file names")

    about = "Show the contents of a file, or the differences between two."
    add = add_command(commands, "inspect", inspect_command, about)
    add("file", metavar="FILE", help=FILE)
    add("other", metavar="FILE", nargs="?", help="second file, to compare tensor by tensor")

    about = "Average runs that began with the same weights (DiLoCo's outer step)."
    add = add_command(commands, "average", average_command, about)
    add("files", metavar="STATE", nargs="+", help="saved runs (.state), at the same iteration")
    add("--out", metavar="FILE", required=True, help="state to write")
    about = "take a step with Nesterov momentum from FILE, the weights that all runs began with"
    add("--from", metavar="FILE", dest="start", help=about)
    about = "with --from, file that keeps the momentum from round to round (.safetensors)"
    add("--momentum", metavar="FILE", help=about)
    about = f"with --from, learning rate of the step (default: {OUTER_LR})"
    add("--outer-lr", metavar="X", type=float, help=about)
    about = f"with --from, its momentum (default: {OUTER_MOMENTUM})"
    add("--outer-momentum", metavar="X", type=float, help=about)

    about = "Convert weights to the format of another program."
    add = add_command(commands, "export", export_command, about)
    add("file", metavar="FILE", help=FILE)
    kinds = interchange.KINDS
    about = f"format to write: {', '.join(kinds)}"
    add("--to", metavar="FORMAT", required=True, choices=kinds, help=about)
    about = "file to write; a folder for gpt2, and for nanogpt if FILE is a saved run"
    add("out", metavar="OUT", help=about)
    about = "for a folder, text that the model was trained on"
    add_text(add, about, "the one that the file names")
    add_data(add, about)

    about = "Convert weights from the format of another program."
    add = add_command(commands, "import", import_command, about)
    add("file", metavar="FILE", help="file or folder to read, as `export` writes it")
    add("out", metavar="OUT", help="file for the weights")
    about = "take the header from another file of weights or state (default: the file's own)"
    add("--like", metavar="FILE", help=about)


def sample_command(args: argparse.Namespace) -> int:
    """groundling sample"""
    with bad_input():
        ckpt, corpus = read_weights(args)
        text = _prompt(args, corpus)
        parts = stream(
            GPT(ckpt.config, chosen_device(args), ckpt.weights),
            corpus,
            text,
            args.length,
            ckpt.seed if args.seed is None else args.seed,
            temperature=args.temperature,
            top_k=args.top_k,
            top_p=args.top_p,
        )
        if args.stop:
            parts = until(parts, args.stop)
        first = next(parts)  # checks the settings
    print(text, first, sep="", end="", flush=True)
    for part in parts:
        print(part, end="", flush=True)
    print()
    return 0


def _prompt(args: argparse.Namespace, corpus: Vocabulary) -> str:
    """The text to continue."""
    if args.prompt is not None and args.prompt_file:
        raise ValueError("--prompt and --prompt-file cannot be used together.")
    if args.prompt_file == "-":
        return decode(sys.stdin.buffer.read(), "standard input")
    if args.prompt_file:
        return decode(Path(args.prompt_file).read_bytes(), args.prompt_file)
    return beginning(corpus) if args.prompt is None else args.prompt


def inspect_command(args: argparse.Namespace) -> int:
    """groundling inspect"""
    with bad_input():
        one = read_file(args.file)
        two = read_file(args.other) if args.other else None
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
    print(f"AdamW step {run.step:,}, {len(run.log):,} log records from iter {run.first:,}")
    if run.origin:
        print(
            f"began with the weights of seed {run.origin.seed!r}, iter {run.origin.iter:,}: ",
            end="",
        )
        print(f"sha256 {run.origin.weights}")
    print(f"saved on {saved.device}; code {saved.code_hash}, text {saved.corpus_hash}")


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
        print(f"All {len(differences)} tensors are bit-identical.")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def average_command(args: argparse.Namespace) -> int:
    """groundling average"""
    with bad_input():
        read = [path for path in (*args.files, args.start) if path]
        for path in filter(None, (args.out, args.momentum)):
            require_writable(Path(path), *read)
        if args.momentum and Path(args.momentum) == Path(args.out):
            raise ValueError(f"{args.out} is named for more than one file.")
        if args.start is None:
            for name in ("momentum", "outer_lr", "outer_momentum"):
                if getattr(args, name) is not None:
                    raise ValueError(f"{option(name)} is for --from.")
        states = []
        for path in args.files:
            with about_file(path):
                states.append(statefile.loads(Path(path).read_bytes()))
        one, momentum = _averaged(args, states)
    write(Path(args.out), statefile.dumps(one))
    if momentum is not None and args.momentum:
        write(Path(args.momentum), momentum)
    print(f"Averaged {len(states)} runs at iter {one.state.iter:,}: saved {args.out}")
    return 0


def _averaged(
    args: argparse.Namespace, states: list[statefile.Saved]
) -> tuple[statefile.Saved, bytes | None]:
    """The run, and with --from the file of the momentum."""
    if args.start is None:
        return average.average(states), None
    start, before = read_file(args.start).ckpt, None
    lr = OUTER_LR if args.outer_lr is None else args.outer_lr
    beta = OUTER_MOMENTUM if args.outer_momentum is None else args.outer_momentum
    check_number("--outer-lr", lr, (0.0, 100.0))
    check_number("--outer-momentum", beta, (0.0, 1.0))
    if args.momentum and Path(args.momentum).exists():
        with about_file(args.momentum):
            kept = interchange.from_safetensors(Path(args.momentum).read_bytes(), start)
        before = kept.weights
    one, momentum = average.outer_step(states, start, before, lr, beta)
    return one, interchange.to_safetensors(replace(start, weights=momentum))


def export_command(args: argparse.Namespace) -> int:
    """groundling export"""
    out = Path(args.out)
    with bad_input():
        saved = read_file(args.file).saved if args.to == "nanogpt" else None
        if args.data and not saved:
            raise ValueError("--data is for a saved run and --to nanogpt.")
        if args.to == "gpt2" or saved:
            ckpt, files = _folder(args, saved)
            write_folder(out, files)
        else:
            require_writable(out, args.file)
            ckpt = read_file(args.file).ckpt
            write(out, getattr(interchange, f"to_{args.to}")(ckpt))
    print(f"Exported iter {ckpt.iter} of seed {ckpt.seed!r}: saved {out}")
    if saved:
        print(nanogpt.DIFFERENT)
    return 0


def _folder(
    args: argparse.Namespace, saved: statefile.Saved | None
) -> tuple[Checkpoint, Mapping[str, bytes | Path]]:
    """The files of a folder: nanoGPT's for a saved run, or else Hugging Face's."""
    if not saved:
        ckpt, vocabulary = read_weights(args)
        return ckpt, interchange.to_gpt2(ckpt, vocabulary)
    corpus = read_data(args, tokenizer_of(saved.vocab_hash))
    with about_file(args.file):
        files = nanogpt.folder(saved, corpus, str(Path(args.out).absolute()))
    return statefile.weights_of(saved), files


def import_command(args: argparse.Namespace) -> int:
    """groundling import"""
    path, out = Path(args.file), Path(args.out)
    with bad_input():
        require_writable(out, args.file)
        like = read_file(args.like).ckpt if args.like else None
        with about_file(args.file):
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
