"""Options that commands share, and the devices, texts and files that they name."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..data import CHARACTERS, Corpus, Vocabulary, shakespeare, tokenizer_of
from ..devices.base import Device, DeviceError
from ..devices.open import DEVICES, open_device
from ..devices.ranks import started
from ..labs.link import LinkError
from ..runs import checkpoint, prepared, texts
from ..runs.checkpoint import Checkpoint, CheckpointError
from ..runs.inspector import Contents
from .terminal import BadInput

DEFAULT = "(default: %(default)s)"
FILE = "weights (.bin) or a saved run (.state)"


def add_command(commands: Any, name: str, function: Callable, about: str) -> Callable:
    """Add a command that calls a function with its arguments. Returns its `add_argument`."""
    parser = commands.add_parser(name, help=about, description=about, allow_abbrev=False)
    parser.set_defaults(command=function)
    parser.register("type", None, _filled)
    return parser.add_argument


def _filled(text: str) -> str:
    """The value of an option or argument that has no other type: a shell's variable that is not
    set is no file.
    """
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return text


@contextmanager
def bad_input() -> Iterator[None]:
    """Turn a ValueError, OSError or DeviceError of this block into BadInput."""
    try:
        yield
    except OSError as error:
        told = f"{error.filename}: {error.strerror}." if error.filename else str(error)
        raise BadInput(told) from error
    except (ValueError, DeviceError) as error:
        raise BadInput(str(error)) from error


@contextmanager
def about_file(path: str, kinds: Any = (CheckpointError, LinkError)) -> Iterator[None]:
    """Begin the message of an error of these kinds in this block with the file's name."""
    try:
        yield
    except kinds as error:
        raise type(error)(f"{path}: {error}") from None


def add_device(add: Callable, purpose: str = "compute") -> None:
    """Add --device and --tf32."""
    known = ", ".join(DEVICES)
    about = f"device to {purpose} on: auto (a GPU if there is one), {known}, or one of PyTorch's, "
    about += f"such as torch:cuda:1 {DEFAULT}"
    add("--device", metavar="DEVICE", type=_device_name, default="auto", help=about)
    about = "on an NVIDIA GPU by torch, round the numbers that are multiplied in matrix products "
    about += "to 10 bits after the point, not 23: several times as fast, no longer exact float32"
    add("--tf32", action="store_true", help=about)


def _device_name(name: str) -> str:
    if name != "auto" and name not in DEVICES and not name.startswith("torch:"):
        known = ", ".join(repr(one) for one in ("auto", *DEVICES, "torch:..."))
        raise argparse.ArgumentTypeError(f"invalid choice: {name!r} (choose from {known})")
    return name


def chosen_device(args: argparse.Namespace) -> Device:
    """The device that --device names. Prints why "auto" did not choose WebGPU."""
    if args.tf32 and not args.device.startswith("torch"):
        raise ValueError("--tf32 is for --device torch.")
    device = open_device(args.device, **({"tf32": True} if args.tf32 else {}))
    if device.ranks.size < started():
        raise ValueError(
            f"torchrun started {started()} processes, which only the torch device lets train one "
            f"run together, not {device.name}."
        )
    if device.instead_of:
        name = device.description.split()[0]
        print(f"groundling: {device.instead_of} Using {name} instead.", file=sys.stderr)
    return device


def add_text(add: Callable, what: str, default: str = "tiny-shakespeare") -> None:
    """Add --text, for a text that is `what`."""
    paths = "text files, folders of .txt and .md files, glob patterns, or - for stdin"
    add("--text", metavar="PATH", nargs="+", help=f"{what}: {paths} (default: {default})")


def option(name: str) -> str:
    """The option of an argument."""
    return f"--{name.replace('_', '-')}"


def add_data(add: Callable, what: str) -> None:
    """Add --data, for a text that is `what`."""
    add("--data", metavar="FOLDER", help=f"{what}, from a folder that `prepare` wrote")


def read_data(args: argparse.Namespace, tokenizer: str) -> Corpus:
    """The text that --data or --text names."""
    if not args.data:
        return read_corpus(args.text, tokenizer)
    if args.text:
        raise ValueError("--data and --text cannot be used together.")
    return prepared.open_folder(Path(args.data))


def read_corpus(paths: list[str] | None, tokenizer: str = CHARACTERS) -> Corpus:
    """The text of these files; of none, tiny-shakespeare."""
    if not paths:
        return shakespeare(tokenizer)
    return texts.read(texts.gather(paths), tokenizer)


def read_weights(args: argparse.Namespace) -> tuple[Checkpoint, Vocabulary]:
    """The weights in a file, and their vocabulary: that of --text, if it is given."""
    ckpt = read_file(args.file).ckpt
    if args.text:
        corpus = read_corpus(args.text, tokenizer_of(ckpt.vocab_hash))
        return read_file(args.file, corpus).ckpt, corpus
    with about_file(args.file):
        return ckpt, checkpoint.vocabulary(ckpt)


def read_file(path: str, corpus: Corpus | None = None) -> Contents:
    """The contents of a file. CheckpointError if its vocabulary is not that of the corpus."""
    with about_file(path):
        file = Contents(Path(path).read_bytes())
        if corpus:
            checkpoint.require_vocab(file.ckpt, corpus.vocab_hash)
        if corpus and file.ckpt.config.vocab_size != corpus.vocab_size:
            raise CheckpointError(
                f"Its vocabulary has {file.ckpt.config.vocab_size} characters; {corpus.name!r} "
                f"has {corpus.vocab_size}."
            )
        return file
