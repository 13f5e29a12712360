"""The page's links (py_src/browser/link_view.py), with no browser: claims shown, replays checked,
and the session's own run left as it is.
"""

import re
from dataclasses import replace

import link_view
import paging
import pytest
from paging import TEXT

from groundling import sources
from groundling.data import Corpus
from groundling.devices.base import DeviceError, DeviceLost
from groundling.devices.numpy import NumPyDevice
from groundling.edits import live
from groundling.labs import link
from groundling.runs import statefile

pytestmark = pytest.mark.native  # whole runs; tests/browser has the real worker

SETTINGS = {"seed": "<b>hamlet</b>", "iters": 4, "batchSize": 8, "lr": 1e-3}


class Page(paging.Page):
    """With ways to make links, and to check them."""

    def trained(self, **settings):
        self.tell("start", **SETTINGS | settings)
        self.finish()
        return self

    def shared(self):
        self.tell("share")
        return self.last("link")

    def verdict(self, text):
        self.tell("replay", text=text)
        self.finish()
        return self.last("replay")


@pytest.fixture(scope="module")
def text():
    """The link of a run of four iterations."""
    shared = Page().trained().shared()
    assert shared["problem"] == ""
    return shared["text"]


def changed(text, **facts):
    """The link with some of what it claims changed."""
    return link.dumps(replace(link.loads(text), **facts))


def test_a_run_is_told_as_a_link_and_the_link_says_what_it_claims(text):
    page = Page()
    page.tell("claim", text=text)
    claim = page.last("claim")
    assert (claim["problem"], claim["text"]) == ("", text)
    facts = claim["facts"]
    assert (facts["seed"], facts["iter"], facts["iters"]) == ("<b>hamlet</b>", 4, 4)
    assert (facts["batchSize"], facts["lr"], facts["others"]) == (8, 1e-3, "")
    assert facts["device"].startswith("numpy: NumPy")
    assert (facts["sameCode"], facts["sameText"], facts["problem"]) == (True, True, "")
    assert [it for it, _ in facts["losses"]] == [0, 1, 2, 3]
    assert facts["model"].endswith("4 layers, 4 heads, 64 wide, over 64 characters")
    assert page.of("replay") == page.of("run") == []


def test_there_is_no_link_while_a_run_trains_nor_without_one():
    page = Page()
    page.tell("share")
    page.tell("start", **SETTINGS | {"iters": 500})
    page.tell("share")
    assert page.of("link") == []


def test_a_run_whose_settings_were_changed_is_told_with_its_changes():
    page = Page()
    page.tell("start", **SETTINGS | {"iters": 500})
    page.tell("lr", value=5e-4)
    page.session.advance()
    page.tell("pause")
    page.finish()
    shared = page.shared()
    assert shared["problem"] == ""
    page.tell("claim", text=shared["text"])
    others = page.last("claim")["facts"]["others"]
    assert re.fullmatch(r"lr 0.0005 from iteration \d+ on", others)


def test_a_replay_on_the_same_device_is_identical_and_leaves_the_paused_run_alone(text):
    page = Page()
    page.tell("start", **SETTINGS | {"seed": "mine", "iters": 500})
    page.tell("pause")
    page.finish()
    run, at = page.session.page_run.run, page.session.page_run.iter
    before = run.model.weights().tobytes()
    told = page.verdict(text)
    assert (told["phase"], told["verdict"], told["iter"], told["iters"]) == (
        "done",
        "identical",
        4,
        4,
    )
    assert told["message"].startswith("Bit-identical: all 4 losses and all weights")
    assert told["losses"] == [list(pair) for pair in link.loads(text).losses.items()]
    assert told["id"] == link_view.identity(text)
    assert page.session.page_run.run is run
    assert (page.session.phase, page.session.page_run.iter) == ("paused", at)
    assert run.model.weights().tobytes() == before


def test_losses_that_are_off_part_the_replay_from_the_link(text):
    losses = link.loads(text).losses
    near = changed(text, losses=losses | {2: losses[2] + 1e-3}, device="webgpu: a GPU")
    told = Page().verdict(near)
    assert told["verdict"] == "close"
    assert "from iter 2 on" in told["message"]
    assert "was on webgpu: a GPU; this one on numpy: NumPy" in told["message"]
    told = Page().verdict(changed(text, losses=losses | {2: losses[2] + 1}))
    assert (told["verdict"], told["iter"]) == ("different", 3)
    assert told["message"].startswith("Different: from iter 2 on")


def test_a_replay_can_be_stopped_also_before_it_has_begun(text):
    page = Page()
    long = Page().trained(iters=40).shared()["text"]
    page.session.receive({"type": "replay", "text": long})
    page.session.receive({"type": "unreplay"})
    page.finish()
    told = page.last("replay")
    assert (told["phase"], told["verdict"]) == ("stopped", "")
    assert told["message"].startswith("Stopped at iter 0 of 40. 0 of ")
    page.tell("unreplay")
    assert page.last("replay") is told
    page.tell("replay", text=long)
    page.tell("unreplay")
    told = page.last("replay")
    assert (told["phase"], told["iter"] < 40) == ("stopped", True)
    assert told["message"].startswith(f"Stopped at iter {told['iter']} of 40.")
    assert "so far each is the same to the bit" in told["message"]


def test_nothing_is_replayed_while_a_run_trains_and_a_start_ends_a_replay(text):
    page = Page()
    page.tell("start", **SETTINGS | {"iters": 500})
    page.tell("replay", text=text)
    assert page.of("replay") == []
    page.tell("reset")
    page.session.receive({"type": "replay", "text": text})
    page.session.receive({"type": "start", **SETTINGS})
    page.finish()
    assert page.last("replay")["phase"] == "stopped"
    assert page.session.phase == "done"


def test_a_link_of_another_text_says_so_and_does_not_run(text):
    page = Page(Corpus(TEXT.upper()))
    page.tell("claim", text=text)
    facts = page.last("claim")["facts"]
    assert not facts["sameText"]
    assert "was trained on another text" in facts["problem"]
    told = page.verdict(text)
    assert (told["phase"], told["losses"]) == ("failed", [])
    assert "was trained on another text" in told["message"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("%3Cscript%3Ealert(1)%3C/script%3E", "The link has '%' at character 0"),
        ("A" * 1_000_000, "The link has 1,000,000 characters"),
        ("eyJ2IjoyfQ", "The link's version is 2"),
        ("eyJ2IjoxfQ", "The link is wrong"),
        ("\udc80", "which no link has"),
    ],
)
def test_what_is_no_link_is_refused_with_a_sentence(text, told):
    page = Page()
    page.tell("claim", text=text)
    claim = page.last("claim")
    assert told in claim["problem"]
    assert (claim["facts"], claim["text"]) == (None, "")
    page.tell("replay", text=text)
    assert told in page.last("replay")["message"]
    assert page.session.phase == "ready"


def test_a_device_that_cannot_ends_the_replay_and_a_lost_one_the_session_too(text, monkeypatch):
    page = Page().trained()

    def fails(error):
        def train(self):
            raise error
            yield

        monkeypatch.setattr(link.Replay, "train", train)
        page.verdict(text)

    fails(DeviceError("A buffer is too large."))
    assert page.last("replay")["message"].startswith("The device cannot do this. A buffer")
    assert page.session.phase == "done"
    fails(DeviceLost("gone"))
    assert page.session.phase == "error"
    assert page.last("replay")["message"].startswith("The device was lost")
    assert not page.session.doers["replay"].running


def test_a_name_with_other_characters_is_the_same_device():
    device = NumPyDevice()
    device.description = "Arc™"
    corpus = Corpus(TEXT)
    run = link.Run(link.TrainConfig(iters=1, batch_size=8), corpus, device)
    claimed = link.claim(statefile.snapshot(run))
    assert link.Replay(claimed, corpus, device).device == claimed.device


# ---- edited code ---------------------------------------------------------------------------------

OPTIM = "py_src/groundling/optim.py"
ORIGINAL = sources.text(OPTIM)
TWICE = ORIGINAL.replace("np.array([lr,", "np.array([2 * lr,")


@pytest.fixture(scope="module")
def edited_text():
    """The link of such a run by edited code, which is no longer in force."""
    before = live.Loaded(sources.overlay, live.loaded())
    page = Page()
    page.tell("start", **SETTINGS, files={OPTIM: TWICE})
    page.finish()
    shared = page.shared()
    live.restore(before)
    assert shared["problem"] == "" and sources.overlay == {}
    return shared["text"]


def test_a_link_of_edited_code_shows_the_edits_and_runs_nothing(edited_text):
    page = Page()
    page.tell("claim", text=edited_text)
    facts = page.last("claim")["facts"]
    assert facts["sameCode"]
    added = [line for line in facts["diff"].split("\n") if line.startswith("+")]
    assert [line for line in added if "2 * lr" in line] == added[1:]
    assert sources.overlay == {} and page.of("replay") == []


def test_a_link_of_edited_code_is_replayed_by_it_beside_a_run_by_ours(edited_text):
    page = Page().trained(iters=3)
    before = page.session.run.state()
    modules = live.loaded()
    told = page.verdict(edited_text)
    assert told["verdict"] == "identical", told
    assert sources.overlay == {} and live.loaded() == modules
    assert page.session.run.state().weights.tobytes() == before.weights.tobytes()


@pytest.mark.parametrize("ending", ["verdict", "unreplay"])
def test_the_device_that_edited_code_is_replayed_on_is_closed(edited_text, ending):
    page, closed = Page(), []
    open_device = page.session.open_device

    def opened(name, stage):
        device = open_device(name, stage)
        device.close = lambda: closed.append(device)
        return device

    page.session.open_device = opened
    page.tell("replay", text=edited_text)
    if ending == "verdict":
        page.finish()
    else:
        page.tell("unreplay")
    assert len(closed) == 1 and closed[0] is not page.session.device


def test_a_link_of_the_library_s_own_code_is_replayed_by_that_whatever_the_page_has(text):
    page = Page()
    page.tell("apply", files={OPTIM: TWICE})
    try:
        assert page.verdict(text)["verdict"] == "identical"
        assert sources.overlay == {OPTIM: TWICE}
    finally:
        page.tell("apply", files={})


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise SystemExit(3)\n", "exit"),
        ("1 / 0\n", f"(at {OPTIM}, line 1)"),
        ("def f(:\n", "This is not Python"),
        (
            ORIGINAL.replace("model = self.model\n", "model = self.modle\n"),
            "has no attribute 'modle'",
        ),
    ],
)
def test_edits_that_fail_end_the_replay_and_nothing_else(text, code, told):
    page = Page().trained(iters=2)
    hostile = changed(text, edits={OPTIM: code})
    last = page.verdict(hostile)
    assert last["phase"] == "failed"
    assert told in last["message"]
    assert sources.overlay == {} and page.session.phase == "done"
    page.tell("resume")
    assert page.session.phase == "done"
