"""A text as tokens: one per character, numbered in the vocabulary's order, split 90 / 10."""

import hashlib
import os
from pathlib import Path
from typing import Literal

import numpy as np

from .rng import Stream

SHAKESPEARE = "tinyshakespeare.txt"
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


class Corpus:
    """The tokens of a text. `vocab` is its distinct characters in code point order.

    `train` is the first floor(0.9 n) of the n tokens and `val` the rest, both uint32. `sha256` is
    that of the text in UTF-8. ValueError for an empty text.
    """

    def __init__(self, text: str, name: str = "tinyshakespeare"):
        if not text:
            raise ValueError(f"The text {name!r} is empty; there is nothing to learn from.")
        self.name = name
        self.sha256 = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        self.vocab = "".join(sorted(set(text)))
        self.vocab_size = len(self.vocab)
        self.vocab_hash = hashlib.sha256(self.vocab.encode("utf-8", "surrogatepass")).hexdigest()
        tokens = self.encode(text)
        split = int(0.9 * len(tokens))
        self.train, self.val = tokens[:split], tokens[split:]

    def encode(self, text: str) -> np.ndarray:
        """Tokens of text, uint32 (characters,). ValueError for a character we have no token for."""
        points, known = _code_points(text), _code_points(self.vocab)
        tokens = np.searchsorted(known, points).astype(np.uint32)
        strange = known[np.minimum(tokens, self.vocab_size - 1)] != points
        if strange.any():
            at = int(strange.argmax())
            raise ValueError(
                f"The character {text[at]!r} (U+{points[at]:04X}) at position {at} of the text, "
                f"counted from 0, is not among the {self.vocab_size} characters of {self.name!r}: "
                f"{self.vocab!r}."
            )
        return tokens

    def decode(self, tokens) -> str:
        """The text of a sequence of tokens. ValueError for a number that is no token."""
        tokens = np.asarray(tokens, dtype=np.int64)
        wrong = (tokens < 0) | (tokens >= self.vocab_size)
        if wrong.any():
            at = int(wrong.argmax())
            raise ValueError(
                f"Token {tokens[at]} at position {at} is none of {self.name!r}: "
                f"they go from 0 to {self.vocab_size - 1}."
            )
        return "".join([self.vocab[token] for token in tokens])

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
        """Where the sequences of a batch start, uint32 (batch_size,): floor(u * (n - T - 1)).

        Sequence i reads tokens[o : o + T] and predicts tokens[o + 1 : o + T + 1].
        """
        self.require(block_size)
        tokens = {"train": self.train, "val": self.val}[split]
        return (stream.uniform(batch_size) * (len(tokens) - block_size - 1)).astype(np.uint32)


def shakespeare() -> Corpus:
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
    return Corpus(data.decode())


def data_path() -> Path:
    """Where tiny-shakespeare is: $GROUNDLING_DATA, or else the folder build.py caches things in."""
    if folder := os.environ.get("GROUNDLING_DATA") or os.environ.get("GROUNDLING_CACHE"):
        return Path(folder) / SHAKESPEARE
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "groundling" / SHAKESPEARE


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
