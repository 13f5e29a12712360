"""The weights file, `.bin`: who the model is, in 512 bytes one can read, then its weights.

    bytes 0 to 511   compact ASCII JSON, padded with spaces:
                     {"format":"tinker-m18-v1","config":{"vocabSize":65,"contextLen":64,"dModel":64,
                     "nHead":4,"nLayer":4,"dFF":256},"seed":"hamlet","vocabHash":"a2b8…","iter":200,
                     "valLoss":2.81,"createdAt":"2026-11-21T08:00:00.000Z"}
    from byte 512    little-endian float32, every parameter in the order of model.parameter_shapes

A file that is anything else is refused, by a CheckpointError that says what is wrong and where.
"""

import json
import math
import re
import reprlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np

from .config import MODEL_LIMITS, GPTConfig, check_number
from .model import parameter_shapes

FORMAT = "tinker-m18-v1"
HEADER_BYTES = 512
TIME = "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9][.][0-9]{3}Z"
HEADER_KEYS = ("format", "config", "seed", "vocabHash", "iter", "valLoss", "createdAt")
CONFIG_KEYS = {
    "vocabSize": "vocab_size",
    "contextLen": "block_size",
    "dModel": "n_embd",
    "nHead": "n_head",
    "nLayer": "n_layer",
    "dFF": "d_ff",
}


class CheckpointError(ValueError):
    """A file or a checkpoint that is not what it should be; the message says what and where."""


@dataclass
class Checkpoint:
    """A model's weights and where they come from; what a `.bin` holds."""

    config: GPTConfig
    seed: str
    iter: int  # how many iterations it was trained for
    val_loss: float | None  # nats, at the last evaluation; None before the first
    vocab_hash: str  # SHA-256 of the vocabulary, in hexadecimal
    created_at: str  # as now() gives it
    weights: np.ndarray  # float32 (parameters,), in checkpoint order


def now() -> str:
    """The time, UTC, as JavaScript's toISOString writes it: 2026-11-21T08:00:00.000Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def file_name(seed: str, iter: int) -> str:
    """tinker-shakespeare-{seed}-iter{N}.bin, the seed cut to 32 characters of [A-Za-z0-9_-]."""
    return f"tinker-shakespeare-{re.sub('[^A-Za-z0-9_-]', '_', seed)[:32]}-iter{iter}.bin"


def dumps(ckpt: Checkpoint) -> bytes:
    """The bytes of the file. CheckpointError for what `loads` would refuse."""
    text = _json(
        {
            "format": FORMAT,
            "config": {key: getattr(ckpt.config, name) for key, name in CONFIG_KEYS.items()},
            "seed": ckpt.seed,
            "vocabHash": ckpt.vocab_hash,
            "iter": ckpt.iter,
            "valLoss": ckpt.val_loss,
            "createdAt": ckpt.created_at,
        }
    )
    if len(text) > HEADER_BYTES:
        raise CheckpointError(
            f"The header takes {len(text)} bytes and there is room for {HEADER_BYTES}: "
            f"the seed is too long by {len(text) - HEADER_BYTES}."
        )
    data = text.encode("ascii").ljust(HEADER_BYTES) + ckpt.weights.astype("<f4").tobytes()
    loads(data)
    return data


def loads(data: bytes, vocab_hash: str | None = None) -> Checkpoint:
    """Read the file; given vocab_hash, only one made with that vocabulary. CheckpointError."""
    if len(data) < HEADER_BYTES:
        raise CheckpointError(
            f"The file has {len(data):,} bytes, fewer than the {HEADER_BYTES} of a checkpoint's "
            "header. Is it the right file, and did all of it arrive?"
        )
    ckpt = _read_header(bytes(data[:HEADER_BYTES]))
    shapes = parameter_shapes(ckpt.config)
    count = sum(math.prod(shape) for shape in shapes.values())
    found, expected = len(data), HEADER_BYTES + 4 * count
    if found != expected:
        what = "missing; it was cut short" if found < expected else "too many"
        raise CheckpointError(
            f"The file has {found:,} bytes; its header says {count:,} weights, which make "
            f"{expected:,}. {abs(found - expected):,} are {what}."
        )
    if vocab_hash not in (None, ckpt.vocab_hash):
        raise CheckpointError(
            "The file belongs to another text: its vocabulary (vocabHash "
            f"{ckpt.vocab_hash[:12]}…) is not the one in use ({vocab_hash[:12]}…)."
        )
    ckpt.weights = np.frombuffer(data, "<f4", offset=HEADER_BYTES).astype(np.float32)
    _check_finite(ckpt.weights, shapes)
    return ckpt


def _read_header(raw: bytes) -> Checkpoint:
    """The header's facts, each one checked; the weights are still to come."""
    try:
        header = json.loads(raw.decode("ascii"), object_pairs_hook=_object, parse_constant=_refuse)
    except CheckpointError:
        raise
    except (ValueError, RecursionError) as error:
        at = getattr(error, "pos", getattr(error, "start", 0))  # of a JSON or a Unicode error
        raise CheckpointError(
            f"The file does not begin with a checkpoint's header: byte {at} is not what "
            "ASCII JSON has there. Is it the right file?"
        ) from None
    if not isinstance(header, dict) or "format" not in header:
        raise CheckpointError("The file's header does not say its format. Is it the right file?")
    if header["format"] != FORMAT:
        raise CheckpointError(
            f"The file's format is {reprlib.repr(header['format'])}; only {FORMAT!r} can be read."
        )
    try:
        _check_keys("it", header, HEADER_KEYS)
        _check_keys("config", header["config"], CONFIG_KEYS)
        for key, name in CONFIG_KEYS.items():
            check_number(f"config.{key}", header["config"][key], MODEL_LIMITS[name])
        check_number("iter", header["iter"], (0, 2**53))
        if header["valLoss"] is not None:
            check_number("valLoss", header["valLoss"], (0.0, sys.float_info.max))
        _check_text("seed", header["seed"], r"(?s).*", "text")
        _check_text("vocabHash", header["vocabHash"], "[0-9a-f]{64}", "64 hexadecimal digits")
        _check_text("createdAt", header["createdAt"], TIME, "a time like 2026-11-21T08:00:00.000Z")
        return Checkpoint(
            config=GPTConfig(**{name: header["config"][key] for key, name in CONFIG_KEYS.items()}),
            seed=header["seed"],
            iter=header["iter"],
            val_loss=None if header["valLoss"] is None else float(header["valLoss"]),
            vocab_hash=header["vocabHash"],
            created_at=header["createdAt"],
            weights=np.empty(0, np.float32),
        )
    except ValueError as error:
        raise CheckpointError(f"The file's header is wrong: {error}") from None


def _object(pairs: list[tuple[str, object]]) -> dict:
    """A JSON object in which every key comes once."""
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise CheckpointError(f"The file's header is wrong: it has {reprlib.repr(key)} twice.")
    return dict(pairs)


def _refuse(constant: str) -> None:
    raise CheckpointError(f"The file's header is wrong: {constant} is not a JSON number.")


def _check_keys(name: str, value: object, keys: Iterable[str]) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {reprlib.repr(value)}; it must be an object.")
    for key in keys:
        if key not in value:
            raise ValueError(f"{name} has no {key}.")
    for key in value:
        if key not in keys:
            raise ValueError(f"{name} has {reprlib.repr(key)}, which does not belong there.")


def _check_text(name: str, value: object, pattern: str, kind: str) -> None:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ValueError(f"{name} is {reprlib.repr(value)}; it must be {kind}.")


def _check_finite(weights: np.ndarray, shapes: dict[str, tuple[int, ...]]) -> None:
    bad = ~np.isfinite(weights)
    if not bad.any():
        return
    first = at = int(bad.argmax())
    for name, shape in shapes.items():
        if at < math.prod(shape):
            index = ", ".join(str(int(i)) for i in np.unravel_index(at, shape))
            raise CheckpointError(
                f"{name}[{index}] is {weights[first]}: {bad.sum():,} of the {len(weights):,} "
                "weights are not finite numbers."
            )
        at -= math.prod(shape)


def _json(value: object) -> str:
    """Compact ASCII JSON, numbers as JavaScript's JSON.stringify prints them."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{_json(v)}" for k, v in value.items()) + "}"
    return _javascript(value) if isinstance(value, float) else json.dumps(value)


def _javascript(x: float) -> str:
    """2 for 2.0, 0.00001 for 1e-05, 1e-7 for 1e-07: the digits are Python's, their layout is not.

    https://tc39.es/ecma262/#sec-numeric-types-number-tostring
    """
    if not math.isfinite(x):
        return "null"
    if x == 0:
        return "0"
    if 1e-6 <= abs(x) < 1e21:
        digits = f"{Decimal(repr(x)):f}"
        return digits.removesuffix(".0")
    return re.sub(r"(\.0)?e([+-])0*", r"e\2", repr(x))
