"""The state file, `.state`: a run in the middle, to be continued elsewhere to the bit.

    bytes 0 to 511   compact ASCII JSON, padded with spaces:
                     {"format":"groundling-state-v2","iter":100,"metaBytes":9880,"records":100,
                     "sampleBytes":120,"floats":618048,"sha256":"…",
                     "createdAt":"2026-11-21T08:00:00.000Z"}
    from byte 512    metaBytes of compact ASCII JSON, padded with spaces to a multiple of eight: the
                     configurations, AdamW's step, where the random streams are, each change of the
                     code on the way, which text and code it was, and, of a run that began with the
                     weights of a file, which those were
    after it         a record of each iteration: five little-endian float64, the columns of
                     records.COLUMNS; the last, val, is not a number where there was no evaluation
    after them       sampleBytes: of each sample a line of compact ASCII JSON, [iter,loss,"text"],
                     padded with spaces to a multiple of eight
    after them       little-endian float32: the weights, then AdamW's m, then its v, each in the
                     order of model.parameter_shapes

`sha256` is of all that follows the header. A file that is anything else is refused, by a
CheckpointError that says what is wrong and where. In files of `groundling-state-v1`, which can be
read too, records and samples are in the JSON.

The two ways to keep a run: `save_weights` for the model alone (a `.bin`: to let it write, to share
it), `save_state` for the whole run (three times as large: to train on exactly).
"""

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain

import numpy as np

from ..config import (
    TRAIN_LIMITS,
    Change,
    GPTConfig,
    TrainConfig,
    begun_with,
    changed,
    check_changes,
)
from ..data import Corpus, known_vocabulary
from ..devices.base import Device
from ..engine.parameters import parameter_count
from ..model import parameter_shapes
from ..rng import Stream
from ..sources import code_hash
from . import checkpoint, strict, texts
from .checkpoint import HEADER_BYTES, Checkpoint, CheckpointError, joined
from .configfile import Setup
from .records import COLUMNS, ROW, Log
from .run import STREAMS, Origin, Run, State
from .samples import Sample
from .strict import ANY, COUNT, FINITE, HASH, LOSS, TEXT, TIME, WORD, check, each, or_none
from .texts import Manifest, check_manifest, manifest

FORMAT, FORMAT_1 = "groundling-state-v2", "groundling-state-v1"
HEADER_1 = {"format": TEXT, "sha256": HASH, "createdAt": TIME}
HEADER_1 |= dict.fromkeys(("iter", "metaBytes", "floats"), COUNT)
HEADER = HEADER_1 | {"records": COUNT, "sampleBytes": COUNT}


@dataclass
class Saved:
    """What a state file holds: a run's state, and what it was trained on."""

    state: State
    vocab_hash: str
    corpus_hash: str  # SHA-256 of the text
    code_hash: str  # as sources.code_hash gives it
    device: str  # the adapter, for people
    created_at: str
    dataset: Manifest | None = None  # which text that was; None in files from before there was one
    vocab: str | None = None  # as in a Checkpoint


class OtherOrigin(CheckpointError):
    """The state is of other code or another text (see `differences`): resuming is not exact."""

    def __init__(self, differences: list[str]):
        super().__init__(" ".join(differences))
        self.differences = differences


def save_weights(run: Run) -> bytes:
    """The run's weights as a `.bin`."""
    return checkpoint.dumps(run.checkpoint())


def save_state(run: Run) -> bytes:
    """The whole run as a state file. It must not be in the middle of `train`; see Run.state."""
    return joined(stream_run(run))


def stream_run(run: Run) -> Iterator[tuple[int, bytes | memoryview]]:
    """The same in pieces, as the device gives them; see `stream`."""
    return stream(facts(run), run.floats())


def snapshot(run: Run) -> Saved:
    """The whole run, as of now."""
    saved = facts(run)
    saved.state = run.state()
    return saved


def facts(run: Run) -> Saved:
    """The run as of now, with empty weights, m and v."""
    hashes = run.corpus.vocab_hash, run.corpus.sha256, run.code_hash
    dataset = manifest(run.corpus, run.config.seed)
    vocab = None if known_vocabulary(run.corpus.vocab_hash) else run.corpus.vocab
    return Saved(run.facts(), *hashes, device_of(run), checkpoint.now(), dataset, vocab)


def device_of(run: Run) -> str:
    """The run's device, for people."""
    return f"{run.device.name}: {run.device.description}"


def file_name(seed: str, iter: int, config: GPTConfig = checkpoint.DEFAULT) -> str:
    """As checkpoint.file_name, ending in .state."""
    return checkpoint.file_name(seed, iter, config).removesuffix(".bin") + ".state"


def load_state(data: bytes, corpus: Corpus, device: Device, anyway: bool = False) -> Run:
    """The run in a state file, ready to `train`. CheckpointError; OtherOrigin unless anyway."""
    return resume(loads(data), corpus, device, anyway)


def resume(saved: Saved, corpus: Corpus, device: Device, anyway: bool = False) -> Run:
    """The run of a state that was read; see load_state."""
    if (saved.vocab_hash, saved.state.model.vocab_size) != (corpus.vocab_hash, corpus.vocab_size):
        its = f"{saved.dataset.name!r}" if saved.dataset else "another text"
        raise CheckpointError(
            f"The state's vocabulary is not that of {corpus.name!r}: it was trained on {its}, and "
            "cannot go on without it. Open that text first."
        )
    differences = []
    if saved.corpus_hash != corpus.sha256:
        differences.append(
            f"The text is another one: the state was trained on one of SHA-256 "
            f"{saved.corpus_hash[:12]}…, and that of {corpus.name!r} is {corpus.sha256[:12]}…. "
            "To go on with its own text, open that first."
        )
        if saved.dataset:
            differences += texts.differences(saved.dataset, corpus)
    if saved.code_hash != code_hash():
        differences.append(
            f"The code is other code: the state was made by {saved.code_hash[:12]}…, and this is "
            f"{code_hash()[:12]}…. What it computes from here on may differ."
        )
    if differences and not anyway:
        raise OtherOrigin(differences)
    run = Run(saved.state.config, corpus, device, saved.state.model, saved.state.weights)
    run.restore(saved.state)
    return run


def is_state(data: bytes) -> bool:
    """Whether the file says that it is a state, of any version."""
    return bytes(data[:32]).startswith(b'{"format":"groundling-state-')


def weights_of(saved: Saved) -> Checkpoint:
    """The weights in a state, as the run would have saved them in a `.bin`."""
    state = saved.state
    return Checkpoint(
        config=state.model,
        seed=state.config.seed,
        iter=state.iter,
        val_loss=state.val_loss,
        vocab_hash=saved.vocab_hash,
        created_at=saved.created_at,
        weights=state.weights,
        vocab=saved.vocab,
    )


def dumps(saved: Saved) -> bytes:
    """The bytes of the file. CheckpointError for what `loads` would refuse."""
    return joined(stream(saved))


def stream(
    saved: Saved, floats: Iterable[np.ndarray] | None = None
) -> Iterator[tuple[int, bytes | memoryview]]:
    """The file in pieces with their offsets, the header last. `floats` are the weights, m and v, in
    pieces, by default those in `saved`. CheckpointError, perhaps on the way, for what `loads` would
    refuse.
    """
    state = saved.state
    floats = (state.weights, state.m, state.v) if floats is None else floats
    log, meta = Log(state.first, state.log), dump_meta(saved)
    shapes = parameter_shapes(read_meta(meta, saved.created_at).state.model)
    check_log(log, state.first, state.iter)
    samples = dump_samples(state.samples)
    samples += b" " * (-len(samples) % 8)
    digest, at = hashlib.sha256(), HEADER_BYTES
    body = chain([meta], map(rows_bytes, log.blocks()), [samples], check_floats(floats, shapes))
    for piece in body:
        digest.update(piece)
        yield at, piece
        at += len(piece)
    header = {
        "format": FORMAT,
        "iter": state.iter,
        "metaBytes": len(meta),
        "records": len(log),
        "sampleBytes": len(samples),
        "floats": 3 * parameter_count(shapes),
        "sha256": digest.hexdigest(),
        "createdAt": saved.created_at,
    }
    yield 0, strict.dumps(header).encode("ascii").ljust(HEADER_BYTES)


def check_floats(
    floats: Iterable[np.ndarray], shapes: dict[str, tuple[int, ...]]
) -> Iterator[memoryview]:
    """The bytes of weights, m and v, in pieces, each checked. CheckpointError."""
    floats, count = iter(floats), parameter_count(shapes)
    for what in ("weights", "m"):
        yield from checkpoint.finite(_some(floats, count), shapes, what)
    yield from checkpoint.finite(_squares(_some(floats, count)), shapes, "v")


def _squares(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Pieces of v, each checked. CheckpointError."""
    start = 0
    for piece in pieces:
        check_squares(piece, start)
        yield piece
        start += piece.size


def _some(floats: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """The pieces of the next `count` numbers."""
    while count > 0 and (piece := next(floats, None)) is not None:
        count -= piece.size
        yield piece


def rows_bytes(rows: np.ndarray) -> bytes:
    """Rows of a log as a file has them."""
    return rows.astype("<f8", copy=False).tobytes()


def loads(data: bytes) -> Saved:
    """Read the file. CheckpointError."""
    header = checkpoint.read_header(data, FORMAT, FORMAT_1)
    is_v1 = header["format"] == FORMAT_1
    try:
        check("it", header, HEADER_1 if is_v1 else HEADER)
    except ValueError as error:
        raise CheckpointError(f"The file's header is wrong: {error}") from None
    if is_v1:
        header |= {"records": 0, "sampleBytes": 0}
    parts = header["metaBytes"], ROW * header["records"], header["sampleBytes"]
    start = HEADER_BYTES + sum(parts)
    found, expected = len(data), start + 4 * header["floats"]
    if found != expected:
        what = "missing; it was cut short" if found < expected else "too many"
        raise CheckpointError(
            f"The file has {found:,} bytes; its header says {expected:,}. "
            f"{abs(found - expected):,} are {what}."
        )
    view = memoryview(data)
    digest = hashlib.sha256(view[HEADER_BYTES:]).hexdigest()
    if digest != header["sha256"]:
        raise CheckpointError(
            f"The file is damaged: from byte {HEADER_BYTES} on its SHA-256 is {digest[:12]}…, and "
            f"its header says {header['sha256'][:12]}…."
        )
    at = HEADER_BYTES
    meta, rows, samples = (bytes(view[at : (at := at + size)]) for size in parts)
    saved = read_meta(meta, header["createdAt"], is_v1)
    if not is_v1:
        saved.state.log = log_of(rows, saved.state.first, saved.state.iter)
        saved.state.samples = read_samples(samples)
    check_sizes(saved, header)
    set_floats(saved, np.frombuffer(data, "<f4", offset=start).astype(np.float32))
    return saved


def check_sizes(saved: Saved, header: dict) -> None:
    """CheckpointError unless the facts match the header's numbers of iterations and floats."""
    count = parameter_count(parameter_shapes(saved.state.model))
    if header["floats"] != 3 * count:
        raise CheckpointError(
            f"The file's header is wrong: floats is {header['floats']:,}; a model of {count:,} "
            f"parameters has {3 * count:,}: its weights, m and v."
        )
    if header["iter"] != saved.state.iter:
        raise CheckpointError(
            f"The file's header is wrong: iter is {header['iter']}, and {saved.state.iter} at byte "
            f"{HEADER_BYTES} and on."
        )


def set_floats(saved: Saved, floats: np.ndarray) -> None:
    """Set the weights, m and v of a state from one array. CheckpointError, with the place."""
    state, shapes = saved.state, parameter_shapes(saved.state.model)
    state.weights, state.m, state.v = floats.reshape(3, -1)
    for what in ("weights", "m", "v"):
        checkpoint.check_finite(getattr(state, what), shapes, what)
    check_squares(state.v)


def check_squares(v: np.ndarray, start: int = 0) -> None:
    """CheckpointError for a v below 0, or one of its numbers from `start` on."""
    if (v < 0).any():
        at = int((v < 0).argmax())
        raise CheckpointError(
            f"Float {start + at:,} of v is {v[at]}; an average of squares is never below 0."
        )


META = {  # in the order of the file
    "model": ANY,
    "config": ANY,
    "first": COUNT,
    "iter": COUNT,
    "val_loss": or_none(LOSS),
    "step": TRAIN_LIMITS["iters"],
    "streams": {name: [WORD] * 4 for name in STREAMS},
    "vocab_hash": HASH,
    "corpus_hash": HASH,
    "code_hash": HASH,
    "device": TEXT,
    "dataset": or_none(lambda name, value: check_manifest(value)),
    "vocab": ANY,
    "edits": ANY,
    "changes": ANY,
    "sample_every": (0, 10_000_000),
}
ORIGIN = {"weights": HASH, "seed": TEXT, "iter": COUNT, "drawn": TEXT}
META_1 = META | {"samples": ANY, "log": ANY}


def dump_meta(saved: Saved) -> bytes:
    """The facts of a state, without its log, samples and floats."""
    facts = vars(saved) | vars(saved.state)
    for name in ("model", "config", "dataset"):
        facts[name] = facts[name] and asdict(facts[name])
    facts["streams"] = {name: facts[name] for name in STREAMS}
    meta = {name: facts[name] for name in META}
    if saved.state.origin:
        meta["origin"] = asdict(saved.state.origin)
    meta = strict.dumps(meta).encode("ascii")
    return meta + b" " * (-len(meta) % 8)


def read_meta(raw: bytes, created_at: str, is_v1: bool = False) -> Saved:
    """The facts, checked; in the first version with log and samples. CheckpointError."""
    try:
        meta = strict.parse(raw)
    except strict.NotJSON as error:
        raise CheckpointError(
            f"The file's state is wrong: byte {HEADER_BYTES + error.at} {error.problem}"
        ) from None
    except ValueError as error:
        raise CheckpointError(f"The file's state is wrong: {error}") from None
    try:
        if is_v1 and isinstance(meta, dict):
            meta.setdefault("edits", [])  # files from before code could change on the way lack it
            meta.setdefault("dataset", None)  # and from before there were texts of one's own, these
            meta.setdefault("vocab", None)
            meta.setdefault("changes", [])  # and from before settings could change, this
            meta.setdefault("sample_every", Setup.sample_interval)
        _add_sampling(meta)
        origin = meta.pop("origin", None) if isinstance(meta, dict) else None
        if origin is not None:
            check("origin", origin, ORIGIN)
        check("it", meta, META_1 if is_v1 else META)
        check("first", meta["first"], (0, meta["iter"]))
        check("edits", meta["edits"], each([(0, meta["iter"]), TEXT]))
        model = strict.check_config("model", meta["model"], GPTConfig)
        config = strict.check_config("config", meta["config"], TrainConfig)
        dataset = None if meta["dataset"] is None else Manifest(**meta["dataset"])
        if dataset and dataset.dataset_id != meta["corpus_hash"]:
            raise ValueError("dataset.dataset_id is not corpus_hash.")
        if (vocab := meta["vocab"]) is not None:
            checkpoint.check_vocab("vocab", vocab, model.vocab_size, meta["vocab_hash"])
        state = State(
            model=model,
            config=config,
            **{name: meta[name] for name in ("first", "iter", "step", "sample_every")},
            val_loss=None if meta["val_loss"] is None else float(meta["val_loss"]),
            **{name: tuple(meta["streams"][name]) for name in STREAMS},
            log=_read_log(meta["log"], meta["first"], meta["iter"]) if is_v1 else Log(),
            samples=_read_samples(meta["samples"]) if is_v1 else [],
            edits=[(at, diff) for at, diff in meta["edits"]],
            changes=_read_changes(meta["changes"], config, meta["iter"]),
            origin=origin and Origin(**origin),
            **dict.fromkeys(("weights", "m", "v"), np.empty(0, np.float32)),
        )
    except ValueError as error:
        raise CheckpointError(f"The file's state is wrong: {error}") from None
    hashes = meta["vocab_hash"], meta["corpus_hash"], meta["code_hash"]
    return Saved(state, *hashes, meta["device"], created_at, dataset, meta["vocab"])


def _add_sampling(meta: object) -> None:
    """Files from before runs had samples lack that stream: begin it."""
    match meta:
        case {"streams": dict(streams), "config": {"seed": str(seed)}}:
            streams.setdefault("sampling", list(Stream(f"{seed}:sample").state))


def _read_changes(value: object, config: TrainConfig, iter: int) -> list[Change]:
    """The changes of a run's settings, which end with `config`."""
    try:
        begun = begun_with(config, value)
    except (TypeError, ValueError):
        begun = config  # the check says what is wrong
    changes = check_changes(value, begun, iter)
    if changed(begun, changes, iter) != config:
        raise ValueError("changes do not end with config.")
    return changes


# What a number of the log may be. A gradient's norm can overflow in float32, and then a loss can:
# JSON had null for that.
LOG = {"train": FINITE, "smooth": FINITE, "lr": FINITE, "grad_norm": (0.0, math.inf)}
VAL = 0.0, math.inf


def log_of(rows: bytes, first: int, iter: int) -> Log:
    """The log in a file's rows. CheckpointError."""
    log = Log.of_rows(first, np.frombuffer(rows, "<f8").reshape(-1, len(COLUMNS)))
    check_log(log, first, iter)
    return log


def check_log(log: Log, first: int, iter: int) -> None:
    """CheckpointError unless it has a record of each iteration, and each number is in its range."""
    if len(log) != iter - first:
        raise CheckpointError(
            f"The log has {len(log):,} records; from iter {first:,} to {iter:,} there must be "
            f"{iter - first:,}."
        )
    check_rows(log.blocks(), first)


def check_rows(blocks: Iterable[np.ndarray], at: int) -> None:
    """CheckpointError unless these rows of a log, from iter `at` on, are in range."""
    for rows in blocks:
        for name, numbers in zip(COLUMNS, rows.T, strict=True):
            low, high = LOG.get(name, VAL)
            good = (numbers >= low) & (numbers <= high)
            if name == "val":
                good |= np.isnan(numbers)
            if not good.all():
                i = int(good.argmin())
                raise CheckpointError(
                    f"The log is wrong: {name} of iter {at + i:,} is {numbers[i]}."
                )
        at += len(rows)


def _read_log(log: object, first: int, iter: int) -> Log:
    """The log in the JSON of a file of the first version."""
    rules = {name: each((low, LOSS[1]), iter - first) for name, (low, _) in LOG.items()}
    rules |= {"grad_norm": each(or_none(LOSS), iter - first), "val": each([COUNT, LOSS])}
    check("log", log, rules)
    rows, last = np.full((iter - first, len(COLUMNS)), math.nan), first - 1
    for i, pair in enumerate(log["val"]):
        check(f"log.val[{i}][0]", pair[0], (last + 1, iter - 1))
        last = pair[0]
        rows[last - first, COLUMNS.index("val")] = pair[1]
    for name in LOG:
        rows[:, COLUMNS.index(name)] = [math.inf if x is None else x for x in log[name]]
    return Log.of_rows(first, rows)


def dump_samples(samples: Iterable[Sample]) -> bytes:
    """Samples as a file has them: a line of each."""
    lines = (strict.dumps([one.iter, one.loss, one.text]) + "\n" for one in samples)
    return "".join(lines).encode("ascii")


def read_samples(raw: bytes) -> list[Sample]:
    """The samples of such lines. CheckpointError."""
    try:
        return _read_samples([strict.parse(line) for line in raw.splitlines() if line.strip()])
    except ValueError as error:
        raise CheckpointError(f"The samples are wrong: {error}") from None


def _read_samples(samples: object) -> list[Sample]:
    check("samples", samples, each([COUNT, or_none(LOSS), TEXT]))
    return [Sample(it, None if loss is None else float(loss), text) for it, loss, text in samples]
