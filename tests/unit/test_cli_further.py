"""The command line goes on: --resume with --iters, --init-from, --keep-best, --patience; and what
`sample` writes, from where, up to where.
"""

import io
import sys
from pathlib import Path

import numpy as np
import pytest

from groundling.cli import inputs
from groundling.cli import main as cli
from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.numpy import NumPyDevice
from groundling.devices.open import open_device
from groundling.runs import checkpoint, configfile, statefile
from groundling.runs.configfile import Setup
from groundling.runs.run import Run
from groundling.train import train

pytestmark = pytest.mark.native  # there is no command line in a browser

TEXT = "To be, or not to be, that is the question:\n" * 20
OTHER = "Çà et là, to be: cela est\n" * 40
MODEL = GPTConfig(17, block_size=8, n_layer=1, n_head=2, n_embd=8, d_ff=16)
TRAIN = TrainConfig(iters=3, batch_size=2, eval_interval=1, eval_batches=1)
SMALL = ["--config", "small.json", "--text", "mine.txt"]


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    """A current folder with two texts and a config of a model of a few thousand operations."""
    monkeypatch.chdir(tmp_path)
    Path("mine.txt").write_text(TEXT)
    Path("other.txt").write_text(OTHER, encoding="utf-8")
    Path("small.json").write_text(configfile.dumps(Setup(model=MODEL, train=TRAIN)))
    monkeypatch.setattr(inputs, "open_device", lambda name="auto": open_device("numpy"))


@pytest.fixture
def finished() -> str:
    """The state of a run of three iterations, which has a .bin beside it."""
    run = Run(TRAIN, Corpus(TEXT, "mine.txt"), NumPyDevice(), MODEL)
    assert len(list(train(run))) == 3
    Path("a.bin").write_bytes(statefile.save_weights(run))
    Path("a.state").write_bytes(statefile.save_state(run))
    return "a.state"


def state_of(path: str) -> statefile.State:
    return statefile.loads(Path(path).read_bytes()).state


def worsening(monkeypatch) -> None:
    """Every validation loss is above the one before."""
    evaluated, losses = Run.evaluated, iter(range(2, 100))
    monkeypatch.setattr(Run, "evaluated", lambda run, _: evaluated(run, float(next(losses))))


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ([], [(3, "iters", 3, 5)]),
        (["--schedule", "hold"], [(3, "iters", 3, 5), (3, "lr", 3e-4, 3e-5)]),
    ],
)
def test_a_finished_run_is_trained_further_and_replayed(finished, options, changes, capsys):
    command = ["train", "--text", "mine.txt", "--resume", finished, "--state", "b.state"]
    assert cli.main([*command, "--iters", "5", *options]) == 0
    state = state_of("b.state")
    assert (state.iter, state.config.iters, state.changes) == (5, 5, changes)
    capsys.readouterr()
    assert cli.main(["link", "b.state"]) == 0
    told = capsys.readouterr().out.strip()
    assert cli.main(["replay", told, "--text", "mine.txt"]) == 0
    assert "Bit-identical" in capsys.readouterr().out


def test_weights_of_a_file_begin_a_run_on_another_text(finished, capsys):
    command = ["train", "--text", "other.txt", "--init-from", "a.bin", "--iters", "2"]
    assert cli.main([*command, "--state", "b.state"]) == 0
    said = capsys.readouterr().err
    assert "a.bin: The run begins with the weights of seed 'hamlet', iter 3." in said
    kept, drawn = (sorted(act(set(OTHER), set(TEXT))) for act in (set.intersection, set.difference))
    assert f"{len(kept)} characters keep their rows of the embedding: {''.join(kept)!r}" in said
    assert f"{len(drawn)} are drawn: {''.join(drawn)!r}." in said
    assert state_of("b.state").origin.iter == 3
    capsys.readouterr()
    assert cli.main(["inspect", "b.state"]) == 0
    assert "began with the weights of seed 'hamlet', iter 3: sha256" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--resume", "a.state", "--iters", "2"], "iters is 2, and the run is at iter 3."),
        (["--resume", "a.state", "--schedule", "hold"], "--schedule is for --resume with --iters."),
        (["--schedule", "hold"], "--schedule is for --resume with --iters."),
        (["--resume", "a.state", "--lr", "1"], "--lr cannot be used with --resume."),
        (["--resume", "a.state", "--init-from", "a.bin"], "--init-from cannot be used with"),
        (["--init-from", "a.bin", "--preset", "tiny"], "n_layer is 1 in the file, and 2 was asked"),
        (["--init-from", "no.bin"], "no.bin: No such file or directory."),
        (["--patience", "0"], "--patience is 0; it must be at least 1."),
    ],
)
def test_going_on_as_it_cannot_be_is_refused(finished, options, told, capsys):
    before = Path("a.state").read_bytes()
    capsys.readouterr()
    assert cli.main(["train", "--text", "mine.txt", *options, "--state", "a.state"]) == 2
    assert told in capsys.readouterr().err
    assert Path("a.state").read_bytes() == before


def test_the_best_weights_are_kept_beside_the_last(monkeypatch, capsys):
    worsening(monkeypatch)
    command = ["train", *SMALL, "--iters", "3", "--keep-best"]
    assert cli.main([*command, "--out", "a.bin"]) == 0
    assert "saved a-best.bin and a.bin" in capsys.readouterr().out
    last, best = (checkpoint.loads(Path(p).read_bytes()) for p in ("a.bin", "a-best.bin"))
    assert (last.iter, best.iter, best.val_loss) == (3, 0, 2.0)
    assert not np.array_equal(last.weights, best.weights)


def test_only_the_best_of_the_best_are_left(capsys):
    command = ["train", *SMALL, "--iters", "4", "--lr", "0.01", "--state", "a.state"]
    assert cli.main([*command, "--warmup", "0", "--keep-best"]) == 0
    [best] = Path().glob("*-best.bin")
    kept = checkpoint.loads(best.read_bytes())
    assert best.name.endswith(f"-iter{kept.iter}-best.bin") and kept.iter > 0


def test_patience_ends_a_run_early_and_says_so(monkeypatch, capsys):
    worsening(monkeypatch)
    command = ["train", *SMALL, "--iters", "50", "--patience", "2"]
    assert cli.main([*command, "--out", "a.bin"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("Stopped at iter 3, validation loss 4.0000: saved a.bin")
    assert told.endswith(". None of the last 2 validation losses was below 2.0000.\n")


# sample


def sampled(capsys, *options: str) -> str:
    capsys.readouterr()
    assert cli.main(["sample", "a.bin", "--device", "numpy", "--length", "40", *options]) == 0
    return capsys.readouterr().out.removesuffix("\n")


def test_temperature_0_takes_the_most_likely_token_whatever_the_seed(finished, capsys):
    greedy = [sampled(capsys, "--temperature", "0", "--seed", seed) for seed in ("a", "b")]
    assert greedy[0] == greedy[1] == sampled(capsys, "--top-k", "1", "--seed", "c")
    assert sampled(capsys, "--seed", "a") != sampled(capsys, "--seed", "b")


def test_a_prompt_is_read_from_a_file_or_from_stdin(finished, monkeypatch, capsys):
    Path("prompt.txt").write_text("not to\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"not to\n")))
    asked = ("--prompt", "not to\n"), ("--prompt-file", "prompt.txt"), ("--prompt-file", "-")
    texts = [sampled(capsys, *one) for one in asked]
    assert texts[0].startswith("not to\n") and texts == texts[:1] * 3


def test_a_sample_ends_before_the_text_that_stops_it(finished, capsys):
    whole = sampled(capsys, "--prompt", "be")
    stop = whole[22:25]
    assert sampled(capsys, "--prompt", "be", "--stop", stop) == whole[: whole.index(stop, 2)]
    assert sampled(capsys, "--prompt", "be", "--stop", "???") == whole


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--prompt", "a", "--prompt-file", "b"], "--prompt and --prompt-file cannot be used"),
        (["--prompt-file", "no.txt"], "no.txt: No such file or directory."),
        (["--temperature", "0.001"], "it must be from 0.01 to 100, or 0, which always takes"),
        (["--temperature", "-1"], "temperature is -1.0; it must be from 0.01"),
    ],
)
def test_a_sample_that_cannot_be_gets_one_sentence(finished, options, told, capsys):
    assert cli.main(["sample", "a.bin", *options]) == 2
    assert told in capsys.readouterr().err
