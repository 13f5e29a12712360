"""The weights file, `.bin`: who the model is, in 512 bytes one can read, then its weights.

    bytes 0 to 511   compact ASCII JSON, padded with spaces:
                     {"format":"tinker-m18-v1","config":{"vocabSize":65,"contextLen":64,"dModel":64,
                     "nHead":4,"nLayer":4,"dFF":256},"seed":"hamlet","vocabHash":"a2b8…","iter":200,
                     "valLoss":2.81,"createdAt":"2026-11-21T08:00:00.000Z"}
    from byte 512    little-endian float32, every parameter in the order of model.parameter_shapes
    after them       the vocabulary, unless it is tiny-shakespeare's or the 256 bytes, which
                     vocabHash is enough to name: compact ASCII JSON, {"vocab":"…"}, its characters
                     in the order of their tokens

A file that is anything else is refused, by a CheckpointError that says what is wrong and where.
"""

import hashlib
import io
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from ..config import MODEL_LIMITS, GPTConfig, shown
from ..data import Vocabulary, known_vocabulary
from ..engine.parameters import parameter_count
from ..model import parameter_shapes
from . import strict
from .strict import COUNT, HASH, LOSS, TEXT, TIME, NotJSON, check, check_text, or_none

FORMAT = "tinker-m18-v1"
HEADER_BYTES = 512
CONFIG_KEYS = {
    "vocabSize": "vocab_size",
    "contextLen": "block_size",
    "dModel": "n_embd",
    "nHead": "n_head",
    "nLayer": "n_layer",
    "dFF": "d_ff",
}
HEADER = {
    "format": TEXT,
    "config": {key: MODEL_LIMITS[name] for key, name in CONFIG_KEYS.items()},
    "seed": TEXT,
    "vocabHash": HASH,
    "iter": COUNT,
    "valLoss": or_none(LOSS),
    "createdAt": TIME,
}
DEFAULT = GPTConfig()
SHAPE = tuple(
    zip("lhdftv", ["n_layer", "n_head", "n_embd", "d_ff", "block_size", "vocab_size"], strict=True)
)
MAX_TRAILER = 2**25  # bytes: every character there is, each as \uXXXX\uXXXX


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
    vocab: str | None = None  # what a file carries of the vocabulary; see `vocabulary`


def vocabulary(ckpt: Checkpoint) -> Vocabulary:
    """The model's vocabulary. CheckpointError if only the training text has it."""
    known = known_vocabulary(ckpt.vocab_hash)
    if known is None and ckpt.vocab is not None:
        known = Vocabulary(ckpt.vocab, "the file")
    if known is None or known.vocab_size != ckpt.config.vocab_size:
        raise CheckpointError(
            "The file does not say what its tokens stand for: it needs the text it was trained on."
        )
    return known


def now() -> str:
    """The time, UTC, as JavaScript's toISOString writes it: 2026-11-21T08:00:00.000Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def digest(weights: np.ndarray) -> str:
    """SHA-256 of weights as a file has them, in hexadecimal."""
    return hashlib.sha256(weights.astype("<f4", copy=False)).hexdigest()


def file_name(seed: str, iter: int, config: GPTConfig = DEFAULT) -> str:
    """tinker-shakespeare-{seed}-iter{N}.bin, the seed cut to 32 characters of [A-Za-z0-9_-].

    A model of another shape has its shape there instead: l4h4d128f512t128v256, for 4 layers, 4
    heads, width 128, MLP 512, context 128 and a vocabulary of 256.
    """
    who = "shakespeare"
    if any(getattr(config, name) != getattr(DEFAULT, name) for name in CONFIG_KEYS.values()):
        who = "".join(f"{letter}{getattr(config, name)}" for letter, name in SHAPE)
    return f"tinker-{who}-{re.sub('[^A-Za-z0-9_-]', '_', seed)[:32]}-iter{iter}.bin"


def dumps(ckpt: Checkpoint) -> bytes:
    """The bytes of the file. CheckpointError for what `loads` would refuse."""
    return joined(stream(ckpt))


def stream(ckpt: Checkpoint) -> Iterator[tuple[int, bytes | memoryview]]:
    """The file in pieces, each with its place in bytes: the header comes last, when the rest is
    written. CheckpointError, perhaps on the way, for what `loads` would refuse.
    """
    text = strict.dumps(
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
    header, trailer = text.encode("ascii").ljust(HEADER_BYTES), _trailer(ckpt)
    shapes = parameter_shapes(parse_header(header).config)
    at = HEADER_BYTES
    for piece in finite([ckpt.weights], shapes, "weights"):
        yield at, piece
        at += len(piece)
    if trailer:
        read_trailer(trailer, ckpt, at)
        yield at, trailer
    yield 0, header


def finite(
    numbers: Iterable[np.ndarray], shapes: dict[str, tuple[int, ...]], what: str
) -> Iterator[memoryview]:
    """The bytes of `what` of parameters of these shapes, in pieces, checked. CheckpointError."""
    count = parameter_count(shapes)
    at = 0
    for piece in numbers:
        check_finite(piece, shapes, what, at)
        at += piece.size
        yield memoryview(np.ascontiguousarray(piece, "<f4")).cast("B")
    if at != count:
        raise CheckpointError(f"There are {at:,} {what}; a model of such a shape has {count:,}.")


def joined(pieces: Iterable[tuple[int, bytes | memoryview]]) -> bytes:
    """The bytes of a file from its pieces."""
    file = io.BytesIO()
    for at, piece in pieces:
        file.seek(at)
        file.write(piece)
    return file.getvalue()


def loads(data: bytes, vocab_hash: str | None = None) -> Checkpoint:
    """Read the file; given vocab_hash, only one made with that vocabulary. CheckpointError."""
    ckpt = parse_header(data)
    shapes = parameter_shapes(ckpt.config)
    count = parameter_count(shapes)
    found, expected = len(data), HEADER_BYTES + 4 * count
    if found > expected and known_vocabulary(ckpt.vocab_hash) is None:
        ckpt.vocab = read_trailer(bytes(data[expected:]), ckpt, expected)
    elif found != expected:
        what = "missing; it was cut short" if found < expected else "too many"
        raise CheckpointError(
            f"The file has {found:,} bytes; its header says {count:,} weights, which make "
            f"{expected:,}. {abs(found - expected):,} are {what}."
        )
    if vocab_hash is not None:
        require_vocab(ckpt, vocab_hash)
    ckpt.weights = np.frombuffer(data, "<f4", count, HEADER_BYTES).astype(np.float32)
    check_finite(ckpt.weights, shapes, "weights")
    return ckpt


def trailer_bytes(ckpt: Checkpoint) -> int:
    """How many bytes follow the weights in the file."""
    return len(_trailer(ckpt))


def _trailer(ckpt: Checkpoint) -> bytes:
    if ckpt.vocab is None or known_vocabulary(ckpt.vocab_hash):
        return b""
    return strict.dumps({"vocab": ckpt.vocab}).encode("ascii")


def read_trailer(raw: bytes, ckpt: Checkpoint, at: int) -> str:
    """The vocabulary that follows the weights, at byte `at`. CheckpointError."""
    where = f"What follows the weights at byte {at:,} is no vocabulary"
    if len(raw) > MAX_TRAILER:
        raise CheckpointError(f"{where}: it has {len(raw):,} bytes, too many.")
    try:
        told = strict.parse(raw)
        check("it", told, {"vocab": TEXT})
        check_vocab("vocab", told["vocab"], ckpt.config.vocab_size, ckpt.vocab_hash)
    except ValueError as error:
        raise CheckpointError(f"{where}: {error}") from None
    return told["vocab"]


def check_vocab(name: str, vocab: object, size: int, vocab_hash: str) -> None:
    """ValueError unless vocab is that many characters in order, of that hash."""
    check_text(name, vocab)
    if len(vocab) != size or list(vocab) != sorted(set(vocab)):
        raise ValueError(f"{name} is not {size:,} different characters in order.")
    if Vocabulary(vocab).vocab_hash != vocab_hash:
        raise ValueError(f"{name} is not the one of vocabHash {vocab_hash[:12]}….")


def require_vocab(ckpt: Checkpoint, vocab_hash: str) -> None:
    """CheckpointError unless the model was made with that vocabulary."""
    if vocab_hash != ckpt.vocab_hash:
        raise CheckpointError(
            "The file belongs to another text: its vocabulary (vocabHash "
            f"{ckpt.vocab_hash[:12]}…) is not the one in use ({vocab_hash[:12]}…)."
        )


def parse_header(raw: bytes) -> Checkpoint:
    """The facts in the first 512 bytes of a file, without weights. CheckpointError."""
    header = read_header(raw, FORMAT)
    try:
        check("it", header, HEADER)
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


def read_header(data: bytes, *formats: str) -> dict:
    """The JSON in a file's first 512 bytes, of one of these formats, unchecked. CheckpointError."""
    if len(data) < HEADER_BYTES:
        raise CheckpointError(
            f"The file has {len(data):,} bytes, fewer than the {HEADER_BYTES} of a checkpoint's "
            "header. Is it the right file, and did all of it arrive?"
        )
    try:
        header = strict.parse(bytes(data[:HEADER_BYTES]))
    except NotJSON as error:
        raise CheckpointError(
            f"The file does not begin with a checkpoint's header: {error} Is it the right file?"
        ) from None
    except ValueError as error:
        raise CheckpointError(f"The file's header is wrong: {error}") from None
    if not isinstance(header, dict) or "format" not in header:
        raise CheckpointError("The file's header does not say its format. Is it the right file?")
    if header["format"] not in formats:
        raise CheckpointError(
            f"The file's format is {shown(header['format'])}; only {formats[0]!r} can be read."
        )
    return header


def check_finite(
    numbers: np.ndarray, shapes: dict[str, tuple[int, ...]], what: str, start: int = 0
) -> None:
    """CheckpointError, with the place, for a number that is not finite. `start`: the first one."""
    bad = ~np.isfinite(numbers)
    if not bad.any():
        return
    first = int(bad.argmax())
    at, count = start + first, parameter_count(shapes)
    some = "" if len(numbers) == count else "at least "  # the rest is not known yet
    for name, shape in shapes.items():
        if at < math.prod(shape):
            index = ", ".join(str(int(i)) for i in np.unravel_index(at, shape))
            raise CheckpointError(
                f"{name}[{index}] is {numbers[first]}: {some}{bad.sum():,} of the {count:,} "
                f"{what} are not finite numbers."
            )
        at -= math.prod(shape)
