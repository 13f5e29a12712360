"""The page goes on: a run trained further, one that begins with a file's weights, the best kept."""

import pytest
from paging import Page, file_of

from groundling.config import GPTConfig
from groundling.data import Corpus
from groundling.runs import checkpoint

SMALL = dict(batchSize=2, lr=3e-4)
TEXT = "To be, or not to be, that is the question:\n" * 20
OTHER = "Çà et là, to be: cela est\n" * 40


@pytest.fixture
def page() -> Page:
    page = Page()
    V = page.session.corpus.vocab_size
    page.session.setup = page.session.setup.__class__(model=GPTConfig(V, 16, 1, 2, 8, 16))
    return page


def train(page: Page, iters: int = 3, seed: str = "s") -> None:
    page.tell("start", seed=seed, iters=iters, **SMALL)
    go_on(page)


def go_on(page: Page) -> None:
    while page.session.phase == "training":
        page.session.advance()


def begin(page: Page, data: bytes) -> None:
    values = dict(seed="new", iters=4, **SMALL)
    page.tell("load", name="a file", bytes=data, begin=True, **values)


def test_a_run_that_is_done_is_trained_further(page):
    train(page)
    page.tell("iters", value=5)
    assert page.session.phase == "paused"
    assert page.posted.of("setup")[-1]["settings"]["iters"] == 5
    page.tell("resume")
    go_on(page)
    run = page.session.run
    assert page.session.phase == "done" and len(run.log) == 5
    assert run.changes == [(3, "iters", 3, 5)]


def test_a_run_cannot_be_shorter_than_it_is(page):
    train(page)
    page.tell("iters", value=2)
    assert page.session.run.config.iters == 3 and page.session.phase == "done"
    assert "iters is 2, and the run is at iter 3" in str(page.posted.of("error")[-1])


@pytest.mark.parametrize("kind", ["save", "state"])
def test_a_new_run_begins_with_the_weights_of_either_file(page, kind):
    train(page, seed="old")
    weights = page.session.run.model.weights()
    page.tell(kind)
    begin(page, file_of(page.posted))
    run = page.session.run
    assert (page.session.phase, run.iter, run.config.seed) == ("paused", 0, "new")
    assert (run.origin.seed, run.origin.iter) == ("old", 3)
    assert (run.model.weights() == weights).all()
    note = page.posted.of("loaded")[-1]["note"]
    assert "begins with the weights of seed 'old', iter 3" in note and "begin anew" in note
    page.tell("resume")
    go_on(page)
    assert page.session.phase == "done" and len(run.log) == 4


def test_it_may_be_on_another_text_and_says_which_characters_are_drawn(page):
    train(page)
    page.tell("save")
    data = file_of(page.posted)
    page.tell("reset")
    page.session.corpus = Corpus(OTHER)
    begin(page, data)
    drawn = "".join(sorted(set(OTHER) - set(TEXT)))
    assert f"are drawn: {drawn!r}" in page.posted.of("loaded")[-1]["note"]


def test_a_file_that_no_run_can_begin_with_leaves_the_run(page):
    train(page)
    before = page.session.run
    begin(page, b"cat" * 300)
    assert "Is it the right file?" in str(page.posted.of("error")[-1])
    assert page.session.run is before and page.session.phase == "done"


def test_the_weights_of_the_lowest_validation_loss_can_be_saved(page):
    page.tell("best")
    assert "No validation loss" in page.posted.of("notice")[-1]["message"]
    train(page)
    best = page.posted.of("steps")[-1]["best"]
    page.tell("best")
    kept = checkpoint.loads(file_of(page.posted))
    assert (kept.iter, kept.val_loss) == (best["iter"], best["valLoss"])
    assert best["valLoss"] == min(r.val for r in page.session.run.log if r.val is not None)
    assert page.posted.of("file")[-1]["name"].endswith(f"-iter{kept.iter}-best.bin")
