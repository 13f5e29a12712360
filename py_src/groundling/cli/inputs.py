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
    return parser.add_argument


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
def about_file(path: str) -> Iterator[None]:
    """Begin the message of a CheckpointError or LinkError of this block with the file's name."""
    try:
        yield
    except (CheckpointError, LinkError) as error:
        raise type(error)(f"{path}: {error}") from None


def add_device(add: Callable, purpose: str = "compute") -> None:
    """Add --device."""
    about = f"device to {purpose} on: auto (a GPU if there is one), {', '.join(DEVICES)} {DEFAULT}"
    add("--device", metavar="DEVICE", choices=("auto", *DEVICES), default="auto", help=about)


def chosen_device(args: argparse.Namespace) -> Device:
    """The device that --device names. Prints why "auto" did not choose a GPU."""
    device = open_device(args.device)
    if device.instead_of:
        print(f"groundling: {device.instead_of} Using NumPy instead.", file=sys.stderr)
    return device


def add_text(add: Callable, what: str, default: str = "tiny-shakespeare") -> None:
    """Add --text, for a text that is `what`."""
    paths = "text files, folders of .txt and .md files, glob patterns, or - for stdin"
    add("--text", metavar="PATH", nargs="+", help=f"{what}: {paths} (default: {default})")


def add_data(add: Callable) -> None:
    """Add --data."""
    add("--data", metavar="FOLDER", help="text to train on, from a folder that `prepare` wrote")


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
