"""Configurations: the defaults are the documented run, and nonsense is refused in a sentence."""

import dataclasses
import json

import pytest

from groundling.config import GPTConfig, TrainConfig
from groundling.runs import configfile


def test_the_default_model_is_shakespeare():
    assert dataclasses.asdict(GPTConfig()) == {
        "vocab_size": 65,
        "block_size": 64,
        "n_layer": 4,
        "n_head": 4,
        "n_embd": 64,
        "d_ff": 256,
        "dropout": 0.0,
    }


def test_the_default_run_is_the_documented_one():
    assert dataclasses.asdict(TrainConfig()) == {
        "seed": "hamlet",
        "iters": 2000,
        "batch_size": 32,
        "accumulate": 1,
        "lr": 3e-4,
        "min_lr": 3e-5,
        "warmup": 100,
        "beta1": 0.9,
        "beta2": 0.95,
        "eps": 1e-8,
        "weight_decay": 0.1,
        "grad_clip": 1.0,
        "eval_interval": 50,
        "eval_batches": 4,
    }


@pytest.mark.parametrize("config", [GPTConfig(), TrainConfig()])
def test_a_config_cannot_be_changed(config):
    name = dataclasses.fields(config)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, name, getattr(config, name))


WHOLE = "it must be a whole number from"
NUMBER = "it must be a number from"


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("vocab_size", 0, f"vocab_size is 0; {WHOLE} 1 to 2,097,152."),
        ("block_size", 64.0, f"block_size is 64.0; {WHOLE} 1 to 65,536."),
        ("n_layer", True, f"n_layer is True; {WHOLE} 1 to 256."),
        ("n_head", "4", f"n_head is '4'; {WHOLE} 1 to 256."),
        ("n_embd", None, f"n_embd is None; {WHOLE} 1 to 65,536."),
        ("d_ff", 10**30, f"d_ff is {10**30}; {WHOLE} 1 to 262,144."),
        ("dropout", 1.0, f"dropout is 1.0; {NUMBER} 0 to 0.99."),
        ("dropout", float("nan"), f"dropout is nan; {NUMBER} 0 to 0.99."),
    ],
)
def test_a_model_out_of_range_is_refused(field, value, told):
    with pytest.raises(ValueError) as error:
        GPTConfig(**{field: value})
    assert str(error.value) == told


def test_a_width_that_the_heads_cannot_share_is_refused():
    with pytest.raises(ValueError, match=r"n_embd is 64 and n_head is 3; .* divide evenly"):
        GPTConfig(n_head=3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("iters", -1),
        ("iters", 1.5),
        ("batch_size", 0),
        ("lr", -1e-4),
        ("lr", float("inf")),
        ("lr", "fast"),
        ("min_lr", float("nan")),
        ("warmup", -1),
        ("beta1", 1.0),
        ("beta2", 1),
        ("eps", 0.0),
        ("weight_decay", -0.1),
        ("grad_clip", 0),
        ("eval_interval", 0),
        ("eval_batches", False),
    ],
)
def test_a_run_out_of_range_is_refused_with_the_field_and_the_value(field, value):
    with pytest.raises(ValueError) as error:
        TrainConfig(**{field: value})
    assert str(error.value).startswith(f"{field} is {value!r}; it must be a ")


def test_what_is_refused_is_told_in_a_sentence_of_some_length():
    nested = {"a" * 30 + str(i): [{"b" * 30: 10**40}] * 9 for i in range(9)}
    with pytest.raises(ValueError, match=r"^batch_size is \{'a+.*\.\.\.; it must be") as refused:
        TrainConfig(batch_size=nested)
    assert len(str(refused.value)) < 150


def test_the_ends_of_a_range_are_in_it():
    TrainConfig(iters=0, warmup=0, lr=0, min_lr=0, weight_decay=0, batch_size=1)
    GPTConfig(vocab_size=1, block_size=1, n_layer=1, n_head=1, n_embd=1, d_ff=1)


def test_a_learning_rate_that_would_rise_is_refused():
    with pytest.raises(ValueError, match=r"min_lr is 3e-05, above lr, which is 1e-05"):
        TrainConfig(lr=1e-5)


def test_a_seed_is_text():
    with pytest.raises(ValueError, match="seed is 1337; it must be text"):
        TrainConfig(seed=1337)


def test_a_seed_that_a_file_could_not_hold_is_refused():
    TrainConfig(seed="x" * 200)
    TrainConfig(seed="é" * 33)  # six characters each, as \u00e9
    with pytest.raises(ValueError, match="seed takes 201 characters .* 200 at most"):
        TrainConfig(seed="x" * 201)
    with pytest.raises(ValueError, match="seed takes 204 characters"):
        TrainConfig(seed="é" * 34)


@pytest.mark.parametrize("seed", [42, 2**53 - 1, 2**53, 2**53 + 1, 1234567890123456789, 10**30])
def test_a_seed_that_is_a_number_is_the_same_once_the_page_has_had_it(seed):
    """Its JSON has numbers as float64 hold them: 2^53 + 1 would be another seed."""
    setup = configfile.Setup(train=TrainConfig(seed=str(seed)))
    in_the_page = json.dumps(configfile.as_json(setup))
    back = configfile.loads(json.dumps(json.loads(in_the_page, parse_int=float_of)).encode(), setup)
    assert back.train.seed == str(seed)


def float_of(digits: str) -> int:
    return int(float(digits))
