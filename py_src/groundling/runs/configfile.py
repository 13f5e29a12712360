"""A configuration as JSON: a model, or how it is trained, or both as {"model":…, "training":…}.

    {"model_name":"byte-tinygpt-v0","vocab_size":256,"context_length":128,"n_layers":4,"n_heads":4,
     "d_model":128,"d_mlp":512,"dropout":0.0,"tie_embeddings":true,"dtype":"float32"}
    {"batch_size":16,"learning_rate":0.0003,"optimizer":"adamw","betas":[0.9,0.95],"eps":1e-8,
     "weight_decay":0.1,"grad_clip":1.0,"max_steps":10000,"eval_interval":100,
     "sample_interval":500,"checkpoint_interval":500,"seed":42}

A model may leave out its "model_name", and its "vocab_size", which the text decides. It may also
say its "tokenizer" ("byte-v1" or "char-v1"; without, 256 tokens are bytes), and a training its
"min_learning_rate" and "warmup_steps" (without, the learning rate stays as it is), "eval_batches"
(4) and "accumulate" (1). All else must be there, and nothing more.
"""

import json
from dataclasses import dataclass, field, replace

from ..config import MODEL_FIELDS, TRAIN_FIELDS, Field, GPTConfig, TrainConfig, shown
from ..data import BYTES, CHARACTERS, TOKENIZERS, Corpus
from . import strict
from .decoding import decode
from .strict import check_keys, check_list, check_text

MAX_CONFIG = 100_000  # bytes
INTERVAL_FIELDS = (
    Field(
        "sample_interval",
        "sample_interval",
        (1, 10_000_000),
        "Sample every",
        "iterations between samples",
    ),
    Field(
        "checkpoint_interval",
        "checkpoint_interval",
        (1, 10_000_000),
        "Save every",
        "iterations between saved states",
    ),
)
FIXED = {"tie_embeddings": True, "dtype": "float32"}  # what a model has no choice of
NAME = r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,60}"
PLAIN = [f for f in (*TRAIN_FIELDS, *INTERVAL_FIELDS) if "[" not in f.key]
OPTIONAL = "min_learning_rate", "warmup_steps", "eval_batches", "accumulate"


@dataclass(frozen=True)
class Setup:
    """A model and how it is trained: what a config file or a preset holds."""

    name: str = "shakespeare"
    tokenizer: str = CHARACTERS
    model: GPTConfig = field(default_factory=GPTConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    sample_interval: int = 200
    checkpoint_interval: int = 200
    vocab_given: int | None = field(default=None, compare=False)  # what a file says it is

    def on(self, corpus: Corpus) -> "Setup":
        """The setup with a text's vocabulary size. ValueError if its tokenizer is another."""
        if self.tokenizer != corpus.tokenizer:
            raise ValueError(
                f"tokenizer is {self.tokenizer!r}, and {corpus.name!r} is read as "
                f"{corpus.tokenizer!r}. Prepare it with --tokenizer {self.tokenizer}."
            )
        return replace(self, model=replace(self.model, vocab_size=corpus.vocab_size))


def loads(raw: bytes, base: Setup | None = None) -> Setup:
    """The setup of a file; a part that it lacks is that of `base`. ValueError names the key."""
    if len(raw) > MAX_CONFIG:
        raise ValueError(f"The file has {len(raw):,} bytes; a config has {MAX_CONFIG:,} at most.")
    try:
        value = strict.parse_text(decode(raw))
    except strict.NotJSON as error:
        raise ValueError(f"It is no config: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"It is {shown(value)}; it must be an object.")
    setup = base or Setup()
    if {"model", "training"} & value.keys():
        check_keys("it", value, value.keys() & {"model", "training"})
        parts = value.get("model"), value.get("training")
    elif "n_layers" in value or "model_name" in value:
        parts = value, None
    else:
        parts = None, value
    if parts[0] is not None:
        setup = _model(parts[0], setup)
    if parts[1] is not None:
        setup = _training(parts[1], setup)
    return setup


def _model(value: object, setup: Setup) -> Setup:
    keys = *(f.key for f in MODEL_FIELDS if f.name != "vocab_size"), *FIXED
    optional = "model_name", "vocab_size", "tokenizer"
    check_keys("model", value, (*keys, *_given(value, optional)))
    given = value.get("vocab_size")
    if "vocab_size" not in value:
        tokenizer = value.get("tokenizer", setup.tokenizer)
        size = 256 if tokenizer == BYTES else setup.model.vocab_size  # until the text is there
        value = value | {"vocab_size": size, "tokenizer": tokenizer}
    value = {"model_name": "custom"} | value
    check_text("model_name", value["model_name"], NAME, "a name of 1 to 60 characters")
    for key, only in FIXED.items():
        if value[key] is not only and value[key] != only:
            raise ValueError(
                f"{key} is {json.dumps(value[key]):.40}; it can only be {json.dumps(only)}."
            )
    numbers = {f.name: f.read(value[f.key], f.key) for f in MODEL_FIELDS}
    tokenizer = value.get("tokenizer", BYTES if value["vocab_size"] == 256 else CHARACTERS)
    check_text("tokenizer", tokenizer, "|".join(TOKENIZERS), " or ".join(map(repr, TOKENIZERS)))
    if tokenizer == BYTES and value["vocab_size"] != 256:
        raise ValueError(f"vocab_size is {value['vocab_size']}; there are 256 bytes.")
    if value["d_model"] % value["n_heads"]:
        raise ValueError(
            f"d_model is {value['d_model']} and n_heads is {value['n_heads']}; "
            "the width must divide evenly among the heads."
        )
    name = value["model_name"]
    model = GPTConfig(**numbers)
    return replace(setup, name=name, tokenizer=tokenizer, model=model, vocab_given=given)


def _training(value: object, setup: Setup) -> Setup:
    needed = [f.key for f in PLAIN if f.key not in OPTIONAL]
    keys = *needed, "optimizer", "betas", "seed"
    check_keys("training", value, (*keys, *_given(value, OPTIONAL)))
    if value["optimizer"] != "adamw":
        raise ValueError(
            f'optimizer is {json.dumps(value["optimizer"]):.40}; it can only be "adamw".'
        )
    check_list("betas", value["betas"], 2)
    values = {f"betas[{i}]": beta for i, beta in enumerate(value["betas"])}
    values |= {
        "min_learning_rate": value["learning_rate"],
        "warmup_steps": 0,
        "eval_batches": TrainConfig.eval_batches,
        "accumulate": 1,
    }
    values |= value
    train = {f.name: f.read(values[f.key], f.key) for f in TRAIN_FIELDS}
    intervals = {f.name: f.read(values[f.key], f.key) for f in INTERVAL_FIELDS}
    if train["min_lr"] > train["lr"]:
        raise ValueError(
            f"min_learning_rate is {train['min_lr']:g}, above learning_rate, which is "
            f"{train['lr']:g}."
        )
    if isinstance(value["seed"], bool) or not isinstance(value["seed"], int | str):
        raise ValueError(f"seed is {shown(value['seed'])}; it must be text or a number.")
    return replace(setup, train=TrainConfig(seed=str(value["seed"]), **train), **intervals)


def _given(value: object, keys: tuple[str, ...]) -> list[str]:
    return [key for key in keys if isinstance(value, dict) and key in value]


def as_json(setup: Setup) -> dict:
    """The setup as a config file has it, in full."""
    model = {f.key: getattr(setup.model, f.name) for f in MODEL_FIELDS}
    numbers = {f.key: getattr(setup.train, f.name) for f in TRAIN_FIELDS if "[" not in f.key}
    seed = setup.train.seed
    # a number only where JavaScript, which rounds those beyond 2^53, reads it as it is
    is_number = seed.isdecimal() and seed == str(int(seed)) and int(seed) < 2**53
    training = numbers | {
        "optimizer": "adamw",
        "betas": [setup.train.beta1, setup.train.beta2],
        "sample_interval": setup.sample_interval,
        "checkpoint_interval": setup.checkpoint_interval,
        "seed": int(seed) if is_number else seed,
    }
    model = {"model_name": setup.name, **model, **FIXED, "tokenizer": setup.tokenizer}
    return {"model": model, "training": training}


def dumps(setup: Setup) -> str:
    """The file, for people: indented."""
    return json.dumps(as_json(setup), indent=2) + "\n"
