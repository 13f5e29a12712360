"""The page's shelf (py_src/browser/shelf_view.py), with no browser: which runs it hands the page,
as which files, and under which number.
"""

import math

import numpy as np
import paging
import pytest
from paging import file_of

from groundling import sources
from groundling.labs import compare, link, report
from groundling.runs import checkpoint, statefile
from groundling.runs.records import COLUMNS, Log

pytestmark = pytest.mark.native  # whole runs; tests/browser has the real worker

SETTINGS = {"seed": "hamlet", "iters": 500, "batchSize": 4, "lr": 1e-3}


class Page(paging.Page):
    """With a shelf: its runs by number, and their files."""

    def paused(self, steps=1, **settings):
        """Train a run, or the one there is, for some steps, and pause."""
        if self.session.page_run:
            self.tell("resume")
        else:
            self.tell("start", **SETTINGS | settings)
        at = self.session.page_run.iter + steps
        while self.session.page_run.iter < at:
            self.session.advance()
        self.tell("pause")
        self.finish()
        return self

    @property
    def shelved(self):
        return [message["run"] for message in self.of("shelved") if message["run"]]

    def know(self):
        """What the page's shelf says after each change of it."""
        runs = {run["id"]: run for run in self.shelved}
        names = "id", "seed", "iter", "iters", "loss"
        self.tell("shelf", runs=[{name: run[name] for name in names} for run in runs.values()])


def same(saved, data):
    """Whether a state has the run, to the bit."""
    return statefile.dumps(saved)[512:] == data[512:]


def test_a_run_that_pauses_is_handed_over_with_what_is_shown_of_it():
    page = Page().paused()
    [run] = page.shelved
    trained = page.session.run
    assert (run["name"], run["seed"], run["iter"], run["iters"]) == (
        *("hamlet", "hamlet"),
        *(trained.iter, 500),
    )
    assert run["loss"] == trained.log[-1].smooth and run["valLoss"] == trained.val_loss
    assert run["curve"] == [[record.iter, record.smooth] for record in trained.log]
    assert run["validation"] == [[0, trained.log[0].val]] and run["best"] == run["validation"][0]
    assert dict(run["settings"])["lr"] == "0.001" and dict(run["settings"])["n_layer"] == "4"
    assert run["samples"] == [{"iter": 0, "text": trained.samples[0].text}]
    assert same(statefile.snapshot(trained), file_of(page.posted, "shelved"))


def test_the_best_weights_are_handed_over_after_the_run_where_it_has_them():
    page = Page().paused()
    run, [kept] = page.session.run, page.shelved
    [told] = page.of("shelved_best")
    assert (told["id"], told["iter"]) == (kept["id"], kept["best"][0]) == (kept["id"], 0)
    data = file_of(page.posted, "shelved_best")
    assert data == checkpoint.dumps(run.best)
    assert checkpoint.loads(data).val_loss == kept["best"][1]
    assert not np.array_equal(run.best.weights, run.model.weights())  # not those it has now

    page.know()
    page.tell("load", name="x.state", bytes=file_of(page.posted, "shelved"), **SETTINGS)
    page.paused()
    assert page.session.run.best is None  # it was not evaluated lower since
    assert len(page.shelved) == 2 and len(page.of("shelved_best")) == 1


def test_one_that_goes_on_keeps_its_number_and_what_has_not_trained_is_not_handed_twice():
    page = Page().paused()
    page.tell("hidden", hidden=True)
    page.tell("hidden", hidden=False)
    page.tell("lr", value=2e-3)
    assert len(page.shelved) == 1
    page.paused()
    first, second = page.shelved
    assert first["id"] == second["id"] and second["iter"] > first["iter"]
    assert "lr 0.002 from iter" in dict(second["settings"])["changed"]


def test_a_run_that_is_replaced_while_it_trains_and_one_that_ends_are_handed_over():
    page = Page()
    page.tell("start", **SETTINGS)
    while not page.session.page_run.iter:
        page.session.advance()
    page.tell("reset")
    page.finish()
    [replaced] = page.shelved
    assert replaced["iter"] == page.session.discarded.iter > 0
    page.tell("start", **SETTINGS | {"iters": 2, "seed": " "})
    page.finish()
    _, ended = page.shelved
    assert (ended["iter"], ended["iters"], ended["name"]) == (2, 2, "no seed")
    assert ended["id"] != replaced["id"]


def test_a_state_that_is_continued_is_the_run_it_was_and_another_seed_is_another():
    page = Page().paused()
    data, [kept] = file_of(page.posted, "shelved"), page.shelved
    page.know()
    page.tell("load", name="x.state", bytes=data, **SETTINGS)
    page.finish()
    assert page.shelved == [kept]  # it is there as it is
    page.paused()
    assert page.shelved[-1]["id"] == kept["id"]
    page.tell("reset")
    page.paused(seed="ophelia")
    assert page.shelved[-1]["id"] != kept["id"]


def test_a_run_of_the_same_seed_that_parts_from_the_kept_one_has_a_number_of_its_own():
    page = Page().paused(steps=3)
    page.know()
    [kept] = page.shelved
    page.tell("reset")
    page.paused(steps=kept["iter"] + 2, lr=2e-3)
    assert page.session.page_run.iter > kept["iter"]
    assert page.shelved[-1]["id"] != kept["id"]


def test_a_run_of_other_iterations_leaves_a_paused_one_and_goes_on_from_a_done_one():
    page = Page().paused(iters=40, warmup=30)
    page.know()
    [kept] = page.shelved
    page.tell("reset")
    page.paused(steps=kept["iter"] + 1, iters=50, warmup=30)
    assert page.session.run.log[kept["iter"] - 1].smooth == kept["loss"]  # in warmup it is the same
    assert page.shelved[-1]["id"] != kept["id"]
    page.tell("reset")
    page.tell("start", **SETTINGS | {"iters": 2, "seed": "short"})
    page.finish()
    done = page.shelved[-1]
    page.know()
    page.tell("iters", value=4)
    page.paused()
    assert page.shelved[-1]["id"] == done["id"] and page.shelved[-1]["iter"] > 2


def test_the_same_run_trained_again_takes_the_place_of_the_kept_one():
    page = Page().paused()
    page.know()
    [kept] = page.shelved
    page.tell("reset")
    page.paused(steps=kept["iter"] + 1)
    assert page.shelved[-1]["id"] == kept["id"]


def test_a_state_file_is_read_and_named_by_its_file_and_any_other_is_refused():
    page = Page().paused()
    data = file_of(page.posted, "shelved")
    page.tell("shelve", name="my run.state", bytes=data)
    assert page.shelved[-1]["name"] == "my run"
    assert page.shelved[-1] | {"name": "", "id": ""} == page.shelved[0] | {"name": "", "id": ""}
    assert file_of(page.posted, "shelved") == data
    count = len(page.shelved)
    damaged = data[:900] + bytes([data[900] ^ 1]) + data[901:]
    for bad, said in ((damaged, "damaged"), (data[:-4], "cut short"), (b"PK", "not a state file")):
        page.tell("shelve", name="bad.state", bytes=bad)
        problem = page.last("shelved")["problem"]
        assert problem.startswith("bad.state: ") and said in problem
    assert len(page.shelved) == count


def test_a_state_too_large_for_the_shelf_is_told_once(monkeypatch):
    monkeypatch.setattr("shelf_view.MAX_SHELF_STATE", 1000)
    page = Page().paused()
    page.tell("reset")
    [told] = page.of("shelved")
    assert told["run"] is None and "Save state keeps it" in told["problem"]


def test_after_an_error_the_last_copy_is_handed_over(monkeypatch):
    page = Page().paused()
    copy = statefile.snapshot(page.session.run)
    at = copy.state.iter
    page.session.page_run.shelved = -1
    monkeypatch.setattr(page.session.copies, "of", lambda page_run, message: copy)
    page.session._fail(RuntimeError("broken"))
    assert page.session.phase == "error"
    assert [run["iter"] for run in page.shelved] == [at, at]


def test_the_edits_of_a_run_are_handed_over_with_it():
    files = {
        "py_src/groundling/optim.py": sources.text("py_src/groundling/optim.py") + "\n# mine\n"
    }
    page = Page()
    try:
        page.tell("start", **SETTINGS | {"iters": 1}, files=files)
        page.finish()
        assert page.shelved[0]["files"] == files
    finally:
        page.tell("reset")
        page.tell("start", **SETTINGS | {"iters": 1}, files={})
        page.finish()
    assert page.shelved[-1]["files"] == {}


def test_a_curve_is_thinned_evenly_from_its_first_point_to_its_last():
    rows = np.random.default_rng().uniform(1, 4, (1000, len(COLUMNS)))
    rows[1::2, -1] = math.nan  # no evaluation
    log = Log.of_rows(7, rows)
    points = compare.thinned(log, 101)
    assert [it for it, _ in points][:2] == [7, 17] and points[-1][0] == 1006
    assert all(loss == log[it - 7].smooth for it, loss in points) and len(points) == 101
    evaluated = compare.thinned(log, 5000, "val")
    assert evaluated == [(7 + i, log[i].val) for i in range(0, 1000, 2)]
    at, least = compare.best(log)
    assert least == min(loss for _, loss in evaluated) == log[at - 7].val
    assert compare.best(Log()) is None


def test_the_page_makes_the_report_of_a_kept_run():
    page = paging.Page()
    page.tell("start", seed="hamlet", iters=2, batchSize=2, lr=1e-3)
    page.finish()
    data = file_of(page.posted, "shelved")
    page.tell("report", name="<mine>", bytes=data, files={}, page="https://example.org/")
    file = page.last("file")
    assert file["name"].endswith("-hamlet-iter2.html") and file["mime"] == "text/html"
    assert report.loads(file["bytes"]) == link.claim(statefile.loads(data))
    assert b"<h1>&lt;mine&gt;</h1>" in file["bytes"]
