"""Logs for TensorBoard, which `python build.py test tests/torch` installs, by its own reader."""

import errno
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.record_writer import RecordWriter

from groundling.cli import main as cli
from groundling.runs import statefile

SMALL = "--device numpy --batch-size 2 --warmup 2 --eval-interval 3 --iters 8 --out a.bin"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def train(options: str) -> int:
    return cli.main(["train", *options.split()])


def read(folder: str) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows: the steps and values by tag."""
    events = EventAccumulator(folder)
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_a_run_that_stops_and_is_resumed_is_told_once_and_whole():
    """Of what was trained after the state and lost with the process, no iteration stays."""
    assert train(f"{SMALL} --state a.state --tensorboard runs --stop-at 4") == 0
    assert train("--device numpy --resume a.state --tensorboard runs --stop-at 7 --out b.bin") == 0
    assert len(read("runs")["lr"]) == 7
    resumed = "--device numpy --resume a.state --state a.state --tensorboard runs --out b.bin"
    assert train(resumed) == 0
    log = statefile.loads(Path("a.state").read_bytes()).state.log
    shown = read("runs")
    assert sorted(shown) == ["loss/train", "loss/val", "lr"]
    for tag, name in (("loss/train", "train"), ("loss/val", "val"), ("lr", "lr")):
        expected = [(r.iter, getattr(r, name)) for r in log if getattr(r, name) is not None]
        assert [step for step, _ in shown[tag]] == [iter for iter, _ in expected]
        values = [value for _, value in expected]
        assert [value for _, value in shown[tag]] == pytest.approx(values, rel=1e-6)  # float32
    assert len(log) == 8 and [step for step, _ in shown["loss/val"]] == [0, 3, 6, 7]


def test_the_loss_that_ends_a_run_is_shown():
    assert train(f"{SMALL} --lr 1000 --warmup 0 --tensorboard runs") == 1
    *_, (_, last) = read("runs")["loss/train"]
    assert not abs(last) < 1e30


def test_a_folder_that_cannot_be_written_is_refused_or_told(monkeypatch, capsys):
    Path("runs").write_text("a file")
    assert train(f"{SMALL} --tensorboard runs") == 2
    assert capsys.readouterr().err.splitlines()[-1] == "groundling: runs: File exists."

    written, write = [], RecordWriter.write

    def full(self, data: bytes) -> None:
        written.append(data)
        if len(written) > room:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, data)

    monkeypatch.setattr(RecordWriter, "write", full)
    room = 3
    assert train(f"{SMALL} --tensorboard other") == 1
    said, told = capsys.readouterr(), "groundling: other: No space left on device."
    assert said.err.count(f"{told} Logging stops; training continues.\n") == 1
    assert said.out.endswith("saved a.bin\n")
