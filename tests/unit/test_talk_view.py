"""The page's sampler and sample stream (py_src/browser/talk_view.py, samples_view.py), with no
browser: what they post, and how they go on beside a run.
"""

import math
from dataclasses import asdict, replace

import numpy as np
import paging
import pytest
from background import GONE
from talk_view import MAX_TALK

from groundling.config import GPTConfig
from groundling.data import Corpus
from groundling.devices.base import DeviceError, DeviceLost
from groundling.devices.numpy import NumPyDevice
from groundling.engine.tensor import no_grad
from groundling.labs.bigram import Bigram
from groundling.labs.textstats import TextStats
from groundling.model import GPT, initial_weights
from groundling.runs import checkpoint
from groundling.runs.checkpoint import Checkpoint
from groundling.runs.samples import prompt
from groundling.runs.writer import generate
from groundling.sampling import distribution, surprise

pytestmark = pytest.mark.native  # whole runs; tests/browser has the real worker

TEXT = "To be, or not to be: that's the question.\nWhether 'tis nobler in the mind\n" * 40
CORPUS = Corpus(TEXT)
MODEL = GPTConfig(vocab_size=CORPUS.vocab_size, block_size=9, n_layer=1, n_head=2, n_embd=8, d_ff=8)
ASKED = {"source": "reference", "prompt": "To be ", "temperature": 0.8, "topK": 65, "topP": 1.0}
ASKED |= {"seed": "yorick", "length": 21, "id": 1}
KNOBS = {"temperature": 0.8, "topK": 65, "topP": 1.0, "turn": 1}
START = {"seed": "hamlet", "iters": 5, "batchSize": 8, "lr": 3e-4}


def weights_file(corpus: Corpus = CORPUS, config: GPTConfig = MODEL) -> bytes:
    """A `.bin` of a model that has opinions."""
    weights = initial_weights(config, "talk") * 9
    hash, made = corpus.vocab_hash, "2026-11-21T08:00:00.000Z"
    return checkpoint.dumps(Checkpoint(config, "talk", 7, 2.5, hash, made, weights))


class Page(paging.Page):
    """Whose session does all that it is told; with ways to let it write."""

    def __init__(self):
        super().__init__(CORPUS)

    def tell(self, type: str, **values: object) -> None:
        super().tell(type, **values)
        self.finish()

    def talk(self, **more) -> dict:
        """All that was posted of a text, as one."""
        self.posted.clear()
        self.tell("talk", **ASKED | more)
        parts = self.of("talk")
        return {
            "phases": [part["phase"] for part in parts],
            "problem": parts[-1]["problem"],
            "prompt_nats": parts[0]["nats"],
            "text": "".join(part["text"] for part in parts),
            "nats": [n for part in parts[1:] for n in part["nats"]],
            "probabilities": [c for part in parts[1:] for c in part["probabilities"]],
        }

    def weigh(self, at: int | None, **more) -> dict:
        self.posted.clear()
        self.tell("weigh", at=at, **KNOBS | more)
        [answer] = self.of("weighed")
        return answer


@pytest.fixture
def page() -> Page:
    page = Page()
    page.tell("voice", source="reference", name="a.bin", bytes=weights_file())
    return page


@pytest.fixture
def model() -> GPT:
    return GPT(MODEL, NumPyDevice(), checkpoint.loads(weights_file()).weights)


def logits_after(model: GPT, text: str) -> np.ndarray:
    tokens = CORPUS.encode(text)[-MODEL.block_size :]
    with no_grad():
        return model.forward(model.device.tensor(tokens[None])).numpy()[0, -1]


# ---- the sampler ---------------------------------------------------------------------------------


def test_a_file_becomes_a_voice_and_says_what_it_is(page: Page):
    [told] = page.of("voice")
    voice = told["voice"]
    assert (told["problem"], voice["seed"], voice["iter"]) == ("", "talk", 7)
    assert (voice["name"], voice["valLoss"]) == ("a.bin", 2.5)
    assert voice["parameters"] == initial_weights(MODEL, "talk").size
    assert voice["opening"] is None or set(voice["opening"]) <= set(CORPUS.vocab)


@pytest.mark.parametrize(
    "data, why",
    [
        (b"no", "fewer than the 512"),
        (weights_file(Corpus("To be, or not" * 9)), "does not say what its tokens stand for"),
        (weights_file()[:-4], "cut short"),
    ],
)
def test_a_file_that_is_none_is_refused_and_the_voice_stays(page: Page, data: bytes, why: str):
    before = page.talk()["text"]
    page.posted.clear()
    page.tell("voice", source="reference", name="b.bin", bytes=data)
    assert why in page.of("voice")[0]["problem"]
    assert page.talk()["text"] == before


def test_a_file_of_another_text_writes_with_its_own_characters(page: Page):
    """The reference stays what it is while the reader's own text is in use."""
    other = Corpus("Über den Wolken muß die Freiheit wohl grenzenlos sein. " * 9)
    config = replace(MODEL, vocab_size=other.vocab_size)
    ckpt = checkpoint.loads(weights_file(other, config))
    data = checkpoint.dumps(replace(ckpt, vocab=other.vocab))
    page.tell("voice", source="reference", name="b.bin", bytes=data)
    assert page.of("voice")[-1]["problem"] == ""
    opening = page.of("voice")[-1]["voice"]["opening"]
    assert page.talk(prompt=opening, length=1)["problem"] == ""
    found = page.talk(prompt="Über", length=9)
    assert found["problem"] == ""
    assert found["text"] == generate(
        GPT(config, NumPyDevice(), ckpt.weights), other, "Über", 9, "yorick", top_k=65
    )
    assert "is not among the" in page.talk(prompt="To be")["problem"]


def test_the_text_is_that_of_the_library_for_the_same_seed(page: Page, model: GPT):
    written = page.talk()
    assert written["phases"][0] == "begun" and written["phases"][-1] == "done"
    assert set(written["phases"][1:-1]) == {"writing"}
    assert written["text"] == generate(model, CORPUS, "To be ", 21, "yorick")
    assert page.talk()["text"] == written["text"]
    assert page.talk(seed="other")["text"] != written["text"]
    tight = dict(temperature=0.5, top_k=3, top_p=0.7)
    assert page.talk(temperature=0.5, topK=3, topP=0.7)["text"] == generate(
        model, CORPUS, "To be ", 21, "yorick", **tight
    )


def test_each_character_tells_its_surprise_and_its_chance(page: Page, model: GPT):
    written = page.talk(temperature=1.3, topK=5, topP=0.8)
    assert written["prompt_nats"][0] is None  # before it there is nothing
    so_far = "T"
    for character, nats in zip("o be ", written["prompt_nats"][1:], strict=True):
        token = CORPUS.vocab.index(character)
        assert nats == pytest.approx(float(surprise(logits_after(model, so_far), token)), rel=1e-4)
        so_far += character
    columns = written["text"], written["nats"], written["probabilities"]
    assert len(written["text"]) == 21
    for character, nats, probability in zip(*columns, strict=True):
        logits, token = logits_after(model, so_far), CORPUS.vocab.index(character)
        assert nats == pytest.approx(float(surprise(logits, token)), rel=1e-4)
        drawn = distribution(logits, 1.3, 5, 0.8).drawn[token]
        assert probability == pytest.approx(drawn, rel=1e-3)
        assert probability > 0
        so_far += character


def test_a_prompt_longer_than_the_context_has_surprises_for_its_end_only(page: Page):
    nats = page.talk(prompt="To be, or not to be", length=1)["prompt_nats"]
    seen = MODEL.block_size - 1  # the first that the model sees has nothing before it
    assert [n is None for n in nats] == [True] * (19 - seen) + [False] * seen


def test_the_distribution_is_redrawn_from_the_logits_without_the_model(
    page: Page, model: GPT, monkeypatch
):
    text = "To be " + page.talk()["text"]
    monkeypatch.setattr(GPT, "forward", None)
    monkeypatch.setattr(GPT, "hidden", None)
    for at, knobs in ((8, (0.8, 65, 1.0)), (20, (0.1, 65, 0.9)), (26, (2.0, 4, 0.5))):
        found = page.weigh(at, temperature=knobs[0], topK=knobs[1], topP=knobs[2])
        monkeypatch.undo()
        logits = logits_after(model, text[:at])
        monkeypatch.setattr(GPT, "hidden", None)
        expected = distribution(logits, *knobs)
        assert found["character"] == text[at]
        assert [bar[0] for bar in found["bars"]] == [CORPUS.vocab[t] for t in expected.ranked]
        for character, probability, drawn, fate in found["bars"]:
            token = CORPUS.vocab.index(character)
            assert probability == pytest.approx(expected.probabilities[token], rel=1e-3, abs=1e-9)
            assert drawn == pytest.approx(expected.drawn[token], rel=1e-3, abs=1e-9)
            assert (fate == "kept") == expected.is_kept[token]
            assert (fate == "top_k") == (not expected.is_top[token])
        token = CORPUS.vocab.index(text[at])
        nats = float(surprise(logits, np.array(token)))
        assert found["chosen"]["nats"] == pytest.approx(nats, rel=1e-3)
        assert found["chosen"]["rank"] == expected.ranked.tolist().index(token) + 1
    assert page.weigh(None)["at"] == 26  # the last character
    assert page.weigh(10**9)["at"] == 26


def test_a_look_at_the_prompt_tells_what_may_come_next(page: Page, model: GPT):
    looked = page.talk(length=0)
    assert (looked["phases"], looked["text"]) == (["begun", "done"], "")
    found = page.weigh(None)
    assert (found["at"], found["character"], found["chosen"]) == (6, None, None)
    expected = distribution(logits_after(model, "To be "), 0.8)
    assert found["bars"][0][1] == pytest.approx(expected.probabilities.max(), rel=1e-4)
    assert page.weigh(0)["bars"] == []  # the first character has nothing before it


@pytest.mark.parametrize(
    "change, why",
    [
        ({"prompt": ""}, "prompt is 0 characters"),
        ({"prompt": "o" * (MAX_TALK + 1)}, "prompt is 2,001 characters"),
        ({"prompt": "To €"}, "'€'"),
        ({"length": MAX_TALK + 1}, "length is 2,001"),
        ({"temperature": -1}, "temperature is -1"),
        ({"topK": 0}, "top_k is 0"),
        ({"topP": 1.5}, "top_p is 1.5"),
        ({"source": "file"}, "No file is open"),
        ({"source": "run"}, "There is no run yet"),
    ],
)
def test_what_cannot_be_written_is_told_in_a_sentence(page: Page, change: dict, why: str):
    written = page.talk(**change)
    assert written["phases"] == ["failed"] and why in written["problem"]
    assert page.session.phase == "ready"


def test_a_text_is_stopped_between_two_characters(page: Page):
    page.session.clock = iter(range(10**6)).__next__  # a frame for each part
    page.session.receive({"type": "talk", **ASKED, "length": 200})
    for _ in range(5):
        page.session.advance()
    page.tell("untalk")
    assert page.of("talk")[-1]["phase"] == "stopped"
    assert 0 < len("".join(part["text"] for part in page.of("talk"))) < 200
    assert page.weigh(None)["chosen"]["nats"] > 0


def test_a_device_without_room_ends_the_text_alone(page: Page, monkeypatch):
    def full(*_):
        raise DeviceError("The buffer is too large.")

    monkeypatch.setattr(GPT, "forward", full)
    assert page.talk()["problem"] == "The device cannot do this. The buffer is too large."
    assert page.session.phase == "ready"


def test_a_lost_device_is_for_the_session_to_tell(page: Page, monkeypatch):
    def lost(*_):
        raise DeviceLost("The device is lost.")

    monkeypatch.setattr(GPT, "forward", lost)
    assert page.talk()["problem"] == GONE
    assert page.session.phase == "error"
    monkeypatch.undo()
    page.tell("reset")
    assert len(page.talk()["text"]) == 21  # the file was still there


def test_the_run_writes_while_it_trains_and_trains_as_if_it_had_not(page: Page):
    """Beside a run whose every frame is one iteration."""
    page.tell("start", **START)
    plain = page.session.run.model.weights().tobytes()
    page.tell("reset")
    page.session.clock = iter(range(10**6)).__next__
    page.session.receive({"type": "start", **START})
    page.session.receive({"type": "talk", **ASKED, "source": "run", "length": 12})
    talk = page.session.doers["talk"]
    phases = set()
    while page.session.advance():
        if talk.running:
            phases.add(page.session.phase)
    assert "training" in phases
    assert page.session.phase == "done"
    assert len("".join(part["text"] for part in page.of("talk"))) == 12
    assert page.session.run.model.weights().tobytes() == plain


def test_credits_get_an_endless_text_by_the_reference(page: Page, model: GPT):
    page.posted.clear()
    for _ in range(3):
        page.tell("recite", prompt="To ", seed="credits")
    parts = [message["text"] for message in page.of("recited")]
    assert [len(part) for part in parts] == [16, 16, 16]
    assert "".join(parts) == generate(model, CORPUS, "To ", 48, "credits")


# ---- the sample stream ---------------------------------------------------------------------------


def test_the_page_gets_each_sample_with_its_phase_and_its_measures(page: Page):
    page.tell("start", **START)
    told = [sample for message in page.of("samples") for sample in message["samples"]]
    samples = page.session.run.samples
    assert [(s["iter"], s["text"]) for s in told] == [(s.iter, s.text) for s in samples]
    assert [s["iter"] for s in told] == [0, 5]
    stats = TextStats(CORPUS)
    for sample in told:
        assert sample["measures"] == asdict(stats.of(sample["text"]))
        assert sample["phase"] == sample["about"] == ""  # those are of the default run
        assert math.isfinite(sample["loss"])
    message = page.of("samples")[0]
    assert (message["prompt"], message["every"]) == (prompt(CORPUS), 200)
    assert message["scale"]["even"] == asdict(stats.even)
    assert [m["first"] for m in page.of("samples")] == [0, 1]
    pairs = Bigram(CORPUS)
    counted = message["counted"]
    assert (counted["text"], counted["loss"]) == (pairs.write(prompt(CORPUS)), pairs.nats)
    assert counted["measures"] == asdict(stats.of(counted["text"]))


def test_pairs_are_counted_in_the_text_of_the_run_there_is(page: Page):
    page.tell("start", **START)
    page.session.corpus = other = Corpus(TEXT[::-1])
    page.tell("reset")
    page.tell("start", **START)
    first, *_, last = (message["counted"]["text"] for message in page.of("samples"))
    assert last == Bigram(other).write(prompt(other)) != first


def test_another_run_brings_its_own_samples(page: Page):
    page.tell("start", **START)
    first = [s["text"] for m in page.of("samples") for s in m["samples"]]
    page.tell("reset")
    page.posted.clear()
    page.tell("undo")
    [message] = page.of("samples")
    assert (message["first"], [s["text"] for s in message["samples"]]) == (0, first)
