"""What the command line prints: shown and never obeyed, on whatever terminal; and progress."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest

from groundling.cli import main as cli
from groundling.cli.terminal import Progress, Screen, complain, shown, visible
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
    assert any(" 1/1 [" in line for line in err.getvalue().split("\r"))


@pytest.mark.parametrize("error", ["ImportError('not for this platform')", "OSError('no library')"])
def test_where_wgpu_cannot_be_loaded_a_line_says_so_and_numpy_computes(error, tmp_path):
    (tmp_path / "wgpu").mkdir()
    (tmp_path / "wgpu/__init__.py").write_text(f"raise {error}")
    asked = groundling("presets", PYTHONPATH=str(tmp_path))
    assert asked.returncode == 0 and b"NumPy" in asked.stdout
    assert asked.stderr.startswith(b"groundling: wgpu cannot be loaded here: no")
    assert asked.stderr.endswith(b". Using NumPy instead.\n") and asked.stderr.count(b"\n") == 1
    refused = groundling("presets", "--device", "webgpu", PYTHONPATH=str(tmp_path))
    assert refused.returncode == 2 and refused.stderr.count(b"\n") == 1


def test_help_is_readable_in_every_encoding(monkeypatch):
    for command in ("train", "run", "sweep", "sample", "inspect", "average", "export", "bench"):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii", write_through=True))
        with pytest.raises(SystemExit) as ended:
            cli.main([command, "--help"])
        assert ended.value.code == 0 and raw.getvalue().startswith(
            b"usage: groundling " + command.encode()
        )


def test_ctrl_c_while_python_starts_is_told_in_a_sentence(tmp_path):
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy/__init__.py").write_text("raise KeyboardInterrupt")
    stopped = groundling("presets", PYTHONPATH=str(tmp_path))
    assert (stopped.returncode, stopped.stderr) == (130, b"groundling: interrupted.\n")


# progress


class FakeRun:
    """A run that is somewhere on its way."""

    def __init__(self, iters: int):
        self.iter, self.val_loss = 0, 2.6
        self.config = TrainConfig(iters=iters)


def show_all(to: TextIO, iters: int, monkeypatch) -> None:
    """Show a run at 20 iterations a second, with an evaluation every 50."""
    now = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    with Progress(FakeRun(iters), to) as progress:
        for it in range(iters):
            now[0] += 1 / 20
            val = 2.6 if it % 50 == 0 or it == iters - 1 else None
            progress.show(Record(it, 2.5, 3e-4, val, 1.0, 2.5))


def test_on_a_terminal_one_line_is_drawn_over_and_over(monkeypatch):
    to = Terminal()
    show_all(to, 400, monkeypatch)
    drawn = to.getvalue()
    assert drawn.count("\n") == 1 and drawn.endswith("\n")
    lines = [line.rstrip() for line in drawn.split("\r") if line.strip()]
    assert 100 < len(lines) < 210  # ten a second at most
    [half] = {line for line in lines if " 200/400 " in line}
    assert half.startswith(" 50%|#") and half.endswith("20.00it/s, loss 2.5000, val 2.6000]")
    assert " [00:10<00:10, " in half and "█" not in half  # the encoding is unknown
    assert lines[-1].startswith("100%|") and " 400/400 " in lines[-1]


def test_the_bar_is_drawn_in_characters_that_the_terminal_has(monkeypatch):
    for encoding, full in (("utf-8", "█"), ("ascii", "#"), ("cp1252", "#")):
        raw = io.BytesIO()
        to = io.TextIOWrapper(raw, encoding, write_through=True)
        monkeypatch.setattr(to, "isatty", lambda: True, raising=False)
        with Progress(FakeRun(9), to) as progress:
            progress.show(Record(8, 2.5, 3e-4, 2.6, 1.0, 2.5))
        assert f"100%|{full}" in raw.getvalue().decode(encoding)


def test_lines_above_stay_and_the_bar_is_drawn_again_below(monkeypatch):
    to = Terminal()
    with Progress(FakeRun(60), to) as progress:
        progress.show(Record(59, 2.5, 3e-4, 2.6, 1.0, 2.5))
        at = to.tell()
        progress.above("iter 60", "    Good morrow")
        written = to.getvalue()[at:].lstrip("\r ")
    assert written.startswith("iter 60\n    Good morrow\n\r100%|#")


def test_an_error_is_told_above_the_bar(monkeypatch):
    err = Terminal()
    monkeypatch.setattr(sys, "stderr", err)
    with shown(), Progress(FakeRun(60), sys.stderr) as progress:
        progress.show(Record(9, 2.5, 3e-4, 2.6, 1.0, 2.5))
        at = err.tell()
        complain("a.state: No space left on device.\x1b[2J", code=1)
        written = err.getvalue()[at:].lstrip("\r ")
    assert written.startswith("groundling: a.state: No space left on device.\\x1b[2J\n\r 17%|#")


def test_the_bar_of_a_text_that_is_prepared_is_drawn_over(tmp_path, monkeypatch):
    err = Terminal()
    monkeypatch.setattr(sys, "stderr", err)
    (tmp_path / "a.txt").write_text(TEXT)
    command = ["prepare", str(tmp_path / "a.txt"), "--out", str(tmp_path / "data")]
    assert cli.main(command) == 0
    assert err.getvalue().startswith("\r0.00B [") and "x0d" not in err.getvalue()


@pytest.mark.parametrize(("columns", "width"), [(0, 79), (2, 1), (20, 19), (100, 99)])
def test_the_bar_fits_the_terminal(columns, width, monkeypatch):
    """Of a terminal that does not tell its size, 80 columns are assumed."""
    termios = pytest.importorskip("termios")
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (24 if columns else 0, columns))
    with open(master, "rb") as screen, open(slave, "w", encoding="utf-8") as to:
        show_all(to, 50, monkeypatch)
        drawn = screen.read1().decode()
    assert max(len(line) for line in drawn.rstrip("\r\n").split("\r")) == width


def test_in_a_file_there_is_a_line_for_every_evaluation(monkeypatch):
    to = io.StringIO()
    show_all(to, 120, monkeypatch)
    lines = to.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["1/120", "51/120", "101/120", "120/120"]
    assert lines[1] == "51/120 [00:02<00:03, 20.00it/s, loss 2.5000, val 2.6000]"


def test_progress_is_drawn_on_the_terminal_itself(monkeypatch):
    to = Terminal()
    with Progress(FakeRun(9), Screen(to)) as progress:
        progress.show(Record(8, 2.5, 3e-4, 2.6, 1.0, 2.5))
        progress.above("sample \x1b[2J|\r")
    assert to.getvalue().startswith("\r") and "sample \\x1b[2J|\\r\n\r100%|" in to.getvalue()
