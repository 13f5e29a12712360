"""How far a text, such as a sample, is from its corpus: its characters, their pairs and its words.

TextStats(corpus).of(sample.text)    how far those 80 characters are from Shakespeare's
"""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..data import Corpus
from ..rng import Stream
from ..runs.samples import LENGTH
from .entropy import pair_counts

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")  # letters, with apostrophes among them
REFERENCES = 200  # pieces of the validation text that a sample is compared with


@dataclass(frozen=True)
class Measures:
    """How a text compares with the corpus. KL is the Kullback-Leibler divergence, in nats: how much
    longer a code made for the corpus would be than one made for the text, a character or a pair.
    """

    characters: float  # the share of the vocabulary that it uses
    unigram_kl: float  # of its characters from the corpus's
    bigram_kl: float  # of its pairs of neighbours from the corpus's
    words: float | None  # the share of its whole words that the training text has; None without any


class TextStats:
    """Compares texts with a corpus's training part, each count plus one, and with its words."""

    def __init__(self, corpus: Corpus):
        self.corpus = corpus
        V, tokens = corpus.vocab_size, corpus.train.astype(np.int64)
        self.unigram = _shares(np.bincount(tokens, minlength=V) + 1)
        self.pairs, counts = pair_counts(tokens, V)
        of_all = len(tokens) - 1 + V * V  # one is added to each, also to those that do not occur
        self.bigram = np.append(counts + 1, 1) / of_all  # of self.pairs; the last is of all others

    @cached_property
    def dictionary(self) -> frozenset[str]:
        """Every word of the training text, in lower case."""
        return frozenset(WORD.findall(self.corpus.decode(self.corpus.train).lower()))

    def of(self, text: str) -> Measures:
        """Measure a text, without words at its ends, which may be cut. ValueError if too short."""
        if len(text) < 2:
            raise ValueError("A text of two characters at least can be measured.")
        V, tokens = self.corpus.vocab_size, self.corpus.encode(text).astype(np.int64)
        unigram = np.bincount(tokens, minlength=V)
        pairs, bigram = pair_counts(tokens, V)
        at = np.searchsorted(self.pairs, pairs)
        at[np.append(self.pairs, -1)[at] != pairs] = -1
        whole = [m[0] for m in WORD.finditer(text.lower()) if m.start() > 0 and m.end() < len(text)]
        known = sum(word in self.dictionary for word in whole)
        return Measures(
            characters=len(set(text)) / V,
            unigram_kl=_divergence(unigram[unigram > 0], self.unigram[unigram > 0]),
            bigram_kl=_divergence(bigram, self.bigram[at]),
            words=known / len(whole) if whole else None,
        )

    @cached_property
    def written(self) -> Measures:
        """The mean over pieces of the validation text, as long as a sample: they differ too."""
        text = self.corpus.decode(self.corpus.val)
        starts = np.linspace(0, max(0, len(text) - LENGTH), REFERENCES).astype(int)
        return _mean([self.of(text[at : at + LENGTH]) for at in starts.tolist()])

    @cached_property
    def even(self) -> Measures:
        """The same of characters that are drawn evenly, which is where training begins."""
        u = Stream("an even guess").uniform(REFERENCES * LENGTH)
        text = self.corpus.decode((u * self.corpus.vocab_size).astype(int))
        pieces = [text[at : at + LENGTH] for at in range(0, len(text), LENGTH)]
        return _mean([self.of(piece) for piece in pieces])


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum()


def _divergence(counts: np.ndarray, reference: np.ndarray) -> float:
    """KL(text || corpus): sum of q log(q / p), in nats, over what the text has."""
    q = _shares(counts)
    return float((q * np.log(q / reference)).sum())


def _mean(measures: list[Measures]) -> Measures:
    words = [m.words for m in measures if m.words is not None]
    return Measures(
        *(
            float(np.mean([getattr(m, name) for m in measures]))
            for name in ("characters", "unigram_kl", "bigram_kl")
        ),
        words=float(np.mean(words)) if words else None,
    )
