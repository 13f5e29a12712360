"""What the benchmark reports."""

import json

import pytest

from groundling.cli import main as cli
from groundling.data import Corpus
from groundling.devices.base import Device
from groundling.labs import bench

pytestmark = pytest.mark.native  # in the page the view of it is tested


def test_a_step_is_measured_and_its_kernels_counted(device: Device, corpus: Corpus):
    m = bench.measure(device, corpus, batch_size=1, windows=2)
    of_another = 2 if device.name == "webgpu" else 1  # on a GPU it is of a run of its own
    assert 0 < m["host"] <= of_another * m["step"]
    assert ("it/s at most" in bench.table(m)) == (device.name == "webgpu")
    assert m["spread"][0] <= m["step"] <= m["spread"][1]
    assert 50 < m["dispatches"] <= 60
    assert m["bind_groups"] == 0
    assert m["waits"] <= 1  # for the losses of a window before
    assert m["uploaded"] <= 768  # the offsets, three settings and a key
    assert m["memory"] > 4 * 4 * 206_016  # weights, gradients and two averages
    assert abs(m["tokens_per_second"] * m["step"] - 64) < 1e-9
    assert "60 dispatches" in bench.table(m)


def test_the_operations_of_a_step_are_those_of_its_products_and_attention(
    device: Device, corpus: Corpus
):
    """Three times two for each weight that multiplies, and 7 products over half of each square."""
    found = bench.measure(device, corpus, batch_size=2, windows=1)["flops"]
    tokens, width, context, layers = 128, 64, 64, 4
    products = 6 * tokens * (layers * 12 * width**2 + 65 * width)
    attention = 7 * layers * tokens * context * width
    assert found == products + attention


def test_a_profile_says_which_line_each_kernel_is_of(device: Device, corpus: Corpus, monkeypatch):
    monkeypatch.setattr(bench, "LEAST", 0.0)
    commands = list(bench.profile(device, corpus, batch_size=1))
    assert len(commands) <= 60
    assert all(c["seconds"] >= 0 for c in commands)
    lines = [c["line"] for c in commands]
    assert lines[0].startswith("train.py:")
    attention = [c["line"] for c in commands if c["kernel"].startswith("attention")]
    there, back = set(attention[:4]), set(attention[4:])
    assert len(there) == 1
    assert back == {f"{line} back" for line in there}
    assert lines[-1].count("optim.py:") == 2
    assert "4 x attention" in bench.by_kernel(commands)


def test_each_size_is_measured(device: Device, corpus: Corpus, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench, "WIDTHS", (16, 32))
    monkeypatch.setattr(bench, "CONTEXTS", (64, 8))
    rows = bench.by_size(device, corpus, batch_size=1, windows=1)
    assert [row["model"] for row in rows] == [
        f"4 layers, {width // 16} heads, width {width}, context {context}"
        for width, context in ((16, 64), (32, 64), (64, 8))
    ]
    table = bench.size_table(rows, {"flops": rows[0]["flops"] / rows[0]["step"]})
    assert all(row["model"] in table for row in rows)
    assert "100%" in table.splitlines()[1]


def test_the_command_prints_a_table_and_writes_json(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "LEAST", 0.0)
    out = tmp_path / "figures.json"
    options = ["--batch-size", "1", "--device", "numpy", "--json", str(out)]
    assert cli.main(["bench", *options]) == 0
    figures = json.loads(out.read_text())
    assert figures["machine"] == bench.machine()
    assert figures["step"]["batch_size"] == 1
    assert figures["ceilings"]["flops"] > 0
    assert figures["characters_per_second"] > 0
    assert "characters/s" in capsys.readouterr().out


def test_a_preset_is_timed_at_its_batch_or_another(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "LEAST", 0.0)
    out = tmp_path / "figures.json"
    options = ["--preset", "tiny", "--device", "numpy", "--json", str(out)]
    for more, batch_size in (([], 16), (["--batch-size", "1"], 1)):
        assert cli.main(["bench", *options, *more]) == 0
        told = f": 2 layers, 3 heads, width 48, context 32, batch {batch_size}\n"
        assert told in capsys.readouterr().out
        step = json.loads(out.read_text())["step"]
        assert step["tokens_per_second"] == pytest.approx(32 * batch_size / step["step"])
    assert cli.main(["bench", "--preset", "tiny", "--sizes"]) == 2
    assert "--sizes cannot be used with --preset" in capsys.readouterr().err


def test_a_batch_of_nothing_is_refused(capsys):
    assert cli.main(["bench", "--batch-size", "0", "--device", "numpy"]) == 2
    assert "batch_size" in capsys.readouterr().err


def test_without_webgpu_there_are_no_kernels_to_check(capsys):
    assert cli.main(["bench", "--check", "--device", "numpy"]) == 2
    assert "add --device webgpu" in capsys.readouterr().err
