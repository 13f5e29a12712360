"""The page's figures of speed (py_src/browser/speed_view.py), with no browser: what it posts."""

import time
from types import SimpleNamespace

import pytest
import speed_view
from paging import Posted

from groundling.data import Corpus
from groundling.devices.base import DeviceError
from groundling.devices.numpy import NumPyDevice
from groundling.labs import bench

pytestmark = pytest.mark.native  # whole runs; tests/browser has the real worker

TEXT = "To be, or not to be, that is the question:\n" * 20


@pytest.fixture
def view(monkeypatch) -> speed_view.SpeedView:
    monkeypatch.setattr(bench, "LEAST", 0.0)
    monkeypatch.setattr(bench, "ceilings", lambda device: {"flops": 1e9, "bytes": 1e9})
    session = SimpleNamespace(
        **dict(post=Posted().append, corpus=Corpus(TEXT), device=NumPyDevice()),
        **dict(clock=time.perf_counter, phase="ready", run=None),
    )
    return speed_view.SpeedView(session)


def posted(view) -> list:
    return view.post.__self__


def test_a_step_is_measured_and_told_line_by_line(view):
    view.do_speed({"batchSize": 1})
    while view.running:
        view.advance()
    first, *_, last = posted(view)
    assert (first["phase"], first["figures"]) == ("running", None)
    assert last["phase"] == "done"
    assert last["done"] == last["figures"]["dispatches"] == 60
    seconds = [line["seconds"] for line in last["lines"]]
    assert seconds == sorted(seconds, reverse=True)
    assert sum(sum(line["kernels"].values()) for line in last["lines"]) == 60
    texts = {line["line"]: line["text"] for line in last["lines"]}
    attention = next(line for line in last["lines"] if "attention" in line["kernels"])
    assert attention["kernels"]["attention"] == 4
    assert "causal_attention" in texts[attention["line"]][0]


def test_it_can_be_stopped_and_begun_again(view):
    view.do_speed({"batchSize": 1})
    view.advance()
    view.do_unspeed({})
    assert not view.running
    assert posted(view)[-1]["phase"] == "stopped"
    view.do_unspeed({})  # nothing to stop: nothing is told
    assert [message["phase"] for message in posted(view)].count("stopped") == 1
    view.do_speed({"batchSize": 1})
    assert view.running


def test_a_device_that_goes_away_is_told(view):
    view.do_speed({"batchSize": 1})
    view.drop()
    assert not view.running
    assert posted(view)[-1]["phase"] == "failed"


def test_what_the_device_refuses_is_told(view, monkeypatch):
    def refuse(device):
        raise DeviceError("A tensor is more than this adapter takes.")

    monkeypatch.setattr(bench, "ceilings", refuse)
    view.do_speed({"batchSize": 1})
    while view.running:
        view.advance()
    assert posted(view)[-1]["phase"] == "failed"
    assert "more than this adapter takes" in posted(view)[-1]["message"]


def test_a_place_that_is_no_line_of_ours_has_no_text():
    assert speed_view.text_of("") == []
    assert speed_view.text_of("elsewhere.py:3, model.py:99999 back") == []
    assert len(speed_view.text_of("model.py:5, model.py:5 back")) <= 1
