"""What defines a model (GPTConfig) and a training run (TrainConfig): plain values, checked once."""

import json
import reprlib
from dataclasses import dataclass, replace

MAX_SEED = 200  # characters, as ASCII JSON: what a checkpoint's 512-byte header always has room for


@dataclass(frozen=True)
class Field:
    """A hyperparameter: its name in Python, its key in a config file, its range (inclusive; ints if
    it is an integer), its label, and a description. The page's form and the command line's help
    show them.
    """

    name: str
    key: str
    limits: tuple[float, float]
    label: str
    about: str

    def read(self, value: object, key: str = "") -> int | float:
        """The value as an int or a float, as the limits are. Every source of settings is read by
        this. Raises ValueError, with the key or else the name, for any other value.
        """
        check_number(key or self.name, value, self.limits)
        return type(self.limits[0])(value)


MODEL_FIELDS = (
    Field("vocab_size", "vocab_size", (1, 2**21), "Vocabulary", "number of distinct tokens"),
    Field("block_size", "context_length", (1, 2**16), "Context", "context length in tokens"),
    Field("n_layer", "n_layers", (1, 256), "Layers", "number of transformer blocks"),
    Field("n_head", "n_heads", (1, 256), "Heads", "number of attention heads per block"),
    Field("n_embd", "d_model", (1, 2**16), "Width", "width of the residual stream"),
    Field("d_ff", "d_mlp", (1, 2**18), "MLP width", "width of each MLP's hidden layer"),
    Field("dropout", "dropout", (0.0, 0.99), "Dropout", "probability of zeroing an activation"),
)
TRAIN_FIELDS = (
    Field("iters", "max_steps", (0, 10_000_000), "Iterations", "number of training iterations"),
    Field("batch_size", "batch_size", (1, 4096), "Batch size", "sequences per iteration"),
    Field(
        "accumulate",
        "accumulate",
        (1, 4096),
        "Accumulation steps",
        "parts that a batch is split into, to save memory; their gradients add up",
    ),
    Field("lr", "learning_rate", (0.0, 1000.0), "Peak learning rate", "peak learning rate"),
    Field(
        "min_lr",
        "min_learning_rate",
        (0.0, 1000.0),
        "Final learning rate",
        "learning rate at the last iteration",
    ),
    Field("warmup", "warmup_steps", (0, 10_000_000), "Warm-up", "iterations of linear warm-up"),
    Field("beta1", "betas[0]", (0.0, 0.999999), "Beta 1", "AdamW's decay rate for the gradient"),
    Field("beta2", "betas[1]", (0.0, 0.999999), "Beta 2", "AdamW's decay rate for its square"),
    Field("eps", "eps", (1e-30, 1.0), "Epsilon", "term added to AdamW's denominator"),
    Field("weight_decay", "weight_decay", (0.0, 1000.0), "Weight decay", "AdamW's weight decay"),
    Field("grad_clip", "grad_clip", (1e-6, 1e6), "Gradient clipping", "maximum gradient norm"),
    Field(
        "eval_interval",
        "eval_interval",
        (1, 10_000_000),
        "Evaluate every",
        "iterations between evaluations",
    ),
    Field(
        "eval_batches", "eval_batches", (1, 10_000), "Evaluation batches", "batches per evaluation"
    ),
)
MODEL_LIMITS = {field.name: field.limits for field in MODEL_FIELDS}
TRAIN_LIMITS = {field.name: field.limits for field in TRAIN_FIELDS}
SETTLED = "seed", "batch_size", "accumulate"  # fixed once a run has begun
CHANGEABLE = {field.name: field for field in TRAIN_FIELDS if field.name not in SETTLED}
Change = tuple[int, str, float, float]
"""From which iteration on, which setting, what it was, and what it is."""


def shown(value: object) -> str:
    """A value as a sentence can have it: of a long one, how it begins."""
    text = reprlib.repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def check_number(name: str, value: object, limits: tuple[float, float]) -> None:
    """ValueError unless value is a number within limits; a whole one where the limits are."""
    low, high = limits
    whole = isinstance(low, int)
    good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not (good and low <= value <= high):  # a NaN fails the comparison
        kind = "a whole number" if whole else "a number"
        span = f"from {low:,} to {high:,}" if whole else f"from {low:g} to {high:g}"
        raise ValueError(f"{name} is {shown(value)}; it must be {kind} {span}.")


def _read(config: object, fields: tuple[Field, ...]) -> None:
    for field in fields:
        object.__setattr__(config, field.name, field.read(getattr(config, field.name)))


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a model. The defaults are `shakespeare`: 206,016 parameters."""

    vocab_size: int = 65  # V, characters
    block_size: int = 64  # T, the context: how many characters the model sees
    n_layer: int = 4
    n_head: int = 4
    n_embd: int = 64  # C, the width of the residual stream
    d_ff: int = 256  # the width of the MLP's hidden layer
    dropout: float = 0.0

    def __post_init__(self):
        _read(self, MODEL_FIELDS)
        if self.n_embd % self.n_head:
            raise ValueError(
                f"n_embd is {self.n_embd} and n_head is {self.n_head}; "
                "the width must divide evenly among the heads."
            )


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. The defaults are the run that the page starts."""

    seed: str = "hamlet"  # names every random number of the run
    iters: int = 2000
    batch_size: int = 32  # B, sequences a step
    accumulate: int = 1  # parts of a batch, one after the other, where it does not fit at once
    # learning rate: linear warmup to lr, then a cosine down to min_lr at the last iteration
    lr: float = 3e-4
    min_lr: float = 3e-5
    warmup: int = 100
    # AdamW
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 0.1
    grad_clip: float = 1.0  # the gradient's largest global norm
    # evaluation: every eval_interval iterations and at the last, the mean of eval_batches batches
    eval_interval: int = 50
    eval_batches: int = 4

    def __post_init__(self):
        _read(self, TRAIN_FIELDS)
        if not isinstance(self.seed, str):
            raise ValueError(f"seed is {shown(self.seed)}; it must be text.")
        if (length := len(json.dumps(self.seed)) - 2) > MAX_SEED:
            raise ValueError(
                f"seed takes {length} characters as ASCII JSON; it may take {MAX_SEED} at most, "
                "or it would not fit the header of a saved file."
            )
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch_size is {self.batch_size} and accumulate is {self.accumulate}; "
                "the batch must divide evenly into its parts."
            )
        if self.min_lr > self.lr:
            raise ValueError(
                f"min_lr is {self.min_lr:g}, above lr, which is {self.lr:g}; "
                "the learning rate falls from lr to min_lr."
            )


def with_peak(config: TrainConfig, lr: float) -> TrainConfig:
    """The run with another peak rate; a constant one stays constant. ValueError if out of range."""
    lr = CHANGEABLE["lr"].read(lr)
    min_lr = lr if config.min_lr == config.lr else min(config.min_lr, lr)
    return replace(config, lr=lr, min_lr=min_lr)


def begun_with(config: TrainConfig, changes: list[Change]) -> TrainConfig:
    """What a run began with whose settings were changed to these on the way."""
    return replace(config, **{name: was for _, name, was, _ in reversed(changes)})


def changed(config: TrainConfig, changes: list[Change], it: int) -> TrainConfig:
    """What holds at an iteration of a run that began with these and was changed on the way."""
    return replace(config, **{name: new for at, name, _, new in changes if at <= it})


def check_changes(value: object, begun: TrainConfig, iter: int) -> list[Change]:
    """A run's changes from JSON: in order, up to `iter`, each from what it was. ValueError."""
    changes: list[Change] = []
    if not isinstance(value, list):
        raise ValueError(f"changes is {shown(value)}; it must be a list.")
    now = vars(begun).copy()
    for i, row in enumerate(value):
        if not isinstance(row, list) or len(row) != 4:
            raise ValueError(f"changes[{i}] is {shown(row)}; it must be a list of 4.")
        at, name, was, new = row
        check_number(f"changes[{i}][0]", at, (changes[-1][0] if changes else 0, iter))
        if not isinstance(name, str) or name not in CHANGEABLE:
            raise ValueError(f"changes[{i}] is of {shown(name)}, which cannot change.")
        was, new = (CHANGEABLE[name].read(x, f"changes[{i}] of {name}") for x in (was, new))
        if was != now[name]:
            raise ValueError(f"changes[{i}] is from {name} {was:g}, and it was {now[name]:g}.")
        now[name] = new
        changes.append((at, name, was, new))
    for at in {at for at, *_ in changes}:  # those of one iteration are made together
        changed(begun, changes, at)
    return changes
