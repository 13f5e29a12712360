"""Texts larger than memory: what is written, that it trains as the text in memory, and what is
refused.
"""

import hashlib
import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from groundling.cli import inputs
from groundling.cli import main as cli
from groundling.config import GPTConfig, TrainConfig
from groundling.data import BYTES, CHARACTERS
from groundling.devices.open import open_device
from groundling.runs import configfile, prepared, statefile, texts
from groundling.runs.configfile import Setup
from groundling.runs.run import Run
from groundling.train import train

pytestmark = pytest.mark.native  # the page's texts are in memory

TEXT = "Ça: to be, or not to be, that is the question\n" * 20
TRAIN = TrainConfig(iters=3, batch_size=4, accumulate=2, eval_interval=2, eval_batches=1)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prepared, "PIECE", 7)  # pieces that end within characters
    Path("a.txt").write_text(TEXT.rstrip(), encoding="utf-8")
    Path("b.txt").write_text("é" * 30, encoding="utf-16")
    return tmp_path / "data"


def tokens(corpus) -> list[list[int]]:
    return [corpus.train.tolist(), corpus.val.tolist()]


@pytest.mark.parametrize("tokenizer", [CHARACTERS, BYTES])
def test_what_is_prepared_is_the_text_that_is_read_into_memory(folder, tokenizer):
    read = texts.read(texts.gather(["a.txt", "b.txt"]), tokenizer)
    prepared.prepare(["a.txt", "b.txt"], folder, tokenizer)
    corpus = prepared.open_folder(folder)
    for name in ("name", "sha256", "raw_bytes", "tokenizer", "vocab", "vocab_hash"):
        assert getattr(corpus, name) == getattr(read, name)
    assert tokens(corpus) == tokens(read)
    assert (np.fromfile(folder / "train.bin", "<u2") == read.train).all()  # nanoGPT's layout


def test_a_file_that_is_no_text_is_prepared_as_its_bytes(folder, rng):
    data = rng.bytes(100)
    for name, mark in (("a.txt", b"\xff\xfe"), ("b.txt", b"\x80")):
        Path(name).write_bytes(mark + data)
    prepared.prepare(["a.txt", "b.txt"], folder, BYTES)
    read = texts.read(texts.gather(["a.txt", "b.txt"]), BYTES)
    assert tokens(prepared.open_folder(folder)) == tokens(read)


def test_a_run_on_a_prepared_text_is_the_run_on_that_text_to_the_bit(folder, device):
    prepared.prepare(["a.txt"], folder)
    in_memory = texts.read(texts.gather(["a.txt"]))
    model, logs, weights = GPTConfig(in_memory.vocab_size, 8, 1, 2, 8, 16), [], []
    for corpus in (in_memory, prepared.open_folder(folder)):
        run = Run(TRAIN, corpus, device, model)
        logs.append(list(train(run)))
        weights.append(run.model.weights())
    assert logs[0] == logs[1]
    np.testing.assert_array_equal(*weights)


def test_memory_does_not_grow_with_the_text(folder, device, monkeypatch):
    monkeypatch.undo()
    peaks = []
    for times in (1, 8):
        path = folder.parent / f"{times}.txt"
        path.write_bytes(TEXT.encode() * 1600 * times)  # 1.5 MB and 12 MB
        tracemalloc.start()
        prepared.prepare([str(path)], folder)
        corpus = prepared.open_folder(folder)
        run = Run(TRAIN, corpus, device, GPTConfig(corpus.vocab_size, 8, 1, 2, 8, 16))
        assert len(list(train(run))) == 3
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
def test_what_was_read_of_the_text_does_not_stay_in_memory(folder, monkeypatch):
    monkeypatch.undo()

    def mapped() -> int:
        """Bytes of files that are in this process's memory."""
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.partition("RssFile:")[2].split()[0])

    path = folder.parent / "long.txt"
    path.write_bytes(TEXT.encode() * 20_000)  # 19 MB, of which train.bin has 33
    prepared.prepare([str(path)], folder)
    corpus, before = prepared.open_folder(folder), mapped()
    for at in range(0, len(corpus.train) - 2**16, 2**16):
        corpus.sequences("train", at + np.arange(0, 2**16, 2**10), 8)
    assert mapped() - before < 2**23


def test_offsets_reach_all_of_a_text_of_more_than_2_to_the_32_tokens(folder, device, monkeypatch):
    prepared.prepare(["a.txt"], folder)
    corpus = prepared.open_folder(folder)
    corpus.train = np.lib.stride_tricks.as_strided(corpus.train, (2**33,), (0,))
    monkeypatch.setattr(prepared, "_tokens", lambda *_: corpus.train)
    run = Run(TRAIN, corpus, device, GPTConfig(corpus.vocab_size, 8, 1, 2, 8, 16))
    offsets = corpus.offsets("train", run.batches, 100, 8)
    assert 2**32 < offsets.max() < 2**33 - 8
    assert corpus.sequences("train", offsets, 8).shape == (100, 9)


def manifest_with(folder: Path, **changed) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def truncated(folder: Path) -> None:
    path = folder / "train.bin"
    path.write_bytes(path.read_bytes()[:-2])


def damaged(folder: Path) -> None:
    path = folder / "val.bin"
    path.write_bytes(path.read_bytes()[:-2] + b"\xff\xff")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (truncated, r"train.bin has 1,652 bytes; .* 827 tokens, .* 1,654. 2 are missing"),
        (damaged, "val.bin is not the file that was prepared: its SHA-256"),
        (lambda folder: manifest_with(folder, vocab="ab"), "vocab is not 17 different characters"),
        (lambda folder: manifest_with(folder, vocab_hash="0" * 64), "vocab is not the one of"),
        (lambda folder: manifest_with(folder, tokenizer=BYTES), "vocabulary is not the 256 bytes"),
        (lambda folder: manifest_with(folder, format="x"), "its format is 'x'"),
        (lambda folder: manifest_with(folder, train={}), "manifest.json is wrong: .*train"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json is wrong"),
        (lambda folder: (folder / "manifest.json").unlink(), "is no prepared text"),
    ],
)
def test_a_folder_that_is_not_as_it_was_prepared_is_refused(folder, harm, told):
    prepared.prepare(["a.txt"], folder)
    harm(folder)
    with pytest.raises(ValueError, match=told):
        prepared.open_folder(folder)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is empty"),
        (b"abcdefgh\xe9", "byte 8 cannot be read"),
        ("é".encode() * 9 + b"\xc3", "byte 18 cannot be read"),
        (b"ab\0", "has a byte 0"),
    ],
)
def test_what_is_no_text_is_refused_and_leaves_no_folder(folder, data, told):
    Path("a.txt").write_bytes(data)
    with pytest.raises(ValueError, match=told):
        prepared.prepare(["a.txt"], folder)
    assert not folder.exists()


def test_a_text_that_changes_while_it_is_read_is_not_prepared(folder):
    prepared.prepare(["a.txt"], folder)

    def longer(size: int) -> None:
        if size == 2 * 939:  # the second reading is at its end
            with open("a.txt", "a") as file:
                file.write("to be")

    before = contents(folder)
    with pytest.raises(ValueError, match="changed while it was read"):
        prepared.prepare(["a.txt"], folder, done=longer)
    assert contents(folder) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_full_disk_is_told_by_the_folders_name_and_leaves_what_was_there(folder, monkeypatch):
    with monkeypatch.context() as full:
        full.setattr(prepared, "_bin", lambda *_: Path("/dev/full"))
        with pytest.raises(OSError, match="No space left on device: '.*data'"):
            prepared.prepare(["a.txt"], folder)
    assert not folder.exists()
    prepared.prepare(["a.txt"], folder)
    before = contents(folder)
    monkeypatch.setattr(prepared, "_bin", lambda *_: Path("/dev/full"))
    with pytest.raises(OSError, match="No space left on device: '.*data'"):
        prepared.prepare(["b.txt"], folder)
    assert contents(folder) == before


def test_a_text_named_like_a_file_of_tokens_is_prepared_in_its_own_folder(folder):
    folder.mkdir()
    Path("a.txt").replace(folder / "train.bin")
    told = prepared.prepare([str(folder / "train.bin")], folder)
    corpus = prepared.open_folder(folder)
    assert len(corpus.train) + len(corpus.val) == told["train"]["tokens"] + told["val"]["tokens"]


def test_ctrl_c_leaves_no_folder(folder):
    def interrupted(size: int) -> None:
        if folder.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepared.prepare(["a.txt"], folder, done=interrupted)
    assert not folder.exists()


# the command line


def test_a_text_is_prepared_and_trained_on_from_the_command_line(folder, monkeypatch, capsys):
    monkeypatch.setattr(inputs, "open_device", lambda name="auto": open_device("numpy"))
    model = GPTConfig(17, block_size=8, n_layer=1, n_head=2, n_embd=8, d_ff=16)
    Path("small.json").write_text(configfile.dumps(Setup(model=model, train=TRAIN)))
    assert cli.main(["prepare", "a.txt", "--out", "data"]) == 0
    told = "a.txt: 939 bytes, 919 tokens of 17 kinds, 827 to train on and 92 to validate on: saved"
    assert told in capsys.readouterr().out
    digests = []
    for source in (["--data", "data"], ["--text", "a.txt"]):
        command = ["train", "--config", "small.json", "--out", "a.bin", "--iters", "2", *source]
        assert cli.main(command) == 0
        data = Path("a.bin").read_bytes()[512:]
        digests.append(hashlib.sha256(data).hexdigest())
    assert digests[0] == digests[1]


def test_a_preset_of_bytes_trains_on_a_text_that_is_prepared_as_bytes(folder, capsys):
    train = ["train", "--preset", "tiny", "--iters", "1", "--device", "numpy", "--data"]
    assert cli.main(["prepare", "a.txt", "--out", "characters"]) == 0
    assert cli.main([*train, "characters"]) == 2
    told = "'a.txt' is read as 'char-v1'. Prepare it with --tokenizer byte-v1."
    assert told in capsys.readouterr().err
    assert cli.main(["prepare", "a.txt", "--out", "bytes", "--tokenizer", "byte-v1"]) == 0
    assert cli.main([*train, "bytes"]) == 0


def test_a_run_on_a_prepared_text_is_exported_to_nanogpt_with_that_text(folder, device, capsys):
    prepared.prepare(["b.txt"], folder)
    corpus = prepared.open_folder(folder)
    run = Run(TRAIN, corpus, device, GPTConfig(corpus.vocab_size, 2, 1, 2, 8, 32))
    Path("a.state").write_bytes(statefile.save_state(run))
    command = ["export", "a.state", "--to", "nanogpt", "out"]
    for more, told in (([], "another text"), (["--data", "data", "--text", "b.txt"], "together")):
        assert cli.main([*command, *more]) == 2 and told in capsys.readouterr().err
    assert not Path("out").exists()
    assert cli.main([*command, "--data", "data"]) == 0
    assert len(list(Path("out").iterdir())) == 5
    for name in ("train.bin", "val.bin"):
        assert Path("out", name).read_bytes() == Path("data", name).read_bytes()
    command[-2:] = ["safetensors", "out.safetensors"]
    assert cli.main([*command, "--data", "data"]) == 2
    assert "--data is for a saved run and --to nanogpt." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["prepare", "-", "--out", "data"], "read twice, which stdin cannot be"),
        (["prepare", "no.txt", "--out", "data"], "no.txt: No such file or directory."),
        (["prepare", os.devnull, "--out", "data"], "is read twice, which it cannot be."),
        (["train", "--data", "no"], "no is no prepared text"),
        (["train", "--data", "no", "--text", "a.txt"], "--data and --text cannot be used together"),
    ],
)
def test_preparing_as_it_cannot_be_is_told_in_a_sentence(folder, command, told, capsys):
    assert cli.main(command) == 2
    assert told in capsys.readouterr().err
