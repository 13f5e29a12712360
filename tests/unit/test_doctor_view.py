"""The page's doctor (py_src/browser/doctor_view.py), with no browser: what it posts of its cases
and of the run.
"""

import math
from types import SimpleNamespace

import doctor_view
import pytest
from paging import Posted

from groundling.data import Corpus
from groundling.devices.base import DeviceError, DeviceLost
from groundling.devices.numpy import NumPyDevice
from groundling.labs import doctor
from groundling.runs.records import Record
from groundling.runs.run import NonFiniteLoss

pytestmark = pytest.mark.native  # whole runs; tests/browser has the real worker

TEXT = "To be, or not to be, that is the question:\n" * 40
UNIFORM = math.log(len(set(TEXT)))


class Bench:
    """A view, what it posted (JSON, as on its way to the page), and the session's clock."""

    def __init__(self):
        self.posted, self.now, self.step = Posted(), 0.0, 0.0
        self.session = SimpleNamespace(
            post=self.posted.append,
            corpus=Corpus(TEXT),
            device=NumPyDevice(),
            clock=self.clock,
            phase="ready",
            run=SimpleNamespace(log=[]),
        )
        self.view = doctor_view.DoctorView(self.session)

    def clock(self):
        self.now += self.step
        return self.now

    def finish(self):
        while self.view.running:
            self.view.advance()

    def records(self, losses, first=0):
        records = [Record(first + i, x, 3e-4, None, 1.0, x) for i, x in enumerate(losses)]
        self.session.run.log += records
        self.view.on_records(records)


@pytest.fixture
def bench():
    return Bench()


# ---- the cases -----------------------------------------------------------------------------------


def test_once_ready_the_page_gets_the_six_cases_and_the_levels(bench):
    bench.view.on_phase("ready")
    cases = bench.posted.of("cases")[0]
    assert [case["name"] for case in cases["cases"]] == list(doctor.CASES)
    shape = cases["cases"][0]["shape"]
    assert (shape[0][0], shape[-1][0]) == (0.0, 1.0) and shape[0][1] == pytest.approx(UNIFORM)
    levels = bench.posted.of("levels")[0]["levels"]
    assert [level["name"] for level in levels] == ["uniform", "unigram", "bigram", "english"]
    assert levels[0]["nats"] == pytest.approx(UNIFORM)


def test_a_case_posts_every_record_and_then_its_verdict(bench):
    bench.view.do_case({"names": ["dead"], "iters": 60})
    assert bench.view.running
    bench.finish()
    told = bench.posted.of("case")
    assert [message["phase"] for message in told[1:-1]] == ["running"] * (len(told) - 2)
    records = [record for message in told for record in message["records"]]
    assert [record[0] for record in records] == list(range(60))
    assert records[0][2] is not None and records[1][2] is None  # a validation every few
    last = told[-1]
    assert (last["phase"], last["verdict"]["kind"]) == ("done", "dead")
    assert last["verdict"]["fix"] == {"lr": 3e-4} and last["verdict"]["healthy"] is False


def test_several_cases_run_one_after_the_other_and_stop_ends_them_all(bench):
    bench.step = 1.0
    bench.view.do_case({"names": ["clean", "dead"], "iters": 60})
    for _ in range(200):
        if bench.posted.of("case")[-1]["name"] == "dead":
            break
        bench.view.advance()
    assert [m["phase"] for m in bench.posted.of("case") if m["name"] == "clean"][-1] == "done"
    bench.view.advance()
    bench.view.do_uncase({})
    last = bench.posted.of("case")[-1]
    assert (last["name"], last["phase"]) == ("dead", "stopped")
    assert not bench.view.running
    bench.view.do_case({"names": ["dead", "clean"], "iters": 60})
    bench.view.stop()
    assert not bench.view.running and bench.posted.of("case")[-1]["name"] == "dead"


def test_a_case_that_overflows_ends_with_the_reason(bench):
    bench.step = 1.0  # so that each advance is of one record
    bench.view.do_case({"names": ["clean"], "iters": 60})
    bench.view.advance()
    model = bench.view.exam.run.model
    model.load(model.weights() * math.nan)
    bench.finish()
    last = bench.posted.of("case")[-1]
    assert last["phase"] == "done" and "training cannot go on" in last["message"]
    assert last["records"][-1][1] is None  # NaN is no JSON
    assert last["verdict"]["kind"] == "divergence"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"names": ["croup"], "iters": 160}, "There is no case 'croup'"),
        ({"names": ["clean"], "iters": 5}, "A case has 60 to 1,000 iterations, not 5"),
    ],
)
def test_what_cannot_be_run_is_refused_with_a_sentence(bench, message, said):
    bench.view.do_case(message)
    last = bench.posted.of("case")[-1]
    assert last["phase"] == "failed" and said in last["message"] and not bench.view.running


def test_a_failing_device_ends_the_case_and_a_lost_one_the_session(bench, monkeypatch):
    def fails(error):
        def train(self):
            raise error
            yield

        monkeypatch.setattr(doctor.Examination, "train", train)
        bench.view.do_case({"names": ["clean", "dead"], "iters": 60})

    fails(DeviceError("Too large."))
    bench.view.advance()
    assert bench.posted.of("case")[-1]["phase"] == "failed" and not bench.view.running
    fails(DeviceLost("Gone."))
    with pytest.raises(DeviceLost):
        bench.view.advance()
    bench.view.drop()
    last = bench.posted.of("case")[-1]
    assert last["phase"] == "failed" and "was lost" in last["message"] and not bench.view.running


# ---- the run -------------------------------------------------------------------------------------


def falling(n):
    return [1.2 + (UNIFORM - 1.2) * math.exp(-i / 40) for i in range(n)]


def test_the_run_is_read_as_it_goes_but_not_at_every_message(bench):
    losses = falling(300)
    for i in range(300):
        bench.now += 0.1
        bench.records(losses[i : i + 1], i)
    told = bench.posted.of("diagnosis")
    assert 10 < len(told) <= 31  # 30 seconds
    assert [message["verdict"]["kind"] for message in told][0] == "early"
    assert told[-1]["verdict"]["kind"] == "clean"


def test_a_run_that_overflows_is_told_of_at_once(bench):
    bench.records(falling(50))
    bench.view.on_error(NonFiniteLoss(Record(50, math.nan, 3e-4, None, 1.0, math.nan)))
    last = bench.posted.of("diagnosis")[-1]
    assert (last["iter"], last["verdict"]["kind"]) == (50, "divergence")
    bench.view.on_error(DeviceError("Something else."))
    assert bench.posted.of("diagnosis")[-1] is last


def test_an_edit_goes_on_with_the_curve_that_there_is(bench):
    bench.records(falling(100))
    bench.session.run = SimpleNamespace(log=list(bench.session.run.log))
    bench.records(falling(103)[100:], 100)
    assert bench.view.curve.iter == list(range(103))
    assert bench.posted.of("diagnosis")[-1]["verdict"]["kind"] == "clean"


def test_another_run_begins_another_curve(bench):
    bench.records(falling(100))
    bench.session.run = SimpleNamespace(log=[])
    bench.records(falling(3))
    assert bench.posted.of("diagnosis")[-1]["iter"] == 2
    assert bench.posted.of("diagnosis")[-1]["verdict"]["kind"] == "early"
    bench.view.on_phase("ready")
    assert bench.posted.of("diagnosis")[-1]["verdict"] is None
