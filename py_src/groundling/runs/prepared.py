"""Texts larger than memory: written once as tokens on the disk, and read from there by the batch.

    prepare(["books/"], Path("books.data"))     writes train.bin, val.bin and manifest.json
    corpus = open_folder(Path("books.data"))    trains as the text in memory would, to the bit

train.bin and val.bin are nanoGPT's: little-endian uint16, a token each, one after the other. The
manifest says which text and tokenizer they are of, the vocabulary, and what each file must be.
"""

import codecs
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from ..data import BYTES, CHARACTERS, TRAIN_SPLIT, Corpus, Vocabulary, byte_vocabulary
from . import strict
from .checkpoint import check_vocab
from .decoding import mark_of
from .strict import COUNT, HASH, TEXT, TOKENIZER, check, or_none
from .texts import MAX_NAME, paths

FORMAT = "groundling-data-v1"
SPLITS = "train", "val"
MANIFEST = "manifest.json"
MAX_MANIFEST = 2**25  # bytes: a vocabulary is the most of it
MAX_VOCAB = 2**16  # of uint16
PIECE = 2**20  # bytes that are read at a time
RULES = {
    "format": TEXT,
    "name": TEXT,
    "sha256": HASH,
    "raw_bytes": COUNT,
    "tokenizer": TOKENIZER,
    "vocab_size": (1, MAX_VOCAB),
    "vocab_hash": HASH,
    "vocab": or_none(TEXT),
    **{split: {"tokens": COUNT, "sha256": HASH} for split in SPLITS},
}


class PreparedCorpus(Corpus):
    """A text whose tokens are in a folder: `train` and `val` are memory maps, uint16."""

    on_disk = True

    def __init__(self, vocabulary: Vocabulary, folder: Path, manifest: dict):
        Vocabulary.__init__(self, vocabulary.vocab, manifest["name"], vocabulary.tokenizer)
        self.sha256, self.raw_bytes = manifest["sha256"], manifest["raw_bytes"]
        self.folder = folder
        self.train, self.val = (_tokens(folder, split) for split in SPLITS)

    def sequences(
        self, split: Literal["train", "val"], offsets: np.ndarray, block_size: int
    ) -> np.ndarray:
        """The sequences at these offsets, read from the disk: uint32 (B, block_size + 1)."""
        tokens = _tokens(self.folder, split)  # a new map: an old one counts what was read by it
        return np.stack([tokens[at : at + block_size + 1] for at in offsets.tolist()], dtype="u4")


def prepare(
    arguments: Iterable[str],
    folder: Path,
    tokenizer: str = CHARACTERS,
    done: Callable[[int], None] = lambda size: None,
) -> dict:
    """Write a text of files, folders and patterns to a folder, in memory that does not depend on
    how long it is; `done` is told the bytes of text read so far, of two readings. Returns the
    manifest. ValueError for what texts.read refuses, and for more characters than uint16 has
    numbers; OSError.
    """
    found = [path for argument in arguments for path in _files(argument)]
    if not found:
        raise ValueError("There is no file to read.")
    name = found[0].name[:MAX_NAME] + (f" and {len(found) - 1} more" if len(found) > 1 else "")
    digest, size, count, kinds = hashlib.sha256(), 0, 0, set()
    for piece in _pieces(found, tokenizer):
        raw = piece.encode() if isinstance(piece, str) else piece
        digest.update(raw)
        size, count = size + len(raw), count + len(piece)
        kinds.update(piece if isinstance(piece, str) else ())
        done(size)
    if not count:
        raise ValueError(f"The text {name!r} is empty; there is nothing to learn from.")
    if len(kinds) > MAX_VOCAB:
        raise ValueError(
            f"The text has {len(kinds):,} distinct characters, and uint16 has numbers for "
            f"{MAX_VOCAB:,}. Prepare it as bytes: --tokenizer {BYTES}."
        )
    is_bytes = tokenizer == BYTES
    vocabulary = byte_vocabulary() if is_bytes else Vocabulary("".join(sorted(kinds)), name)
    counts = {"train": int(TRAIN_SPLIT * count)}
    counts["val"] = count - counts["train"]
    manifest = {
        "format": FORMAT,
        "name": name,
        "sha256": digest.hexdigest(),
        "raw_bytes": size,
        "tokenizer": tokenizer,
        "vocab_size": vocabulary.vocab_size,
        "vocab_hash": vocabulary.vocab_hash,
        "vocab": None if is_bytes else vocabulary.vocab,
    }
    was_there = folder.exists()
    folder.mkdir(exist_ok=True)
    try:
        with TemporaryDirectory(dir=folder) as place:
            new = Path(place)
            digests = _write(new, counts, vocabulary, _pieces(found, tokenizer), size, done)
            for split in SPLITS:
                manifest[split] = {"tokens": counts[split], "sha256": digests[split]}
            text = json.dumps(manifest, indent=2) + "\n"
            (new / MANIFEST).write_text(text, encoding="ascii")
            (folder / MANIFEST).unlink(missing_ok=True)  # until all is there, nothing is
            for path in _bin(new, "train"), _bin(new, "val"), new / MANIFEST:
                path.replace(folder / path.name)
    except BaseException as error:
        if not was_there:
            with suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError) and error.filename not in map(str, found):
            raise OSError(error.errno, error.strerror, str(folder)) from error
        raise
    return manifest


def _write(
    folder: Path,
    counts: dict[str, int],
    vocabulary: Vocabulary,
    pieces: Iterable[str | bytes],
    size: int,
    done: Callable[[int], None],
) -> dict[str, str]:
    """Write the tokens of both files; the SHA-256 of each."""
    left, digests = dict(counts), {split: hashlib.sha256() for split in SPLITS}
    with ExitStack() as opened:
        files = {split: opened.enter_context(_bin(folder, split).open("wb")) for split in SPLITS}
        for piece in pieces:
            is_text = isinstance(piece, str)
            tokens = vocabulary.encode(piece) if is_text else np.frombuffer(piece, np.uint8)
            tokens = tokens.astype("<u2")
            size += len(piece.encode() if is_text else piece)
            for split in SPLITS:
                some, tokens = tokens[: left[split]], tokens[left[split] :]
                left[split] -= len(some)
                digests[split].update(some.tobytes())
                files[split].write(some.tobytes())
            if len(tokens):
                break
            done(size)
        else:
            if not any(left.values()):
                return {split: digest.hexdigest() for split, digest in digests.items()}
    raise ValueError("The text changed while it was read. Prepare it again.")


def open_folder(folder: Path) -> PreparedCorpus:
    """The text that was prepared in a folder. It reads the files once, to check their SHA-256.
    ValueError, with the name of the file, for what is not as `prepare` wrote it; OSError.
    """
    manifest = _read_manifest(folder / MANIFEST)
    vocabulary = byte_vocabulary()
    if manifest["tokenizer"] == CHARACTERS:
        vocabulary = Vocabulary(manifest["vocab"])
    for split in SPLITS:
        path, told = _bin(folder, split), manifest[split]
        found, expected = path.stat().st_size, 2 * told["tokens"]
        if found != expected:
            what = "missing; it was cut short" if found < expected else "too many"
            raise ValueError(
                f"{path} has {found:,} bytes; its manifest says {told['tokens']:,} tokens, which "
                f"make {expected:,}. {abs(found - expected):,} are {what}. Prepare the text again."
            )
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != told["sha256"]:
            raise ValueError(
                f"{path} is not the file that was prepared: its SHA-256 is {digest[:12]}…, and its "
                f"manifest says {told['sha256'][:12]}…. Prepare the text again."
            )
    return PreparedCorpus(vocabulary, folder, manifest)


def _read_manifest(path: Path) -> dict:
    if not path.is_file():
        raise ValueError(
            f"{path.parent} is no prepared text: it has no {MANIFEST}. `groundling prepare` makes "
            "one."
        )
    try:
        if (size := path.stat().st_size) > MAX_MANIFEST:
            raise ValueError(f"it has {size:,} bytes.")
        manifest = strict.parse(path.read_bytes())
        check("it", manifest, RULES)
        if manifest["format"] != FORMAT:
            raise ValueError(f"its format is {manifest['format']!r:.80}; it must be {FORMAT!r}.")
        for split in SPLITS:
            if not manifest[split]["tokens"]:
                raise ValueError(f"{split} has no tokens.")
        if manifest["tokenizer"] == CHARACTERS:
            check_vocab("vocab", manifest["vocab"], manifest["vocab_size"], manifest["vocab_hash"])
        elif (manifest["vocab_size"], manifest["vocab_hash"]) != (
            256,
            byte_vocabulary().vocab_hash,
        ):
            raise ValueError("its vocabulary is not the 256 bytes.")
    except ValueError as error:
        raise ValueError(f"{path} is wrong: {error}") from None
    return manifest


def _bin(folder: Path, split: str) -> Path:
    return folder / f"{split}.bin"


def _tokens(folder: Path, split: str) -> np.memmap:
    return np.memmap(_bin(folder, split), "<u2", "r")


def _files(argument: str) -> list[Path]:
    if argument == "-":
        raise ValueError("The text is read twice, which stdin cannot be. Save it to a file first.")
    found = paths(argument)
    for path in found:
        if path.exists() and not path.is_file():
            raise ValueError(f"{path} is read twice, which it cannot be. Save it to a file first.")
    return found


def _pieces(files: Iterable[Path], tokenizer: str) -> Iterator[str | bytes]:
    """The text of texts.read, in pieces: characters, or the bytes of a model of bytes."""
    ended = True  # whether what came so far ends with a line break
    for path in files:
        if not ended:
            yield b"\n" if tokenizer == BYTES else "\n"
            ended = True
        for piece in _of_bytes(path) if tokenizer == BYTES else _of_text(path):
            if piece:
                ended = piece[-1:] in ("\n", b"\n")
                yield piece


def _of_bytes(path: Path) -> Iterator[bytes]:
    """A file's bytes; text with a byte order mark as UTF-8 without it."""
    with path.open("rb") as file:
        if mark_of(file.read(4))[0]:
            try:
                for _ in _of_text(path):
                    pass
            except ValueError:
                pass
            else:
                yield from (piece.encode() for piece in _of_text(path))
                return
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece


def _of_text(path: Path) -> Iterator[str]:
    """A file's text. ValueError, with the sentence of `decode` for a piece, where it is none."""
    with path.open("rb") as file:
        mark, coding = mark_of(file.read(4))
        file.seek(len(mark))
        decoder, at = codecs.getincrementaldecoder(coding)(), len(mark)
        while True:
            data, before = file.read(PIECE), decoder.getstate()[0]
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                wrong = at - len(before) + error.start
                kind = coding[:6].rstrip("-").upper()
                raise ValueError(
                    f"{path} is not {kind} text: byte {wrong:,} cannot be read. Save it as UTF-8 "
                    "and try again."
                ) from None
            if "\0" in text:
                raise ValueError(f"{path} is not text: it has a byte 0, which no text has.")
            yield text
            if not data:
                return
            at += len(data)
