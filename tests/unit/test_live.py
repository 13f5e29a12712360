"""Edits, live (live.py): modules made anew and put back, and runs carried over."""

import sys
import traceback

import pytest

import groundling.devices.base
import groundling.devices.open
import groundling.runs.statefile
import groundling.train
from groundling import sources
from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.base import DeviceError
from groundling.devices.numpy import NumPyDevice
from groundling.edits import live
from groundling.edits.live import OtherShapes

TRAIN, MODEL = "py_src/groundling/train.py", "py_src/groundling/model.py"
RUN = "py_src/groundling/runs/run.py"
TENSOR = "py_src/groundling/engine/tensor.py"
TEXT = "To be, or not to be, that is the question:\n" * 20
CONFIG = TrainConfig(iters=20, batch_size=2, warmup=4)


def edit(path: str, *changes: tuple[str, str]) -> dict[str, str]:
    """An overlay of one file with these replacements, each found once."""
    text = sources.original(path)
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return {path: text}


TWICE = edit(TRAIN, ("lr = learning_rate(it, config)", "lr = 2 * learning_rate(it, config)"))


def small(iters: int = 3, device=None):
    """A run of a small model, some iterations in."""
    corpus = Corpus(TEXT)
    model = GPTConfig(corpus.vocab_size, block_size=8, n_layer=2, n_head=2, n_embd=8, d_ff=16)
    run = groundling.runs.run.Run(CONFIG, corpus, device or NumPyDevice(), model)
    on(run, iters)
    return run


def on(run, iters: int) -> list:
    return list(groundling.train.train(run, run.iter + iters))


def same_bits(a, b) -> bool:
    a, b = a.state(), b.state()
    return all(getattr(a, n).tobytes() == getattr(b, n).tobytes() for n in ("weights", "m", "v"))


# ---- modules -------------------------------------------------------------------------------------


def test_an_edit_makes_its_module_and_those_that_import_it_anew_and_no_others():
    before = {n: m for n, m in sys.modules.items() if n.startswith("groundling.")}
    live.load(TWICE)
    anew = {n.removeprefix("groundling.") for n, m in before.items() if sys.modules[n] is not m}
    assert anew >= {"train"} and not anew & {"runs.run", "runs.statefile"}
    kept = "model optim config engine.ops engine.tensor devices.base devices.numpy runs engine"
    assert not anew & {*kept.split()} and {*kept.split()} <= {n[11:] for n in before}
    assert groundling.train is sys.modules["groundling.train"] is not before["groundling.train"]


def test_putting_back_gives_the_very_modules_and_hash_of_before():
    modules, code = dict(live.loaded()), sources.code_hash()
    before = live.load(TWICE)
    assert sources.code_hash() != code
    live.restore(before)
    assert live.loaded() == modules and sources.code_hash() == code
    assert groundling.train is modules["groundling.train"] and sources.overlay == {}


def test_no_edits_again_are_the_code_of_the_beginning():
    code = sources.code_hash()
    live.load(TWICE)
    live.load({})
    assert sources.code_hash() == code
    assert small(1).log[0].lr == pytest.approx(CONFIG.lr / 4)


MINE = """
from .devices.numpy import kernel


@kernel
def mine(x, *, size):
    x += %d
"""


def test_a_kernel_of_ones_own_goes_and_comes_back_with_its_module():
    path, uses = (
        f"{sources.LIBRARY}mine.py",
        edit(MODEL, ("import math\n", "from . import mine\n\nimport math\n")),
    )
    device = NumPyDevice()

    def added() -> float:
        x = device.tensor([0.0])
        device.run("mine", x, size=1)
        return x.item()

    first = live.load({path: MINE % 1, **uses})
    assert added() == 1
    second = live.load({path: MINE % 2, **uses})
    assert added() == 2
    live.restore(second)
    assert added() == 1
    live.load({})
    with pytest.raises(DeviceError, match="no kernel 'mine'"):
        added()
    live.restore(first)
    with pytest.raises(DeviceError, match="no kernel 'mine'"):
        added()


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ("def f(:\n", SyntaxError),
        ("import nowhere_to_be_found\n", ImportError),
        ("1 / 0\n", ZeroDivisionError),
        ("raise SystemExit\n", SystemExit),
    ],
)
def test_code_that_does_not_load_changes_nothing(wrong, kind):
    modules = dict(live.loaded())
    with pytest.raises(kind):
        live.load({**TWICE, MODEL: sources.original(MODEL) + wrong})
    assert live.loaded() == modules and sources.overlay == {}


@pytest.mark.parametrize(
    ("overlay", "why"),
    [
        ({"../../etc/passwd": ""}, "cannot be edited"),
        ({"py_src/groundling/../x.py": ""}, "cannot be edited"),
        ({"py_src/browser/session.py": ""}, "cannot be edited"),
        ({"shaders/gelu.py": ""}, "cannot be edited"),
        ({"shaders/tiles/new.wgsl": ""}, "cannot be edited"),
        ({"py_src/groundling/edits/live.py": ""}, "makes edits work"),
        ({"py_src/groundling/__init__.py": ""}, "makes edits work"),
        ({"py_src/groundling/engine/__init__.py": ""}, "makes edits work"),
        ({"py_src/groundling/new/x.py": ""}, "in a folder that is there"),
        ({"py_src/groundling/engine.py": ""}, "cannot be edited"),
        ({"py_src/groundling/ops.py": ""}, "is py_src/groundling/engine/ops.py now"),
        ({TRAIN: 5}, "must be a text"),
        ({TRAIN: "#" * 1_000_001}, "must be a text of 1,000,000"),
        ({f"shaders/k{i}.wgsl": "" for i in range(101)}, "100 files at most"),
        ([], "table"),
    ],
)
def test_what_cannot_be_edited_is_refused(overlay, why):
    with pytest.raises(ValueError, match=why):
        live.load(overlay)


def test_exceptions_that_are_as_they_were_are_still_caught():
    lost = groundling.devices.base.DeviceLost
    non_finite, other = groundling.runs.run.NonFiniteLoss, groundling.runs.statefile.OtherOrigin
    live.load(
        {
            **TWICE,
            **edit(TENSOR, ("import itertools", "import itertools  # here")),
        }
    )
    assert groundling.devices.base.DeviceLost is lost
    assert (
        groundling.runs.run.NonFiniteLoss is non_finite
        and groundling.runs.statefile.OtherOrigin is other
    )
    live.load(edit(RUN, ("training cannot go on from there", "training ends here")))
    assert groundling.runs.run.NonFiniteLoss is not non_finite


def test_a_traceback_shows_the_edited_lines():
    live.load(
        edit(TRAIN, ("        it = run.iter\n", "        it = run.iter\n        1 / 0  # mine\n"))
    )
    with pytest.raises(ZeroDivisionError) as raised:
        small(1)
    [*_, last] = traceback.extract_tb(raised.tb)
    assert (last.line, last.filename) == ("1 / 0  # mine", str(sources.on_disk(TRAIN)))


OP = '''"""Twice as much."""

from .devices.numpy import kernel
from .engine.tensor import record


@kernel
def twice(x, y, size):
    y[:] = 2 * x


def double(x):
    """2 x."""
    y = x.device.empty(*x.shape)
    x.device.run("twice", x, y, size=x.size)

    def backward(dy, into):
        into.pass_on(x)
        into.pass_on(x)

    return record(y, (x,), backward)
'''


def test_a_new_file_is_a_module_that_the_model_can_use():
    mine = edit(
        MODEL,
        ("from .rng import Stream\n", "from .mine import double\nfrom .rng import Stream\n"),
        (
            "        return unembedding(self.hidden(tokens)",
            "        return unembedding(double(self.hidden(tokens))",
        ),
    )
    plain = small(1).log[0].train
    live.load({**mine, "py_src/groundling/mine.py": OP})
    assert "py_src/groundling/mine.py" in sources.paths()
    assert small(1).log[0].train != plain
    live.load({})
    assert "groundling.mine" not in sys.modules and small(1).log[0].train == plain
    with pytest.raises(ImportError):
        live.load(mine)


# ---- a run carried over --------------------------------------------------------------------------


def test_an_import_of_a_file_that_was_removed_is_that_of_no_module():
    uses = sources.text(MODEL) + "\nfrom .mine import X\n"
    mine = {"py_src/groundling/mine.py": "X = 1\n", MODEL: uses}
    live.load(mine)
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'groundling\.mine'"):
        live.load({MODEL: uses})
    assert sources.overlay == mine


def test_an_edit_that_changes_nothing_goes_on_to_the_same_bits():
    straight, run = small(8), small(3)
    live.load({TRAIN: sources.original(TRAIN) + "\n# nothing\n"})
    again = live.carry(run, run.state(), run.corpus, run.device)
    on(again, 5)
    assert same_bits(straight, again)
    assert [r.train for r in again.log] == [r.train for r in straight.log]
    assert [r.smooth for r in again.log] == [r.smooth for r in straight.log]


def test_twice_the_learning_rate_begins_at_one_iteration_and_keeps_the_rest():
    run = small(3)
    before = run.state()
    live.load(TWICE)
    new = live.carry(run, run.state(), run.corpus, run.device)
    assert same_bits(run, new) and (new.iter, new.optimizer.t) == (3, 3)
    on(new, 2)
    rates = [record.lr for record in new.log]
    assert rates[:3] == [record.lr for record in before.log]
    assert rates[3] == pytest.approx(2 * CONFIG.lr) and len(rates) == 5
    assert run.iter == 3 and run.state().weights.tobytes() == before.weights.tobytes()


def test_the_old_run_goes_on_as_if_the_new_code_had_never_been():
    straight, run = small(6), small(3)
    before = live.load(edit(TRAIN, ("        loss.backward()", "        loss.backwards()")))
    with pytest.raises(AttributeError, match="backwards"):
        on(live.carry(run, run.state(), run.corpus, run.device), 1)
    live.restore(before)
    on(run, 3)
    assert same_bits(straight, run)


def test_a_changed_default_counts_and_what_was_chosen_stays():
    run = small(2)
    text = sources.original("py_src/groundling/config.py")
    text = text.replace("weight_decay: float = 0.1", "weight_decay: float = 0.3")
    text = text.replace("warmup: int = 100", "warmup: int = 50\n    extra: float = 7.0")
    live.load({"py_src/groundling/config.py": text})
    new = live.carry(run, run.state(), run.corpus, run.device)
    assert (new.config.weight_decay, new.optimizer.weight_decay, new.config.extra) == (0.3, 0.3, 7)
    assert new.config.warmup == 4  # it was set, to another number than the old default
    assert len(on(new, 1)) == 1


WIDER = edit(
    MODEL,
    ('"mlp.c_fc": (C, F),', '"mlp.c_fc": (C, 2 * F),'),
    ('"mlp.c_proj": (F, C),', '"mlp.c_proj": (2 * F, C),'),
)


def test_other_parameters_are_told_and_those_that_fit_can_be_kept():
    run = small(3)
    live.load(WIDER)
    with pytest.raises(OtherShapes) as raised:
        live.carry(run, run.state(), run.corpus, run.device)
    names = {"h.0.mlp.c_fc", "h.0.mlp.c_proj", "h.1.mlp.c_fc", "h.1.mlp.c_proj"}
    assert set(raised.value.fresh) == set(raised.value.dropped) == names
    assert "wte" in raised.value.kept
    new = live.carry(run, run.state(), run.corpus, run.device, fit=True)
    for name in raised.value.kept:
        assert (new.model.parameters[name].numpy() == run.model.parameters[name].numpy()).all()
    at = new.model.places["h.0.mlp.c_fc"][1]
    assert not new.optimizer.m[0].numpy()[at : at + 8 * 32].any()
    assert new.iter == 3 and len(on(new, 2)) == 2


def test_a_run_of_another_device_is_carried_to_a_new_one_of_the_edited_class():
    straight, run = small(5), small(3)
    path = TENSOR
    live.load({path: sources.original(path) + "\n# nothing\n"})
    device = groundling.devices.open.open_device("numpy")
    assert not isinstance(device, NumPyDevice)
    new = live.carry(run, run.state(), run.corpus, device)
    on(new, 2)
    assert same_bits(straight, new)


def test_a_diff_names_files_and_is_bounded():
    told = live.diff({}, TWICE)
    assert told.startswith(f"--- {TRAIN}\n+++ {TRAIN}\n@@")
    assert "\n+        lr = 2 * learning_rate(it, config)" in told
    assert live.diff(TWICE, TWICE) == ""
    long = live.diff({}, {"py_src/groundling/mine.py": "x = 1\n" * 10_000})
    assert len(long) <= live.MAX_DIFF + 2 and long.endswith("…")


def test_modules_that_name_others_by_the_package_get_the_new_ones():
    import groundling.cli.links  # `from ..labs import link`: before link in the alphabet

    old = groundling.cli.links
    live.load(TWICE)
    new = sys.modules["groundling.cli.links"]
    assert new is not old
    assert new.link is sys.modules["groundling.labs.link"] is not old.link
    assert groundling.labs.link is new.link
