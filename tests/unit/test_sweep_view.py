"""The page's sweep (py_src/browser/sweep_view.py), with no browser: what it tells of its runs."""

import paging
import pytest
from paging import CORPUS, file_of

import groundling.labs.sweep
from groundling.config import GPTConfig, TrainConfig
from groundling.runs import statefile
from groundling.runs.configfile import Setup
from groundling.runs.run import NonFiniteLoss

pytestmark = pytest.mark.native  # whole runs; tests/browser has the real worker

SHAPE = dict(block_size=16, n_layer=1, n_head=2, n_embd=16, d_ff=32)
MODEL = GPTConfig(vocab_size=CORPUS.vocab_size, **SHAPE)
SMALL = Setup(model=MODEL, train=TrainConfig(iters=4, batch_size=2, eval_interval=2))


FIELDS = dict(seed="hamlet", batchSize=2, lr=3e-4)


@pytest.fixture
def page():
    found = paging.Page()
    found.session.setup = SMALL
    return found


def sweep(page, key, values, iters, keep=False, **others):
    asked = FIELDS | others | dict(key=key, values=values, iters=iters, keep=keep)
    page.tell("sweep", **asked)


def test_the_page_s_sweep_tells_its_runs_and_the_best_and_leaves_the_page_without_a_run(page):
    sweep(page, "learning_rate", "0.003, 0.001", 3)
    page.finish()
    told = page.last("sweep")
    assert (told["phase"], told["values"], told["iters"]) == ("done", [0.003, 0.001], 3)
    assert [result["iter"] for result in told["results"]] == [3, 3]
    losses = {result["value"]: result["valLoss"] for result in told["results"]}
    assert told["points"] == [[0.001, losses[0.001]], [0.003, losses[0.003]]]
    assert told["best"] == min(losses, key=losses.get)
    assert page.session.run is None and page.of("run") == []
    assert page.of("shelved") == []  # that was not asked for


def test_a_sweep_that_is_stopped_keeps_what_it_has_and_a_wrong_one_says_why(page):
    sweep(page, "warmup_steps", "1,2", 3000, keep=True)
    page.session.advance()
    page.tell("unsweep")
    told = page.last("sweep")
    assert told["phase"] == "stopped" and len(told["results"]) == 1 and told["results"][0]["iter"]
    assert page.of("shelved") == []  # it had not ended
    for asked, said in (
        (dict(key="warmup_steps", values="1,x", iters=3), "warmup is 'x'"),
        (dict(key="n_layers", values="1,2", iters=3), "There is no setting"),
        (dict(key="eps", values="1e-8", iters=0), "1 to 10,000 iterations"),
    ):
        sweep(page, **asked)
        told = page.last("sweep")
        assert told["phase"] == "failed" and said in told["message"]


def test_the_runs_of_a_sweep_are_handed_to_the_shelf_if_asked_under_their_value(page):
    sweep(page, "learning_rate", "0.003, 0.001", 3, keep=True)
    page.finish()
    first, second = (message["run"] for message in page.of("shelved"))
    losses = [result["valLoss"] for result in page.last("sweep")["results"]]
    for run, loss, value in zip((first, second), losses, ("0.003", "0.001"), strict=True):
        assert (run["name"], run["iter"], run["valLoss"]) == (f"lr {value}, hamlet", 3, loss)
        assert dict(run["settings"])["lr"] == value
    assert first["id"] != second["id"]
    saved = statefile.loads(file_of(page.posted, "shelved"))
    assert saved.state.config.lr == 0.001 and saved.state.iter == 3


def test_what_a_sweep_does_not_set_is_as_in_the_fields(page):
    sweep(page, "warmup_steps", "1, 2", 3, keep=True, seed="ophelia", batchSize=3, lr=0.002)
    page.finish()
    for message, warmup in zip(page.of("shelved"), "12", strict=True):
        told = dict(message["run"]["settings"])
        found = [told[name] for name in ("seed", "batch_size", "lr", "warmup", "iters")]
        assert found == ["ophelia", "3", "0.002", warmup, "3"]


def test_a_run_of_a_sweep_that_diverges_is_not_handed_to_the_shelf(page, monkeypatch):
    plain = groundling.labs.sweep.train

    def diverging(run):
        for record in plain(run):
            if run.config.lr == 900.0 and record.iter == 1:
                raise NonFiniteLoss(record)
            yield record

    monkeypatch.setattr(groundling.labs.sweep, "train", diverging)
    sweep(page, "learning_rate", "900, 0.001", 4, keep=True)
    page.finish()
    assert [result["problem"] != "" for result in page.last("sweep")["results"]] == [True, False]
    assert [message["run"]["name"] for message in page.of("shelved")] == ["lr 0.001, hamlet"]
