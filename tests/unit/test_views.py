"""The page's twin and inspector (py_src/browser/twin_view.py, inspector_view.py), with no browser:
what they post, and how the session runs them.
"""

import hashlib
import time
from dataclasses import replace
from types import SimpleNamespace

import inspector_view
import numpy as np
import pytest
import session as session_module
import twin_view
from paging import Posted
from views import views

from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.base import DeviceError, DeviceLost
from groundling.devices.numpy import NumPyDevice
from groundling.labs import twin
from groundling.model import initial_weights
from groundling.runs import checkpoint, statefile
from groundling.runs.configfile import Setup
from groundling.runs.run import Run
from groundling.train import train

pytestmark = pytest.mark.native  # whole runs; tests/browser has the real worker

TEXT = "To be, or not to be, that is the question:\n" * 20
SMALL = {"iters": 40, "batchSize": 8, "lr": 3e-4}


@pytest.fixture
def posted():
    return Posted()


def alone(posted):
    """As much of a session as a view needs."""
    corpus = Corpus(TEXT)
    return SimpleNamespace(
        **dict(post=posted.append, corpus=corpus, setup=Setup().on(corpus)),
        **dict(device=NumPyDevice(), clock=time.perf_counter, phase="ready", run=None),
    )


@pytest.fixture
def view(posted, monkeypatch):
    """A view of twins whose batches are small."""
    plain = twin.Twin

    class SmallTwin(plain):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            small = [replace(run.config, batch_size=2) for run in self.runs]
            self.runs = [Run(config, self.runs[0].corpus, self.runs[0].device) for config in small]

    monkeypatch.setattr(twin, "Twin", SmallTwin)
    return twin_view.TwinView(alone(posted))


def run_twin(view, seeds, iters=2):
    view.do_twin({"seeds": seeds, "iters": iters})
    while view.running:
        view.advance()


# ---- the twin ------------------------------------------------------------------------------------


def test_equal_seeds_are_told_to_be_identical(view, posted):
    run_twin(view, ("hamlet", "hamlet"))
    assert {message["phase"] for message in posted[:-1]} == {"running"}
    records = [record for message in posted for record in message["records"]]
    assert [record[0] for record in records] == [0, 1]
    assert all(a == b for _, a, b in records)
    end = posted[-1]
    assert (end["phase"], end["verdict"]["kind"], end["parted"]) == ("done", "identical", None)
    assert len(set(end["verdict"]["files"])) == 1
    assert len(set(end["verdict"]["weights"])) == 1
    assert end["verdict"]["feeds"] == []
    assert view.twin is None  # its memory is given back


def test_other_seeds_part_at_once_and_the_three_streams_are_named(view, posted):
    run_twin(view, ("hamlet", "hamllet"))
    verdict = posted[-1]["verdict"]
    assert (verdict["kind"], posted[-1]["parted"]) == ("differ", 0)
    assert len({*verdict["files"], *verdict["weights"]}) == 4
    a, b = verdict["feeds"]
    assert len(a) == len(b) == 3
    assert "hamlet:dropout" in a[2] and "hamllet:dropout" in b[2]


def test_a_twin_that_is_stopped_has_no_verdict(view, posted):
    view.session.clock = iter(range(1000)).__next__  # a message for each record
    view.do_twin({"seeds": ("hamlet", "hamlet"), "iters": 6})
    view.advance()
    view.stop()
    assert not view.running
    assert (posted[-1]["phase"], posted[-1]["verdict"]) == ("stopped", None)
    assert 1 <= len([record for message in posted for record in message["records"]]) < 6


@pytest.mark.parametrize(
    "seeds, iters, why",
    [
        (("a", "b"), 0, "1 to 1,000 iterations, not 0"),
        (("a", "b"), 1001, "not 1,001"),
        (("a", "b" * 400), 2, "200 at most"),
    ],
)
def test_what_cannot_be_trained_or_saved_is_refused_before_it_begins(
    view, posted, seeds, iters, why
):
    view.do_twin({"seeds": seeds, "iters": iters})
    [message] = posted
    assert message["phase"] == "failed" and why in message["message"]
    assert not view.running


@pytest.mark.parametrize("error", [MemoryError(), DeviceError("The buffer is too large.")])
def test_a_device_that_cannot_hold_it_is_told_and_ends_the_twin_alone(
    view, posted, monkeypatch, error
):
    def fail(*_):
        raise error

    monkeypatch.setattr(twin, "Twin", fail)
    view.do_twin({"seeds": ("a", "b"), "iters": 2})
    assert posted[-1]["phase"] == "failed" and posted[-1]["seeds"] == ["a", "b"]
    assert posted[-1]["message"].startswith(("Out of memory. ", "The device cannot do this. "))
    assert not view.running


def test_a_lost_device_is_for_the_session_to_tell(view, monkeypatch):
    def fail(*_):
        raise DeviceLost("gone")

    monkeypatch.setattr(twin, "Twin", fail)
    with pytest.raises(DeviceLost):
        view.do_twin({"seeds": ("a", "b"), "iters": 2})


# ---- beside a run --------------------------------------------------------------------------------


@pytest.fixture
def session(posted, view):
    """A session on NumPy whose twins are small."""
    open_one = lambda name, stage: NumPyDevice()  # noqa: E731
    made = session_module.Session(posted.append, open_one, Corpus(TEXT), views)
    tell(made, "device", name="numpy")
    return made


def tell(session, kind, **values):
    session.receive({"type": kind, **values})
    session.advance()


def test_a_twin_leaves_a_paused_run_as_it_is(session, posted):
    tell(session, "start", seed="yorick", **SMALL)
    tell(session, "pause")
    while session.stream is not None:
        session.advance()
    assert session.phase == "paused"
    before = session.page_run.run.state()
    tell(session, "twin", seeds=["a", "a"], iters=2)
    while session.advance():
        pass
    assert posted.of("twin")[-1]["verdict"]["kind"] == "identical"
    after = session.page_run.run.state()
    assert session.phase == "paused" and after.iter == before.iter
    assert after.weights.tobytes() == before.weights.tobytes()
    assert (after.batches, after.log) == (before.batches, before.log)


def test_no_twin_begins_while_a_run_trains_and_one_that_runs_stops_for_it(session, posted):
    tell(session, "twin", seeds=["a", "a"], iters=500)
    assert session.doers["twin"].running
    tell(session, "start", seed="yorick", **SMALL)
    assert posted.of("twin")[-1]["phase"] == "stopped"
    assert not session.doers["twin"].running and session.phase == "training"
    tell(session, "twin", seeds=["b", "b"], iters=2)
    assert posted.of("twin")[-1]["seeds"] == ["a", "a"]


def test_the_two_files_of_a_verdict_can_be_had_until_the_next_twin(session, posted):
    tell(session, "twin_file", which=0)
    assert "Run the twin again" in posted.of("notice")[-1]["message"]
    tell(session, "twin", seeds=["a", "b"], iters=2)
    while session.advance():
        pass
    for which, name in enumerate(
        ["twin-A-tinker-l4h4d64f256t64v17-a", "twin-B-tinker-l4h4d64f256t64v17-b"]
    ):
        tell(session, "twin_file", which=which)
        file, verdict = posted.of("file")[-1], posted.of("twin")[-1]["verdict"]
        assert file["name"] == f"{name}-iter2.bin"
        assert hashlib.sha256(file["bytes"]).hexdigest() == verdict["files"][which]
        weights = checkpoint.loads(file["bytes"]).weights.tobytes()
        assert hashlib.sha256(weights).hexdigest() == verdict["weights"][which]
    tell(session, "twin", seeds=["a", "a"], iters=500)
    tell(session, "untwin")
    tell(session, "twin_file", which=1)
    assert len(posted.of("notice")) == 2


def test_a_twin_that_is_stopped_in_the_turn_that_it_starts_in_does_not_train(session, posted):
    session.receive({"type": "twin", "seeds": ["a", "b"], "iters": 500})
    session.receive({"type": "untwin"})
    while session.advance():
        pass
    running, stopped = posted.of("twin")
    assert (running["phase"], stopped["phase"]) == ("running", "stopped")
    assert stopped["records"] == [] and stopped["verdict"] is None
    tell(session, "twin", seeds=["a", "a"], iters=2)
    while session.advance():
        pass
    assert posted.of("twin")[-1]["verdict"]["kind"] == "identical"


def test_the_reader_can_stop_a_twin_and_the_session_outlives_one_that_fails(session, posted):
    tell(session, "twin", seeds=["a", "a"], iters=500)
    tell(session, "untwin")
    assert posted.of("twin")[-1]["phase"] == "stopped"
    tell(session, "twin", seeds=["a", "a"], iters=0)
    assert posted.of("twin")[-1]["phase"] == "failed" and posted.of("error") == []


def test_the_current_run_is_inspected_as_it_would_be_saved(session, posted):
    tell(session, "inspect_run", slot="a")
    assert "no run yet" in posted.of("uninspected")[-1]["message"]
    tell(session, "start", seed="yorick", **SMALL)
    tell(session, "pause")
    while session.advance():
        pass
    tell(session, "inspect_run", slot="a")
    told = posted.of("inspected")[-1]
    run = session.page_run.run
    assert told["name"] == checkpoint.file_name("yorick", run.iter, run.model.config)
    weights = session.page_run.run.checkpoint().weights
    assert told["parts"][0]["max"] == weights[: told["parts"][0]["floats"]].max()


# ---- the inspector -------------------------------------------------------------------------------


def weights_file(seed="hamlet", **config) -> bytes:
    config = GPTConfig(**config)
    weights = initial_weights(config, seed)
    now = "2026-11-21T08:00:00.000Z"
    return checkpoint.dumps(checkpoint.Checkpoint(config, seed, 0, None, "a" * 64, now, weights))


@pytest.fixture
def look(posted):
    return inspector_view.InspectorView(alone(posted))


def test_the_default_models_size_is_explained_from_its_shape(look, posted):
    look.read("a", "hamlet.bin", weights_file())
    told = posted.of("inspected")[-1]
    assert (told["size"], told["start"], len(told["parts"])) == (824_576, 512, 36)
    explained = told["explained"]
    assert sum(row["count"] for row in explained["rows"]) == explained["total"] == 206_016
    assert explained["sum"] == "512 of header + 4 x 206,016 = 824,576 bytes"
    assert "12 x 64² = 49,152: in 4 blocks 196,608" in explained["note"]


def test_another_shape_has_another_explanation(look, posted):
    look.read("a", "small.bin", weights_file(n_layer=1, n_head=2, n_embd=8, d_ff=20, block_size=4))
    told = posted.of("inspected")[-1]
    count = 65 * 8 + 4 * 8 + 4 * 64 + 2 * 8 * 20 + 4 * 8 + 2 * 8
    assert told["explained"]["total"] == count
    assert told["size"] == 512 + 4 * count
    assert told["explained"]["note"] == ""


def test_the_vocabulary_after_the_weights_is_shown_as_text(look, posted):
    corpus = Corpus("Über den Wolken. " * 9)
    shape = GPTConfig(corpus.vocab_size, 4, 1, 2, 8, 20)
    weights, now = initial_weights(shape, "hamlet"), checkpoint.now()
    hash, vocab = corpus.vocab_hash, corpus.vocab
    data = checkpoint.dumps(checkpoint.Checkpoint(shape, "s", 0, None, hash, now, weights, vocab))
    look.read("a", "own.bin", data)
    told = posted.of("inspected")[-1]
    tail = len(data) - 512 - weights.nbytes
    assert f" + {tail} of vocabulary = {len(data):,} bytes" in told["explained"]["sum"]
    assert told["end"] == len(data) - tail
    look.look("a", 10**9)
    cells = posted.of("bytes")[-1]["cells"]
    assert "".join(cell for cell in cells if isinstance(cell, str)) == data[-tail:].decode()


def test_each_tensors_numbers_are_those_of_the_file(look, posted):
    data = weights_file()
    look.read("a", "hamlet.bin", data)
    byte = 512
    for part in posted.of("inspected")[-1]["parts"]:
        numbers = np.frombuffer(data, "<f4", part["floats"], byte).astype(np.float64)
        assert part["byte"] == byte
        assert (part["min"], part["max"]) == (numbers.min(), numbers.max())
        assert part["mean"] == pytest.approx(numbers.mean())
        assert part["std"] == pytest.approx(numbers.std())
        assert sum(part["histogram"]) == part["floats"]
        byte += 4 * part["floats"]
    assert byte == len(data)


def test_every_byte_is_on_one_page_and_floats_are_read_from_512_on(look, posted):
    data = weights_file()
    look.read("a", "hamlet.bin", data)
    first = posted.of("bytes")[-1]
    assert bytes.fromhex(first["hex"]) == data[:512]
    assert "".join(first["cells"]) == data[:512].decode()
    look.look("a", 1)
    second = posted.of("bytes")[-1]
    assert bytes.fromhex(second["hex"]) == data[512:1024]
    assert second["cells"] == np.frombuffer(data, "<f4", 128, 512).tolist()
    look.look("a", 10**9)
    last = posted.of("bytes")[-1]
    assert last["at"] == len(data) - 256 == 512 * last["page"]
    assert bytes.fromhex(last["hex"]) == data[-256:]


def test_a_state_has_its_three_tensors_of_each_parameter_after_its_records(look, posted):
    run = Run(TrainConfig(iters=3, warmup=1, batch_size=2), Corpus(TEXT), NumPyDevice())
    list(train(run))
    data = statefile.save_state(run)
    look.read("a", "hamlet.state", data)
    told = posted.of("inspected")[-1]
    assert (told["kind"], told["iter"], len(told["parts"])) == ("state", 3, 108)
    assert told["explained"]["sum"].endswith(f"= {len(data):,} bytes")
    assert told["start"] > 512
    look.look("a", told["start"] // 512)
    cells = posted.of("bytes")[-1]["cells"]
    text = (told["start"] % 512) // 4
    assert all(isinstance(cell, str) for cell in cells[:text])
    assert cells[text] == run.model.weights()[0]

    look.read("b", "hamlet.bin", statefile.save_weights(run))
    compared = posted.of("compared")[-1]
    assert len(compared["rows"]) == 36 and not any(row["count"] for row in compared["rows"])
    assert "the weights are compared" in compared["text"]


def test_two_files_are_compared_tensor_by_tensor(look, posted):
    look.read("a", "hamlet.bin", weights_file("hamlet"))
    assert posted.of("compared") == []
    look.read("b", "hamllet.bin", weights_file("hamllet"))
    compared = posted.of("compared")[-1]
    by_name = {row["name"]: row for row in compared["rows"]}
    assert by_name["wte"]["count"] > 4000
    assert by_name["ln_f.weight"]["count"] == 0
    assert f"{sum(row['count'] for row in compared['rows']):,} of 206,016" in compared["text"]
    look.read("b", "hamlet.bin", weights_file("hamlet"))
    assert posted.of("compared")[-1]["text"] == (
        "All 206,016 numbers are the same, bit for bit. The files are the same bytes."
    )
    look.do_close({"slot": "b"})
    look.read("a", "again.bin", weights_file("again"))
    assert len(posted.of("compared")) == 2


def test_files_of_other_shapes_are_not_compared_and_a_sentence_says_why(look, posted):
    look.read("a", "one.bin", weights_file())
    look.read("b", "two.bin", weights_file(n_layer=1))
    compared = posted.of("compared")[-1]
    assert compared["rows"] == [] and "different shapes" in compared["text"]


@pytest.mark.parametrize("data", [b"", b"no weights", weights_file()[:-1], b"{}".ljust(600)])
def test_what_is_no_file_of_ours_is_refused_and_the_open_one_stays(look, posted, data):
    look.read("a", "good.bin", weights_file())
    look.read("a", "cat.bin", data)
    refused = posted[-1]
    assert (refused["type"], refused["name"]) == ("uninspected", "cat.bin")
    assert refused["message"].endswith((".", "?"))
    look.look("a", 0)
    assert hashlib.sha256(bytes.fromhex(posted[-1]["hex"])).digest()
