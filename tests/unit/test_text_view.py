"""The Text and model tab's side in Python: texts, drafts and what the next run begins with."""

import json

import pytest
from session import Session

from groundling import configfile, presets
from groundling.corpus import BYTES, Corpus
from groundling.devices.numpy import NumPyDevice

RHYME = "Über den Wolken muß die Freiheit wohl grenzenlos sein.\n" * 40
SMALL = dict(context_length=8, n_layers=1, n_heads=2, d_model=8, d_mlp=8)


class Page:
    """A session on NumPy, and what it posts, which has to be JSON."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(presets, "rate", lambda device: 1e9)
        self.messages: list[dict] = []
        device = NumPyDevice()
        self.session = Session(self.post, lambda name, stage: device, Corpus(RHYME, "old.txt"))
        self.tell("device", name="numpy")

    def post(self, message: dict) -> None:
        json.dumps({k: v for k, v in message.items() if k != "bytes"}, allow_nan=False)
        self.messages.append(message)

    def tell(self, kind: str, **values) -> None:
        self.session.receive({"type": kind, **values})
        while self.session.advance():
            pass

    def last(self, kind: str) -> dict:
        return next(m for m in reversed(self.messages) if m["type"] == kind)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    return Page(monkeypatch)


def config(**model) -> str:
    value = configfile.as_json(presets.PRESETS["byte-v0"])
    value["model"] |= SMALL | model
    value["training"] |= dict(max_steps=2, batch_size=2)
    return json.dumps(value)


def test_the_page_is_told_presets_the_form_the_text_and_the_draft(page: Page):
    page.tell("setups")
    told = page.last("setups")
    assert [row["name"] for row in told["presets"]] == [*presets.PRESETS]
    keys = {(field["part"], field["key"]) for field in told["fields"]}
    assert {("model", "d_model"), ("training", "betas[1]"), ("training", "seed")} - keys == {
        ("training", "seed")
    }
    assert page.last("text")["manifest"]["name"] == "old.txt"
    draft = page.last("draft")
    assert draft["inForce"] and draft["config"]["model"]["vocab_size"] == len(set(RHYME))


def test_a_text_and_a_model_are_those_of_the_next_run(page: Page):
    page.tell("use", text=config())
    page.tell("text", name="a.txt", bytes=b"one two three " * 40, more=1)
    page.tell("text", name="b.txt", bytes=b"four", more=0)
    assert page.last("text")["manifest"]["name"] == "a.txt and 1 more"
    assert page.last("setup")["settings"]["iters"] == 2
    page.tell("start", seed="s", iters=2, batchSize=2, lr=3e-4)
    run = page.session.run
    assert (run.iter, run.corpus.tokenizer, run.model.config.n_embd) == (2, BYTES, 8)
    assert run.config.warmup == 0 and run.config.min_lr == 3e-4
    page.tell("untext")
    assert "are the run's until Reset" in page.last("text")["problem"]


def test_what_cannot_be_is_told_and_changes_nothing(page: Page):
    before = page.session.setup, page.session.corpus
    page.tell("text", name="no.txt", bytes=b"caf\xe9", more=0)
    assert "byte 3, 0xe9" in page.last("text")["problem"]
    page.tell("draft", text=config(d_model=9))
    assert page.last("draft")["problem"].startswith("d_model is 9 and n_heads is 2")
    page.tell("draft", text="{")
    assert page.last("draft")["config"] is None
    page.tell("use", text=config(context_length=4096))
    assert "is too short" in page.last("draft")["problem"]
    assert (page.session.setup, page.session.corpus) == before


def test_a_config_is_given_as_a_file(page: Page):
    page.tell("config", text=config())
    file = page.last("file")
    assert file["name"] == "byte-v0.json"
    assert json.loads(file["bytes"]) == json.loads(config())
