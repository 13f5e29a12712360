"""Text to tokens and back, the split, the batches' places, and texts that cannot be used."""

import hashlib

import numpy as np
import pytest

from groundling import data as corpus_module
from groundling.data import Corpus, data_path, shakespeare
from groundling.rng import Stream


@pytest.fixture(scope="module")
def plays() -> Corpus:
    return shakespeare()


def test_shakespeare_has_the_vocabulary_and_the_split_of_golden_json(plays, golden):
    facts = golden["corpus"]
    assert plays.vocab_size == len(plays.vocab) == facts["vocab_size"]
    assert plays.vocab_hash == facts["vocab_sha256"]
    assert len(plays.train) == facts["train_tokens"]
    assert len(plays.val) == facts["val_tokens"]
    assert plays.train.dtype == plays.val.dtype == np.uint32
    assert plays.decode(plays.val[:32]) == facts["sample_prompt"]


def test_decoding_all_of_shakespeare_gives_the_file_back(plays, golden):
    text = plays.decode(plays.train) + plays.decode(plays.val)
    assert hashlib.sha256(text.encode()).hexdigest() == golden["corpus"]["sha256"]


def test_the_first_batch_of_hamlet_starts_where_golden_json_says(plays, golden):
    offsets = plays.offsets("train", Stream("hamlet"), 1, 64)
    assert offsets.dtype == np.uint32
    assert offsets.tolist() == [golden["rng"]["first training offset of seed 'hamlet'"]]


def test_tokens_number_the_characters_in_code_point_order():
    corpus = Corpus("ba\nb👻é")
    assert corpus.vocab == "\nabé👻"
    assert corpus.encode("👻 ba".replace(" ", "\n")).tolist() == [4, 0, 2, 1]
    assert corpus.decode([4, 0, 2, 1]) == "👻\nba"


def test_every_text_over_the_vocabulary_survives_the_round_trip(plays):
    for n in range(20):
        tokens = (Stream(f"text {n}").uniform(50 * n) * plays.vocab_size).astype(np.uint32)
        np.testing.assert_array_equal(plays.encode(plays.decode(tokens)), tokens)


def test_the_split_is_at_nine_tenths_rounded_down():
    for n in (1, 9, 10, 11, 639, 640, 641):
        corpus = Corpus("x" * n)
        assert (len(corpus.train), len(corpus.val)) == (9 * n // 10, n - 9 * n // 10)


def test_offsets_are_the_floor_of_the_draw_times_the_room_there_is():
    corpus = Corpus("abcdefghij" * 30)
    draws = Stream("s").uniform(200)
    for split, n in (("train", 270), ("val", 30)):
        offsets = corpus.offsets(split, Stream("s"), 200, 8)
        assert offsets.tolist() == [int(u * (n - 8 - 1)) for u in draws]
        assert offsets.max() + 8 + 1 <= n


def test_a_character_outside_the_vocabulary_is_named_with_its_place(plays):
    with pytest.raises(ValueError) as error:
        plays.encode("café")
    assert str(error.value).startswith(
        "The character 'é' (U+00E9) at position 3 of the text, counted from 0, "
        "is not among the 65 characters of 'tinyshakespeare'"
    )
    with pytest.raises(ValueError, match=r"\(U\+1F47B\) at position 0"):
        plays.encode("👻")
    with pytest.raises(ValueError, match=r"\(U\+0023\) at position 2"):
        plays.encode("a\n#")


@pytest.mark.parametrize("tokens", [[0, 65], [-1]])
def test_a_number_that_is_no_token_is_named_with_its_place(plays, tokens):
    with pytest.raises(ValueError, match=f"Token {tokens[-1]} at position {len(tokens) - 1}"):
        plays.decode(tokens)


def test_no_characters_are_no_tokens(plays):
    assert plays.encode("").tolist() == []
    assert plays.decode([]) == ""


def test_an_empty_text_is_refused():
    with pytest.raises(ValueError, match="'mine.txt' is empty"):
        Corpus("", name="mine.txt")


def test_a_text_shorter_than_a_context_is_refused_with_what_it_needs():
    with pytest.raises(ValueError) as error:
        Corpus("x" * 640, name="mine.txt").require(64)
    assert str(error.value) == (
        "The text 'mine.txt' is too short: 576 characters to train on and 64 to validate on, where "
        "a context of 64 needs at least 65 of each. Give it 641 or more in all."
    )
    with pytest.raises(ValueError, match="too short"):
        Corpus("x" * 10).offsets("train", Stream("s"), 1, 64)


@pytest.mark.parametrize("block_size", [1, 7, 63, 64, 65, 1000])
def test_the_shortest_text_that_is_told_to_do_does(block_size):
    corpus = Corpus("x" * (10 * block_size + 1))
    assert corpus.offsets("val", Stream("s"), 3, block_size).tolist() == [0, 0, 0]
    with pytest.raises(ValueError):
        Corpus("x" * 10 * block_size).require(block_size)


def test_the_text_is_looked_for_where_the_variables_say(monkeypatch, tmp_path):
    monkeypatch.setenv("GROUNDLING_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("GROUNDLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert data_path() == tmp_path / "data" / "tinyshakespeare.txt"
    monkeypatch.delenv("GROUNDLING_DATA")
    assert data_path() == tmp_path / "cache" / "tinyshakespeare.txt"
    monkeypatch.delenv("GROUNDLING_CACHE")
    assert data_path() == tmp_path / "xdg" / "groundling" / "tinyshakespeare.txt"


def test_a_missing_text_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("GROUNDLING_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="python build.py setup"):
        shakespeare()


def test_a_changed_text_is_refused(monkeypatch, tmp_path, golden):
    monkeypatch.setenv("GROUNDLING_DATA", str(tmp_path))
    (tmp_path / "tinyshakespeare.txt").write_text("To be, or to be.")
    with pytest.raises(ValueError, match=golden["corpus"]["sha256"]):
        shakespeare()
    assert golden["corpus"]["sha256"] == corpus_module.SHAKESPEARE_SHA256


def test_without_a_home_folder_it_says_what_to_set(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("GROUNDLING_DATA", "GROUNDLING_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(corpus_module.Path, "home", no_home)
    with pytest.raises(FileNotFoundError, match="no home folder here.* set GROUNDLING_CACHE"):
        shakespeare()


def test_a_letter_in_the_other_of_unicodes_two_forms_is_named_with_the_form():
    composed, decomposed = "d\u00e9j\u00e0 vu", "de\u0301ja\u0300 vu"
    for text, prompt, told in (
        (decomposed, "\u00e9", "in their decomposed form (NFD): type them so"),
        (composed, "vu de\u0301j", "in their composed form (NFC): type them so"),
    ):
        with pytest.raises(ValueError) as error:
            Corpus(text).encode(prompt)
        assert told in str(error.value)
    with pytest.raises(ValueError) as error:
        Corpus(composed).encode("\u0301")
    assert "'\\u0301' (U+0301)" in str(error.value) and "form" not in str(error.value)


def test_a_vocabulary_of_any_size_is_not_told_in_full():
    corpus = Corpus("".join(map(chr, range(0x4E00, 0x4E00 + 3000))))
    with pytest.raises(ValueError) as error:
        corpus.encode("a")
    assert "the 3,000 characters" in str(error.value) and len(str(error.value)) < 200


def test_an_argument_that_is_no_utf8_is_its_bytes_to_a_model_of_bytes():
    corpus = Corpus("x", tokenizer="byte-v1")
    assert corpus.encode("caf\udce9").tolist() == list(b"caf\xe9")
    assert corpus.encode("\ud83d").tolist() == [0xED, 0xA0, 0xBD]  # half a character of a browser's
