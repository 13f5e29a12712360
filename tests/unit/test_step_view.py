"""The page's step, slowly (py_src/browser/step_view.py), with no browser: what it posts."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import step_view
from paging import Page, Posted

import groundling.data
from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.base import DeviceLost
from groundling.devices.numpy import NumPyDevice
from groundling.model import GPT
from groundling.runs.configfile import Setup
from groundling.runs.run import Run
from groundling.train import train

TEXT = "To be, or not to be, that is the question:\n" * 20
CHOICE = {"sequence": 0, "position": 0, "tensor": "", "row": 0, "column": 0}


class Bench:
    """A view with a run of a small model, and what it posted."""

    def __init__(self):
        self.posted, self.files = Posted(), {}
        corpus, device = Corpus(TEXT), NumPyDevice()
        config = GPTConfig(corpus.vocab_size, 8, 2, 2, 8, 16)
        settings = TrainConfig(iters=20, batch_size=2)
        self.session = SimpleNamespace(
            post=self.posted.append,
            corpus=corpus,
            device=device,
            phase="paused",
            setup=Setup(model=config, train=settings),
            run=Run(settings, corpus, device, config),
        )
        self.view = step_view.StepView(self.session, self.files.get)

    def ask(self, source="run", **chosen) -> dict:
        self.view.do_step({"source": source, "chosen": CHOICE | chosen})
        return self.posted[-1]


@pytest.fixture
def bench():
    return Bench()


def test_the_next_step_of_the_run_is_told(bench):
    run = bench.session.run
    list(train(run, 3))
    told = bench.ask(sequence=1, position=5)
    assert (told["source"], told["iter"], told["problem"]) == ("run", 3, "")
    apart = told["apart"]
    assert "Iteration 3 of your run" in apart["about"]
    for text, targets in zip(apart["text"], apart["targets"], strict=True):
        assert text[1:] == targets[:-1] and f"{text}{targets[-1]}" in TEXT
    mean = sum(sum(row) for row in apart["nats"]) / 16
    assert mean == pytest.approx(list(train(run, 4))[-1].train, abs=1e-4)
    row = run.corpus.encode(apart["text"][1])[5]
    assert apart["chosen"] == {
        **dict(sequence=1, position=5),
        **dict(tensor="wte", row=row, column=0),
    }
    assert apart["tensors"][0] == {"name": "wte", "rows": run.corpus.vocab_size, "columns": 8}
    assert {"name": "ln_f.bias", "rows": 1, "columns": 8} in apart["tensors"]
    assert len(apart["stages"]) == 12


def test_of_a_run_that_is_done_it_is_the_step_after_it(bench):
    list(train(bench.session.run))
    assert "is done; this is the step after it, iteration 20" in bench.ask()["apart"]["about"]


def test_a_step_is_taken_apart_once_and_told_of_whatever_is_chosen(bench, monkeypatch):
    taken = []
    monkeypatch.setattr(
        *(step_view.groundling.labs.step, "take_apart"),
        lambda run, real=step_view.groundling.labs.step.take_apart: taken.append(run) or real(run),
    )
    updates = [
        bench.ask(tensor="wpe", row=row)["apart"]["stages"][-1]["tables"][0] for row in (0, 1)
    ]
    assert len(taken) == 1
    assert [table["title"] for table in updates] == [f"The update of wpe[{i}, 0]" for i in (0, 1)]
    list(train(bench.session.run, 1))
    bench.ask()
    assert len(taken) == 2
    bench.session.run.set_lr(0.5)
    bench.ask()
    assert taken[2:] == [bench.session.run]
    bench.view.on_phase("training")
    assert bench.view.step is None


def test_a_file_of_weights_is_taken_apart_as_training_would_begin_with_it(bench):
    list(train(bench.session.run, 7))
    bench.files["reference"] = ckpt = bench.session.run.checkpoint()
    told = bench.ask("reference")
    assert told["iter"] is None
    assert "seed " in told["apart"]["about"] and "iteration 7" in told["apart"]["about"]
    again = Run(bench.session.setup.train, bench.session.corpus, bench.session.device, ckpt.config)
    again.load(ckpt)
    mean = sum(sum(row) for row in told["apart"]["nats"]) / 16
    assert mean == pytest.approx(list(train(again, 8))[-1].train, abs=1e-4)
    bench.view.on_phase("training")
    assert bench.view.step is not None  # it is of no run
    bench.files["reference"] = replace(ckpt, weights=2 * ckpt.weights)
    assert bench.ask("reference")["apart"]["nats"] != told["apart"]["nats"]


def test_what_cannot_be_taken_apart_is_told(bench, monkeypatch):
    def problem(source="run"):
        told = bench.ask(source)
        assert told["apart"] is None
        return told["problem"]

    assert "no file is open" in problem("reference")
    bench.files["reference"] = bench.session.run.checkpoint()
    bench.session.corpus = Corpus("Another text. " * 50)
    monkeypatch.setattr(groundling.data, "shakespeare", lambda: bench.session.corpus)
    assert "other characters" in problem("reference")
    bench.session.phase = "training"
    assert "pause it" in problem()
    bench.session.phase, bench.session.run = "ready", None
    assert "There is no run" in problem()
    bench.session.phase = "error"
    assert "no device" in problem()


def test_a_model_that_fails_is_told_and_a_lost_device_is_the_sessions(bench, monkeypatch):
    def fails(error):
        def forward(self, tokens):
            raise error

        monkeypatch.setattr(GPT, "forward", forward)

    fails(KeyError("of the reader's model"))
    assert "KeyError" in bench.ask()["problem"]
    fails(DeviceLost("Gone."))
    with pytest.raises(DeviceLost):
        bench.ask()


@pytest.mark.native  # the default model
def test_what_the_console_may_have_changed_is_taken_apart_anew():
    page = Page()
    page.tell("start", seed="typed", iters=12, batchSize=4, lr=1e-3, files={})
    page.tell("pause")
    page.session.advance()

    def loss(typed: str) -> str:
        page.tell("evaluate", text=typed)
        page.tell("step", source="run", chosen=CHOICE)
        stage = page.last("step")["apart"]["stages"][3]
        return stage["tables"][0]["rows"][0][3]

    before = loss("run.iter")
    assert loss("run.iter + 1") == before
    assert loss("model.load(8 * model.weights())") != before


@pytest.mark.native  # a whole run
def test_after_a_pause_the_record_shows_the_loss_that_was_shown():
    page = Page()
    page.tell("start", seed="slow", iters=12, batchSize=4, lr=1e-3, files={})
    while not page.session.run.log:
        page.session.advance()
    page.tell("pause")
    page.session.advance()
    page.tell("step", source="run", chosen=CHOICE)
    told = page.last("step")
    [loss] = [
        table["rows"][0][3]
        for stage in told["apart"]["stages"]
        for table in stage["tables"]
        if table["title"] == "The loss"
    ]
    page.tell("resume")
    page.finish()
    trained = {row["iter"]: row["train"] for steps in page.of("steps") for row in steps["records"]}
    assert len(trained) == 12
    assert f"{trained[told['iter']]:.9g}" == loss
