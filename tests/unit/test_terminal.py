"""What the command line prints: shown and never obeyed, on whatever terminal; and progress."""

import io
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from groundling.cli import main as cli
from groundling.cli import terminal
from groundling.cli.terminal import Progress, Screen, clock, shown, visible
from groundling.config import TrainConfig
from groundling.runs.records import Record

pytestmark = pytest.mark.native  # there is no terminal in a browser

HOSTILE = "a\x1b[31mred\x1b]0;title\x07\rover\x9b2J\u202eback\x00\ttab\nnext é 👻"
SHOWN = "a\\x1b[31mred\\x1b]0;title\\x07\\rover\\x9b2J\\u202eback\\x00\ttab\nnext é 👻"
LATIN = b"caf\xe9.txt"  # a file's name that is no UTF-8
TEXT = "To be, or not to be, that is the question:\n" * 20


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# any text


def test_characters_that_a_terminal_obeys_are_shown():
    assert visible(HOSTILE) == SHOWN
    assert visible("caf\udce9 \ud800") == "caf\\xe9 \\ud800"
    plain = "naïve 東京 👩\u200d🔬\t|\n"
    assert visible(plain) == plain


def test_whatever_is_printed_on_a_terminal_is_shown(monkeypatch):
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with shown():
        print(HOSTILE, end="", flush=True)
        print(HOSTILE, file=sys.stderr)
    assert (out.getvalue(), err.getvalue()) == (SHOWN, f"{SHOWN}\n")
    assert (sys.stdout, sys.stderr) == (out, err)


def test_into_a_file_goes_the_text_as_it_is(capsys):
    with shown():
        print(HOSTILE)
    assert capsys.readouterr().out == f"{HOSTILE}\n"


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "é ↵ 👻…".encode()),
        ("cp1252", b"\xe9 \\n \\U0001f47b\x85"),
        ("ascii", b"\\xe9 \\n"),
    ],
)
def test_what_an_encoding_lacks_is_written_in_one_that_it_has(encoding, expected, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, write_through=True))
    with shown():
        print("é ↵ 👻…", end="")
    assert raw.getvalue().startswith(expected) and sys.stdout.errors == "strict"


def groundling(*args, encoding="utf-8", **env) -> subprocess.CompletedProcess:
    """The command, with its bytes as they come out."""
    env = {**os.environ, "PYTHONIOENCODING": encoding, **env}
    command = [sys.executable, "-m", "groundling", *args]
    return subprocess.run(command, capture_output=True, env=env, timeout=120)


SMALL = ["--batch-size=1", "--iters=1", "--eval-batches=1", "--device=numpy", "--preset=tiny"]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_files_and_arguments_that_are_not_utf8_are_taken_and_told(encoding, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(os.fsdecode(LATIN)).write_text(TEXT)
    out = b"h\xf6r.bin"
    trained = groundling("train", "--text", LATIN, "--out", out, *SMALL, encoding=encoding)
    assert (trained.returncode, b"Traceback" in trained.stderr) == (0, False), trained.stderr
    assert trained.stdout.endswith(b": saved h\xf6r.bin\n")
    assert b"caf\xe9.txt: 860 bytes" in trained.stderr
    wrote = groundling("sample", out, "--prompt", b"To\xff", "--length", "9", encoding=encoding)
    assert wrote.returncode == 0 and wrote.stdout.startswith(b"To\xff")
    gone = groundling("sample", b"\xe9\xe9.bin", encoding=encoding)
    assert gone.returncode == 2 and gone.stderr == (
        b"groundling: \xe9\xe9.bin: No such file or directory.\n"
    )


def test_on_a_terminal_a_files_name_moves_nothing(tmp_path, monkeypatch):
    err = Terminal()
    monkeypatch.setattr(sys, "stderr", err)
    assert cli.main(["sample", "\x1b[2Jgone.bin"]) == 2
    assert err.getvalue() == "groundling: \\x1b[2Jgone.bin: No such file or directory.\n"
    with pytest.raises(SystemExit):
        cli.main(["sample", "x.bin", "--\x1b[2J"])
    assert "\x1b" not in err.getvalue()


def test_a_sample_on_a_terminal_moves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ansi.txt").write_text("\x1b[31msalt\x1b[0m \r\n" * 60, newline="")
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    text = ["--text", "ansi.txt"]
    assert cli.main(["train", *text, "--out", "x.bin", *SMALL]) == 0
    assert cli.main(["sample", "x.bin", "--device", "numpy", "--length", "40"]) == 0
    assert "\x1b" not in out.getvalue() + err.getvalue() and "\r" not in out.getvalue()
    assert "iter 0" in err.getvalue() and "\\x1b" in err.getvalue()
    assert {line[:4] for line in err.getvalue().split("\r")[1:] if line.strip()} >= {"1/1 "}


@pytest.mark.parametrize("error", ["ImportError('not for this platform')", "OSError('no library')"])
def test_where_wgpu_cannot_be_loaded_a_line_says_so_and_numpy_computes(error, tmp_path):
    (tmp_path / "wgpu").mkdir()
    (tmp_path / "wgpu/__init__.py").write_text(f"raise {error}")
    asked = groundling("presets", PYTHONPATH=str(tmp_path))
    assert asked.returncode == 0 and b"NumPy" in asked.stdout
    assert asked.stderr.startswith(b"groundling: wgpu cannot be loaded here: no")
    assert asked.stderr.endswith(b". NumPy computes instead.\n") and asked.stderr.count(b"\n") == 1
    refused = groundling("presets", "--device", "webgpu", PYTHONPATH=str(tmp_path))
    assert refused.returncode == 2 and refused.stderr.count(b"\n") == 1


# progress


class FakeRun:
    """A run that is somewhere on its way."""

    def __init__(self, iters: int):
        self.iter, self.train_loss, self.val_loss = 0, 2.5, 2.6
        self.config = TrainConfig(iters=iters)


def show_all(to: io.StringIO, iters: int, monkeypatch, columns: int = 100) -> list[str]:
    """What is drawn of a run at 20 iterations a second, with an evaluation every 50."""
    clock = (tick / 20 for tick in itertools.count())
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(clock))
    monkeypatch.setenv("COLUMNS", str(columns))
    with Progress(FakeRun(iters), to) as progress:
        for it in range(iters):
            val = 2.6 if it % 50 == 0 or it == iters - 1 else None
            progress.show(Record(it, 2.5, 3e-4, val, 1.0, 2.5))
    return to.getvalue()


def test_on_a_terminal_one_line_is_drawn_over_and_over(monkeypatch):
    drawn = show_all(Terminal(), 400, monkeypatch)
    assert drawn.count("\n") == 1 and drawn.endswith("\n")
    lines = drawn.rstrip("\n").split("\r")[1:]
    assert 100 < len(lines) < 200  # ten a second at most
    assert {len(line) for line in lines} == {99}
    half = lines[len(lines) // 2]
    assert half.rstrip().endswith("] 20.0 it/s  loss 2.5000  val 2.6000  ETA 0:10")
    assert half.count("#") == half.count("-") == 15
    assert lines[-1].startswith("400/400 ")


def test_lines_above_stay_and_the_one_below_is_drawn_again(monkeypatch):
    to = Terminal()
    show_all(to, 60, monkeypatch)
    last = to.getvalue().rstrip("\n").split("\r")[-1]
    with Progress(FakeRun(60), to) as progress:
        progress.show(Record(59, 2.5, 3e-4, 2.6, 1.0, 2.5))
        at = to.tell()
        progress.above("iter 60", "    Good morrow")
    cleared, written = to.getvalue()[at:].rsplit("\r", 1)
    assert cleared.strip() == "" and written.startswith("iter 60\n    Good morrow\n60/60 [")
    assert last.startswith("60/60 [")


@pytest.mark.parametrize("columns", [1, 20, 60, 80])
def test_the_line_fits_the_terminal(columns, monkeypatch):
    drawn = show_all(Terminal(), 50, monkeypatch, columns)
    assert max(map(len, drawn.rstrip("\n").split("\r"))) == columns - 1


def test_in_a_file_there_is_a_line_for_every_evaluation(monkeypatch):
    lines = show_all(io.StringIO(), 120, monkeypatch).splitlines()
    assert [line.split()[0] for line in lines] == ["1/120", "51/120", "101/120", "120/120"]
    assert not any("\r" in line for line in lines)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (9.4, "0:09"), (129, "2:09"), (3600, "1:00:00")]
)
def test_a_time_to_go_is_shown_as_on_a_clock(seconds, shown):
    assert clock(seconds) == shown


def test_progress_is_drawn_on_the_terminal_itself(monkeypatch):
    to = Terminal()
    monkeypatch.setenv("COLUMNS", "80")
    with Progress(FakeRun(9), Screen(to)) as progress:
        progress.show(Record(8, 2.5, 3e-4, 2.6, 1.0, 2.5))
        progress.above("sample \x1b[2J|\r")
    assert to.getvalue().startswith("\r9/9 ") and "sample \\x1b[2J|\\r\n9/9 " in to.getvalue()
