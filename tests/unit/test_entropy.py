"""The levels on the loss curve, against counts made another way."""

import math
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from groundling.data import Corpus
from groundling.labs.entropy import bigram_entropy, levels, pair_counts, unigram_entropy
from groundling.labs.textstats import TextStats
from groundling.rng import Stream


def by_counting(text: str) -> tuple[float, float]:
    """Both entropies straight from their definitions, with no arrays."""
    ones, pairs, firsts = (
        Counter(text),
        Counter(zip(text, text[1:], strict=False)),
        Counter(text[:-1]),
    )
    n, m = len(text), len(text) - 1
    unigram = -sum(count / n * math.log(count / n) for count in ones.values())
    bigram = -sum(count / m * math.log(count / firsts[pair[0]]) for pair, count in pairs.items())
    return unigram, bigram


def test_both_entropies_are_those_of_a_plain_count(corpus: Corpus):
    text = corpus.decode(corpus.train) + corpus.decode(corpus.val)
    unigram, bigram = by_counting(text)
    found = {level.name: level for level in levels(corpus)}
    assert found["unigram"].nats == pytest.approx(unigram, abs=1e-12)
    assert found["bigram"].nats == pytest.approx(bigram, abs=1e-12)
    assert (round(unigram, 2), round(bigram, 2)) == (3.31, 2.45)
    assert found["uniform"].nats == math.log(65)


def test_shannons_bounds_are_bits_told_in_nats(corpus: Corpus):
    english = levels(corpus)[-1]
    assert english.nats == pytest.approx(0.4159, abs=1e-4)
    assert english.to == pytest.approx(0.9011, abs=1e-4)
    assert "0.6 and 1.3 bits" in english.says and "0.42 to 0.90 nats" in english.says


def test_the_levels_fall_from_the_even_guess_to_the_floor(corpus: Corpus):
    nats = [level.nats for level in levels(corpus)]
    assert nats == sorted(nats, reverse=True)


def test_a_text_of_one_character_has_no_entropy_and_a_strict_alternation_none_after_the_first():
    same, turns = Corpus("a" * 100), Corpus("ab" * 50)
    assert unigram_entropy(same.train, 1) == 0 == bigram_entropy(same.train, 1)
    assert unigram_entropy(turns.train, 2) == pytest.approx(math.log(2))
    assert bigram_entropy(turns.train, 2) == pytest.approx(0, abs=1e-12)


def test_memory_follows_the_pairs_that_occur_and_not_all_that_could():
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 12_000))) * 2
    corpus = Corpus(text)
    tracemalloc.start()
    try:
        told = levels(corpus)
        stats = TextStats(corpus)
        measured = stats.of(text[5_000:5_080])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000  # a table of all pairs has 144 million
    assert told[2].nats == pytest.approx(0, abs=1e-12)  # every character has one that follows
    q, p = 1 / 79, 2 / (len(corpus.train) - 1 + 12_000**2)
    assert measured.bigram_kl == pytest.approx(math.log(q / p), rel=0.1)


def test_pairs_are_counted_alike_whether_by_a_table_or_without():
    tokens = (Stream("pairs").uniform(5_000) * 40).astype(np.uint32)
    by_table, without = pair_counts(tokens, 40), pair_counts(tokens, 300)
    before, after = np.divmod(by_table[0], 40)
    np.testing.assert_array_equal(before * 300 + after, without[0])
    np.testing.assert_array_equal(by_table[1], without[1])
    assert by_table[1].sum() == 4_999
