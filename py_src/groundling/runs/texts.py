"""Your own text: read from files, looked over, and named by a manifest.

corpus = read([("a.txt", data), ("b.txt", more)], tokenizer="byte-v1")
survey(corpus).unusual        the characters that may not be meant to be there
advice(corpus, parameters)    whether there is enough of it, in tokens per parameter
manifest(corpus, seed)        what a state file says of it
"""

import glob
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath

import numpy as np

from ..data import BYTES, CHARACTERS, TRAIN_SPLIT, Corpus
from .decoding import decode
from .strict import COUNT, HASH, TEXT, TOKENIZER, check

MAX_BYTES = 100_000_000  # of all files together
MAX_NAME = 200  # characters
SUFFIXES = ".txt", ".md"  # of the texts in a folder
MAX_UNUSUAL = 50  # that are listed
RARE = 3  # a character that comes so often or less is rare
LEAST_TOKENS = 1.0  # per parameter: below it a model learns the text by heart
ENOUGH_TOKENS = 20.0  # per parameter, Hoffmann et al. 2022, "Training Compute-Optimal ..."


def read(files: Iterable[tuple[str, bytes]], tokenizer: str = CHARACTERS) -> Corpus:
    """The text of one or more files, joined by line breaks where one does not end with it. For a
    model of bytes a file that is not text is taken as it is; text becomes UTF-8, so that it is the
    same for either tokenizer. ValueError for no file, more than MAX_BYTES, or a byte that is not
    text.
    """
    whole, names, size = bytearray(), [], 0
    for name, data in files:
        names.append(name)
        if (size := size + len(data)) > MAX_BYTES:
            raise ValueError(f"The text has {size:,} bytes; it may have {MAX_BYTES:,} in all.")
        if whole and not whole.endswith(b"\n"):
            whole += b"\n"
        whole += _utf8(name, data, tokenizer)
    if not names:
        raise ValueError("There is no file to read.")
    name = PurePath(names[0]).name[:MAX_NAME] or "text"
    if len(names) > 1:
        name += f" and {len(names) - 1} more"
    return Corpus(bytes(whole) if tokenizer == BYTES else whole.decode(), name, tokenizer)


def read_as(corpus: Corpus, tokenizer: str) -> Corpus:
    """The text by a tokenizer. ValueError for bytes that cannot be read as characters."""
    if tokenizer == corpus.tokenizer:
        return corpus
    tokens = np.concatenate([corpus.train, corpus.val])
    if corpus.tokenizer == BYTES:
        return Corpus(decode(tokens.astype(np.uint8).tobytes(), corpus.name), corpus.name)
    return Corpus(corpus.decode(tokens), corpus.name, tokenizer)


def gather(arguments: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Files by name and bytes, for `read`: of each argument the file of that name; the texts in a
    folder and those within it; those that fit a pattern like `plays/*.txt`; or, for "-", standard
    input. Of a folder or a pattern they come in the order of their paths. ValueError, OSError.
    """
    for argument in arguments:
        if argument == "-":
            yield "standard input", sys.stdin.buffer.read(MAX_BYTES + 1)
            continue
        for path in paths(argument):
            if (size := path.stat().st_size) > MAX_BYTES:
                raise ValueError(f"{path} has {size:,} bytes; a text may have {MAX_BYTES:,}.")
            yield str(path), path.read_bytes()


def paths(argument: str) -> list[Path]:
    """The file of that name, the texts in a folder, or the files that fit a pattern."""
    path = Path(argument)
    if path.is_dir():
        found = [one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES]
        found = [one for one in found if "/." not in f"/{one.relative_to(path).as_posix()}"]
    elif path.exists() or not glob.has_magic(argument):
        return [path]
    else:
        found = [Path(name) for name in glob.glob(argument, recursive=True)]
    found = sorted((one for one in found if one.is_file()), key=Path.as_posix)
    if not found:
        what = " or ".join(SUFFIXES) if path.is_dir() else "such"
        raise ValueError(f"{argument}: there is no {what} file.")
    return found


def _utf8(name: str, data: bytes, tokenizer: str) -> bytes:
    try:
        return decode(data, name).encode()
    except ValueError:
        if tokenizer == BYTES:
            return bytes(data)
        raise


@dataclass(frozen=True)
class Unusual:
    """A character that is rare, or that does not show: a control character, a mark, a gap."""

    character: str
    name: str  # of Unicode
    count: int
    why: str


@dataclass(frozen=True)
class Survey:
    """What a text consists of."""

    characters: int
    lines: int
    words: int
    distinct: int
    common: list[tuple[str, int]]  # the ten most common characters
    unusual: list[Unusual]  # at most MAX_UNUSUAL
    n_unusual: int


def survey(corpus: Corpus) -> Survey:
    """Count what is in the text."""
    text = corpus.decode(np.concatenate([corpus.train, corpus.val]))
    points, counts = np.unique(
        np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4"), return_counts=True
    )
    pairs = [(chr(point), int(n)) for point, n in zip(points, counts, strict=True)]
    unusual = [
        Unusual(c, unicodedata.name(c, f"U+{ord(c):04X}"), n, why)
        for c, n in pairs
        if (why := _unusual(c, n, len(text)))
    ]
    common = sorted(pairs, key=lambda pair: -pair[1])[:10]
    lines, words = text.count("\n") + (not text.endswith("\n")), len(text.split())
    shown = sorted(unusual, key=lambda one: one.why == "rare")[:MAX_UNUSUAL]
    return Survey(len(text), lines, words, len(pairs), common, shown, len(unusual))


def _unusual(character: str, count: int, length: int) -> str:
    kind = unicodedata.category(character)
    if character == "\ufeff":
        return "a byte order mark"
    if character == "\ufffd":
        return "stands for what another program could not read"
    if character == "\r":
        return "carriage return, of line breaks as Windows writes them"
    if kind in ("Cc", "Cf", "Co", "Cn", "Cs") and character not in "\n\t":
        return "does not show"
    if kind == "Zs" and character != " ":
        return "a space, but another one"
    return "rare" if count <= RARE and length >= 10_000 else ""


def describe(corpus: Corpus) -> str:
    """The text in a sentence."""
    n = len(corpus.train) + len(corpus.val)
    return f"{corpus.name}: {corpus.raw_bytes:,} bytes, {n:,} tokens of {corpus.vocab_size} kinds."


def advice(corpus: Corpus, parameters: int) -> tuple[float, str]:
    """Tokens to train on per parameter, and what that means for a model of so many."""
    n = len(corpus.train)
    ratio = n / parameters
    told = f"{n:,} tokens to train {parameters:,} parameters: {ratio:.3g} for each. "
    if ratio < LEAST_TOKENS:
        told += (
            "That is too little text: the model can learn it by heart, and its validation loss "
            "will turn up. Take a smaller model or more text."
        )
    elif ratio < ENOUGH_TOKENS:
        told += (
            f"It will do. Compute-optimal training sees about {ENOUGH_TOKENS:g}, so watch for the "
            "validation loss to turn up."
        )
    else:
        told += f"That is plenty: compute-optimal training sees about {ENOUGH_TOKENS:g}."
    return ratio, told


@dataclass(frozen=True)
class Manifest:
    """Which text a run was trained on, in the guide's keys."""

    dataset_id: str  # SHA-256 of the raw bytes
    name: str
    raw_bytes: int
    token_count: int
    tokenizer: str
    train_split: float
    val_split: float
    seed: str


def manifest(corpus: Corpus, seed: str) -> Manifest:
    """The manifest of a run on this text."""
    return Manifest(
        dataset_id=corpus.sha256,
        name=corpus.name,
        raw_bytes=corpus.raw_bytes,
        token_count=len(corpus.train) + len(corpus.val),
        tokenizer=corpus.tokenizer,
        train_split=TRAIN_SPLIT,
        val_split=round(1 - TRAIN_SPLIT, 10),
        seed=seed,
    )


def check_manifest(value: object) -> Manifest:
    """A manifest from its JSON. ValueError."""
    sizes, shares = ("raw_bytes", "token_count"), ("train_split", "val_split")
    rules = {"dataset_id": HASH, "name": TEXT, "tokenizer": TOKENIZER, "seed": TEXT}
    rules |= dict.fromkeys(sizes, (1, COUNT[1])) | dict.fromkeys(shares, (0.0, 1.0))
    check("dataset", value, rules)
    return Manifest(**value)


def differences(made_on: Manifest, corpus: Corpus) -> list[str]:
    """How the text that a run was made on is not this one, as sentences."""
    here = asdict(manifest(corpus, made_on.seed))
    was = asdict(made_on)
    facts = "raw_bytes", "token_count", "tokenizer", "train_split", "val_split"
    told = [
        f"{fact} was {was[fact]}, and is {here[fact]}" for fact in facts if was[fact] != here[fact]
    ]
    return [f"It was {made_on.name!r}: {'; '.join(told)}."] if told else []
