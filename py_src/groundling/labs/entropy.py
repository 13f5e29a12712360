"""How low a loss can go: levels, in nats a character, to read a loss curve against."""

import math
from dataclasses import dataclass

import numpy as np

from ..data import Corpus

SHANNON_BITS = 0.6, 1.3
"""Bounds for the entropy of a letter of printed English after the 100 before it, in bits: from the
guesses of a reader, over an alphabet of 26 letters and the space. C. E. Shannon, "Prediction and
Entropy of Printed English", Bell System Technical Journal 30 (1951), 50 to 64, table IV."""


@dataclass(frozen=True)
class Level:
    """A level of the loss in nats, or a range up to `to`, and what it means."""

    name: str
    label: str
    nats: float
    says: str
    to: float | None = None


def unigram_entropy(tokens: np.ndarray, vocab_size: int) -> float:
    """H(X) = -sum p(x) ln p(x) of one token alone, in nats."""
    return _entropy(np.bincount(tokens, minlength=vocab_size))


def bigram_entropy(tokens: np.ndarray, vocab_size: int) -> float:
    """H(Y | X) = H(X, Y) - H(X) of a token Y once the one before it, X, is known, in nats."""
    _, counts = pair_counts(tokens, vocab_size)
    return _entropy(counts) - unigram_entropy(tokens[:-1], vocab_size)


def pair_counts(tokens: np.ndarray, vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of neighbours that occur, as before * vocab_size + after, and their counts."""
    pairs = tokens[:-1].astype(np.int64) * vocab_size + tokens[1:]
    if vocab_size**2 > max(len(tokens), 2**16):
        return np.unique(pairs, return_counts=True)
    counts = np.bincount(pairs)
    occurring = np.flatnonzero(counts)
    return occurring, counts[occurring]


def levels(corpus: Corpus) -> list[Level]:
    """The levels for a text, highest first: from its counts, and Shannon's bounds for English."""
    V, tokens = corpus.vocab_size, np.concatenate([corpus.train, corpus.val])
    low, high = (bits * math.log(2) for bits in SHANNON_BITS)
    return [
        Level(
            "uniform",
            f"ln {V}",
            math.log(V),
            f"An even guess among the {V} characters. Every run begins about here; a run that "
            "stays here learns nothing.",
        ),
        Level(
            "unigram",
            "letter counts",
            unigram_entropy(tokens, V),
            "As low as a model can go that knows how common each character of this text is, and "
            "nothing of the ones before it.",
        ),
        Level(
            "bigram",
            "letter pairs",
            bigram_entropy(tokens, V),
            "As low as a model can go that looks at one character back and no further. Below this "
            "line the model really uses its context.",
        ),
        Level(
            "english",
            "Shannon's English",
            low,
            "The floor. Shannon had people guess printed English letter by letter and put its "
            f"entropy between {SHANNON_BITS[0]} and {SHANNON_BITS[1]} bits a letter (1951), which "
            f"is {low:.2f} to {high:.2f} nats. Validation cannot stay below the entropy of its "
            "text; training loss below it means that the text is being learned by heart.",
            to=high,
        ),
    ]


def _entropy(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
