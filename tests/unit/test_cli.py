"""The command line: what it writes, what it says, and how it ends."""

import csv
import errno
import hashlib
import importlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groundling import sources
from groundling.cli import inputs, logs, output, terminal
from groundling.cli import main as cli
from groundling.cli import train as training
from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.base import DeviceError, DeviceLost
from groundling.devices.open import open_device
from groundling.edits import live, project, recipes
from groundling.labs import link
from groundling.labs.curve import read_log
from groundling.model import initial_weights
from groundling.runs import checkpoint, interchange, statefile
from groundling.runs.checkpoint import Checkpoint
from groundling.runs.records import Record
from groundling.runs.run import NonFiniteLoss, Run
from groundling.train import train

pytestmark = pytest.mark.native  # there is no command line in a browser

TEXT = "To be, or not to be, that is the question:\n" * 20
OTHER = "Now is the winter of our discontent\n" * 20
SMALL = ["--text", "mine.txt", "--batch-size", "2"]  # a step of a few milliseconds


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    """A current folder with a small text in it, and the device that every host has."""
    monkeypatch.chdir(tmp_path)
    Path("mine.txt").write_text(TEXT)
    monkeypatch.setattr(inputs, "open_device", lambda name="auto": open_device("numpy"))


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir() if path.name != "mine.txt")


def weights_of(path: str) -> np.ndarray:
    return checkpoint.loads(Path(path).read_bytes()).weights


# train


def test_training_logs_the_losses_of_golden_json_and_saves_the_weights(golden, capsys):
    assert cli.main(["train", "--iters", "2", "--warmup", "10", "--log", "log.jsonl"]) == 0
    log = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    assert [list(record) for record in log] == [["iter", "train", "lr", "val"]] * 2
    for record in log:  # the twin's learning rate does not depend on iters before the warmup ends
        expected = golden["twin"]["training loss by iter"][str(record["iter"])]
        assert record["train"] == pytest.approx(expected, abs=2e-3)
        assert record["lr"] == pytest.approx(3e-5 * (record["iter"] + 1))
    saved = checkpoint.loads(Path("tinker-shakespeare-hamlet-iter2.bin").read_bytes())
    assert (saved.seed, saved.iter, saved.val_loss) == ("hamlet", 2, log[1]["val"])
    assert capsys.readouterr().out == (
        f"Finished iter 2, validation loss {log[1]['val']:.4f}: "
        "saved tinker-shakespeare-hamlet-iter2.bin\n"
    )


def test_no_iterations_save_the_initial_weights(golden):
    assert cli.main(["train", "--seed", "hamllet", "--iters", "0"]) == 0
    assert files() == ["tinker-shakespeare-hamllet-iter0.bin"]
    data = Path(files()[0]).read_bytes()
    expected = golden["init"]["sha256 of the 824064 weight bytes at iter 0"]["hamllet"]
    assert hashlib.sha256(data[512:]).hexdigest() == expected
    assert checkpoint.loads(data).val_loss is None


def test_the_same_command_trains_the_same_weights():
    for out in ("a.bin", "b.bin"):
        assert cli.main(["train", *SMALL, "--iters", "3", "--out", out]) == 0
    assert files() == ["a.bin", "b.bin"]
    np.testing.assert_array_equal(weights_of("a.bin"), weights_of("b.bin"))


def test_a_line_is_in_the_log_as_soon_as_its_iteration_is_done(monkeypatch):
    lines = []

    def show(self, record):
        lines.append(len(Path("log.jsonl").read_text().splitlines()))

    monkeypatch.setattr(terminal.Progress, "show", show)
    cli.main(["train", *SMALL, "--iters", "4", "--log", "log.jsonl"])
    assert lines == [1, 2, 3, 4]


def test_a_log_whose_name_ends_in_csv_is_the_page_s_also_after_a_resumption():
    options = ["train", *SMALL, "--iters", "4", "--eval-interval", "2", "--state", "a.state"]
    assert cli.main([*options, "--log", "whole.CSV"]) == 0
    assert cli.main([*options, "--log", "parts.csv", "--stop-at", "2"]) == 0
    first = Path("parts.csv").read_text()
    resume = ["train", "--resume", "a.state", "--text", "mine.txt"]
    assert cli.main([*resume, "--state", "a.state", "--log", "parts.csv"]) == 0
    whole = Path("whole.CSV").read_text()
    assert Path("parts.csv").read_text() == whole and whole.startswith(first)
    log = statefile.loads(Path("a.state").read_bytes()).state.log
    rows = list(csv.DictReader(io.StringIO(whole)))
    assert [*rows[0]] == ["iter", "train", "smooth", "lr", "val"]
    for row, record in zip(rows, log, strict=True):
        numbers = {name: float(cell) if cell else None for name, cell in row.items()}
        assert numbers == {name: getattr(record, name) for name in row}
    assert [bool(row["val"]) for row in rows] == [True, False, True, True]
    assert read_log(whole.encode()).val == [record.val for record in log]


def test_without_tensorboard_one_sentence_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    Path("a.csv").write_text("of an earlier run")
    assert cli.main(["train", *SMALL, "--log", "a.csv", "--tensorboard", "runs"]) == 2
    told = "TensorBoard is not installed here: pip install 'groundling[tensorboard]'."
    assert capsys.readouterr().err.splitlines()[-1] == f"groundling: {told}"
    assert files() == ["a.csv"] and Path("a.csv").read_text() == "of an earlier run"


def test_training_shows_what_the_model_writes(capsys):
    assert cli.main(["train", *SMALL, "--iters", "2"]) == 0
    lines = capsys.readouterr().err.splitlines()
    at = [i for i, line in enumerate(lines) if re.match(r"iter \d+, val", line)]
    assert [lines[i].split(",")[0] for i in at] == ["iter 0", "iter 2"]
    for i in at:
        asked, written = lines[i + 1].strip().split("|", 1)
        assert asked == "To be, or not to be, that is the" and len(written) >= 80
        assert re.search(r"% of the \d+ characters, KL \d\.\d\d \(bigrams \d\.\d\d\)", lines[i + 2])
    [counted] = [i for i, line in enumerate(lines) if line.startswith("a model that only counts")]
    assert re.search(r"loss \d\.\d{4}$", lines[counted]) and lines[counted + 1].count("|") == 1


def test_an_iteration_without_an_evaluation_has_no_val_in_the_log():
    lines = [logs.log_line(Record(7, 4.1, 3e-4, val, 1.0, 4.0)) for val in (None, 4.2)]
    assert lines == [
        '{"iter": 7, "train": 4.1, "lr": 0.0003}',
        '{"iter": 7, "train": 4.1, "lr": 0.0003, "val": 4.2}',
    ]


def interrupt_after(iters: int, monkeypatch, times: int = 1, by: int = signal.SIGINT) -> None:
    """Ctrl-C is pressed, or another signal comes, once that many iterations have been shown."""

    def interrupted_train(run, stop_at):
        for record in train(run, stop_at):
            yield record
            if record.iter == iters - 1:
                for _ in range(times):
                    signal.raise_signal(by)

    monkeypatch.setattr(training, "train", interrupted_train)


@pytest.mark.parametrize("out", [None, "kept.bin"])
def test_ctrl_c_keeps_what_was_trained_and_says_where(out, monkeypatch, capsys):
    cli.main(["train", *SMALL, "--iters", "3", "--out", "three.bin"])
    capsys.readouterr()
    handler = signal.getsignal(signal.SIGINT)
    interrupt_after(3, monkeypatch)
    assert cli.main(["train", *SMALL, *(["--out", out] if out else [])]) == 130
    kept = out or "tinker-l4h4d64f256t64v17-hamlet-iter3.bin"
    said = capsys.readouterr().out
    assert said.startswith("Stopped at iter 3, validation loss 2.")
    assert said.endswith(f": saved {kept}\n")
    np.testing.assert_array_equal(weights_of(kept), weights_of("three.bin"))
    assert checkpoint.loads(Path(kept).read_bytes()).iter == 3
    assert signal.getsignal(signal.SIGINT) is handler


def test_the_usual_name_never_overwrites_what_another_run_has_saved(capsys):
    base = "tinker-l4h4d64f256t64v17-a_b-iter2"
    for seed, lr in (("a b", "3e-4"), ("a_b", "3e-4"), ("a b", "1e-3"), ("a b", "3e-4")):
        assert cli.main(["train", *SMALL, "--iters", "2", "--seed", seed, "--lr", lr]) == 0
    said = capsys.readouterr()
    assert files() == [f"{base}-2.bin", f"{base}-3.bin", f"{base}.bin"]
    saved = [line.rsplit(" ", 1)[1] for line in said.out.splitlines()]
    assert saved == [f"{base}.bin", f"{base}-2.bin", f"{base}-3.bin", f"{base}.bin"]
    assert said.err.count(f"{base}.bin belongs to another run and was not overwritten") == 2
    first = Path(f"{base}.bin").read_bytes()
    Path("other.txt").write_text(TEXT[::-1])  # another text of the same characters
    other = ["train", "--text", "other.txt", "--batch-size", "2", "--iters", "2", "--seed", "a b"]
    assert cli.main([*other, "--checkpoint-interval", "1"]) == 0
    assert cli.main([*other[:2], "mine.txt", *other[3:], "--checkpoint-interval", "1"]) == 0
    assert {f"{base}-4.bin", f"{base}.state", f"{base}-2.state"} <= set(files())
    assert weights_of(f"{base}.bin").tobytes() == first[512:][: 4 * len(weights_of(f"{base}.bin"))]
    assert cli.main([*other, "--out", f"{base}.bin"]) == 0  # asked for by name
    assert weights_of(f"{base}.bin").tobytes() == weights_of(f"{base}-4.bin").tobytes()


def test_ctrl_c_twice_stops_at_once(monkeypatch, capsys):
    interrupt_after(2, monkeypatch, times=2)
    assert cli.main(["train", *SMALL]) == 130
    assert capsys.readouterr().err.endswith("groundling: interrupted. Nothing was written.\n")
    assert files() == []


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_closed_terminal_or_an_end_that_the_system_asks_for_keeps_what_was_trained(
    name, monkeypatch
):
    """A shell and its terminal may each send one as a window is closed."""
    if not (by := getattr(signal, name, None)):
        pytest.skip(f"there is no {name} here")
    before = signal.signal(by, signal.SIG_DFL)
    try:
        interrupt_after(3, monkeypatch, times=2, by=by)
        assert cli.main(["train", *SMALL, "--out", "a.bin", "--iters", "9"]) == 130
        assert checkpoint.loads(Path("a.bin").read_bytes()).iter == 3
        assert signal.signal(by, signal.SIG_IGN) is signal.SIG_DFL
        assert cli.main(["train", *SMALL, "--out", "b.bin", "--iters", "9"]) == 0  # under nohup
    finally:
        signal.signal(by, before)


def test_ctrl_c_while_a_finished_run_is_saved_loses_nothing(monkeypatch):
    def interrupted(path, pieces, keep=False):
        signal.raise_signal(signal.SIGINT)
        return write(path, pieces, keep)

    write = output.write_pieces
    monkeypatch.setattr(output, "write_pieces", interrupted)
    assert cli.main(["train", *SMALL, "--iters", "2", "--out", "a.bin"]) == 0
    assert checkpoint.loads(Path("a.bin").read_bytes()).iter == 2


@pytest.mark.parametrize(("error", "iters"), [(BrokenPipeError(), 1), (OSError(28, "full"), 3)])
def test_a_progress_that_cannot_be_written_loses_nothing(error, iters, monkeypatch):
    """Where nobody reads it, as after `2>&1 | head`, the run is paused; on a full disk it ends."""

    def broken(*_):
        raise error

    monkeypatch.setattr(terminal, "print_above", broken)
    command = ["train", *SMALL, "--iters", "3", "--out", "a.bin", "--state", "no/a.state"]
    assert cli.main(command) == 2  # and what is refused is, though it cannot be told
    assert cli.main(command[:-2]) == (0 if iters == 3 else 130)
    assert checkpoint.loads(Path("a.bin").read_bytes()).iter == iters


def test_without_standard_streams_a_run_is_saved(monkeypatch):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert cli.main(["train", *SMALL, "--iters", "1", "--out", "a.bin"]) == 0
    assert cli.main(["sample", "a.bin", "--prompt-file", "-"]) == 2
    assert (sys.stdin, sys.stdout, sys.stderr) == (None, None, None)
    assert files() == ["a.bin"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            NonFiniteLoss(Record(5, float("nan"), 1.0, None, 1.0, 4.0)),
            "The loss at iter 5 is nan; training cannot go on from there. "
            "Nothing was written. A lower --lr may help.",
        ),
        (DeviceLost("The GPU is gone."), "The GPU is gone. Nothing was written."),
    ],
)
def test_a_training_that_fails_says_why(error, told, monkeypatch, capsys):
    def failing_train(run, stop_at):
        yield from ()
        raise error

    monkeypatch.setattr(training, "train", failing_train)
    assert cli.main(["train", *SMALL]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"groundling: {told}"
    assert files() == []


# sample


@pytest.fixture(scope="module")
def small_file() -> bytes:
    corpus = Corpus(TEXT)
    config = GPTConfig(vocab_size=corpus.vocab_size)
    weights = initial_weights(config, "hamlet")
    when = "2026-11-21T08:00:00.000Z"
    return checkpoint.dumps(Checkpoint(config, "hamlet", 0, None, corpus.vocab_hash, when, weights))


@pytest.fixture
def small(small_file) -> str:
    """A file of the initial weights for the small text."""
    Path("mine.bin").write_bytes(small_file)
    return "mine.bin"


def test_a_sample_is_the_prompt_and_as_many_characters_as_asked_for(small, capsys):
    capsys.readouterr()
    sample = ["sample", small, "--text", "mine.txt", "--prompt", "To be", "--length", "40"]
    assert cli.main(sample) == 0
    text = capsys.readouterr().out
    assert text.startswith("To be")
    assert len(text) == 5 + 40 + 1
    assert set(text) <= set(TEXT)
    assert cli.main([*sample, "--seed", "hamlet"]) == 0  # the file's own seed
    assert capsys.readouterr().out == text
    assert cli.main([*sample, "--seed", "ophelia"]) == 0
    assert capsys.readouterr().out != text


def test_without_a_prompt_a_sample_goes_on_from_the_validation_text(small, capsys):
    capsys.readouterr()
    cli.main(["sample", small, "--text", "mine.txt", "--length", "1"])
    corpus = Corpus(TEXT)
    assert capsys.readouterr().out[:32] == corpus.decode(corpus.val[:32])


def test_sampling_the_likeliest_character_only_needs_no_luck(small, capsys):
    texts = set()
    for seed in "abc":
        capsys.readouterr()
        settings = ["--top-k", "1", "--seed", seed, "--length", "20"]
        cli.main(["sample", small, "--text", "mine.txt", *settings])
        texts.add(capsys.readouterr().out)
    assert len(texts) == 1


def test_a_file_whose_header_has_another_number_of_characters_is_refused(small, capsys):
    mine = checkpoint.loads(Path(small).read_bytes())
    width = mine.config.n_embd
    mine.config = type(mine.config)(vocab_size=mine.config.vocab_size + 1)
    mine.weights = np.pad(mine.weights, (0, width))
    Path("odd.bin").write_bytes(checkpoint.dumps(mine))
    capsys.readouterr()
    assert cli.main(["sample", "odd.bin", "--text", "mine.txt"]) == 2
    assert "Its vocabulary has 18 characters; 'mine.txt' has 17" in capsys.readouterr().err


# inspect


def test_inspect_shows_the_header_the_hashes_and_every_tensors_place(golden, capsys):
    cli.main(["train", "--iters", "0"])
    capsys.readouterr()
    assert cli.main(["inspect", "tinker-shakespeare-hamlet-iter0.bin"]) == 0
    said = capsys.readouterr().out
    data = Path("tinker-shakespeare-hamlet-iter0.bin").read_bytes()
    assert said.splitlines()[0].encode() == data[:512].rstrip()
    assert f"824,576 bytes   sha256 {hashlib.sha256(data).hexdigest()}" in said
    weights_hash = golden["init"]["sha256 of the 824064 weight bytes at iter 0"]["hamlet"]
    assert f"824,064 bytes   sha256 {weights_hash}" in said
    rows = {line.split()[0]: line.split() for line in said.splitlines() if line}
    assert rows["wte"][1:6] == ["65", "x", "64", "0", "512"]
    places = golden["bin"]["float_offsets"]
    start = 8256 + 49408 * 2
    for name, (at, shape) in places["block l starts at 8256 + 49408*l"].items():
        columns = [*" x ".join(map(str, shape)).split(), f"{start + at:,}"]
        assert rows[f"h.2.{name}"][1 : 1 + len(columns)] == columns
    assert rows["end"][1:] == ["206,016", "824,576"]


# what cannot be


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("train --iters x", "argument --iters: invalid int value: 'x'"),
        ("train --iters -1", "iters is -1; it must be a whole number from 0"),
        ("train --batch-size 0", "batch_size is 0; it must be"),
        ("train --lr nan", "lr is nan; it must be a number"),
        ("train --lr 1e-6 --min-lr 3e-5", "min_lr is 3e-05, above lr"),
        ("train --iter 5", "unrecognized arguments: --iter 5"),
        ("train --device tpu", "argument --device: invalid choice: 'tpu'"),
        ("train --text nothing.txt", "nothing.txt: No such file or directory."),
        ("train --text empty.txt", "The text 'empty.txt' is empty"),
        ("train --text short.txt", "The text 'short.txt' is too short"),
        ("train --text latin1.txt", "latin1.txt is not UTF-8 text: byte 3, 0xe9"),
        ("train --out folder", "Cannot write folder: it is a folder."),
        ("train --out nowhere/x.bin", "Cannot write nowhere/x.bin: there is no folder nowhere."),
        ("train --log nowhere/x.jsonl", "nowhere/x.jsonl: No such file or directory."),
        ("sample", "the following arguments are required: FILE"),
        ("sample nothing.bin", "nothing.bin: No such file or directory."),
        ("sample short.txt", "short.txt: The file has 5 bytes, fewer than the 512"),
        ("sample mine.bin --text other.txt", "mine.bin: The file belongs to another text"),
        (
            "sample mine.bin --text mine.txt --prompt £",
            "The character '£' (U+00A3) at position 0",
        ),
        ("sample mine.bin --text mine.txt --top-p 2", "top_p is 2.0; it must be"),
        ("sample mine.bin --text mine.txt --length 0", "length is 0; it must be"),
        ("inspect mine.txt", "mine.txt: The file does not begin with a checkpoint's header"),
        ("inspect folder", "folder: Is a directory."),
        ("", "the following arguments are required: COMMAND"),
        ("trian", "invalid choice: 'trian'"),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_code_2(command, told, small, capsys):
    Path("folder").mkdir()
    Path("empty.txt").touch()
    Path("short.txt").write_text("short")
    Path("latin1.txt").write_bytes(b"caf\xe9")
    Path("other.txt").write_text(OTHER)
    capsys.readouterr()
    before = files()
    try:
        code = cli.main(command.split())
    except SystemExit as usage:  # how argparse ends
        code = usage.code
    said = capsys.readouterr()
    assert code == 2
    assert told in said.err
    assert said.err.startswith("groundling")
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert files() == before


def test_a_device_that_is_not_there_gets_one_sentence(monkeypatch, capsys):
    def no_device(name):
        raise DeviceError("There is no WebGPU adapter.")

    monkeypatch.setattr(inputs, "open_device", no_device)
    assert cli.main(["train", *SMALL, "--device", "webgpu"]) == 2
    assert capsys.readouterr().err == "groundling: There is no WebGPU adapter.\n"


# as a program


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("--version", "groundling 0.1.0\n"),
        ("inspect mine.bin | true", ""),  # a reader that goes away is no trouble
    ],
)
def test_it_runs_as_a_module(command, printed, small):
    environment = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
    done = subprocess.run(
        f'"{sys.executable}" -m groundling {command}',
        shell=True,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")


# states


def train_to(iters: int, *more: str) -> int:
    return cli.main(["train", *SMALL, "--iters", "6", "--stop-at", str(iters), *more])


def test_a_training_that_stops_and_resumes_ends_with_the_same_bytes(capsys):
    assert cli.main(["train", *SMALL, "--iters", "6", "--out", "whole.bin"]) == 0
    capsys.readouterr()
    assert train_to(4, "--state", "four.state") == 0
    assert capsys.readouterr().out.startswith("Stopped at iter 4, validation loss 2.")
    assert files() == ["four.state", "whole.bin"]  # no weights: nobody asked for them
    resume = ["train", "--resume", "four.state", "--text", "mine.txt", "--log", "log.jsonl"]
    assert cli.main([*resume, "--out", "end.bin", "--state", "end.state"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("Finished iter 6, validation loss 2.")
    assert said.out.endswith(": saved end.bin and end.state\n")
    assert "It continues on" not in said.err  # the device is the same
    np.testing.assert_array_equal(weights_of("end.bin"), weights_of("whole.bin"))
    log = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    assert [record["iter"] for record in log] == list(range(6))
    assert statefile.loads(Path("end.state").read_bytes()).state.step == 6


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ([], ["tinker-l4h4d64f256t64v17-hamlet-iter2.bin"]),
        (["--out", "two.bin"], ["two.bin"]),
        (["--state", "two.state", "--out", "two.bin"], ["two.bin", "two.state"]),
        (["--checkpoint-interval", "4"], ["tinker-l4h4d64f256t64v17-hamlet-iter2.state"]),
    ],
)
def test_a_training_that_stops_early_writes_what_was_asked_for(options, written):
    assert train_to(2, *options) == 0
    assert files() == written


def test_a_command_that_is_refused_leaves_the_log_of_before():
    Path("log.jsonl").write_text("of an earlier run")
    assert cli.main(["train", *SMALL, "--log", "log.jsonl", "--out", "nowhere/a.bin"]) == 2
    assert Path("log.jsonl").read_text() == "of an earlier run"


@pytest.mark.parametrize(
    "others",
    [
        ["--state", "a"],
        ["--log", "./a"],
        ["--tensorboard", "a"],
        ["--log", "b", "--tensorboard", "b"],
    ],
)
def test_two_files_of_a_run_cannot_be_one(others, capsys):
    assert cli.main(["train", *SMALL, "--out", "a", *others]) == 2
    assert " is named for more than one file." in capsys.readouterr().err
    assert files() == []


@pytest.mark.parametrize(
    ("command", "out"),
    [
        (["train", *SMALL, "--log", "./mine.txt"], "mine.txt"),
        (["train", *SMALL, "--out", "link.txt"], "link.txt"),
        (["train", "--text", "mine.txt", "--resume", "a.state", "--log", "a.state"], "a.state"),
        (["train", "--text", "mine.txt", "--resume", "a.state", "--out", "a.state"], "a.state"),
        (["train", *SMALL, "--init-from", "a.state", "--log", "a.state"], "a.state"),
        (["compare", "a.state", "--plot", "a.state"], "a.state"),
        (["sweep", *SMALL, "--lr", "1e-3,2e-3", "--plot", "mine.txt"], "mine.txt"),
        (["export", "a.state", "--to", "safetensors", "a.state"], "a.state"),
        (["import", "a.safetensors", "a.safetensors"], "a.safetensors"),
    ],
)
def test_a_file_that_is_read_is_not_written_over(command, out, capsys):
    assert cli.main(["train", *SMALL, "--iters", "1", "--state", "a.state", "--out", "a.bin"]) == 0
    assert cli.main(["export", "a.bin", "--to", "safetensors", "a.safetensors"]) == 0
    Path("link.txt").symlink_to("mine.txt")
    before = {name: Path(name).read_bytes() for name in files()}
    capsys.readouterr()
    assert cli.main(command) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("groundling: Cannot write ") and told.endswith(
        f"{out}: it is a file to read."
    )
    assert {name: Path(name).read_bytes() for name in files()} == before
    assert Path("mine.txt").read_text() == TEXT


def test_a_link_is_written_through_and_a_device_is_no_place_for_a_file(capsys):
    Path("disk").mkdir()
    Path("a.bin").symlink_to("disk/large.bin")
    assert cli.main(["train", *SMALL, "--iters", "1", "--out", "a.bin"]) == 0
    assert Path("a.bin").is_symlink() and Path("disk/large.bin").is_file()
    os.mkfifo("pipe")
    assert cli.main(["train", *SMALL, "--iters", "1", "--out", "pipe"]) == 2
    assert Path("pipe").is_fifo()
    assert "Cannot write pipe: it is a device or a pipe" in capsys.readouterr().err
    Path("b.bin").symlink_to("gone/b.bin")
    assert cli.main(["train", *SMALL, "--iters", "1", "--out", "b.bin"]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_a_name_as_long_as_the_system_allows_is_written():
    name = "東" * 83 + ".bin"  # 253 bytes of 255
    output.write(Path(name), b"weights")
    assert files() == [name]


def test_two_processes_that_write_one_file_do_not_meet():
    write, pid = output.write_pieces, os.getpid

    def pieces():
        yield 0, b"the first"
        os.getpid = lambda: 1
        write(Path("a.bin"), [(0, b"the other")])

    try:
        write(Path("a.bin"), pieces())
    finally:
        os.getpid = pid
    assert (files(), Path("a.bin").read_bytes()) == (["a.bin"], b"the first")


def test_a_state_of_an_earlier_run_stays_when_the_same_run_passes_it(capsys):
    options = [*SMALL, "--iters", "4", "--checkpoint-interval", "2", "--out", "a.bin"]
    stem = "tinker-l4h4d64f256t64v17-hamlet-iter"
    assert cli.main(["train", *options, "--stop-at", "2"]) == 0
    assert cli.main(["train", *options]) == 0
    assert files() == ["a.bin", f"{stem}2.state", f"{stem}4.state"]


@pytest.mark.parametrize(
    "command",
    [
        ["train", "--resume", ""],
        ["train", "--text", ""],
        ["train", "--out", ""],
        ["train", "--data", ""],
        ["sample", ""],
        ["sample", "a.bin", "--stop", ""],
        ["compare", "a.jsonl", "--plot", ""],
    ],
)
def test_a_name_that_is_empty_is_refused(command, capsys):
    """As of a variable of the shell that is not set."""
    with pytest.raises(SystemExit) as ended:
        cli.main(command)
    name = "FILE" if command == ["sample", ""] else command[-2]
    assert ended.value.code == 2
    assert f"argument {name}: it is empty. See groundling" in capsys.readouterr().err
    assert files() == []


def test_a_run_that_is_resumed_writes_as_often_as_it_is_told_to():
    train_to(2, "--state", "a.state")
    resume = ["train", "--resume", "a.state", "--text", "mine.txt", "--state", "b.state"]
    assert cli.main([*resume, "--sample-interval", "3"]) == 0
    saved = statefile.loads(Path("b.state").read_bytes()).state
    assert [sample.iter for sample in saved.samples] == [0, 3, 6] and saved.sample_every == 3


def test_a_state_with_nothing_left_to_train_gives_its_weights():
    train_to(4, "--out", "four.bin")
    corpus = Corpus(TEXT, "mine.txt")
    run = Run(TrainConfig(iters=2, batch_size=2), corpus, open_device("numpy"))
    run.load(checkpoint.loads(Path("four.bin").read_bytes()))  # as the page does, and saves
    Path("four.state").write_bytes(statefile.save_state(run))
    resume = ["train", "--resume", "four.state", "--text", "mine.txt"]
    assert cli.main([*resume, "--out", "end.bin"]) == 0
    np.testing.assert_array_equal(weights_of("end.bin"), weights_of("four.bin"))


def test_ctrl_c_keeps_the_state_too(monkeypatch):
    interrupt_after(3, monkeypatch)
    assert cli.main(["train", *SMALL, "--state", "kept.state"]) == 130
    assert files() == ["kept.state"]
    assert statefile.loads(Path("kept.state").read_bytes()).state.iter == 3


def test_a_state_of_another_device_is_said_to_be(capsys):
    train_to(1, "--state", "a.state")
    saved = statefile.loads(Path("a.state").read_bytes())
    saved.device = "webgpu: a GPU"
    Path("a.state").write_bytes(statefile.dumps(saved))
    assert cli.main(["train", "--resume", "a.state", "--text", "mine.txt"]) == 0
    said = capsys.readouterr().err
    assert "the state was saved on webgpu: a GPU. It continues on numpy:" in said


def test_a_state_of_other_code_is_resumed_only_when_told_so(capsys):
    train_to(1, "--state", "a.state")
    saved = statefile.loads(Path("a.state").read_bytes())
    saved.code_hash = "0" * 64
    Path("a.state").write_bytes(statefile.dumps(saved))
    capsys.readouterr()
    resume = ["train", "--resume", "a.state", "--text", "mine.txt"]
    assert cli.main(resume) == 2
    said = capsys.readouterr().err
    assert said.startswith("groundling: a.state: The code is other code: ")
    assert said.endswith(" Use --anyway to resume it anyway.\n")
    assert cli.main([*resume, "--anyway"]) == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--resume a.state --seed x", "--seed cannot be used with --resume."),
        ("--resume a.state --min-lr 0.1", "--min-lr cannot be used with --resume."),
        ("--resume a.state --preset medium", "--preset cannot be used with --resume."),
        ("--resume a.state --stop-at 2", "--stop-at is 2, but the run is at iteration 2."),
        ("--resume a.state --stop-at 1", "--stop-at is 1, but the run is at iteration 2."),
        ("--resume mine.txt", "mine.txt: The file does not begin with a checkpoint's header"),
        ("--resume no.state", "no.state: No such file or directory."),
        ("--stop-at -1", "--stop-at is -1, but the run is at iteration 0."),
        ("--state nowhere/x", "Cannot write nowhere/x: there is no folder nowhere."),
    ],
)
def test_a_resumption_that_cannot_be(options, told, capsys):
    train_to(2, "--state", "a.state")
    capsys.readouterr()
    assert cli.main(["train", "--text", "mine.txt", *options.split()]) == 2
    assert told in capsys.readouterr().err
    assert files() == ["a.state"]


def test_a_state_will_do_for_a_sample_and_for_an_inspection(capsys):
    train_to(2, "--state", "a.state", "--out", "a.bin")
    capsys.readouterr()
    texts = []
    for file in ("a.state", "a.bin"):
        assert cli.main(["sample", file, "--text", "mine.txt", "--length", "5"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert cli.main(["inspect", "a.state"]) == 0
    said = capsys.readouterr().out
    assert said.startswith('{"format":"groundling-state-v2","iter":2,')
    assert "AdamW step 2, 2 log records from iter 0" in said
    v = statefile.loads(Path("a.state").read_bytes()).state.v
    assert f"sha256 {hashlib.sha256(v.tobytes()).hexdigest()}" in said
    assert "\nv.ln_f.bias " in said


def test_inspect_shows_the_mean_the_spread_and_the_ends_of_every_tensor(small, capsys):
    capsys.readouterr()
    cli.main(["inspect", small])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    wte = weights_of(small)[: 17 * 64].astype(float)
    row = next(row for row in rows if row[:1] == ["wte"])
    expected = [wte.mean(), wte.std(), wte.min(), wte.max()]
    assert [float(number) for number in row[-4:]] == pytest.approx(expected, rel=1e-3)


def test_inspect_compares_two_files_tensor_by_tensor(small, capsys):
    train_to(2, "--state", "a.state", "--out", "a.bin")
    capsys.readouterr()
    assert cli.main(["inspect", "a.state", "a.bin"]) == 0
    assert capsys.readouterr().out.endswith("\nAll 36 tensors are bit-identical.\n")
    assert cli.main(["inspect", small, "a.bin"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"\nh.0.ln_1.weight +64 +64 +\d+ +\S+ +\S+\n", said)
    assert re.search(r"[\d,]+ floats in 36 of 36 tensors differ.\n$", said)


# twins, links, other formats


@pytest.mark.parametrize(("seed", "code"), [("hamlet", 0), ("hamllet", 1)])
def test_the_twins_exit_code_says_whether_the_bytes_agree(seed, code, capsys):
    command = ["twin", "--seed-b", seed, "--iters", "2", "--text", "mine.txt"]
    assert cli.main(command) == code
    said = capsys.readouterr().out
    assert "'hamlet' decides the initial weights (stream 'hamlet')" in said
    assert len(set(re.findall("[0-9a-f]{64}", said))) == 2 + 2 * code
    last = said.splitlines()[-1]
    assert last.startswith(
        "They differ from iter 0 on: 'hamlet' and 'hamllet'" if code else "Byte-"
    )
    assert files() == []


def test_a_link_is_replayed_and_found_true(capsys):
    train_to(3, "--state", "a.state")
    capsys.readouterr()
    assert cli.main(["link", "a.state"]) == 0
    fragment = capsys.readouterr().out.strip()
    replay = ["replay", f"https://example.org/#{fragment}", "--text", "mine.txt"]
    assert cli.main(replay) == 0
    said = capsys.readouterr().out
    assert said.startswith("The link claims: seed 'hamlet', iter 3 of 6, validation loss 2.")
    assert "\nBit-identical: all 3 losses and all weights" in said


def test_a_link_that_is_not_so_is_found_out(capsys):
    train_to(3, "--state", "a.state")
    claimed = link.claim(statefile.loads(Path("a.state").read_bytes()))
    other = replace(claimed, config=replace(claimed.config, seed="other"), code_hash="0" * 64)
    capsys.readouterr()
    assert cli.main(["replay", link.dumps(other), "--text", "mine.txt"]) == 1
    said = capsys.readouterr().out
    assert "It was trained with other code, 000000000000…." in said
    assert "\nDifferent: from iter 0 on" in said


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("replay nonsense!", "The link has '!' at character 8"),
        ("replay AAAA", "The link is cut short or damaged"),
        ("link mine.bin", "mine.bin: The file's format is 'tinker-m18-v1'"),
        ("export mine.bin --to gguf x", "invalid choice: 'gguf'"),
        ("export mine.bin x --to gpt2 --text other.txt", "belongs to another text"),
        ("import mine.txt x.bin", "mine.txt: The file is no safetensors"),
        ("import folder x.bin", "folder: The folder has no config.json."),
        ("inspect mine.bin mine.txt", "mine.txt: The file does not begin"),
        ("twin --iters -1", "iters is -1"),
        ("verify none.html", "groundling: none.html: No such file or directory."),
    ],
)
def test_what_cannot_be_told_replayed_or_exchanged(command, told, small, capsys):
    Path("folder").mkdir()
    Path("other.txt").write_text(OTHER)
    capsys.readouterr()
    before = files()
    try:
        code = cli.main(command.split())
    except SystemExit as usage:
        code = usage.code
    said = capsys.readouterr()
    assert code == 2
    assert told in said.err
    assert said.err.count("\n") == 1
    assert files() == before


@pytest.mark.parametrize("kind", ["safetensors", "gpt2"])
def test_what_is_exported_and_imported_is_the_same_file(kind, small):
    assert cli.main(["export", small, "there", "--to", kind, "--text", "mine.txt"]) == 0
    assert cli.main(["import", "there", "back.bin"]) == 0
    assert Path("back.bin").read_bytes() == Path(small).read_bytes()


def test_an_import_without_our_header_takes_that_of_another_file(small):
    ckpt = checkpoint.loads(Path(small).read_bytes())
    data = interchange.write_safetensors(interchange.tensors_of(ckpt), {})
    Path("bare.safetensors").write_bytes(data)
    assert cli.main(["import", "bare.safetensors", "back.bin"]) == 2
    assert cli.main(["import", "bare.safetensors", "back.bin", "--like", small]) == 0
    assert Path("back.bin").read_bytes() == Path(small).read_bytes()


# recipes


def test_the_recipes_are_listed_and_shown_as_diffs(capsys):
    assert cli.main(["recipes"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert "qk-norm" in names and len(names) == len(set(names)) == 9
    for name in names:
        assert cli.main(["recipes", name]) == 0
        said = capsys.readouterr().out
        assert "\n--- " in said and "\n@@ " in said
        assert said.endswith("\n")


def test_a_recipe_that_there_is_not_is_refused_with_those_that_there_are(capsys):
    assert cli.main(["recipes", "soup"]) == 2
    assert re.search("Unknown recipe 'soup'. Choose from .*qk-norm", capsys.readouterr().err)


# run

TRAIN, OPTIM, MODEL = (f"py_src/groundling/{name}.py" for name in ("train", "optim", "model"))
RUN = [*SMALL, "--iters", "2", "--device", "numpy"]


def edited(path: str, old: str, new: str) -> dict[str, str]:
    text = sources.text(path)
    assert text.count(old) == 1
    return {path: text.replace(old, new)}


def write_project(files: dict[str, str], **settings) -> None:
    config = TrainConfig(**dict(seed="mine", iters=3, batch_size=2, lr=1e-3) | settings)
    project.write_folder(project.Project("Mine", files, config), Path("mine"))


def test_a_project_trains_by_its_code_and_settings(capsys):
    write_project(edited(OPTIM, "np.array([lr,", "np.array([0 * lr,"))
    assert cli.main(["run", "mine", "--text", "mine.txt", "--device", "numpy"]) == 0
    assert "Finished iter 3" in capsys.readouterr().out
    ckpt = checkpoint.loads(Path("tinker-l4h4d64f256t64v17-mine-iter3.bin").read_bytes())
    assert ckpt.seed == "mine"
    np.testing.assert_array_equal(ckpt.weights, initial_weights(ckpt.config, "mine"))
    assert sources.overlay == {}


def test_a_project_with_a_new_op_and_its_kernel_trains_from_its_zip():
    texts = {path: sources.text(path) for path in sources.paths()}
    [silu] = [recipe for recipe in recipes.RECIPES if any("silu" in e.path for e in recipe.edits)]
    files = recipes.apply(silu, texts)
    changed = {path: text for path, text in files.items() if text != texts.get(path)}
    assert {path.partition("/")[0] for path in changed} == {"py_src", "shaders"}
    Path("mine.zip").write_bytes(project.to_zip(project.Project("SiLU", changed)))
    assert cli.main(["run", "mine.zip", *RUN, "--out", "edited.bin"]) == 0
    assert cli.main(["train", *RUN, "--out", "plain.bin"]) == 0
    assert not np.array_equal(weights_of("edited.bin"), weights_of("plain.bin"))


def test_options_stand_above_the_project_s_settings():
    write_project({})
    assert cli.main(["run", "mine", *RUN, "--seed", "other", "--out", "w.bin"]) == 0
    ckpt = checkpoint.loads(Path("w.bin").read_bytes())
    assert (ckpt.seed, ckpt.iter) == ("other", 2)
    assert cli.main(["train", *RUN, "--seed", "other", "--lr", "1e-3", "--out", "v.bin"]) == 0
    np.testing.assert_array_equal(ckpt.weights, weights_of("v.bin"))


@pytest.mark.parametrize(
    ("path", "old", "new", "told"),
    [
        (
            TRAIN,
            "        loss = model.loss(x, y)\n",
            "        loss = model.zero_grad()\n",
            ["    loss.backward()\n", "'NoneType' object has no", "ends without `return`"],
        ),
        (
            OPTIM,
            "        self.t += 1\n",
            "        self.t += 1\n        raise ValueError('no step')\n",
            [f"{OPTIM}, line", "    raise ValueError('no step')\n    ^^^^^", "ValueError: no step"],
        ),
        (OPTIM, "import math\n", "import math\n1 +\n", ["line 4", "    1 +\n", "not Python"]),
        (
            MODEL,
            "        super().__init__(device, parameter_shapes(config))\n",
            "        super().__init__(devise, parameter_shapes(config))\n",
            ["in __init__", "^^^^^^", "NameError", "Did you mean 'device'?"],
        ),
    ],
)
def test_an_error_in_the_reader_s_code_is_told_by_its_own_lines(path, old, new, told, capsys):
    files = edited(path, old, new)
    write_project(files)
    assert cli.main(["run", "mine", *RUN]) == 1
    said = capsys.readouterr().err
    for words in told:
        assert words in said
    assert "Traceback" not in said and "cli/main.py" not in said and "engine/jit.py" not in said
    assert said.endswith("Nothing was written.\n")
    assert sources.overlay == {} and not list(Path().glob("*.bin"))


@pytest.mark.parametrize(
    ("name", "told"),
    [("nowhere", "No such file"), ("mine.txt", "not a whole .zip"), (".", "project.json")],
)
def test_what_is_no_project_ends_with_a_sentence(name, told, capsys):
    assert cli.main(["run", name]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1


def test_a_link_of_edited_code_is_shown_and_run_only_when_asked(capsys):
    write_project(edited(OPTIM, "np.array([lr,", "np.array([2 * lr,"), seed="hamlet")
    options = ["--iters", "4", "--text", "mine.txt", "--device", "numpy", "--stop-at", "2"]
    assert cli.main(["run", "mine", *options, "--state", "mine.state"]) == 0
    before = live.load(project.read(Path("mine")).files)
    try:
        again = importlib.import_module("groundling.labs.link")
        saved = importlib.import_module("groundling.runs.statefile").loads(
            Path("mine.state").read_bytes()
        )
        text = again.dumps(again.claim(saved))
    finally:
        live.restore(before)
    capsys.readouterr()
    replay = ["replay", text, "--text", "mine.txt", "--device", "numpy"]
    assert cli.main(replay) == 2
    shown = capsys.readouterr()
    assert "2 * lr" in shown.out and "was not executed" in shown.err
    assert cli.main([*replay, "--edits"]) == 0
    assert "Bit-identical" in capsys.readouterr().out


# What is kept on the way


def test_a_state_is_kept_every_checkpoint_interval_and_can_be_gone_on_from(monkeypatch, capsys):
    kept = []

    def note(path, pieces, keep=False):
        kept.append(path.name)
        return write(path, pieces, keep)

    write = output.write_pieces
    monkeypatch.setattr(output, "write_pieces", note)
    options = ["--checkpoint-interval", "2", "--out", "v.bin"]
    assert cli.main(["train", *SMALL, *options, "--iters", "5"]) == 0
    stem = "tinker-l4h4d64f256t64v17-hamlet-iter"
    assert kept == [*(f"{stem}{n}.state" for n in (2, 4)), "v.bin", f"{stem}5.state"]
    assert files() == sorted([f"{stem}5.state", "v.bin"])  # the newest took the others' place
    capsys.readouterr()

    monkeypatch.setattr(output, "write_pieces", write)
    assert cli.main(["train", *SMALL, "--iters", "5", "--out", "w.bin"]) == 0
    np.testing.assert_array_equal(
        weights_of("v.bin"), weights_of("w.bin")
    )  # which stops for nothing on its way


def test_what_was_kept_is_left_when_the_run_fails(monkeypatch, capsys):
    def failing(run, end):
        yield from train(run, min(end, 4))
        raise NonFiniteLoss(run.log[-1])

    train = training.train
    monkeypatch.setattr(training, "train", failing)
    options = ["--state", "a.state", "--checkpoint-interval", "4", "--iters", "6"]
    assert cli.main(["train", *SMALL, *options]) == 1
    assert "Nothing was written." in capsys.readouterr().err

    def later(run, end):
        yield from train(run, end)
        if run.iter > 4:
            raise NonFiniteLoss(run.log[-1])

    monkeypatch.setattr(training, "train", later)
    assert cli.main(["train", *SMALL, *options]) == 1
    assert "The last state is in a.state." in capsys.readouterr().err
    assert statefile.loads(Path("a.state").read_bytes()).state.iter == 4


# A disk that is full


def full_for(monkeypatch, *suffixes: str, after: int = 0) -> None:
    """Let files with these suffixes have no room, from the one after so many on."""
    fsync, seen = os.fsync, []

    def full(fd: int) -> None:
        name = re.sub(r"\.\d+\.part$", "", os.readlink(f"/proc/self/fd/{fd}"))
        seen.append(name)
        if name.endswith(suffixes) and sum(one.endswith(suffixes) for one in seen) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", full)


def test_weights_are_saved_where_the_state_has_no_room(monkeypatch, capsys):
    full_for(monkeypatch, ".state")
    assert cli.main(["train", *SMALL, "--iters", "2", "--state", "a.state", "--out", "a.bin"]) == 1
    said = capsys.readouterr()
    assert "groundling: a.state: No space left on device. It was not written." in said.err
    assert said.out.endswith("saved a.bin\n")
    assert files() == ["a.bin"] and "None" not in said.err


def test_the_state_is_saved_where_the_weights_have_no_room(monkeypatch, capsys):
    full_for(monkeypatch, ".bin")
    assert cli.main(["train", *SMALL, "--iters", "2", "--state", "a.state", "--out", "a.bin"]) == 1
    assert "a.bin: No space left on device" in capsys.readouterr().err
    assert files() == ["a.state"]
    assert statefile.loads(Path("a.state").read_bytes()).state.iter == 2


def test_where_nothing_can_be_saved_that_is_said(monkeypatch, capsys):
    full_for(monkeypatch, ".bin", ".state")
    assert cli.main(["train", *SMALL, "--iters", "2", "--state", "a.state"]) == 1
    assert capsys.readouterr().out.endswith("nothing was saved\n")
    assert files() == []


def test_a_copy_that_fails_on_the_way_leaves_the_last_one_and_the_run_goes_on(monkeypatch, capsys):
    full_for(monkeypatch, ".state", after=1)
    options = ["--state", "a.state", "--checkpoint-interval", "2", "--iters", "6", "--out", "a.bin"]
    assert cli.main(["train", *SMALL, *options]) == 1
    assert "a.state: No space left on device" in capsys.readouterr().err
    assert statefile.loads(Path("a.state").read_bytes()).state.iter == 2
    assert checkpoint.loads(Path("a.bin").read_bytes()).iter == 6
    assert files() == ["a.bin", "a.state"]


def test_an_export_to_a_folder_is_whole_or_not_there_at_all(small, monkeypatch, capsys):
    before = files()
    command = ["export", small, "out", "--to", "gpt2", "--text", "mine.txt"]
    full_for(monkeypatch, "vocab.json")
    assert cli.main(command) == 2
    assert capsys.readouterr().err == "groundling: out: No space left on device.\n"
    assert files() == before
    Path("out").mkdir()
    Path("out/config.json").write_text("of before")
    assert cli.main(command) == 2
    assert [path.read_text() for path in Path("out").iterdir()] == ["of before"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_under_the_output_is_told_in_a_sentence():
    command = [sys.executable, "-m", "groundling", "recipes"]
    environment = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment
        )
    said = "groundling: standard output: No space left on device.\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_log_for_which_there_is_no_room_is_told_once_and_the_run_goes_on(capsys):
    assert cli.main(["train", *SMALL, "--iters", "3", "--out", "a.bin", "--log", "/dev/full"]) == 1
    said = capsys.readouterr().err
    assert said.count("/dev/full: No space left on device. Logging stops") == 1
    assert checkpoint.loads(Path("a.bin").read_bytes()).iter == 3


def test_ctrl_c_twice_says_what_was_written_by_then(monkeypatch, capsys):
    interrupt_after(5, monkeypatch, times=2)
    options = ["--state", "a.state", "--checkpoint-interval", "2", "--log", "a.jsonl"]
    assert cli.main(["train", *SMALL, *options]) == 130
    said = capsys.readouterr().err
    assert said.endswith("interrupted. The last state is in a.state. The log is in a.jsonl.\n")
    assert "a.state" in files() and not any(name.endswith(".part") for name in files())
