"""The page's sweep (py_src/browser/sweep_view.py), with no browser: what it tells of its runs."""

import paging
import pytest
from paging import CORPUS

from groundling.config import GPTConfig, TrainConfig
from groundling.runs.configfile import Setup

pytestmark = pytest.mark.native  # whole runs; tests/browser has the real worker

SHAPE = dict(block_size=16, n_layer=1, n_head=2, n_embd=16, d_ff=32)
MODEL = GPTConfig(vocab_size=CORPUS.vocab_size, **SHAPE)
SMALL = Setup(model=MODEL, train=TrainConfig(iters=4, batch_size=2, eval_interval=2))


@pytest.fixture
def page():
    found = paging.Page()
    found.session.setup = SMALL
    return found


def test_the_page_s_sweep_tells_its_runs_and_the_best_and_leaves_the_page_without_a_run(page):
    page.tell("sweep", key="learning_rate", values="0.003, 0.001", iters=3)
    page.finish()
    told = page.last("sweep")
    assert (told["phase"], told["values"], told["iters"]) == ("done", [0.003, 0.001], 3)
    assert [result["iter"] for result in told["results"]] == [3, 3]
    losses = {result["value"]: result["valLoss"] for result in told["results"]}
    assert told["points"] == [[0.001, losses[0.001]], [0.003, losses[0.003]]]
    assert told["best"] == min(losses, key=losses.get)
    assert page.session.run is None and page.of("run") == []


def test_a_sweep_that_is_stopped_keeps_what_it_has_and_a_wrong_one_says_why(page):
    page.tell("sweep", key="warmup_steps", values="1,2", iters=3000)
    page.session.advance()
    page.tell("unsweep")
    told = page.last("sweep")
    assert told["phase"] == "stopped" and len(told["results"]) == 1 and told["results"][0]["iter"]
    for asked, said in (
        (dict(key="warmup_steps", values="1,x", iters=3), "warmup is 'x'"),
        (dict(key="n_layers", values="1,2", iters=3), "There is no setting"),
        (dict(key="eps", values="1e-8", iters=0), "1 to 10,000 iterations"),
    ):
        page.tell("sweep", **asked)
        told = page.last("sweep")
        assert told["phase"] == "failed" and said in told["message"]
