"""The bigram model: it only counts which token follows which. What a GPT writes beyond it, it has
learned from more context than that.

Bigram(corpus).write(prompt(corpus))    as long as a sample, and as it is drawn
"""

import numpy as np

from ..data import BYTES, Corpus
from ..rng import Stream
from ..runs.samples import LENGTH, TEMPERATURE
from ..sampling import distribution, draw
from .entropy import bigram_entropy, pair_counts


class Bigram:
    """The bigram model of a corpus: p(after | before) as their pairs are counted in the training
    text.
    """

    def __init__(self, corpus: Corpus):
        self.corpus = corpus
        V, tokens = corpus.vocab_size, corpus.train
        self.alone = np.bincount(tokens, minlength=V)
        pairs, self.counts = pair_counts(tokens, V)
        self.before, self.after = np.divmod(pairs, V)

    @property
    def nats(self) -> float:
        """The entropy of pairs in the whole text, as `entropy.levels` has it."""
        tokens = np.concatenate([self.corpus.train, self.corpus.val])
        return bigram_entropy(tokens, self.corpus.vocab_size)

    @property
    def about(self) -> str:
        """What it knows, in a sentence."""
        one = "byte" if self.corpus.tokenizer == BYTES else "character"
        return (
            f"This model has only counted how often each {one} follows each other one in the "
            f"training text, and sees only the last {one}. Its loss is the line “letter pairs” "
            "under “How low can it go?”."
        )

    def logits(self, token: int) -> np.ndarray:
        """The logarithm of how often each token follows this one: (V,). After a token that nothing
        follows in the training text, of how often each occurs.
        """
        follows = self.before == token
        counts = np.zeros(self.corpus.vocab_size)
        counts[self.after[follows]] = self.counts[follows]
        with np.errstate(divide="ignore"):  # exp(-inf) is 0: what never follows is never drawn
            return np.log(counts if follows.any() else self.alone)

    def write(self, prompt: str, length: int = LENGTH) -> str:
        """What it writes after a prompt, at the temperature of samples: always the same."""
        tokens = self.corpus.encode(prompt)[-1:].tolist()
        for u in Stream("counting pairs").uniform(length):
            tokens.append(draw(distribution(self.logits(tokens[-1]), TEMPERATURE).drawn, u))
        return self.corpus.decode(tokens[1:])
