"""The page's look inside (py_src/browser/lens_view.py), with no browser: what it posts, when."""

import math
from types import SimpleNamespace

import lens_view
import numpy as np
import pytest
import talk_view
from paging import Posted

from groundling.config import GPTConfig, TrainConfig
from groundling.data import BYTES, Corpus
from groundling.devices.base import DeviceLost
from groundling.devices.numpy import NumPyDevice
from groundling.labs.lens import Lens
from groundling.runs.run import Run
from groundling.train import train

TEXT = "To be, or not to be, that is the question:\n" * 20


class Bench:
    """A view with a run of a small model, what it posted, and the session's clock."""

    def __init__(self):
        self.posted, self.now, self.asked = Posted(), 100.0, 0
        corpus, device = Corpus(TEXT), NumPyDevice()
        config = GPTConfig(corpus.vocab_size, 8, 2, 2, 8, 16)
        self.session = SimpleNamespace(
            post=self.posted.append,
            corpus=corpus,
            device=device,
            clock=lambda: self.now,
            phase="paused",
            run=Run(TrainConfig(iters=20, batch_size=2), corpus, device, config),
            ask_boundary=self.ask,
        )
        talk = talk_view.TalkView(self.session)
        self.view = lens_view.LensView(self.session, talk.model_of)

    def ask(self):
        self.asked += 1

    def look(self, prompt="To be", source="run"):
        self.view.do_lens({"source": source, "prompt": prompt})


@pytest.fixture
def bench():
    return Bench()


def test_a_look_tells_what_the_lens_sees(bench):
    list(train(bench.session.run, 3))
    bench.look()
    told, corpus = bench.posted.of("lens")[0], bench.session.corpus
    look = Lens(bench.session.run.model).look(corpus.encode("To be"))
    assert (told["text"], told["layers"], told["heads"]) == (list("To be"), 2, 2)
    assert (told["source"], told["iter"]) == ("run", 3)
    maps = np.frombuffer(told["bytes"], "<u2").reshape(2, 2, 5, 5) / 65535
    np.testing.assert_allclose(maps, look.attention, atol=1e-5)
    assert len(told["guesses"]) == 3 and len(told["guesses"][0]) == 5
    for layer, row in enumerate(told["guesses"]):
        for at, guess in enumerate(row):
            chances = [chance for _, chance in guess]
            assert len(guess) == 3 and chances == sorted(chances, reverse=True)
            assert chances[0] == pytest.approx(look.lens[layer, at].max(), abs=1e-4)
            assert corpus.vocab.index(guess[0][0]) == look.lens[layer, at].argmax()
    layers = bench.posted.of("layers")[0]
    assert layers["iter"] == 3 and len(layers["rows"]) == 9
    assert all(row["update"] > 0 for row in layers["rows"])


def test_a_long_prompt_is_looked_at_from_its_end(bench):
    bench.look("To be, or not")
    assert "".join(bench.posted.of("lens")[0]["text"]) == ", or not"


def test_a_run_that_trains_is_looked_at_seldom_and_between_iterations(bench):
    bench.session.phase = "training"

    def records(n: int, seconds: float) -> None:
        bench.now += seconds
        bench.view.on_records([None] * n)

    bench.look()
    records(1, 0.01)
    assert bench.asked == 0  # it is too soon
    records(10, 0.1)
    records(10, 1.1)
    records(10, 0.1)
    assert bench.asked == 1 and len(bench.posted.of("lens")) == 1
    bench.view.between()
    assert len(bench.posted.of("lens")) == 2
    records(10, 0.5)  # which take 0.1 s: the look and what it brought have taken 0.4
    records(10, 0.4 / lens_view.SHARE - 0.5)
    assert bench.asked == 1
    records(10, 1.0)
    assert bench.asked == 2
    bench.view.do_unlens({})
    bench.view.between()
    assert len(bench.posted.of("lens")) == 2  # nobody looks any more
    records(10, 1000)
    assert bench.asked == 2


def test_where_the_run_comes_to_rest_it_is_looked_at(bench):
    bench.look()
    list(train(bench.session.run, 4))
    bench.view.on_phase("paused")
    assert [message["iter"] for message in bench.posted.of("lens")] == [0, 4]


@pytest.mark.parametrize(
    ("prompt", "source", "said"),
    [
        ("", "run", "1 to 8 characters, not 0"),
        ("€", "run", "'€' (U+20AC) at position 0"),
        ("To be", "reference", "No file is open"),
    ],
)
def test_what_cannot_be_looked_at_is_told(bench, prompt, source, said):
    bench.look(prompt, source)
    assert said in bench.posted.of("unlens")[0]["message"] and not bench.view.following


def test_a_model_that_overflowed_or_fails_is_told_and_ends_nothing(bench, monkeypatch):
    model = bench.session.run.model
    model.load(model.weights() * math.nan)
    bench.look()
    assert "no longer finite" in bench.posted.of("unlens")[0]["message"]

    def fails(tokens):
        raise KeyError("of the reader's model")

    bench.view.lens = None
    monkeypatch.setattr(model, "forward", fails)
    bench.look()
    assert "KeyError" in bench.posted.of("unlens")[1]["message"]


def test_a_lost_device_is_the_sessions_to_tell(bench, monkeypatch):
    def lost(tokens):
        raise DeviceLost("Gone.")

    monkeypatch.setattr(bench.session.run.model, "forward", lost)
    with pytest.raises(DeviceLost):
        bench.look()
    bench.view.drop()
    assert bench.view.lens is None


def test_bytes_are_looked_at_one_by_one(bench):
    corpus, device = Corpus(TEXT, tokenizer=BYTES), bench.session.device
    config = GPTConfig(256, 8, 2, 2, 8, 16)
    bench.session.run = Run(TrainConfig(iters=20, batch_size=2), corpus, device, config)
    bench.look(prompt="né")
    told = bench.posted.of("lens")[-1]
    assert told["text"] == list("nÃ©")
