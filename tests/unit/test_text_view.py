"""The Text and model tab's side in Python: texts, drafts and what the next run begins with."""

import json

import paging
import pytest

from groundling.data import BYTES, Corpus
from groundling.devices.base import DeviceLost
from groundling.runs import configfile, presets

pytestmark = pytest.mark.native  # whole runs; tests/browser has the real worker

RHYME = "Über den Wolken muß die Freiheit wohl grenzenlos sein.\n" * 40
SMALL = dict(context_length=8, n_layers=1, n_heads=2, d_model=8, d_mlp=8)


class Page(paging.Page):
    """Whose session does all that it is told."""

    def __init__(self):
        super().__init__(Corpus(RHYME, "old.txt"))

    def tell(self, type: str, **values: object) -> None:
        super().tell(type, **values)
        self.finish()


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setattr(presets, "rate", lambda device: 1e9)
    return Page()


def config(**model) -> str:
    value = configfile.as_json(presets.PRESETS["byte-v0"])
    value["model"] |= SMALL | model
    value["training"] |= dict(max_steps=2, batch_size=2)
    return json.dumps(value)


def test_the_page_is_told_presets_the_form_the_text_and_the_draft(page: Page):
    page.tell("setups")
    before, told = page.of("setups")  # and after the device is measured
    assert {row["seconds"] for row in before["presets"]} == {None}
    assert all(row["seconds"] > 0 for row in told["presets"])
    assert [row["name"] for row in told["presets"]] == [*presets.PRESETS]
    keys = {(field["part"], field["key"]) for field in told["fields"]}
    assert {("model", "d_model"), ("training", "betas[1]"), ("training", "seed")} - keys == {
        ("training", "seed")
    }
    assert page.last("text")["facts"]["manifest"]["name"] == "old.txt"
    draft = page.last("draft")
    assert draft["inForce"] and draft["config"]["model"]["vocab_size"] == len(set(RHYME))


def test_a_device_that_is_gone_is_not_measured(page: Page, monkeypatch: pytest.MonkeyPatch):
    def lost(device):
        raise DeviceLost("The device is lost.")

    monkeypatch.setattr(presets, "rate", lost)
    page.tell("lost", device=page.session.device, message="The device is lost.")
    page.tell("setups")
    assert len(page.of("setups")) == 1 and len(page.of("error")) == 1


def test_a_text_and_a_model_are_those_of_the_next_run(page: Page):
    page.tell("use", text=config())
    told = [message["type"] for message in page.posted]
    assert told.index("setup") < told.index("draft")  # which says that it is in use
    page.tell("text", turn=1, name="a.txt", bytes=b"one two three " * 40, more=1)
    page.tell("text", turn=1, name="b.txt", bytes=b"four", more=0)
    assert page.last("text")["facts"]["manifest"]["name"] == "a.txt and 1 more"
    assert [told["settings"]["iters"] for told in page.of("setup")] == [2]  # the texts told none
    page.tell("start", seed="s", iters=2, batchSize=2, lr=3e-4)
    run = page.session.run
    assert (run.iter, run.corpus.tokenizer, run.model.config.n_embd) == (2, BYTES, 8)
    assert run.config.warmup == 0 and run.config.min_lr == 3e-4
    page.tell("untext")
    assert "are the run's until Reset" in page.last("text")["problem"]


def test_a_text_is_ours_by_its_bytes_whatever_its_name(page: Page):
    page.tell("text", turn=1, name="tinyshakespeare", bytes=b"one two three " * 80, more=0)
    assert not page.last("text")["facts"]["ours"]
    page.tell("untext")
    assert page.last("text")["facts"]["ours"]


def test_a_warm_up_is_set_for_the_next_run_and_for_one_that_is_there(page: Page):
    page.tell("use", text=config())
    page.tell("warmup", value=1)
    assert page.last("draft")["inForce"]
    assert page.last("draft")["config"]["training"]["warmup_steps"] == 1
    page.tell("untext")
    page.tell("start", seed="s", iters=2, batchSize=2, lr=3e-4)
    assert page.session.run.config.warmup == 1
    page.tell("warmup", value=2)
    assert page.session.run.config.warmup == 2
    assert page.last("draft")["config"]["training"]["warmup_steps"] == 2


def test_what_cannot_be_is_told_and_changes_nothing(page: Page):
    before = page.session.setup, page.session.corpus
    page.tell("text", turn=3, name="no.txt", bytes=b"caf\xe9", more=0)
    assert "byte 3, 0xe9" in page.last("text")["problem"] and page.last("text")["turn"] == 3
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


def run_on_bytes(page: Page) -> bytes:
    """A run of two iterations on the text as bytes; its state."""
    page.tell("use", text=config())
    page.tell("start", seed="s", iters=2, batchSize=2, lr=3e-4)
    page.tell("state")
    return paging.file_of(page.posted)


def test_a_state_on_bytes_is_loaded_where_the_text_is_read_as_characters(page: Page):
    data, before = run_on_bytes(page), page.session.setup
    other = Page()
    assert other.last("model")["vocabSize"] == len(set(RHYME))
    other.tell("load", name="a.state", bytes=data, seed="s", iters=2, batchSize=2, lr=3e-4)
    assert other.session.phase == "done", other.posted[-1]
    assert other.session.setup.model == before.model
    assert other.last("model")["vocabSize"] == 256


def test_a_run_that_is_brought_back_brings_its_text_and_model(page: Page):
    run_on_bytes(page)
    page.tell("reset")
    page.tell("untext")
    page.tell("text", turn=1, name="b.txt", bytes=b"five and six, and seven " * 40, more=0)
    assert page.session.corpus.name == "b.txt"
    page.tell("undo")
    assert (page.session.run.iter, page.session.corpus.name) == (2, "old.txt")
    assert page.session.setup.model == page.session.run.model.config


def test_a_twin_trains_the_model_and_the_settings_in_force(page: Page):
    page.tell("use", text=config())
    page.tell("twin", seeds=["a", "a"], iters=2)
    assert page.last("twin")["verdict"]["kind"] == "identical", page.last("twin")["message"]
    page.tell("twin_file", which=0)
    assert page.last("file")["name"] == "twin-A-tinker-l1h2d8f8t8v256-a-iter2.bin"


def test_the_levels_and_the_cases_are_those_of_the_text_in_use(page: Page):
    page.tell("text", turn=1, name="b.txt", bytes=b"abcdefgh" * 100, more=0)
    assert page.last("levels")["levels"][0]["label"] == "ln 8"


def test_the_page_is_told_how_many_of_many_weights_are_drawn(page: Page, monkeypatch):
    ticks = iter(range(10_000))
    monkeypatch.setattr(page.session, "clock", lambda: 0.04 * next(ticks))
    page.tell("use", text=config(d_model=256, d_mlp=512))
    page.tell("start", seed="s", iters=1, batchSize=1, lr=3e-4)
    told = [m for m in page.posted if m["type"] == "drawing"]
    assert len(told) > 2 and {m["total"] for m in told} == {page.session.run.model.weights().size}
    assert [m["done"] for m in told] == sorted(m["done"] for m in told)


def test_what_can_change_does_as_the_run_trains(page: Page):
    page.tell("use", text=config())
    page.tell("setups")
    settled = {f["key"] for f in page.last("setups")["fields"] if f["settled"]}
    assert {"batch_size", "accumulate", "d_model"} <= settled and "weight_decay" not in settled
    page.tell("start", seed="s", iters=3, batchSize=2, lr=1e-3)
    draft = page.last("draft")
    assert draft["inForce"] and draft["config"]["training"]["learning_rate"] == 1e-3

    wanted = draft["config"]
    wanted["training"] |= dict(max_steps=6, weight_decay=0.3, sample_interval=7, grad_clip=0.5)
    page.tell("use", text=json.dumps(wanted))
    run = page.session.run
    assert page.last("draft")["problem"] == "" and page.last("draft")["inForce"]
    assert page.last("setup")["settings"]["iters"] == 6
    assert page.session.phase == "paused"  # it was done, and is no more
    page.tell("resume")
    assert (run.iter, run.sample_every, page.session.phase) == (6, 7, "done")
    assert [(at, name) for at, name, *_ in run.changes] == [
        *((3, "iters"), (3, "weight_decay"), (3, "grad_clip")),
    ]
    for change, told in (
        ({"model": wanted["model"] | {"d_model": 16}}, "The model is the run's until Reset"),
        ({"training": wanted["training"] | {"batch_size": 1}}, "batch_size is the run's until"),
        ({"training": wanted["training"] | {"max_steps": 5}}, "iters is 5, and the run is at 6"),
    ):
        page.tell("use", text=json.dumps(wanted | change))
        assert told.replace("at 6", "at iter 6") in page.last("draft")["problem"]
    page.tell("reset")
    assert page.last("draft")["config"]["training"]["max_steps"] == 2  # the next run's
