"""Sweeps and comparisons: of one setting's values, and of files."""

import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from groundling.cli import inputs
from groundling.cli import main as cli
from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.numpy import NumPyDevice
from groundling.devices.open import open_device
from groundling.labs import chart, compare
from groundling.labs import sweep as sweep_module
from groundling.labs.sweep import MAX_VALUES, Sweep, read_values
from groundling.runs.configfile import Setup
from groundling.runs.records import Record
from groundling.runs.run import NonFiniteLoss, begin
from groundling.train import train

pytestmark = pytest.mark.native  # whole runs, and the command line

TEXT = "To be, or not to be, that is the question:\n" * 20
CORPUS = Corpus(TEXT)
SHAPE = dict(block_size=16, n_layer=1, n_head=2, n_embd=16, d_ff=32)
MODEL = GPTConfig(vocab_size=CORPUS.vocab_size, **SHAPE)
SMALL = Setup(model=MODEL, train=TrainConfig(iters=4, batch_size=2, eval_interval=2))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A current folder with a small text in it, and the device that every host has."""
    monkeypatch.chdir(tmp_path)
    Path("mine.txt").write_text(TEXT)
    monkeypatch.setattr(inputs, "open_device", lambda name="auto": open_device("numpy"))
    return tmp_path


# ---- the lab -------------------------------------------------------------------------------------


def test_each_run_of_a_sweep_is_the_run_that_its_value_makes_alone():
    values = [1e-3, 3e-3]
    sweep = Sweep(SMALL, "lr", values, CORPUS, NumPyDevice())
    records = [(result.value, record.train) for result, record in sweep.train()]
    alone = []
    for value in values:
        config = replace(SMALL.train, lr=value)
        run = begin(replace(SMALL, train=config), CORPUS, NumPyDevice())
        alone += [(value, record.train) for record in train(run)]
    assert records == alone
    assert sweep.run is None
    best = min(sweep.results, key=lambda result: result.val_loss)
    assert sweep.best is best and sweep.points() == [(r.value, r.val_loss) for r in sweep.results]
    marked = [line for line in sweep.table().splitlines() if line.endswith("best")]
    assert marked and float(marked[0].split()[0]) == best.value


def test_a_run_that_diverges_ends_and_the_next_one_is_trained(monkeypatch):
    sweep = Sweep(SMALL, "lr", [900.0, 1e-3], CORPUS, NumPyDevice())
    bad = NonFiniteLoss(Record(1, math.nan, 1.0, None, 1.0, 2.0))
    plain = sweep_module.train

    def diverging(run):
        for record in plain(run):
            if run.config.lr == 900.0 and record.iter == 1:
                raise bad
            yield record

    monkeypatch.setattr(sweep_module, "train", diverging)
    list(sweep.train())
    wild, tame = sweep.results
    assert (wild.problem, tame.problem, len(tame.log)) == ("diverged at iter 1", "", 4)
    assert sweep.best is tame and [value for value, _ in sweep.points()] == [1e-3]
    assert sweep.table().splitlines()[1].endswith("diverged at iter 1")


def test_a_paused_sweep_begins_no_other_run():
    sweep = Sweep(SMALL, "weight_decay", [0.0, 0.1], CORPUS, NumPyDevice())
    for _ in sweep.train():
        sweep.run.pause()
    assert [result.problem for result in sweep.results] == [f"stopped at iter {sweep.run.iter}"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("lr", "1e-3,,2", "lr is ''; it must be a number."),
        ("batch_size", "4,8.5", "it must be a whole number"),
        ("lr", "1e-3,nan", "lr is nan"),
        ("warmup", "1,-1", "warmup is -1"),
        ("lr", "0.001,1e-3", "the value 0.001 twice"),
        ("warmup", ",".join(map(str, range(MAX_VALUES + 1))), f"{MAX_VALUES} at most"),
    ],
)
def test_values_that_are_none_are_refused(name, text, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        read_values(name, text)


def test_a_value_that_the_other_settings_do_not_go_with_is_refused_before_anything_is_trained():
    with pytest.raises(ValueError, match="min_lr is 1"):
        Sweep(SMALL, "min_lr", [1e-5, 1.0], CORPUS, NumPyDevice())


# ---- charts --------------------------------------------------------------------------------------


def test_a_chart_has_each_line_to_scale_and_every_name_escaped():
    lines = {"<script>&": [(0, 4.0), (100, 2.0)], "b": [(50, 3.0), (100, math.nan)]}
    tree = ElementTree.fromstring(chart.svg(lines, "iteration", "loss"))
    texts = [text.text for text in tree.iter(f"{SVG}text")]
    assert "<script>&" in texts and {"2", "3", "4", "0", "100", "iteration", "loss"} <= {*texts}
    drawn = [path.get("d") for path in tree.iter(f"{SVG}path") if path.get("stroke-width")]
    (x0, y0), (x1, y1) = (map(float, point.split()) for point in drawn[0][1:].split("L"))
    x, y = map(float, drawn[2][1:].split())  # the first one's key in the legend lies between
    assert x == pytest.approx((x0 + x1) / 2, abs=0.2) and y == pytest.approx((y0 + y1) / 2, abs=0.2)
    assert "nan" not in chart.svg(lines, "x", "y")


def test_a_logarithmic_axis_spaces_powers_of_ten_evenly_and_an_empty_chart_is_a_chart():
    text = chart.svg({"a": [(1e-4, 1), (1e-3, 2), (1e-2, 1)]}, "lr", "loss", log=True, dots=True)
    xs = [float(dot.get("cx")) for dot in ElementTree.fromstring(text).iter(f"{SVG}circle")]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    ElementTree.fromstring(chart.svg({}, "x", "y"))
    ElementTree.fromstring(chart.svg({"one": [(3, 2.5)]}, "x", "y"))


@pytest.mark.parametrize(
    ("low", "high"), [(1.9, 4.3), (0, 2000), (2.2, 2.2), (-3e-5, 1e-4), (0, 0)]
)
def test_ticks_are_few_even_and_around_all(low, high):
    found = chart.ticks(low, high)
    steps = {round(b - a, 12) for a, b in zip(found, found[1:], strict=False)}
    assert found[0] <= low <= high <= found[-1] and 2 <= len(found) <= 9 and len(steps) == 1


# ---- the commands --------------------------------------------------------------------------------


def test_sweep_trains_each_value_and_writes_a_table_and_a_plot(folder, capsys):
    options = ["--text", "mine.txt", "--iters", "2", "--batch-size", "2", "--plot", "plot.svg"]
    assert cli.main(["sweep", "--lr", "1e-3,3e-4", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["lr", "train", "validation", "lowest", "at", "iter"]
    assert [float(line.split()[0]) for line in lines[1:]] == [1e-3, 3e-4]
    assert sum(line.endswith("best") for line in lines) == 1
    assert len([*ElementTree.parse("plot.svg").iter(f"{SVG}circle")]) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "several values: none."),
        (["--lr", "1e-3"], "several values: none."),
        (["--lr", "1e-3,1e-4", "--warmup", "1,2"], "several values: --lr, --warmup."),
        (["--lr", "1e-3,x"], "lr is 'x'"),
        (["--lr", "1e-3,1e-4", "--plot", "none/plot.svg"], "no folder"),
    ],
)
def test_sweep_refuses_what_it_cannot_train(folder, capsys, options, said):
    assert cli.main(["sweep", "--text", "mine.txt", *options]) == 2
    assert said in capsys.readouterr().err


def test_compare_shows_the_losses_of_logs_and_states_and_the_settings_that_differ(folder, capsys):
    common = ["train", "--text", "mine.txt", "--batch-size", "2", "--iters", "2", "--warmup", "1"]
    cli.main([*common, "--state", "a.state", "--log", "a.jsonl"])
    cli.main([*common, "--state", "b.state", "--lr", "0.001"])
    capsys.readouterr()
    files = ["a.state", "b.state", "a.jsonl"]
    assert cli.main(["compare", *files, "--plot", "plot.svg"]) == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()[1:4]]
    assert [row[0] for row in rows] == files
    assert rows[0][3:] == rows[2][3:]  # its log has the same validation losses
    assert re.search(r"^lr\n +0.0003 +a.state\n +0.001 +b.state$", out, re.M)
    assert "warmup" not in out and "seed" not in out
    texts = [text.text for text in ElementTree.parse("plot.svg").iter(f"{SVG}text")]
    assert {*files} <= {*texts}
    assert cli.main(["compare", "--all", "a.state", "b.state"]) == 0
    assert re.search(r"^ +warmup +1$", capsys.readouterr().out, re.M)


def test_compare_refuses_a_file_that_is_neither_and_names_it(folder, capsys):
    Path("bad.state").write_bytes(b"PK\x03\x04")
    assert cli.main(["compare", "bad.state"]) == 2
    assert "bad.state: " in capsys.readouterr().err
    assert cli.main(["compare", "none.jsonl"]) == 2


def test_settings_differ_where_one_is_missing_too():
    assert compare.differing([{"a": "1", "b": "2"}, {"a": "1"}, {"a": "1", "c": "3"}]) == ["b", "c"]
