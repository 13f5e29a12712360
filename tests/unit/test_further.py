"""Going on: runs trained further, runs that begin with a file's weights, the best weights kept."""

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest

from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.labs import link
from groundling.model import initial_weights
from groundling.runs import further, statefile
from groundling.runs.checkpoint import CheckpointError
from groundling.runs.configfile import Setup
from groundling.runs.run import Run, begin
from groundling.train import learning_rate, train

TEXT = "To be, or not to be, that is the question:\n" * 20
OTHER = "Çà et là, to be: cela est\n" * 30
MODEL = GPTConfig(Corpus(TEXT).vocab_size, block_size=8, n_layer=1, n_head=2, n_embd=8, d_ff=16)
TRAIN = TrainConfig("s", iters=6, batch_size=2, warmup=2, eval_interval=2, eval_batches=1)
SETUP = Setup(model=MODEL, train=TRAIN)


def new(device, **settings) -> Run:
    return begin(replace(SETUP, train=replace(TRAIN, **settings)), Corpus(TEXT), device)


def trained(run: Run, stop_at: int | None = None) -> Run:
    for _ in train(run, stop_at):
        pass
    return run


def reopened(run: Run) -> Run:
    return statefile.load_state(statefile.save_state(run), run.corpus, run.device)


# further


@pytest.mark.parametrize("at", [3, 6])
def test_a_stretched_run_has_the_rates_of_its_new_length_from_there_on(device, at):
    run = reopened(trained(new(device), at))
    further.extend(run, 9)
    trained(run)
    longer = replace(TRAIN, iters=9)
    rates = [learning_rate(it, TRAIN if it < at else longer) for it in range(9)]
    assert [record.lr for record in run.log] == rates
    assert run.changes == [(at, "iters", 6, 9)]


def test_a_held_run_goes_on_at_the_rate_that_it_ended_with(device):
    run = trained(new(device))
    further.extend(run, 9, "hold")
    rates = [record.lr for record in trained(run).log]
    assert rates[6:] == [TRAIN.min_lr] * 3 and run.config.iters == 9


def test_only_a_finished_run_can_hold_its_last_rate(device):
    run = trained(new(device), 4)
    with pytest.raises(ValueError, match="iter 4 of 6, and only a finished run"):
        further.extend(run, 9, "hold")
    assert run.config == TRAIN and run.changes == []


@pytest.mark.parametrize("schedule", further.SCHEDULES)
def test_a_run_that_was_trained_further_is_replayed_to_the_bit(device, schedule):
    run = reopened(trained(new(device)))
    further.extend(run, 9, schedule)
    run = reopened(trained(run))
    claimed = link.loads(link.dumps(link.claim(statefile.snapshot(run))))
    replay = link.Replay(claimed, run.corpus, device)
    for _ in replay.train():
        pass
    assert replay.verdict().kind == "identical"


# begin from a file


def test_a_run_begins_with_the_weights_of_a_file_and_all_else_anew(device):
    ckpt = trained(new(device)).checkpoint()
    run = further.begin_from(ckpt, replace(SETUP, model=GPTConfig()), Corpus(TEXT), device)
    np.testing.assert_array_equal(run.model.weights(), ckpt.weights)
    fresh = new(device).facts()
    facts = run.facts()
    assert (facts.batches, facts.step, facts.iter) == (fresh.batches, 0, 0)
    digest = hashlib.sha256(ckpt.weights.tobytes()).hexdigest()
    assert vars(reopened(trained(run)).origin) == dict(weights=digest, seed="s", iter=6, drawn="")


def test_a_link_of_it_is_refused_and_other_states_say_nothing_of_it(device):
    ckpt = trained(new(device)).checkpoint()
    run = trained(further.begin_from(ckpt, SETUP, Corpus(TEXT), device, shaped=True))
    with pytest.raises(link.LinkError, match=r"weights of a file \(seed 's', iter 6\)"):
        link.claim(statefile.snapshot(run))
    assert b'"origin"' not in statefile.save_state(trained(new(device)))


def test_on_another_text_shared_characters_keep_their_rows_and_others_are_drawn(device):
    ckpt, corpus = trained(new(device)).checkpoint(), Corpus(OTHER)
    run = further.begin_from(ckpt, SETUP, corpus, device)
    drawn = "".join(sorted(set(OTHER) - set(TEXT)))
    assert drawn and run.origin.drawn == drawn
    config = replace(MODEL, vocab_size=corpus.vocab_size)
    C, weights, fresh = MODEL.n_embd, run.model.weights(), initial_weights(config, "s")
    for token, character in enumerate(corpus.vocab):
        row = weights[token * C : (token + 1) * C]
        if character in drawn:
            expected = fresh[token * C : (token + 1) * C]
        else:
            was = Corpus(TEXT).vocab.index(character)
            expected = ckpt.weights[was * C : (was + 1) * C]
        np.testing.assert_array_equal(row, expected)
    np.testing.assert_array_equal(
        weights[corpus.vocab_size * C :], ckpt.weights[MODEL.vocab_size * C :]
    )
    told = further.describe(run)
    assert repr(drawn) in told and f"{corpus.vocab_size - len(drawn)} characters keep" in told


@pytest.mark.parametrize(
    ("setup", "corpus", "told"),
    [
        (
            replace(SETUP, model=replace(MODEL, n_layer=3)),
            Corpus(TEXT),
            "n_layer is 1 .* and 3 was",
        ),
        (SETUP, Corpus(TEXT, tokenizer="byte-v1"), "reads 'char-v1'.* read as 'byte-v1'"),
        (SETUP, Corpus("ЖЗИ" * 90), "No character of .* is among the 17"),
    ],
)
def test_a_file_that_a_run_cannot_begin_with_is_refused(device, setup, corpus, told):
    ckpt = new(device).checkpoint()
    with pytest.raises(CheckpointError, match=told):
        further.begin_from(ckpt, setup, corpus, device, shaped=True)


@pytest.mark.parametrize(
    "origin",
    [{}, 5, {"weights": "0" * 63, "seed": "s", "iter": 1, "drawn": ""}],
)
def test_an_origin_that_is_none_is_refused(device, origin, monkeypatch):
    saved = statefile.snapshot(new(device))
    meta = statefile.dump_meta(saved)
    broken = meta.rstrip()[:-1] + b',"origin":' + statefile.strict.dumps(origin).encode() + b"}"
    with pytest.raises(CheckpointError, match="origin"):
        statefile.read_meta(broken, saved.created_at)


# the best


def falling_then_rising(monkeypatch) -> None:
    """Validation losses of 3, 2, 2.5, 2.6 …, whatever the model is."""
    losses = iter([3.0, 2.0, *(2.5 + i / 10 for i in range(20))])
    evaluated = Run.evaluated
    monkeypatch.setattr(Run, "evaluated", lambda run, loss: evaluated(run, next(losses)))


def test_the_weights_that_are_kept_are_those_that_were_evaluated(device, monkeypatch):
    falling_then_rising(monkeypatch)
    run = new(device, iters=12)
    run.keeps_best = True
    trained(run)
    assert (run.best.iter, run.best.val_loss) == (2, 2.0)
    monkeypatch.undo()
    at_2 = trained(new(device, iters=12), 2)
    np.testing.assert_array_equal(run.best.weights, at_2.model.weights())


def test_a_run_without_a_better_loss_ends_when_its_patience_does(device, monkeypatch):
    falling_then_rising(monkeypatch)
    run = new(device, iters=40)
    run.patience = 3
    trained(run)
    assert (run.iter, run.lowest, run.worse) == (9, 2.0, 3)
    assert further.early(run) == "None of the last 3 validation losses was below 2.0000."


def test_what_was_best_is_known_after_a_resumption(device, monkeypatch):
    falling_then_rising(monkeypatch)
    run = reopened(trained(new(device, iters=40), 7))
    assert (run.lowest, run.worse) == (2.0, 2)
    run.patience, run.keeps_best = 3, True
    trained(run)
    assert (run.iter, run.best) == (9, None)


def test_a_loss_that_is_not_a_number_is_not_the_best(device):
    run = new(device)
    run.evaluated(math.nan)
    assert (run.lowest, run.worse) == (math.inf, 1)
