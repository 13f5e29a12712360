"""The session behind the page (py_src/browser/session.py), with no browser: commands in, messages
out. Most tests have a run of made-up losses and a clock that they turn; some have the real thing.
"""

import math
import sys
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import autosave as autosave_module
import numpy as np
import pytest
import session as session_module
from paging import Posted, file_of
from test_autosave import FakeStore
from views import views

import groundling.runs.run
from groundling import sources, train
from groundling.config import GPTConfig
from groundling.data import Corpus
from groundling.devices import base
from groundling.devices.base import DeviceError, DeviceLost
from groundling.devices.numpy import NumPyDevice
from groundling.devices.open import open_device
from groundling.devices.ranks import Ranks
from groundling.model import initial_weights
from groundling.runs import checkpoint, cost, records, statefile
from groundling.runs.configfile import Setup
from groundling.runs.records import Log, Record
from groundling.runs.run import NonFiniteLoss, State
from groundling.sources import code_hash

pytestmark = pytest.mark.native  # whole runs; tests/browser has the real worker

TEXT = "To be, or not to be, that is the question. " * 60
SETTINGS = {"seed": "hamlet", "iters": 8, "batchSize": 8, "lr": 3e-4}
STEP = 0.004  # seconds that an iteration of a made-up run takes


Session = session_module.Session


class FakeRun:
    """A run whose losses fall by 0.01 an iteration, and whose weights are the iteration."""

    def __init__(self, config, corpus, device, model_config=None, weights=None, drawn=None):
        self.config, self.corpus, self.device = config, corpus, device
        model = model_config or GPTConfig(vocab_size=corpus.vocab_size)
        cost.check(Setup(model=model, train=config), device, corpus)  # as the real one begins
        self.model = SimpleNamespace(config=model)
        self.first = self.iter = 0
        self.log, self.val_loss, self.pausing = Log(), None, False
        self.samples, self.edits = [], []
        self.code_hash = code_hash()

    @property
    def train_loss(self):
        return self.log[-1].smooth if self.log else None

    def pause(self):
        self.pausing = True

    def set_lr(self, peak):
        self.config = replace(self.config, lr=peak)

    def load(self, ckpt):
        self.first = self.iter = ckpt.iter
        self.log, self.val_loss = Log(ckpt.iter), ckpt.val_loss

    def weights(self):
        if self.device.lost:
            raise DeviceLost("The device is lost.")
        return initial_weights(self.model.config, "any") * 0 + self.iter

    def checkpoint(self):
        weights, now, vocab_hash = self.weights(), checkpoint.now(), self.corpus.vocab_hash
        seed = self.config.seed
        return checkpoint.Checkpoint(
            self.model.config, seed, self.iter, None, vocab_hash, now, weights
        )

    def state(self):
        weights = self.weights()
        return replace(self.facts(), weights=weights, m=weights, v=weights)

    def facts(self):
        assert self.first + len(self.log) == self.iter
        words, none = (1, 2, 3, 4), np.empty(0, np.float32)
        return State(
            *(self.first, self.iter, self.val_loss, Log(self.first, self.log)),
            **dict(model=self.model.config, config=self.config, step=self.iter),
            **dict.fromkeys(("batches", "validation", "sampling"), words),
            **dict.fromkeys(("weights", "m", "v"), none),
        )

    def floats(self):
        return iter([self.weights()] * 3)

    def restore(self, state):
        self.first, self.iter, self.log = state.first, state.iter, Log(state.first, state.log)
        self.config, self.val_loss = state.config, state.val_loss


class Bench:
    """A session with a made-up run, the messages it posted, and the clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(groundling.runs.run, "Run", FakeRun)
        monkeypatch.setattr(statefile, "Run", FakeRun)
        monkeypatch.setattr(train, "train", self.train)
        self.now, self.messages, self.fails = 100.0, Posted(), {}
        self.device = SimpleNamespace(
            **dict(name="webgpu", description="a GPU", is_emulated=False, lost=False),
            **dict(largest_tensor=2**27, most_workgroups=65_535, workgroup_bytes=2**14),
            **dict(most_turns=math.inf, is_in_host_memory=False, ranks=Ranks(), cores=1),
            undisturbed=nullcontext,
            close=lambda: self.closed.append(self.device.name),
        )
        self.closed = []
        self.session = Session(
            self.messages.append, self.open, Corpus(TEXT), views, lambda: self.now
        )
        self.tell("device", name="webgpu")

    def open(self, name, stage):
        if error := self.fails.get(name):
            raise error
        stage("adapter", 1, 1, "a GPU")
        self.device.name = name
        return self.device

    def train(self, run):
        run.pausing = False
        while run.iter < run.config.iters and not run.pausing:
            self.now += STEP
            it, loss = run.iter, 4.17 - 0.01 * run.iter
            if error := self.fails.get(it):
                raise error(Record(it, math.nan, 0.0, None, 0.0, math.nan))
            run.iter, run.val_loss = it + 1, loss if it % 5 == 0 else run.val_loss
            run.log.append(
                Record(it, loss, run.config.lr, loss if it % 5 == 0 else None, 1.0, loss)
            )
            yield run.log[-1]

    def spoiled(self):
        raise NonFiniteLoss(Record(self.session.run.iter, math.nan, 0.0, None, 0.0, math.nan))

    def tell(self, kind, **values):
        """Give a command, and let the session obey it; while it trains, that is one advance."""
        self.session.receive({"type": kind, **values})
        self.session.advance()

    def start(self, **settings):
        self.tell("start", **SETTINGS | settings)

    def advance(self, times=1):
        for _ in range(times):
            self.session.advance()

    def until(self, phase):
        for _ in range(1000):
            if self.session.phase == phase:
                return
            self.session.advance()
        pytest.fail(f"It never was {phase}; it is {self.session.phase}.")

    def of(self, kind):
        return [message for message in self.messages if message["type"] == kind]

    def phases(self):
        return [(message["phase"], message["reason"]) for message in self.of("phase")]

    def records(self):
        return [record for message in self.of("steps") for record in message["records"]]


@pytest.fixture
def bench(monkeypatch):
    return Bench(monkeypatch)


# ---- opening -------------------------------------------------------------------------------------


def test_a_device_is_opened_and_the_page_told_what_it_is(bench):
    assert bench.phases() == [("booting", ""), ("ready", "")]
    [ready] = bench.of("ready")
    assert ready["adapter"]["device"] == "webgpu"
    assert ready["adapter"]["missing"] == ""
    assert ready["defaults"] == {"seed": "hamlet", "iters": 2000, "batchSize": 32, "lr": 3e-4}
    assert bench.of("model")[-1]["uniformLoss"] == math.log(len(set(TEXT)))


def test_without_an_adapter_the_cpu_takes_over_and_the_page_is_told_why(bench):
    bench.fails["webgpu"] = DeviceError("No adapter.")
    bench.tell("device", name="webgpu")
    adapter = bench.of("ready")[-1]["adapter"]
    assert (adapter["device"], adapter["missing"]) == ("wasm", "adapter")
    assert adapter["detail"] == "No adapter."
    assert bench.session.phase == "ready"


def test_where_webassembly_refuses_the_kernels_numpy_takes_over_and_the_page_is_told_why(bench):
    bench.fails["wasm"] = DeviceError("They do not start.")
    bench.tell("device", name="wasm", missing="jspi")
    adapter = bench.of("ready")[-1]["adapter"]
    assert (adapter["device"], adapter["missing"]) == ("numpy", "jspi")
    [notice] = bench.of("notice")
    assert notice["message"] == "They do not start. NumPy trains, more slowly."


def test_what_the_browser_lacks_is_passed_on(bench):
    bench.tell("device", name="numpy", missing="jspi")
    assert bench.of("ready")[-1]["adapter"]["missing"] == "jspi"


def test_a_device_that_is_opened_takes_the_place_of_one_that_is_closed(bench):
    assert bench.closed == []
    bench.tell("device", name="numpy")
    bench.tell("device", name="webgpu")
    assert bench.closed == ["webgpu", "numpy"] and bench.session.phase == "ready"


def test_a_device_that_breaks_as_it_opens_leaves_a_panel_and_reset_tries_again(bench):
    bench.fails["webgpu"] = RuntimeError("out of luck")
    bench.tell("device", name="webgpu")
    assert bench.session.phase == "error"
    assert "out of luck" in bench.of("error")[-1]["message"]
    bench.fails.clear()
    bench.tell("reset")
    assert bench.session.phase == "ready"


# ---- training ------------------------------------------------------------------------------------


def test_every_iteration_is_reported_once_and_in_order(bench):
    bench.start(iters=30)
    bench.until("done")
    assert [record["iter"] for record in bench.records()] == list(range(30))
    assert [record["val"] is not None for record in bench.records()] == [
        i % 5 == 0 for i in range(30)
    ]
    last = bench.of("steps")[-1]
    assert (last["iter"], last["iters"]) == (30, 30)
    assert last["perplexity"] == math.exp(last["valLoss"])


def test_messages_come_no_more_often_than_frames(bench):
    bench.start(iters=400)
    bench.until("done")
    batches = [len(message["records"]) for message in bench.of("steps") if message["records"]]
    assert max(batches) <= 6  # a frame is 16.7 ms, and an iteration 4
    assert len(batches) <= 400 * STEP * 60 + 2


def test_slow_iterations_are_reported_one_by_one(bench, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "STEP", 2.0)
    bench.start()
    bench.until("done")
    assert [len(m["records"]) for m in bench.of("steps") if m["records"]] == [1] * 8


def test_the_rate_is_that_of_the_last_seconds(bench, monkeypatch):
    bench.start(iters=10_000)
    bench.advance(100)
    assert bench.of("steps")[-1]["itersPerSecond"] == pytest.approx(1 / STEP)
    assert bench.of("steps")[-1]["tokensPerSecond"] == pytest.approx(8 * 64 / STEP)
    monkeypatch.setattr(sys.modules[__name__], "STEP", 0.5)
    bench.advance(20)
    assert bench.of("steps")[-1]["itersPerSecond"] == pytest.approx(2)


def test_a_run_that_cannot_be_is_refused_and_nothing_changes(bench):
    bench.start(iters=-1)
    assert bench.session.phase == "ready"
    assert "iters is -1" in bench.of("error")[-1]["message"]


# ---- pause, hidden tab, reset --------------------------------------------------------------------


def test_pause_and_resume_lose_no_iteration(bench):
    bench.start(iters=40)
    bench.advance(2)
    bench.tell("pause")
    bench.until("paused")
    at = bench.session.page_run.iter
    assert 0 < at < 40
    assert bench.session.page_run.run.iter == at
    bench.tell("resume")
    bench.until("done")
    assert [record["iter"] for record in bench.records()] == list(range(40))


def test_a_pause_that_comes_before_the_first_iteration_is_obeyed(bench):
    bench.session.receive({"type": "start", **SETTINGS | {"iters": 1000}})
    bench.session.receive({"type": "pause"})
    bench.advance(4)
    assert bench.session.phase == "paused"
    bench.tell("resume")
    bench.session.receive({"type": "pause"})
    bench.advance(2)
    assert bench.session.phase == "paused"
    assert bench.session.page_run.iter < 10


def test_elapsed_is_training_time_only(bench):
    bench.start(iters=1000)
    bench.advance(3)
    bench.tell("pause")
    bench.until("paused")
    elapsed, iters = bench.of("steps")[-1]["elapsed"], bench.session.page_run.iter
    assert elapsed == pytest.approx(iters * STEP)
    bench.now += 3600
    bench.tell("resume")
    bench.advance(1)
    assert bench.of("steps")[-1]["elapsed"] < 1


def test_a_run_that_is_put_aside_as_it_trains_keeps_its_time(bench):
    bench.start(iters=1000)
    bench.advance(3)
    bench.tell("save")
    file = file_of(bench.messages)
    bench.tell("load", name="a.bin", bytes=file, **SETTINGS | {"iters": 1000})
    bench.until("paused")
    assert bench.of("steps")[-1]["elapsed"] == 0  # of the run that was loaded
    assert all((steps["itersPerSecond"] or 0) >= 0 for steps in bench.of("steps"))
    bench.tell("undo")
    iters = bench.session.page_run.iter
    assert bench.of("steps")[-1]["elapsed"] == pytest.approx(iters * STEP)
    bench.tell("resume")
    bench.tell("reset")
    bench.until("ready")
    bench.now += 3600
    bench.tell("undo")
    assert bench.session.page_run.iter > iters
    assert bench.of("steps")[-1]["elapsed"] == pytest.approx(bench.session.page_run.iter * STEP)


def test_a_hidden_tab_pauses_and_goes_on_from_the_same_iteration(bench):
    bench.start(iters=100)
    bench.tell("hidden", hidden=True)
    bench.until("paused")
    assert bench.phases()[-1] == ("paused", "hidden")
    at = bench.session.page_run.iter
    bench.now += 60
    bench.advance(5)
    assert bench.session.page_run.iter == at
    bench.tell("hidden", hidden=False)
    assert bench.session.phase == "training"
    bench.until("done")
    assert [record["iter"] for record in bench.records()] == list(range(100))
    assert bench.of("steps")[-1]["elapsed"] == pytest.approx(100 * STEP)


def test_a_pause_by_hand_outlasts_a_hidden_tab(bench):
    bench.start(iters=100)
    bench.tell("pause")
    bench.until("paused")
    bench.tell("hidden", hidden=True)
    bench.tell("hidden", hidden=False)
    assert bench.session.phase == "paused"


def test_a_run_that_is_started_in_a_hidden_tab_waits_for_it(bench):
    bench.tell("hidden", hidden=True)
    bench.start()
    assert bench.phases()[-1] == ("paused", "hidden")
    bench.tell("hidden", hidden=False)
    bench.until("done")


def test_reset_puts_the_run_aside_and_undo_brings_it_back_whole(bench):
    bench.start(iters=100)
    bench.advance(3)
    bench.tell("reset")
    bench.until("ready")
    run_at = bench.of("phase")[-1]["undo"]
    assert run_at
    bench.messages.clear()
    bench.tell("undo")
    assert bench.session.phase == "paused"
    assert [record["iter"] for record in bench.records()] == list(range(run_at))
    bench.tell("resume")
    bench.until("done")
    assert [record["iter"] for record in bench.records()] == list(range(100))


def test_a_long_run_comes_back_in_messages_of_so_many_records(bench, monkeypatch):
    monkeypatch.setattr(session_module, "MOST_RECORDS", 7)
    bench.start(iters=40)
    bench.until("done")
    bench.tell("reset")
    bench.messages.clear()
    bench.tell("undo")
    told = [[record["iter"] for record in message["records"]] for message in bench.of("steps")]
    assert [it for part in told for it in part] == list(range(40))
    assert max(map(len, told)) == 7


def test_a_new_run_ends_the_chance_to_undo(bench):
    bench.start(iters=100)
    bench.tell("reset")
    bench.until("ready")
    bench.start()
    assert bench.of("phase")[-1]["undo"] is None


def test_the_peak_learning_rate_changes_as_it_trains(bench):
    bench.start(iters=100)
    bench.advance(2)
    bench.tell("lr", value=1e-3)
    bench.until("done")
    rates = [record["lr"] for record in bench.records()]
    assert (rates[0], rates[-1]) == (3e-4, 1e-3)
    bench.tell("lr", value=-1.0)
    assert bench.session.phase == "done"
    assert "lr is -1" in bench.of("error")[-1]["message"]


# ---- files ---------------------------------------------------------------------------------------


def test_saving_gives_the_weights_of_the_iteration_that_is_shown(bench):
    bench.start(iters=50)
    bench.advance(2)
    bench.tell("save")
    bench.until("done")
    [file] = bench.of("file")
    ckpt = checkpoint.loads(file_of(bench.messages))
    assert file["name"] == f"tinker-l4h4d64f256t64v16-hamlet-iter{ckpt.iter}.bin"
    assert set(ckpt.weights) == {ckpt.iter}
    assert bench.session.phase == "done"


def test_the_log_is_csv_with_a_line_an_iteration(bench):
    bench.start()
    bench.until("done")
    bench.tell("log")
    [file] = bench.of("file")
    lines = file["bytes"].decode().splitlines()
    assert lines[0] == "iter,train,smooth,lr,val"
    assert len(lines) == 9
    assert lines[1].startswith("0,4.17,4.17,0.0003,4.17")
    assert lines[2].endswith(",")
    assert file["name"] == "tinker-l4h4d64f256t64v16-hamlet-iter8.csv"


def saved(bench, seed="yorick", iter=5):
    corpus = bench.session.corpus
    config = GPTConfig(vocab_size=corpus.vocab_size)
    weights = initial_weights(config, seed)
    return checkpoint.dumps(
        checkpoint.Checkpoint(config, seed, iter, 2.5, corpus.vocab_hash, checkpoint.now(), weights)
    )


def test_loaded_weights_bring_their_seed_and_iteration(bench):
    bench.tell("load", name="mine.bin", bytes=saved(bench), **SETTINGS)
    assert bench.session.phase == "paused"
    assert bench.of("run")[-1]["seed"] == "yorick"
    assert bench.of("steps")[-1]["iter"] == 5
    assert bench.of("steps")[-1]["valLoss"] == 2.5
    [loaded] = bench.of("loaded")
    assert (loaded["name"], loaded["seed"], loaded["iter"]) == ("mine.bin", "yorick", 5)
    assert "AdamW" in loaded["note"]
    bench.tell("resume")
    bench.until("done")
    assert [record["iter"] for record in bench.records()] == [5, 6, 7]


def test_weights_at_the_end_of_the_run_are_done_and_say_how_to_go_on(bench):
    bench.tell("load", name="old.bin", bytes=saved(bench, iter=8), **SETTINGS)
    assert bench.session.phase == "done"
    assert "raise Iterations" in bench.of("loaded")[-1]["note"]


def test_weights_write_as_often_as_the_setup_has_it(bench):
    bench.session.setup = replace(bench.session.setup, sample_interval=7)
    bench.tell("load", name="mine.bin", bytes=saved(bench), **SETTINGS)
    assert bench.session.run.sample_every == 7


def test_a_run_that_no_device_could_take_is_not_sent_to_another_device(bench):
    bench.session.corpus = Corpus("A short text. " * 20)
    bench.start()
    panel = bench.of("error")[-1]
    assert "too short" in panel["message"]
    assert (panel["title"], "NumPy" in panel["hint"]) == ("This cannot be", False)


def test_a_file_that_is_none_is_refused_and_the_run_stays(bench):
    bench.start(iters=100)
    bench.tell("pause")
    bench.until("paused")
    at = bench.session.page_run.iter
    bench.tell("load", name="cat.jpg", bytes=b"\xff\xd8\xff", **SETTINGS)
    assert "fewer than the 512" in bench.of("error")[-1]["message"]
    assert (bench.session.phase, bench.session.page_run.iter) == ("paused", at)


def test_undo_takes_back_a_load(bench):
    bench.start(iters=100)
    bench.tell("pause")
    bench.until("paused")
    at = bench.session.page_run.iter
    bench.tell("load", name="mine.bin", bytes=saved(bench), **SETTINGS)
    assert bench.of("phase")[-1]["undo"] == at
    bench.tell("undo")
    assert (bench.session.page_run.iter, bench.of("run")[-1]["seed"]) == (at, "hamlet")


# ---- states --------------------------------------------------------------------------------------


def state_file(bench):
    bench.tell("state")
    return file_of(bench.messages)


def paused(bench, **settings):
    """A run of the bench that was paused after some iterations; returns how many."""
    bench.start(**{"iters": 40} | settings)
    bench.advance(2)
    bench.tell("pause")
    bench.until("paused")
    return bench.session.page_run.iter


def test_a_state_brings_its_seed_its_length_and_its_curve(bench):
    at = paused(bench, seed="yorick", lr=1e-3)
    file = state_file(bench)
    assert bench.of("file")[-1]["name"] == f"tinker-l4h4d64f256t64v16-yorick-iter{at}.state"
    bench.tell("reset")
    bench.messages.clear()
    bench.tell("load", name="mine.state", bytes=file, **SETTINGS)
    [run], [loaded] = bench.of("run"), bench.of("loaded")
    assert (run["seed"], run["iters"], run["lr"]) == ("yorick", 40, 1e-3)
    assert (loaded["kind"], loaded["iter"]) == ("state", at)
    assert "bit for bit" in loaded["note"]
    assert bench.session.phase == "paused"
    bench.tell("resume")
    bench.until("done")
    assert [record["iter"] for record in bench.records()] == list(range(40))


def test_a_state_of_other_code_is_loaded_once_the_reader_agrees(bench):
    at = paused(bench)
    saved = statefile.loads(state_file(bench))
    bench.tell("reset")
    other = statefile.dumps(replace(saved, code_hash="0" * 64))
    bench.tell("load", name="old.state", bytes=other, **SETTINGS)
    [asked] = bench.of("asked")
    assert (asked["seed"], asked["iter"]) == ("hamlet", at)
    assert "other code" in asked["differences"][0]
    assert bench.session.phase == "ready"
    bench.tell("anyway")
    assert (bench.session.phase, bench.session.page_run.iter) == ("paused", at)
    assert "other code" in bench.of("loaded")[-1]["note"]
    bench.tell("anyway")  # there is nothing left to agree to
    assert len(bench.of("loaded")) == 1


def test_a_question_that_another_run_has_answered_keeps_no_file(bench):
    paused(bench)
    saved = statefile.loads(state_file(bench))
    file = statefile.dumps(replace(saved, code_hash="a" * 64))
    bench.tell("reset")
    bench.tell("load", name="old.state", bytes=file, **SETTINGS)
    assert bench.session.asking
    bench.start()
    assert bench.session.asking is None


def test_a_state_of_another_device_says_so(bench):
    paused(bench)
    saved = statefile.loads(state_file(bench))
    file = statefile.dumps(replace(saved, device="numpy: elsewhere"))
    bench.tell("load", name="far.state", bytes=file, **SETTINGS)
    assert "it was numpy: elsewhere" in bench.of("loaded")[-1]["note"]


def test_a_state_that_is_damaged_is_refused_and_the_run_stays(bench):
    at = paused(bench)
    file = state_file(bench)
    bench.tell("load", name="bad.state", bytes=file[:-1] + b"!", **SETTINGS)
    assert "damaged" in bench.of("error")[-1]["message"]
    assert (bench.session.phase, bench.session.page_run.iter) == ("paused", at)


# ---- autosave ------------------------------------------------------------------------------------


@pytest.fixture
def store(bench):
    """The bench again, with an autosave; `again` is what a reload of the page does."""
    store = FakeStore()

    def again():
        bench.messages.clear()
        autosave = autosave_module.Autosave(store)
        args = bench.messages.append, bench.open, Corpus(TEXT), views, lambda: bench.now
        bench.session = Session(*args, autosave=autosave)
        bench.tell("device", name="webgpu")

    store.again = again
    again()
    return store


def test_after_a_reload_the_run_is_offered_and_goes_on(bench, store):
    assert bench.of("offer")[-1]["copy"] is None
    at = paused(bench, seed="yorick")
    assert bench.of("autosaved")[-1]["iter"] == at
    store.again()
    copy = bench.of("offer")[-1]["copy"]
    assert (copy["seed"], copy["iter"], copy["iters"]) == ("yorick", at, 40)
    bench.tell("continue")
    assert bench.session.phase == "training"
    bench.until("done")
    assert [record["iter"] for record in bench.records()] == list(range(40))
    store.again()
    assert bench.of("offer")[-1]["copy"]["iter"] == 40
    bench.tell("continue")
    assert bench.session.phase == "done"


def test_a_run_of_another_text_is_continued_on_its_own_alone(bench, store):
    at = paused(bench)
    store.again()
    own = bench.session.corpus
    assert bench.of("offer")[-1]["copy"]["text"] is None
    bench.session.corpus = Corpus(TEXT[::-1], name="reversed")  # of the same characters
    bench.tell("reset")
    bench.tell("continue")
    assert "SHA-256" in bench.of("error")[-1]["message"] and bench.session.run is None
    assert bench.of("asked") == []
    bench.session.corpus = own
    bench.tell("continue")
    assert bench.session.page_run.iter >= at


def test_what_is_discarded_is_not_offered_again(bench, store):
    paused(bench)
    store.again()
    copy = bench.of("offer")[-1]["copy"]
    bench.tell("discard")
    assert bench.of("offer")[-1]["copy"] is None
    bench.tell("undiscard")
    assert bench.of("offer")[-1]["copy"] == copy
    bench.tell("discard")
    store.again()
    assert bench.of("offer")[-1]["copy"] is None


def test_a_hidden_tab_is_kept(bench, store):
    bench.start(iters=400)
    bench.tell("hidden", hidden=True)
    bench.until("paused")
    assert bench.of("autosaved")[-1]["iter"] == bench.session.page_run.iter


def test_a_fast_run_is_kept_every_so_many_iterations(bench, store, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "STEP", 0.026)
    bench.start(iters=410)
    bench.until("done")
    kept = [0, *(message["iter"] for message in bench.of("autosaved"))]
    assert [now - before for before, now in pairwise(kept)] == [200, 200, 10]
    bench.session.setup = replace(bench.session.setup, checkpoint_interval=300)
    bench.tell("reset")
    bench.start(iters=410)
    bench.until("done")
    assert [message["iter"] for message in bench.of("autosaved")][-2:] == [300, 410]
    assert [record["iter"] for record in bench.records()] == [*range(410), *range(410)]


def test_a_lost_gpu_is_continued_after_a_reset(bench, store):
    at = paused(bench)
    bench.device.lost = True
    bench.tell("lost", device=bench.device, message="The device was lost.")
    bench.until("error")
    bench.device.lost = False
    bench.tell("reset")
    assert bench.of("offer")[-1]["copy"]["iter"] == at
    bench.tell("continue")
    bench.until("done")


def test_a_full_storage_is_told_once_and_the_run_goes_on(bench, store, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "STEP", 1.0)
    store.room = 3_000_000  # for one copy
    bench.start(iters=100)
    bench.until("done")
    [notice] = bench.of("notice")
    assert "storage is full" in notice["message"]
    [autosaved] = bench.of("autosaved")
    store.again()
    assert bench.of("offer")[-1]["copy"]["iter"] == autosaved["iter"] == 21


def test_a_storage_that_fails_is_told_and_the_page_has_the_copies_from_then_on(bench, store):
    store.error = autosave_module.StoreError("the disk is gone")
    at = paused(bench)
    assert "the disk is gone" in bench.of("notice")[-1]["message"]
    assert bench.of("keeping")[-1] == {
        "type": "keeping",
        "keeping": "none",
        "problem": "the disk is gone",
    }
    assert bench.of("kept")[-1] == {**bench.of("kept")[-1], "iter": at, "here": False}
    assert statefile.loads(file_of(bench.messages, "kept")).state.iter == at
    bench.tell("resume")
    bench.until("done")


def test_a_storage_that_cannot_be_read_is_told_and_a_run_begins_all_the_same(bench, store):
    paused(bench)
    store.broken = autosave_module.StoreError("NotReadableError")
    bench.tell("reset")
    bench.messages.clear()
    bench.tell("device", name="webgpu")
    assert "NotReadableError" in bench.of("notice")[-1]["message"]
    assert bench.of("offer")[-1]["copy"] is None
    bench.start(iters=3)
    bench.until("done")


def test_no_bytes_of_a_copy_go_to_the_page_where_the_storage_has_it(bench, store):
    at = paused(bench)
    assert bench.of("kept")[-1]["here"] is True
    files = sum(piece["first"] for piece in bench.of("piece"))
    assert files == len(bench.of("shelved"))  # those of the shelf alone
    bench.device.lost = True
    bench.tell("lost", device=bench.device, message="The device was lost.")
    bench.until("error")
    bench.tell("state")
    assert statefile.loads(file_of(bench.messages)).state.iter == at
    bench.tell("save")
    assert checkpoint.loads(file_of(bench.messages)).iter == at
    assert f"iteration {at}" in bench.of("notice")[-1]["message"]


def test_a_run_that_was_continued_can_be_saved_from_its_copy_at_once(bench, store):
    at = paused(bench)
    store.again()
    bench.tell("continue")
    bench.device.lost = True
    bench.tell("lost", device=bench.device, message="The device was lost.")
    bench.until("error")
    bench.tell("state")
    assert statefile.loads(file_of(bench.messages)).state.iter == at


@pytest.mark.parametrize("error", [MemoryError(), KeyError("wte"), ValueError("wte[0] is nan")])
def test_a_copy_that_fails_is_told_once_and_tried_again_and_the_run_goes_on(
    bench, store, monkeypatch, error
):
    monkeypatch.setattr(sys.modules[__name__], "STEP", 1.0)

    def fails(run):
        raise error

    whole = FakeRun.floats
    monkeypatch.setattr(FakeRun, "floats", fails)
    bench.start(iters=200)
    while bench.session.page_run.iter < 90:
        bench.advance()
    [notice] = bench.of("notice")
    assert "No copy of the run could be made" in notice["message"]
    assert ("not enough memory" in notice["message"]) == isinstance(error, MemoryError)
    assert bench.of("autosaved") == []
    monkeypatch.setattr(FakeRun, "floats", whole)
    bench.until("done")
    assert bench.of("autosaved")[-1]["iter"] == 200
    assert [record["iter"] for record in bench.records()] == list(range(200))


def test_a_file_for_which_there_is_no_memory_is_told_and_the_run_stays(bench, store, monkeypatch):
    at = paused(bench)
    monkeypatch.setattr(FakeRun, "floats", lambda run: (_ for _ in ()).throw(MemoryError))
    bench.tell("state")
    assert "emory" in bench.of("error")[-1]["title"]
    assert (bench.session.phase, bench.session.page_run.iter) == ("paused", at)
    assert bench.of("file") == []


# ---- what goes wrong -----------------------------------------------------------------------------


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_what_was_good(bench):
    bench.fails[20] = NonFiniteLoss
    bench.start(iters=100)
    bench.until("error")
    panel = bench.of("error")[-1]
    assert "no longer a number" in panel["title"]
    assert "learning rate" in panel["hint"]
    assert [record["iter"] for record in bench.records()] == list(range(20))
    assert bench.session.advance() is False
    bench.tell("reset")
    assert bench.session.phase == "ready"


def test_after_a_loss_that_is_no_number_a_state_is_the_last_copy(bench):
    paused(bench)
    kept, copy = bench.of("kept")[-1]["iter"], file_of(bench.messages, "kept")
    bench.fails[kept + 5] = NonFiniteLoss
    bench.tell("resume")
    bench.until("error")
    bench.session.run.facts = bench.spoiled  # a GPU's losses come many at a time: more are like it
    bench.tell("state", bytes=copy)
    assert statefile.loads(file_of(bench.messages)).state.iter == kept
    assert f"iteration {kept}" in bench.of("notice")[-1]["message"]


def test_a_lost_gpu_keeps_the_last_copy_of_the_weights(bench):
    paused(bench)
    kept, copy = bench.of("kept")[-1]["iter"], file_of(bench.messages, "kept")
    bench.tell("resume")
    bench.advance(2)
    bench.device.lost = True
    bench.tell("lost", device=bench.device, message="The device was lost: the driver was updated.")
    bench.until("error")
    assert bench.of("error")[-1]["title"] == "The GPU went away"
    bench.tell("save")
    assert "There is nothing to save" in bench.of("notice")[-1]["message"]
    bench.tell("save", bytes=copy)  # which the page has
    assert checkpoint.loads(file_of(bench.messages)).iter == kept
    assert f"iteration {kept}" in bench.of("notice")[-1]["message"]
    bench.device.lost = False
    bench.tell("reset")
    assert bench.phases()[-2:] == [("booting", ""), ("ready", "")]


def test_a_reset_after_an_error_puts_the_run_aside_and_undo_brings_back_its_last_copy(bench):
    at = paused(bench, seed="yorick")
    bench.tell("resume")
    bench.fails[at + 3] = lambda record: KeyError("wte")
    bench.until("error")
    bench.tell("reset")
    assert bench.session.phase == "ready" and bench.of("phase")[-1]["undo"] == at
    bench.fails.clear()
    bench.tell("undo")
    assert "The copy of that run is gone" in bench.of("error")[-1]["message"]
    bench.tell("undo", bytes=file_of(bench.messages, "kept"))  # which the page has
    assert (bench.session.phase, bench.of("run")[-1]["seed"]) == ("paused", "yorick")
    bench.messages.clear()
    bench.tell("resume")
    bench.until("done")
    assert [record["iter"] for record in bench.records()] == list(range(at, 40))
    assert [record.iter for record in bench.session.run.log] == list(range(40))


def test_a_reset_after_a_lost_gpu_has_undo_too_also_for_a_run_that_had_been_put_aside(bench):
    at = paused(bench)
    bench.tell("reset")
    bench.device.lost = True
    bench.tell("lost", device=bench.device, message="The device was lost.")
    bench.device.lost = False
    bench.tell("reset")
    assert bench.of("phase")[-1]["undo"] == at
    bench.tell("undo", bytes=file_of(bench.messages, "kept"))
    bench.tell("resume")
    bench.until("done")
    assert [record.iter for record in bench.session.run.log] == list(range(40))


def test_a_run_whose_device_was_lost_is_brought_back_from_the_storage(bench, store):
    at = paused(bench)
    bench.device.lost = True
    bench.tell("lost", device=bench.device, message="The device was lost.")
    bench.device.lost = False
    bench.tell("reset")
    assert bench.of("phase")[-1]["undo"] == at
    bench.tell("undo")
    bench.tell("resume")
    bench.until("done")
    assert [record.iter for record in bench.session.run.log] == list(range(40))


def test_a_run_that_broke_before_its_first_copy_is_not_brought_back_from_half_an_iteration(bench):
    bench.fails[3] = lambda record: KeyError("wte")
    bench.start()
    bench.until("error")
    bench.tell("reset")
    assert bench.of("phase")[-1]["undo"] is None


def test_a_loaded_run_that_breaks_before_its_next_copy_is_brought_back_as_it_was_loaded(bench):
    at = paused(bench, seed="yorick")
    file = state_file(bench)
    bench.tell("reset")
    bench.tell("load", name="mine.state", bytes=file, **SETTINGS)
    bench.fails[at + 3] = lambda record: KeyError("wte")
    bench.tell("resume")
    bench.until("error")
    bench.fails.clear()
    bench.tell("reset")
    assert bench.of("phase")[-1]["undo"] == at
    bench.tell("undo", bytes=file_of(bench.messages, "kept"))
    assert (bench.session.phase, bench.session.run.iter) == ("paused", at)
    assert bench.of("run")[-1]["seed"] == "yorick"


def test_another_device_brings_the_run_back_from_a_copy(bench):
    at = paused(bench)
    bench.tell("reset")
    bench.device = SimpleNamespace(**vars(bench.device))
    bench.tell("device", name="numpy")
    bench.tell("undo")
    assert bench.session.run.iter == at and bench.session.run.device is bench.device


def test_the_loss_of_a_device_of_before_is_not_that_of_the_one_in_use(bench):
    old = bench.device
    bench.device = SimpleNamespace(**vars(old))
    bench.tell("device", name="webgpu")
    paused(bench)
    bench.tell("resume")
    bench.tell("lost", device=old, message="The device was destroyed.")
    bench.until("done")
    assert bench.of("error") == []


@pytest.mark.parametrize("command", ["save", "state", "log", "unheard_of", "lr", "share"])
def test_a_command_that_breaks_is_told_and_the_run_is_as_it_was(bench, monkeypatch, command):
    def breaks(*_, **__):
        raise MemoryError

    at = paused(bench)
    with monkeypatch.context() as patch:
        for owner, name in ((checkpoint, "stream"), (statefile, "stream_run"), (FakeRun, "set_lr")):
            patch.setattr(owner, name, breaks)
        patch.setattr(records, "csv_line", breaks)
        patch.setattr(statefile, "snapshot", breaks)
        bench.tell(command, value=1e-3)
    assert (bench.session.phase, bench.session.run.iter) == ("paused", at)
    assert bench.of("error") or bench.of("link")[-1]["problem"]
    bench.tell("resume")
    bench.until("done")
    assert [record["iter"] for record in bench.records()] == list(range(40))


def test_the_weights_are_copied_every_twenty_seconds(bench, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "STEP", 1.0)
    bench.start(iters=65)
    bench.until("done")
    assert [message["iter"] for message in bench.of("kept")] == [21, 42, 63, 65]


def test_an_unforeseen_error_is_told_with_its_traceback(bench):
    bench.fails[3] = lambda record: KeyError("wte")
    bench.start()
    bench.until("error")
    panel = bench.of("error")[-1]
    assert panel["title"] == "Python stopped"
    assert "KeyError" in panel["message"]
    assert "Traceback" in panel["detail"]


# ---- the real thing ------------------------------------------------------------------------------


def train_on_numpy(*commands):
    """Six iterations on NumPy through the commands; returns the losses and the saved file."""
    messages = Posted()
    session = Session(messages.append, lambda name, stage: open_device(name), Corpus(TEXT), views)
    session.receive({"type": "device", "name": "numpy"})
    for command in ({"type": "start", **SETTINGS | {"iters": 6, "lr": 1e-3}}, *commands):
        session.receive(command)
        session.advance()
    while session.advance():
        pass
    assert session.phase == "done"
    session.receive({"type": "save"})
    session.advance()
    steps = [message for message in messages if message["type"] == "steps"]
    losses = [record["train"] for message in steps for record in message["records"]]
    return losses, file_of(messages)


def test_on_numpy_the_loss_falls_and_pauses_do_not_change_a_bit():
    losses, file = train_on_numpy()
    assert len(losses) == 6
    assert losses[-1] < losses[0] - 0.01
    pause, resume = {"type": "pause"}, {"type": "resume"}
    losses_again, file_again = train_on_numpy(pause, resume, pause, resume)
    assert losses_again == losses
    assert file_again[checkpoint.HEADER_BYTES :] == file[checkpoint.HEADER_BYTES :]


def test_on_numpy_half_a_run_and_its_state_elsewhere_are_the_whole_run():
    """By the bytes of the weights, of m and of v."""
    start = {"type": "start", **SETTINGS | {"iters": 6, "lr": 1e-3}}

    def session_of(*commands):
        messages = Posted()

        session = Session(
            messages.append, lambda name, stage: open_device(name), Corpus(TEXT), views
        )
        for command in ({"type": "device", "name": "numpy"}, *commands):
            session.receive(command)
        return session, messages

    def finish(session, messages):
        while session.advance():
            pass
        session.receive({"type": "state"})
        session.advance()
        file = file_of(messages)
        return statefile.loads(file), file

    straight, _ = finish(*session_of(start))
    first, messages = session_of(start)
    while not (first.page_run and first.page_run.iter >= 3):
        first.advance()
    first.receive({"type": "pause"})
    half, file = finish(first, messages)
    assert 3 <= half.state.iter < 6
    load = {"type": "load", "name": "half.state", "bytes": file, **SETTINGS}
    resumed, _ = finish(*session_of(load, {"type": "resume"}))
    assert resumed.state.iter == straight.state.iter == 6
    assert resumed.state.log == straight.state.log
    for what in ("weights", "m", "v"):
        assert getattr(resumed.state, what).tobytes() == getattr(straight.state, what).tobytes()


# ---- code that does not end ----------------------------------------------------------------------

TRAIN = "py_src/groundling/train.py"


def endless(at: int) -> str:
    """train.py with a loop without end in one of its iterations."""
    loop = f"        it = run.iter\n        while it >= {at}:\n            wait()\n"
    return sources.text(TRAIN).replace("        it = run.iter\n", loop)


ENDLESS = endless(2)


class Waiting:
    """A page whose edited loop waits for the device without end: each wait takes 0.1 s, and after
    the tenth the reader presses a button.
    """

    def __init__(self, monkeypatch, pressed, takes=0.1):
        self.messages, self.now, self.waits, self.takes = Posted(), 0.0, 0, takes
        self.pressed = pressed
        open_one = lambda name, stage: open_device(name)  # noqa: E731
        self.session = Session(self.messages.append, open_one, Corpus(TEXT), views, self.clock)
        monkeypatch.setattr("builtins.wait", self.wait, raising=False)
        self.tell("device", name="numpy")

    def tell(self, type, **values):
        self.session.receive({"type": type, **values})
        self.session.advance()

    def clock(self):
        self.now += STEP
        return self.now

    def wait(self):
        self.waits += 1
        assert self.waits < 1000, "it was never ended"
        self.now += self.takes
        if self.waits == 10:
            self.asked = self.now
            self.session.receive({"type": self.pressed})
        self.session.after_wait()

    def last(self, type):
        return [message for message in self.messages if message["type"] == type][-1]


@pytest.mark.parametrize("pressed", ["pause", "reset", "interrupt"])
def test_a_loop_that_waits_without_end_is_ended_when_it_is_stopped(monkeypatch, pressed):
    page = Waiting(monkeypatch, pressed)
    page.tell("start", **SETTINGS | {"batchSize": 1, "iters": 90}, files={TRAIN: endless(20)})
    while page.session.phase == "training":
        page.session.advance()
    page.session.advance()
    assert page.now - page.asked < 3
    error = page.last("error")
    assert error["title"] == "Stopped"
    assert [f["text"].strip() for f in error["frames"] if f["yours"]][-1] == "wait()"
    assert page.session.phase == ("ready" if pressed == "reset" else "error")


def test_a_pause_waits_for_a_first_iteration_and_for_its_compiler(monkeypatch):
    """Of edited code, whose first iteration takes six seconds, and its compiler thirty."""
    page = Waiting(monkeypatch, "pause", takes=0.3)
    text = sources.text(TRAIN)
    waits = "        for _ in range(20 * (run.iter == 0)):\n            wait()\n"
    text = text.replace("        it = run.iter\n", f"        it = run.iter\n{waits}")
    plain = NumPyDevice._prepare_all

    def slow(self, commands):
        with base.prepares():
            for _ in range(100):
                page.wait()
        return plain(self, commands)

    monkeypatch.setattr(NumPyDevice, "_prepare_all", slow)
    page.tell("start", **SETTINGS | {"batchSize": 1}, files={TRAIN: text})
    for _ in range(5):
        page.session.advance()
    assert page.session.phase == "paused" and page.session.run.iter >= 1
    assert [m for m in page.messages if m["type"] == "error"] == []


def test_an_edit_on_probation_that_waits_without_end_is_refused_and_the_old_code_goes_on(
    monkeypatch,
):
    page = Waiting(monkeypatch, "interrupt")
    page.tell("start", **SETTINGS | {"batchSize": 1})
    while page.session.run.iter < 2:
        page.session.advance()
    page.tell("apply", files={TRAIN: ENDLESS})
    while page.session.phase == "training":
        page.session.advance()
    assert page.last("refused")["error"]["title"] == "Stopped"
    assert page.session.phase == "done" and sources.overlay == {}


def test_an_evaluation_that_waits_without_end_is_ended_and_the_run_stays(monkeypatch):
    page = Waiting(monkeypatch, "interrupt")
    page.tell("evaluate", text="while True:\n    wait()")
    [shown] = [e for e in page.last("console")["entries"] if e["kind"] == "error"]
    assert shown["error"]["title"] == "Stopped"
    assert page.session.phase == "ready"


def test_on_a_slow_device_many_waits_tell_that_it_does_not_end(monkeypatch):
    page = Waiting(monkeypatch, "interrupt", takes=0.01)
    page.session.rate = 0.1  # iterations a second: to wait for six of them would be a minute
    page.tell("evaluate", text="while True:\n    wait()")
    assert page.last("console")["entries"][-1]["error"]["title"] == "Stopped"
    assert page.now - page.asked < 4


def test_a_stop_ends_nothing_that_comes_to_its_end(monkeypatch):
    page = Waiting(monkeypatch, "pause")
    page.tell("evaluate", text="for _ in range(20): wait()\n'done'")
    assert page.last("console")["entries"][-1]["text"] == "'done'"


def test_what_was_asked_for_after_a_stop_is_not_ended_by_it(monkeypatch):
    page = Waiting(monkeypatch, "log")  # a button that stops nothing
    page.session.receive({"type": "reset"})
    page.tell("evaluate", text="for _ in range(300): wait()\n'done'")
    assert page.last("console")["entries"][-1]["text"] == "'done'"


def test_code_that_asks_python_to_exit_ends_the_run_alone(monkeypatch):
    page = Waiting(monkeypatch, "pause")
    text = ENDLESS.replace("wait()", "exit()")
    page.tell("start", **SETTINGS | {"batchSize": 1}, files={TRAIN: text})
    while page.session.phase == "training":
        page.session.advance()
    assert page.last("error")["title"] == "The code asked Python to exit"


def test_the_fields_have_the_limits_of_every_configuration(bench):
    told = next(message for message in bench.messages if message["type"] == "ready")["limits"]
    assert told == {
        "seed": [0, 200],
        "iters": [0, 10_000_000],
        "batchSize": [1, 4096],
        "lr": [0.0, 1000.0],
    }
    bench.start(batchSize=3, iters=2, lr=0)
    bench.until("done")
    assert bench.session.run.config.min_lr == 0


def test_fields_that_the_device_cannot_do_are_refused_and_nothing_begins(bench, monkeypatch):
    monkeypatch.setattr(bench.session.device, "largest_tensor", 100_000)
    bench.start(batchSize=4096)
    assert bench.session.phase == "ready"
    assert "one tensor may have 100,000 here" in bench.of("error")[-1]["message"]


def test_a_file_that_the_device_cannot_do_is_refused_and_the_run_stays(bench, monkeypatch):
    bench.start(iters=40)
    bench.advance(2)
    bench.tell("pause")
    run, files = bench.session.run, []
    for command in ("save", "state"):
        bench.tell(command)
        files.append((bench.of("file")[-1]["name"], file_of(bench.messages)))
    monkeypatch.setattr(bench.session.device, "most_turns", 8)
    for name, data in files:
        bench.tell("load", name=name, bytes=data, **SETTINGS)
        assert "Take the NumPy device" in bench.of("error")[-1]["message"]
        assert (bench.session.phase, bench.session.run) == ("paused", run)
