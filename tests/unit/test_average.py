"""Runs that trained apart become one: the mean, and DiLoCo's outer step."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groundling.cli import main as cli
from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.labs import link
from groundling.runs import checkpoint, further, statefile
from groundling.runs.average import average, outer_step
from groundling.runs.checkpoint import CheckpointError
from groundling.runs.configfile import Setup
from groundling.runs.run import begin
from groundling.runs.statefile import Saved
from groundling.train import train

CORPUS = Corpus("To be, or not to be, that is the question:\n" * 20)
MODEL = GPTConfig(CORPUS.vocab_size, block_size=8, n_layer=1, n_head=2, n_embd=8, d_ff=16)
TRAIN = TrainConfig("teacher", iters=3, batch_size=2, eval_batches=1)
SETUP = Setup(model=MODEL, train=TRAIN)


@pytest.fixture
def start(device):
    return trained(begin(SETUP, CORPUS, device)).checkpoint()


def trained(run):
    for _ in train(run):
        pass
    return run


def pupil(device, start, seed: str, corpus: Corpus = CORPUS, **settings) -> Saved:
    setup = replace(SETUP, train=replace(TRAIN, seed=seed, **settings))
    return statefile.snapshot(trained(further.begin_from(start, setup, corpus, device)))


def test_the_average_has_the_mean_of_all_weights_and_of_adamws_averages(device, start):
    states = [pupil(device, start, seed) for seed in "abc"]
    one = statefile.loads(statefile.dumps(average(states)))
    for name in ("weights", "m", "v"):
        expected = np.mean([getattr(s.state, name) for s in states], axis=0, dtype=np.float64)
        np.testing.assert_allclose(getattr(one.state, name), expected, rtol=1e-6, atol=1e-12)


def test_an_average_trains_further_and_does_not_claim_to_come_from_a_seed(device, start):
    one = average([pupil(device, start, seed) for seed in "ab"])
    run = statefile.load_state(statefile.dumps(one), CORPUS, device)
    further.extend(run, 5)
    assert [record.iter for record in train(run)] == [3, 4]
    with pytest.raises(link.LinkError, match="weights"):
        link.claim(statefile.snapshot(run))


def test_two_rounds_with_momentum_are_those_of_nesterov(device, start, rng):
    """The oracle is Sutskever et al.'s other form of it: look ahead, then step."""
    lr, beta, momentum, found = 0.5, 0.8, None, start
    velocity, at = np.zeros_like(start.weights, np.float64), start.weights.astype(np.float64)
    for turn in range(2):
        states = [pupil(device, found, f"{seed}{turn}") for seed in "ab"]
        mean = np.mean([s.state.weights for s in states], axis=0, dtype=np.float64)
        gradient = found.weights - mean
        velocity = beta * velocity - lr * gradient
        at = at + beta * velocity - lr * gradient
        one, momentum = outer_step(states, found, momentum, lr, beta)
        np.testing.assert_allclose(one.state.weights, at, atol=1e-6)
        found = statefile.weights_of(one)


def test_without_momentum_and_at_rate_1_the_step_is_the_mean(device, start):
    states = [pupil(device, start, seed) for seed in "ab"]
    one, _ = outer_step(states, start, lr=1.0, beta=0.0)
    np.testing.assert_allclose(one.state.weights, average(states).state.weights, atol=1e-7)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (dict(iters=2), "iters is 3 in run 1, and 2 in run 2"),
        (dict(lr=1e-3), "lr is 0.0003 in run 1, and 0.001 in run 2"),
        (dict(seed="a"), "Runs 1 and 2 have the same weights"),
    ],
)
def test_runs_that_differ_or_do_not_are_refused(device, start, other, told):
    runs = [pupil(device, start, "a"), pupil(device, start, **({"seed": "b"} | other))]
    with pytest.raises(CheckpointError, match=told):
        average(runs)


def test_runs_of_other_starting_points_are_refused(device, start):
    a = pupil(device, start, "a")
    b = pupil(device, a_start := statefile.weights_of(a), "b")
    with pytest.raises(CheckpointError, match="Run 2 did not begin with the weights that run 1"):
        average([a, b])
    with pytest.raises(CheckpointError, match="did not begin with the weights of seed 'a', iter 3"):
        outer_step([a, pupil(device, start, "b")], a_start)
    with pytest.raises(CheckpointError, match="There is one run"):
        average([a])


def test_runs_of_other_vocabularies_are_refused(device, start):
    same_size = Corpus(CORPUS.decode(CORPUS.train).replace("q", "z"))
    runs = [pupil(device, start, "a"), pupil(device, start, "b", same_size)]
    with pytest.raises(CheckpointError, match="Run 2 has another vocabulary"):
        average(runs)


def test_runs_of_one_seed_began_alike(device):
    other = Corpus(CORPUS.decode(CORPUS.train)[::-1])
    runs = [trained(begin(SETUP, corpus, device)) for corpus in (CORPUS, other)]
    assert average([statefile.snapshot(run) for run in runs]).state.iter == 3


@pytest.mark.native
def test_rounds_from_the_command_line(device, start, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("start.bin").write_bytes(checkpoint.dumps(start))
    states = [pupil(device, start, seed) for seed in "ab"]
    for saved in states:
        Path(f"{saved.state.config.seed}.state").write_bytes(statefile.dumps(saved))
    command = ["average", "a.state", "b.state", "--out", "c.state"]
    assert cli.main(command) == 0
    mean = statefile.loads(Path("c.state").read_bytes()).state.weights
    np.testing.assert_array_equal(mean, average(states).state.weights)
    for _ in range(2):
        assert cli.main([*command, "--from", "start.bin", "--momentum", "m.safetensors"]) == 0
    _, momentum = outer_step(states, start)
    expected, _ = outer_step(states, start, momentum)
    found = statefile.loads(Path("c.state").read_bytes()).state.weights
    np.testing.assert_array_equal(found, expected.state.weights)
    before = Path("c.state").read_bytes()
    for more, told in (
        (["--from", "start.bin", "--momentum", "c.state"], "c.state is named for more than one"),
        (["--from", "start.bin", "--momentum", "./c.state"], "c.state is named for more than one"),
        (["--from", "start.bin", "--momentum", "start.bin"], "start.bin: it is a file to read."),
        (["--from", "start.bin", "--momentum", "no/m"], "Cannot write no/m: there is no folder"),
        (["--out", "a.state"], "Cannot write a.state: it is a file to read."),
        (["--momentum", "m.safetensors"], "--momentum is for --from."),
        (["--from", "start.bin", "--outer-momentum", "2"], "--outer-momentum is 2.0; it must be"),
        (["--from", "a.state"], "did not begin with the weights of seed 'a'"),
    ):
        assert cli.main([*command, *more]) == 2
        assert told in capsys.readouterr().err
    assert Path("c.state").read_bytes() == before
