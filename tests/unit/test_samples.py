"""What a run writes as it learns, and how it is measured, against the same counted anew."""

import math
from collections import Counter

import numpy as np
import pytest

from groundling.config import GPTConfig, TrainConfig
from groundling.data import BYTES, SHAKESPEARE_VOCAB, Corpus, Vocabulary, byte_vocabulary
from groundling.devices.base import Device
from groundling.labs.bigram import Bigram
from groundling.labs.entropy import levels
from groundling.labs.phases import PHASES, has_phases, phase_of
from groundling.labs.textstats import TextStats
from groundling.rng import Stream
from groundling.runs.run import Run
from groundling.runs.samples import LENGTH, opening, prompt, write
from groundling.runs.texts import read_as
from groundling.runs.writer import generate
from groundling.train import train

TEXT = "To be, or not to be: that's the question.\nWhether 'tis nobler in the mind\n" * 30
CORPUS = Corpus(TEXT)
LEARNED = TEXT[: int(0.9 * len(TEXT))]


@pytest.fixture(scope="module")
def stats() -> TextStats:
    return TextStats(CORPUS)


@pytest.fixture(scope="module")
def shakespeare_stats(corpus: Corpus) -> TextStats:
    return TextStats(corpus)


def small_run(device: Device, **config: float) -> Run:
    settings = TrainConfig(
        seed="wrote", batch_size=2, warmup=1, eval_interval=2, eval_batches=1, **config
    )
    shape = GPTConfig(
        vocab_size=CORPUS.vocab_size, block_size=7, n_layer=1, n_head=2, n_embd=8, d_ff=8
    )
    return Run(settings, CORPUS, device, shape)


# The stream of samples


def test_a_run_writes_at_the_start_every_so_often_and_at_the_end(device: Device):
    run = small_run(device, iters=9)
    run.sample_every = 4
    losses = {record.iter: record.val for record in train(run)}
    assert [sample.iter for sample in run.samples] == [0, 4, 8, 9]
    assert [sample.loss for sample in run.samples] == [losses[0], losses[4], losses[8], losses[8]]
    assert all(len(sample.text) == LENGTH for sample in run.samples)
    assert list(train(run)) == [] and len(run.samples) == 4  # the end comes once


def test_a_pause_writes_nothing_of_its_own(device: Device):
    run = small_run(device, iters=9)
    run.sample_every = 4
    list(train(run, 4))
    assert [sample.iter for sample in run.samples] == [0]
    list(train(run, 5))
    assert [sample.iter for sample in run.samples] == [0, 4]


def test_samples_go_on_in_one_stream_from_one_prompt(device: Device):
    run = small_run(device, iters=2)
    run.sample_every = 1
    stream = Stream("wrote:sample")
    for _ in train(run, 1):
        pass
    assert run.sampling.state != stream.state
    before = small_run(device, iters=2).model
    assert prompt(CORPUS) == TEXT[len(LEARNED) :][:32]
    assert run.samples[0].text == generate(before, CORPUS, prompt(CORPUS), LENGTH, stream)
    for _ in train(run):
        pass
    list(stream.words(LENGTH))  # those of iter 1
    again = write(run.model, CORPUS, stream, 2, run.val_loss)
    assert run.samples[-1] == again


def test_writing_changes_nothing_of_the_training(device: Device):
    runs = [small_run(device, iters=6) for _ in range(2)]
    runs[1].sample_every = 0
    logs = [list(train(run)) for run in runs]
    assert logs[0] == logs[1]
    assert runs[0].model.weights().tobytes() == runs[1].model.weights().tobytes()
    assert len(runs[0].samples) == 2 and runs[1].samples == []


def test_a_spoiled_model_writes_nothing(device: Device):
    run = small_run(device, iters=2)
    run.model.load(run.model.weights() * math.nan)
    with pytest.raises(ArithmeticError):
        list(train(run))
    assert run.samples == []


@pytest.mark.parametrize(
    ("it", "name"),
    [
        (0, "Random and uniform"),
        (49, "Random and uniform"),
        (50, "Character frequency"),
        (299, "Character frequency"),
        (300, "Word shapes"),
        (799, "Word shapes"),
        (800, "Short words"),
        (1499, "Short words"),
        (1500, "Shakespeare-flavoured"),
        (10**9, "Shakespeare-flavoured"),
    ],
)
def test_a_phase_begins_and_ends_where_it_says(it: int, name: str):
    assert phase_of(it).name == name


def test_only_the_default_model_on_shakespeare_goes_through_the_phases(corpus: Corpus):
    assert has_phases(corpus, GPTConfig()) and has_phases(corpus, GPTConfig(dropout=0.1))
    assert not has_phases(corpus, GPTConfig(n_layer=3))
    assert not has_phases(read_as(corpus, "byte-v1"), GPTConfig(256))
    assert not has_phases(Corpus("To be, or not to be"), GPTConfig())


def test_every_phase_is_explained():
    assert len({phase.about for phase in PHASES}) == len(PHASES) == 5
    assert all(phase.about.endswith(".") for phase in PHASES)


# The statistics


def divergence(found: list, known: list, kinds: int) -> float:
    """KL in nats of the shares found from the shares known, one added to each known count."""
    q, p = Counter(found), Counter(known)
    shares = [(n / len(found), (p[key] + 1) / (len(known) + kinds)) for key, n in q.items()]
    return math.fsum(a * math.log(a / b) for a, b in shares)


def pairs(text: str) -> list[str]:
    return [text[i : i + 2] for i in range(len(text) - 1)]


@pytest.mark.parametrize("text", ["To be the question.\n", "eeee" * 3, "bequ Thto ", "no"])
def test_the_statistics_count_characters_and_pairs(stats: TextStats, text: str):
    found, V = stats.of(text), CORPUS.vocab_size
    assert found.characters == pytest.approx(len(set(text)) / V)
    assert found.unigram_kl == pytest.approx(divergence(list(text), list(LEARNED), V))
    assert found.bigram_kl == pytest.approx(divergence(pairs(text), pairs(LEARNED), V * V))


@pytest.mark.parametrize(
    ("text", "share"),
    [
        (" to be or to ", 1.0),
        ("nto be orn", 1.0),  # those at the ends may be cut
        (" to bobe or ", 2 / 3),
        (" that's 'tis ", 1.0),  # with their apostrophe within, and without it before
        (" To be ", 1.0),
        (" tis's ", 0.0),
        (" ,.:\n ", None),
        ("question", None),
    ],
)
def test_the_statistics_look_words_up_in_the_training_text(
    stats: TextStats, text: str, share: float | None
):
    assert stats.of(text).words == (share if share is None else pytest.approx(share))


def test_the_dictionary_is_the_training_texts_words(stats: TextStats):
    text = "to be or not that's the question whether tis nobler in mind"
    assert stats.dictionary == set(text.split(" "))


def test_a_text_of_one_character_cannot_be_measured(stats: TextStats):
    with pytest.raises(ValueError, match="two characters"):
        stats.of("T")


def test_a_prompt_of_the_page_begins_with_what_its_model_knows(corpus: Corpus):
    assert opening(corpus) is opening(Vocabulary(SHAKESPEARE_VOCAB)) is None
    no_breaks = Corpus("東京の夜は静かだ。" * 30)
    for known in (no_breaks, CORPUS, Vocabulary("abc"), byte_vocabulary()):
        assert len(known.encode(opening(known))) > 0
    assert opening(no_breaks) == prompt(no_breaks)


def test_shakespeare_is_far_from_an_even_guess(shakespeare_stats: TextStats):
    """The two ends of the scale that a sample is shown on. Of 65 even guesses 80 times, 71 % of
    the characters come up: 1 - (64 / 65) ** 80.
    """
    written, even = shakespeare_stats.written, shakespeare_stats.even
    assert even.characters == pytest.approx(1 - (64 / 65) ** 80, abs=0.02)
    assert written.characters == pytest.approx(0.42, abs=0.02)
    assert written.unigram_kl < 0.4 and even.unigram_kl > 1.5
    assert written.bigram_kl < 2 and even.bigram_kl > 7
    assert written.words > 0.9 and even.words < 0.15


# A model that only counts


def counted_after(text: str) -> dict[str, Counter]:
    after: dict[str, Counter] = {}
    for a, b in zip(text, text[1:], strict=False):
        after.setdefault(a, Counter())[b] += 1
    return after


def test_a_model_that_counts_pairs_has_their_shares_and_writes_nothing_but_them():
    model, after = Bigram(CORPUS), counted_after(LEARNED)
    for before, counts in after.items():
        chances = np.exp(model.logits(int(CORPUS.encode(before)[0])))
        assert dict(zip(CORPUS.vocab, chances / chances.sum(), strict=True)) == pytest.approx(
            {token: counts[token] / counts.total() for token in CORPUS.vocab}
        )
    text = model.write("To b")
    assert len(text) == LENGTH and text == Bigram(CORPUS).write("b") != model.write("T")
    assert all(b in after[a] for a, b in zip("b" + text, text, strict=False))
    [level] = [level for level in levels(CORPUS) if level.name == "bigram"]
    assert model.nats == level.nats


def test_counting_is_of_the_text_it_is_given_also_of_bytes_and_of_ends_that_nothing_follows():
    other = Corpus("Zug um Zug\n" * 50)
    assert Bigram(other).write("Z") != Bigram(CORPUS).write("T")
    assert set(Bigram(other).write("\n")) <= set(other.vocab)
    in_bytes = Bigram(Corpus("Où ça? Là-bas!\n" * 40, "French", BYTES))
    text = in_bytes.write("Où")
    assert len(text.encode()) == LENGTH + text.count("\ufffd") * 2 and "ç" in text
    assert "byte" in in_bytes.about and "character" in Bigram(CORPUS).about
    unseen = Corpus("ab" * 45 + "abababab" + "xy")  # x and y are of the validation part
    assert set(Bigram(unseen).write("x")) <= {"a", "b"}


def test_counting_draws_from_a_stream_of_its_own(device: Device):
    run = small_run(device, iters=3)
    run.sample_every = 1
    plain = [sample.text for _ in train(run) for sample in run.samples[-1:]]
    again = small_run(device, iters=3)
    again.sample_every = 1
    counted = []
    for _ in train(again):
        Bigram(CORPUS).write(prompt(CORPUS))
        counted.append(again.samples[-1].text)
    assert counted == plain
