"""A text as tokens, split 90 / 10: its characters, numbered in code point order, or its bytes."""

import codecs
import hashlib
import os
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from .rng import Stream

SHAKESPEARE = "tinyshakespeare.txt"
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
SHAKESPEARE_VOCAB = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CHARACTERS, BYTES = TOKENIZERS = "char-v1", "byte-v1"
TRAIN_SPLIT = 0.9


class Vocabulary:
    """What the tokens stand for. `vocab` has one character for each: the text's own for "char-v1";
    for "byte-v1" the 256 bytes, shown as Latin-1 does.

    `vocab_hash` is the SHA-256 of the vocabulary in UTF-8, or of the 256 bytes.
    """

    def __init__(self, vocab: str, name: str = "the text", tokenizer: str = CHARACTERS):
        self.name, self.tokenizer, self.vocab = name, tokenizer, vocab
        coding = "latin-1" if tokenizer == BYTES else "utf-8"
        self.vocab_size = len(vocab)
        self.vocab_hash = hashlib.sha256(vocab.encode(coding, "surrogatepass")).hexdigest()

    def encode(self, text: str) -> np.ndarray:
        """Tokens of text, uint32 (tokens,). ValueError for a character we have no token for."""
        if self.tokenizer == BYTES:
            return np.frombuffer(_raw(text), np.uint8).astype(np.uint32)
        points, known = _code_points(text), _code_points(self.vocab)
        token_of = np.zeros(known.max() + 1, np.uint32)  # faster than a search in `known`
        token_of[known] = np.arange(self.vocab_size)
        tokens = token_of[np.minimum(points, known.max())]
        strange = known[tokens] != points
        if strange.any():
            at = int(strange.argmax())
            shown = ascii(text[at]) if unicodedata.combining(text[at]) else repr(text[at])
            raise ValueError(
                f"The character {shown} (U+{points[at]:04X}) at position {at} of the text, "
                f"counted from 0, is not among the {self.vocab_size:,} characters of "
                f"{self.name!r}.{self._other_form(text)}"
            )
        return tokens

    def _other_form(self, text: str) -> str:
        """Which of Unicode's two forms of accented letters would do, where one would."""
        for form, told in (("NFC", "composed"), ("NFD", "decomposed")):
            if set(unicodedata.normalize(form, text)) <= set(self.vocab):
                return f" It has letters with marks in their {told} form ({form}): type them so."
        return ""

    def decode(self, tokens) -> str:
        """The text of tokens, U+FFFD for what is not UTF-8. ValueError for an unknown token."""
        return "".join(self.decoding([tokens]))

    def decoding(self, parts: Iterable) -> Iterator[str]:
        """The text of tokens that come in parts, also where a part ends within a character."""
        if self.tokenizer == CHARACTERS:
            yield from map(self._symbols, parts)
            return
        utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        for part in parts:
            yield utf8.decode(self._symbols(part).encode("latin-1"))
        if rest := utf8.decode(b"", final=True):
            yield rest

    def by_token(self) -> "Vocabulary":
        """The same tokens with one character for each: bytes as Latin-1 shows them."""
        return Vocabulary(self.vocab, self.name)

    def _symbols(self, tokens) -> str:
        tokens = np.asarray(tokens, dtype=np.int64)
        wrong = (tokens < 0) | (tokens >= self.vocab_size)
        if wrong.any():
            at = int(wrong.argmax())
            raise ValueError(
                f"Token {tokens[at]} at position {at} is none of {self.name!r}: "
                f"they go from 0 to {self.vocab_size - 1}."
            )
        return _code_points(self.vocab)[tokens].tobytes().decode("utf-32-le", "surrogatepass")


def byte_vocabulary() -> Vocabulary:
    """The 256 bytes."""
    return Vocabulary(bytes(range(256)).decode("latin-1"), "bytes", BYTES)


def known_vocabulary(vocab_hash: str) -> Vocabulary | None:
    """The vocabulary of that hash if no file has to carry it: tiny-shakespeare's or the bytes."""
    ours = Vocabulary(SHAKESPEARE_VOCAB, "tinyshakespeare"), byte_vocabulary()
    return next((known for known in ours if known.vocab_hash == vocab_hash), None)


class Corpus(Vocabulary):
    """The tokens of a text: `train` is the first floor(0.9 n) of the n tokens and `val` the rest,
    both uint32. `sha256` and `raw_bytes` are of the text in UTF-8. Bytes of any kind can be read as
    bytes. ValueError for an empty text.
    """

    on_disk = False  # whether the tokens are in files: see runs/prepared.py

    def __init__(
        self, text: str | bytes, name: str = "tinyshakespeare", tokenizer: str = CHARACTERS
    ):
        if not text:
            raise ValueError(f"The text {name!r} is empty; there is nothing to learn from.")
        if tokenizer not in TOKENIZERS:
            raise ValueError(f"tokenizer is {tokenizer!r}; it must be one of {TOKENIZERS}.")
        if tokenizer == BYTES:
            super().__init__(byte_vocabulary().vocab, name, BYTES)
        else:
            super().__init__("".join(sorted(set(text))), name)
        raw = text if isinstance(text, bytes) else _raw(text)
        self.sha256, self.raw_bytes = hashlib.sha256(raw).hexdigest(), len(raw)
        is_bytes = tokenizer == BYTES
        tokens = np.frombuffer(raw, np.uint8).astype(np.uint32) if is_bytes else self.encode(text)
        split = int(TRAIN_SPLIT * len(tokens))
        self.train, self.val = tokens[:split], tokens[split:]

    def require(self, block_size: int) -> None:
        """ValueError unless both parts have a whole context and the character that follows it."""
        short = min(len(self.train), len(self.val))
        if short <= block_size:
            raise ValueError(
                f"The text {self.name!r} is too short: {len(self.train)} characters to train on "
                f"and {len(self.val)} to validate on, where a context of {block_size} needs at "
                f"least {block_size + 1} of each. Give it {10 * block_size + 1} or more in all."
            )

    def offsets(
        self, split: Literal["train", "val"], stream: Stream, batch_size: int, block_size: int
    ) -> np.ndarray:
        """Where the sequences of a batch start, (batch_size,): floor(u * (n - T - 1)). uint32, or
        uint64 in a text so long.

        Sequence i reads tokens[o : o + T] and predicts tokens[o + 1 : o + T + 1].
        """
        self.require(block_size)
        tokens = {"train": self.train, "val": self.val}[split]
        places = len(tokens) - block_size - 1
        kind = np.uint32 if places < 2**32 else np.uint64
        return (stream.uniform(batch_size) * places).astype(kind)


def tokenizer_of(vocab_hash: str) -> str:
    """The tokenizer of a vocabulary."""
    return BYTES if vocab_hash == byte_vocabulary().vocab_hash else CHARACTERS


def shakespeare(tokenizer: str = CHARACTERS) -> Corpus:
    """tiny-shakespeare, from `data_path()`. OSError when it is missing, ValueError when changed."""
    path = data_path()
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no {path}. Run `python build.py setup`, which fetches it, "
            "or set GROUNDLING_DATA to the folder that has it."
        )
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHAKESPEARE_SHA256:
        raise ValueError(
            f"{path} is not the text we know: its SHA-256 is {found}, not {SHAKESPEARE_SHA256}. "
            "Delete it and run `python build.py setup`."
        )
    return Corpus(data.decode(), tokenizer=tokenizer)


def data_path() -> Path:
    """Where tiny-shakespeare is: in $GROUNDLING_DATA, or else in `cache()`."""
    return Path(os.environ.get("GROUNDLING_DATA") or cache()) / SHAKESPEARE


def cache() -> Path:
    """The folder that build.py caches things in."""
    if folder := os.environ.get("GROUNDLING_CACHE"):
        return Path(folder)
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "groundling"
    try:
        return Path.home() / ".cache" / "groundling"
    except RuntimeError:
        raise FileNotFoundError(
            "There is no home folder here to keep files in: set GROUNDLING_CACHE to a folder."
        ) from None


def _raw(text: str) -> bytes:
    """The text in UTF-8; surrogates (U+DC80 to U+DCFF) become the bytes that they stand for."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
