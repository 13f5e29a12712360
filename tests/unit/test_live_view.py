"""The page's edits (py_src/browser/live_view.py), with no browser: new code for the run that
trains, and the old one going on, to the bit, whenever the new one fails.
"""

import hashlib
import json

import paging
import pytest

from groundling import sources
from groundling.data import Corpus
from groundling.runs import checkpoint
from groundling.runs.configfile import Setup

pytestmark = pytest.mark.native  # whole runs; tests/browser has the real worker

TRAIN, MODEL = "py_src/groundling/train.py", "py_src/groundling/model.py"
RUN = "py_src/groundling/runs/run.py"
KERNELS = "py_src/groundling/devices/kernels.py"
SETTINGS = {"seed": "hamlet", "iters": 12, "batchSize": 2, "lr": 3e-4}


@pytest.fixture(autouse=True, scope="module")
def no_samples():
    """Runs do not write, which takes as long as several iterations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Setup, "sample_interval", 0)
        yield


def edit(path: str, *changes: tuple[str, str]) -> dict[str, str]:
    """An overlay of one file with these replacements, each found once."""
    text = sources.original(path)
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return {path: text}


TWICE = edit(TRAIN, ("lr = learning_rate(it, config)", "lr = 2 * learning_rate(it, config)"))
RAISES = edit(TRAIN, ("        loss.backward()", "        loss.backwards()"))
NOTHING = {TRAIN: sources.original(TRAIN) + "\n# nothing\n"}


class Page(paging.Page):
    """With ways to train, and to see what has come of it."""

    def until(self, iter):
        """Train up to an iteration; a step of this model takes longer than a message's frame."""
        while self.session.page_run.iter < iter and self.session.advance():
            pass
        assert self.session.page_run.iter >= iter
        return self

    def finish(self):
        super().finish()
        assert self.session.phase == "done", self.of("error")
        return self

    def started(self, **more):
        self.tell("start", **SETTINGS, **more)
        return self

    @property
    def digest(self):
        """Of all that the run has come to."""
        state = self.session.run.state()
        parts = state.weights.tobytes(), state.m.tobytes(), state.v.tobytes()
        return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.fixture(scope="module")
def untouched():
    """The digest and the losses of a run that nothing has touched."""
    page = Page().started().finish()
    return page.digest, [record.train for record in page.session.run.log]


def test_an_edit_takes_over_at_one_iteration_and_loses_nothing(untouched):
    page = Page().started().until(5)
    page.tell("apply", files=TWICE)
    page.finish()
    [applied] = page.of("applied")
    k, log = applied["iter"], page.session.run.log
    assert k >= 5 and applied["files"] == [TRAIN]
    assert "+        lr = 2 * learning_rate(it, config)" in applied["diff"]
    assert [record.iter for record in log] == list(range(12))
    factors = [record.lr / (3e-4 * (record.iter + 1) / 100) for record in log]
    assert factors == pytest.approx([1] * k + [2] * (12 - k))
    assert [record.train for record in log[: k + 1]] == untouched[1][: k + 1]
    assert page.session.run.edits == [(k, applied["diff"])]
    steps = [step["iter"] for message in page.of("steps") for step in message["records"]]
    assert steps == list(range(12)) and len(page.of("run")) == 1  # the curve goes on


def test_a_run_is_copied_before_it_takes_on_code_that_may_never_end():
    page = Page().started().until(5)
    page.tell("apply", files=edit(TRAIN, ("        loss.backward()", "        1 / 0")))
    page.finish()
    [refused], copies = page.of("refused"), [message["iter"] for message in page.of("kept")]
    assert "ZeroDivisionError" in str(refused)
    assert len(copies) == 2 and 5 <= copies[0] < copies[1] == 12  # then, and at the end


@pytest.mark.parametrize("device", ["numpy", "wasm"])
def test_an_edited_kernel_of_the_cpus_takes_over(device):
    """Here the mean of the losses is doubled."""
    page = Page()
    page.tell("device", name=device)
    page.started().until(5)
    page.tell("apply", files=edit(KERNELS, ("y[0] = x.mean()", "y[0] = 2 * x.mean()")))
    page.finish()
    [applied] = page.of("applied")
    losses = [record.train for record in page.session.run.log]
    k = applied["iter"]
    assert page.session.device.name == device
    assert losses[k] == pytest.approx(2 * losses[k - 1], rel=0.05)
    assert losses[0] == pytest.approx(losses[k - 1], rel=0.05)


def test_an_edit_of_nothing_changes_no_bit(untouched):
    page = Page().started().until(3)
    page.tell("apply", files=NOTHING)
    page.until(6).tell("apply", files={})
    assert page.finish().digest == untouched[0]
    assert [message["diff"] != "" for message in page.of("applied")] == [True, True]


SWAPPED = edit(MODEL, ("y = gelu(linear(x", "y = layernorm(linear(x"))
BROKEN = {
    "not Python": ({TRAIN: sources.original(TRAIN) + "def f(:\n"}, "SyntaxError", TRAIN),
    "no such module": ({TRAIN: "from .nowhere import x\n"}, "nowhere", TRAIN),
    "raises as it is imported": ({MODEL: sources.original(MODEL) + "\n1 / 0\n"}, "Zero", MODEL),
    "raises on its first step": (RAISES, "backwards", TRAIN),
    "another shape": (SWAPPED, "missing", MODEL),
    "no generator": (
        edit(
            TRAIN,
            ("        yield from run.records()\n    run.l", "    run.l"),
            ("    yield from run.records()\n    if", "    if"),
        ),
        "not iterable",
        None,
    ),
    "ends at once": (
        edit(TRAIN, ("    while run.iter < min", "    while False and run.iter < min")),
        "without having trained",
        None,
    ),
    "the loss is no number": (
        edit(
            MODEL,
            (
                "return cross_entropy(self.forward(tokens), targets)",
                "return cross_entropy(self.forward(tokens), targets) * float('inf')",
            ),
        ),
        "loss at iter",
        None,
    ),
    "no file of ours": ({"py_src/groundling/../../x.py": ""}, "cannot be edited", None),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_code_that_fails_is_refused_and_the_old_goes_on_to_the_same_bits(kind, untouched):
    files, why, path = BROKEN[kind]
    page = Page().started().until(4)
    page.tell("apply", files=files)
    page.finish()
    [refused] = page.of("refused")
    assert why in json.dumps(refused["error"])
    if path:
        assert refused["error"]["frames"][-1]["path"] == path or any(
            frame["yours"] and frame["path"] == path for frame in refused["error"]["frames"]
        )
    assert page.digest == untouched[0] and not page.of("applied") and not page.of("error")
    assert sources.overlay == {}


def test_a_paused_run_rehearses_the_step_and_stays_where_it_is(untouched):
    page = Page().started().until(4)
    page.tell("pause")
    while page.session.advance():
        pass
    at = page.session.page_run.iter
    page.tell("apply", files=RAISES)
    assert len(page.of("refused")) == 1
    page.tell("apply", files=NOTHING)
    assert (page.session.phase, page.session.page_run.iter) == ("paused", at)
    assert page.of("applied")[-1]["iter"] == at
    page.tell("resume")
    assert page.finish().digest == untouched[0]


def test_edits_before_a_run_are_what_it_starts_with():
    page = Page()
    page.tell("apply", files=RAISES | {MODEL: "def f(:"})
    assert page.of("refused") and page.session.phase == "ready"
    page.tell("apply", files=TWICE)
    assert page.of("applied")[-1]["iter"] == 0
    page.started().finish()
    assert page.session.run.log[0].lr == pytest.approx(2 * 3e-4 / 100)
    assert page.session.run.edits == []
    page.tell("reset")
    page.started(files={}).finish()
    assert page.session.run.log[0].lr == pytest.approx(3e-4 / 100)


def test_a_start_with_code_that_does_not_load_does_not_begin():
    page = Page().started(files={TRAIN: "def f(:"})
    assert page.session.phase == "ready" and page.of("refused")


def test_a_run_that_an_edit_stops_goes_on_once_it_is_mended(untouched):
    late = edit(
        TRAIN, ("        it = run.iter\n", "        it = run.iter\n        if it == 7: oops\n")
    )
    page = Page().started().until(3)
    page.tell("apply", files=late)
    while page.session.advance():
        pass
    assert page.session.phase == "error"
    error = page.of("error")[-1]
    assert "oops" in error["message"] and error["frames"][-1]["yours"]
    page.tell("apply", files={})
    assert page.session.phase == "paused"
    page.tell("resume")
    assert page.finish().digest == untouched[0]


def test_a_run_without_a_copy_that_an_edit_spoils_is_not_gone_on_with():
    line = "lr = learning_rate(it, config)"
    spoils = edit(TRAIN, (line, f"{line} * (1e38 if it > 5 else 1)"))
    page = Page().started(files=spoils)
    while page.session.advance():
        pass
    assert page.of("error")[-1]["title"] == "The loss is no longer a number"
    page.tell("apply", files={})
    assert page.of("refused")[-1]["error"]["title"] == "This run cannot go on"
    assert page.session.phase == "error" and page.session.live.change is None
    page.tell("reset")
    page.started(files={}).until(7)


@pytest.mark.parametrize("command", ["start", "apply"])
def test_what_an_edit_takes_away_from_another_file_is_told_as_an_error_of_the_code(command):
    page = Page()
    lost = edit(MODEL, ("    def loss(", "    def losses("))
    if command == "apply":
        resting(page.started().until(2))
        page.tell("apply", files=lost)
        told = page.of("refused")[-1]["error"]
    else:
        page.started(files=lost)
        while page.session.advance():
            pass
        told = page.of("error")[-1]
    assert (told["title"], told["hint"]) == ("There is no such attribute", "Did you mean .losses?")
    assert told["frames"] and not any(frame["yours"] for frame in told["frames"])


def test_other_shapes_are_asked_about_and_nothing_changes_until_answered():
    wider = edit(
        MODEL,
        ('"mlp.c_fc": (C, F),', '"mlp.c_fc": (C, 2 * F),'),
        ('"mlp.c_proj": (F, C),', '"mlp.c_proj": (2 * F, C),'),
    )
    page = Page().started().until(4)
    page.tell("apply", files=wider)
    [asked] = page.of("fit")
    assert "h.0.mlp.c_fc" in asked["fresh"] and "wte" in asked["kept"]
    assert sources.overlay == {} and not page.of("applied")
    page.tell("apply", files=wider, fit=True)
    page.finish()
    [applied] = page.of("applied")
    assert applied["iter"] >= 4 and len(page.session.run.log) == 12


def test_commands_behind_an_edit_come_after_its_first_step(untouched):
    page = Page().started().until(4)
    page.session.receive({"type": "apply", "files": RAISES})
    page.session.receive({"type": "save"})
    page.session.receive({"type": "pause"})
    while page.session.advance():
        pass
    assert page.session.phase == "paused" and page.of("refused") and page.of("file")
    page.tell("resume")
    assert page.finish().digest == untouched[0]


def test_an_edit_of_the_tensors_opens_the_device_again(untouched):
    path = "py_src/groundling/engine/tensor.py"
    page = Page().started().until(4)
    device = page.session.device
    page.tell("apply", files={path: sources.original(path) + "\n# nothing\n"})
    assert page.finish().digest == untouched[0] and page.session.device is not device


def test_a_default_that_was_edited_is_shown():
    path = "py_src/groundling/config.py"
    page = Page().started().until(4)
    page.tell("apply", files=edit(path, ("    lr: float = 3e-4", "    lr: float = 6e-4")))
    page.finish()
    assert [message["lr"] for message in page.of("run")] == [3e-4, 6e-4]
    assert page.session.run.log[-1].lr == pytest.approx(2 * 3e-4 * 12 / 100)


def test_a_run_that_is_brought_back_goes_on_under_the_code_that_is_in_force_by_then():
    page = Page().started().until(4)
    page.tell("reset")
    page.tell("apply", files=TWICE)
    page.tell("undo")
    run = page.session.run
    assert page.session.phase == "paused" and run.code_hash == sources.code_hash()
    assert [edit["iter"] for edit in page.of("run")[-1]["edits"]] == [run.iter]
    page.tell("resume")
    page.finish()
    assert page.session.run.log[-1].lr == pytest.approx(2 * 3e-4 * 12 / 100)


def test_a_start_has_the_defaults_of_the_code_in_force():
    path = "py_src/groundling/config.py"
    page = (
        Page().started(files=edit(path, ("    n_layer: int = 4", "    n_layer: int = 1"))).finish()
    )
    assert page.session.run.model.config.n_layer == 1


def test_a_start_has_the_training_defaults_of_the_code_in_force():
    new = (
        ("eval_batches: int = 4", "eval_batches: int = 1"),
        ("lr: float = 3e-4", "lr: float = 2e-3"),
    )
    files = edit("py_src/groundling/config.py", *new)
    config = Page().started(files=files).finish().session.run.config
    assert (config.eval_batches, config.lr, config.iters) == (1, 2e-3, SETTINGS["iters"])


def resting(page):
    """The page with its run paused."""
    page.tell("pause")
    while page.session.advance():
        pass
    assert page.session.phase == "paused"
    return page


def file_of(page, kind):
    page.tell(kind)
    return paging.file_of(page.posted)


FAILS = edit(RUN, ("        self._start(Progress())", "        assert False, 'edited'"))


def test_a_load_that_fails_in_any_way_leaves_the_run_and_the_code_as_they_were(untouched):
    page = resting(Page().started().until(4))
    weights, whole = file_of(page, "save"), file_of(page, "state")
    page.tell("load", **SETTINGS, name="cat.bin", bytes=b"meow", files=TWICE)
    other = resting(Page(Corpus("Entirely other characters: 0123456789. " * 20)).started().until(1))
    page.tell("load", **SETTINGS, name="b.bin", bytes=file_of(other, "save"), files=TWICE)
    page.tell("load", **SETTINGS, name="b.state", bytes=file_of(other, "state"), files=TWICE)
    page.tell("load", **SETTINGS, name="a.bin", bytes=weights, files=FAILS)
    page.tell("load", **SETTINGS, name="a.bin", bytes=weights, files={MODEL: "raise SystemExit"})
    page.tell("load", **SETTINGS | {"iters": -1}, name="a.bin", bytes=weights, files=TWICE)
    page.tell("load", **SETTINGS, name="a.state", bytes=whole, files=TWICE)
    assert [len(page.of(kind)) for kind in ("error", "refused", "asked")] == [5, 1, 1]
    assert not page.of("loaded") and len(page.of("run")) == 1
    assert sources.overlay == {} and page.session.phase == "paused"
    page.tell("resume")
    assert page.finish().digest == untouched[0]


def test_a_state_of_other_code_is_asked_about_without_its_edits_and_has_them_once_agreed_to():
    page = resting(Page().started().until(4))
    whole = file_of(page, "state")
    page.tell("load", **SETTINGS, name="a.state", bytes=whole, files=TWICE)
    assert page.of("asked") and sources.overlay == {} and not page.of("loaded")
    page.tell("anyway")
    assert page.of("loaded") and sources.overlay == TWICE
    page.tell("resume")
    page.finish()
    assert page.session.run.log[-1].lr == pytest.approx(2 * 3e-4 * 12 / 100)


def test_a_start_that_fails_by_its_edits_leaves_the_page_ready_and_undo_as_it_was():
    page = resting(Page().started().until(2))
    page.tell("reset")
    page.started(files=FAILS)
    assert page.session.phase == "ready" and sources.overlay == {}
    told = page.of("error")[-1]
    assert "edited" in told["message"] and told["frames"][-1]["yours"]
    page.tell("undo")
    assert page.session.phase == "paused"


def test_a_rehearsal_leaves_no_record_on_the_curve_while_it_waits(monkeypatch):
    """The host flushes every 50 ms, also in the middle of the step."""
    page = resting(Page().started().until(4))
    at, flushed = page.session.page_run.iter, []
    files = edit(TRAIN, ("        yield from run.records()\n", FLUSHING))
    monkeypatch.setattr(
        "builtins.flush", lambda: (page.session.flush(), flushed.append(at)), raising=False
    )
    page.posted.clear()
    page.tell("apply", files=files)
    assert page.of("applied") and flushed
    assert [m for m in page.of("steps") if m["records"] or m["iter"] != at] == []


FLUSHING = """        for record in run.records():
            flush()
            yield record
"""


# ---- a device of its own -------------------------------------------------------------------------

TENSOR = "py_src/groundling/engine/tensor.py"
REMARKS = [{TENSOR: sources.original(TENSOR) + f"\n# {i}\n"} for i in range(2)]


class Devices(Page):
    """With the devices that were opened and closed."""

    def __init__(self):
        self.opened, self.closed = [], []
        super().__init__()

    def open_device(self, name, stage):
        device = super().open_device(name, stage)
        device.close = lambda: self.closed.append(device)
        self.opened.append(device)
        return device


@pytest.fixture
def devices():
    page = Devices()
    yield page
    page.tell("apply", files={})


def test_a_device_that_edited_code_replaces_is_closed_with_and_without_a_run(devices):
    for files in REMARKS:
        devices.tell("apply", files=files)
    devices.started(files={}).tell("apply", files=REMARKS[0])
    devices.finish()
    assert len(devices.opened) == 5 and devices.closed == devices.opened[:-1]
    assert devices.session.run.device is devices.session.device is devices.opened[-1]


def test_a_file_s_model_writes_on_after_its_device_is_replaced(devices):
    devices.started().finish()
    file = checkpoint.dumps(devices.session.run.checkpoint())
    devices.tell("voice", source="file", name="a.bin", bytes=file)
    talk = {"source": "file", "prompt": "To be", "length": 3, "seed": "yorick"}
    talk |= {"id": 1, "temperature": 0.8, "topK": 9, "topP": 1.0}
    view = devices.session.doers["talk"]
    for files in ({}, REMARKS[0]):
        devices.tell("apply", files=files)
        devices.tell("talk", **talk)
        devices.finish()
        assert devices.last("talk")["phase"] == "done"
        assert view.models["file"].device is devices.session.device


def test_a_run_that_is_brought_back_is_on_the_device_in_force(devices, untouched):
    devices.started().until(4).tell("reset")
    devices.session.advance()
    for files in REMARKS:
        devices.tell("apply", files=files)
    devices.tell("undo", files={})
    assert devices.session.run.device is devices.session.device
    devices.tell("resume")
    assert devices.finish().digest == untouched[0]
