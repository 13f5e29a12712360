"""A run as a link: what it claims in a few hundred characters, and the check that it is so.

The fragment of the link is base64url of compact ASCII JSON: the two configurations (with the seed),
how far it trained, its validation loss, which text, code and adapter it was, and what came out: 64
of its training losses to the bit, a digest of all of them, and one of its weights. A run of edited
code has the edited files there too, and its JSON is deflated. `Replay` trains it again from nothing
and compares each recorded loss as it goes.

    link = claim(statefile.loads(data))    text = dumps(link)
    replay = Replay(loads(text), shakespeare(), open_device())
    for record, claimed in replay.train(): ...
    print(replay.verdict())

A link was written by anyone. What is not exactly a link is refused by a LinkError: nothing runs.
Its edits are put in force by live.load, once the person has read them and wants that, and never by
what is here.
"""

import base64
import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import numpy as np

from .. import sources
from ..config import (
    TRAIN_LIMITS,
    Change,
    GPTConfig,
    TrainConfig,
    begun_with,
    changed,
    check_changes,
    check_number,
)
from ..data import BYTES, CHARACTERS, Corpus, tokenizer_of
from ..devices.base import Device
from ..edits.fragment import MAX_LINK, base64url, fragment_of, from_base64url, pack, unpack
from ..edits.moved import carried
from ..edits.project import MAX_TOTAL, check_files
from ..engine.parameters import parameter_count
from ..model import parameter_shapes
from ..runs import strict
from ..runs.records import Record
from ..runs.run import Run
from ..runs.statefile import Saved, device_of
from ..runs.strict import ANY, HASH, LOSS, TOKENIZER, NotJSON, check, check_config, or_none
from ..runs.texts import read_as
from ..train import learning_rate, train

VERSION = 1
DEFLATED = b"x"  # zlib's first byte
MAX_PARAMETERS = 20_000_000  # that a link may ask for: what a page can give
MAX_ACTIVATIONS = 2**28  # numbers kept of a batch for the backward pass, that it may ask for
SAMPLES = 64  # recorded losses
TOLERANCE = 2e-3  # nats between two adapters; 2e-6 was measured over 200 iterations by default
DIGEST = "[0-9a-f]{32}", "32 hexadecimal digits"
RULES = {
    **dict.fromkeys(("v", "config", "model", "edits", "changes"), ANY),
    "iter": TRAIN_LIMITS["iters"],
    "val_loss": or_none(LOSS),
    "tokenizer": TOKENIZER,
    "corpus": HASH,
    "code": HASH,
    "device": (r"[ -~]{0,200}", "a line of text"),
    "weights": DIGEST,
    "trajectory": DIGEST,
    "losses": ("[A-Za-z0-9_-]*", "base64"),
}


class LinkError(ValueError):
    """A link that is not one, or cannot be replayed; the message says why."""


@dataclass(frozen=True)
class Link:
    """What a link claims of a run."""

    config: TrainConfig
    model: GPTConfig
    iter: int  # how many iterations it was trained for
    val_loss: float | None
    tokenizer: str
    corpus_hash: str  # SHA-256 of the text
    code_hash: str  # as sources.code_hash gives it
    device: str  # the adapter, for people
    weights: str  # the first half of the weights' SHA-256
    trajectory: str  # and of that of all training losses, as float32
    losses: dict[int, float]  # some of them, by iteration
    edits: dict[str, str] = field(default_factory=dict)  # of the code, from the run's beginning on
    changes: list[Change] = field(default_factory=list)  # of the settings, on the way


AS_IT_IS = "iter", "tokenizer", "device", "weights", "trajectory"  # as in the JSON


def implied(model: GPTConfig) -> str:
    """The tokenizer of a link that does not say it: 256 tokens are bytes."""
    return BYTES if model.vocab_size == 256 else CHARACTERS


@dataclass(frozen=True)
class Verdict:
    """How a replay compares with its link."""

    kind: str  # "identical": to the bit; "close": within TOLERANCE; "different"
    message: str

    def __str__(self) -> str:
        return self.message


def claim(saved: Saved, edits: dict[str, str] | None = None) -> Link:
    """The link of a saved run of these edits, by default those in force. LinkError when a replay
    from nothing could not be the same run.
    """
    edits = sources.overlay if edits is None else edits
    state = saved.state
    if state.first:
        raise LinkError(
            f"This run began at iter {state.first} with weights from a file, which a link cannot "
            "hold. Only a run that began at its seed can be told as a link."
        )
    if state.origin:
        raise LinkError(
            f"This run began with the weights of a file (seed {state.origin.seed!r}, iter "
            f"{state.origin.iter:,}), which a link cannot hold. Only a run that began at its seed "
            "can be told as a link."
        )
    begun = begun_with(state.config, state.changes)
    for record in state.log:
        now = changed(begun, state.changes, record.iter)
        if not math.isclose(record.lr, learning_rate(record.iter, now), rel_tol=1e-9):
            raise LinkError(
                "The learning rate was changed by an edit, or while this run trained: at iter "
                f"{record.iter} it is not what its settings make it. A link cannot tell that."
            )
    if state.edits:
        raise LinkError(
            f"The code was changed at iter {state.edits[0][0]} while this run trained. A link can "
            "tell only of a run whose code was the same from its beginning: run it again with "
            "this code, or share its state."
        )
    losses = [record.train for record in state.log]
    return Link(
        config=begun,
        model=state.model,
        iter=state.iter,
        val_loss=state.val_loss,
        tokenizer=tokenizer_of(saved.vocab_hash),
        corpus_hash=saved.corpus_hash,
        code_hash=saved.code_hash,
        device=_line(saved.device),
        weights=_digest(state.weights),
        trajectory=_digest(losses),
        losses={it: losses[it] for it in recorded(state.iter)},
        edits=dict(edits) if saved.code_hash == sources.hash_of(edits) else {},
        changes=list(state.changes),
    )


def recorded(iters: int) -> list[int]:
    """The iterations whose losses a link has: at most SAMPLES, evenly, with the first and last."""
    n = min(iters, SAMPLES)
    return [round(i * (iters - 1) / max(1, n - 1)) for i in range(n)]


def dumps(link: Link) -> str:
    """The fragment. LinkError when it would be too long."""
    losses = np.array([link.losses[it] for it in recorded(link.iter)], "<f4")
    more = {"changes": link.changes} if link.changes else {}
    if link.tokenizer != implied(link.model):  # a text of just 256 different characters
        more["tokenizer"] = link.tokenizer
    text = strict.dumps(
        {
            "v": VERSION,
            "config": asdict(link.config),
            "model": asdict(link.model),
            "iter": link.iter,
            "val_loss": link.val_loss,
            "edits": dict(sorted(link.edits.items())) or [],
            "corpus": link.corpus_hash,
            "code": link.code_hash,
            "device": link.device,
            "weights": link.weights,
            "trajectory": link.trajectory,
            "losses": base64url(losses.tobytes()),
            **more,
        }
    )
    fragment = pack(text.encode("ascii")) if link.edits else base64url(text.encode("ascii"))
    if len(fragment) > MAX_LINK:
        raise LinkError(
            f"With the run's edits the link would take {len(fragment):,} characters, and a link "
            f"has room for {MAX_LINK:,}. Save state, and share that file and the project's .zip."
        )
    loads(fragment)
    return fragment


def loads(text: str) -> Link:
    """What a link claims: of its fragment, or of a whole address with one. LinkError."""
    try:
        fragment = fragment_of(text)
        if not fragment:
            raise ValueError("is empty: nothing follows its #.")
        raw = from_base64url(fragment)
        raw = unpack(fragment, MAX_TOTAL) if raw[:1] == DEFLATED else raw
    except ValueError as error:
        raise LinkError(f"The link {error}") from None
    try:
        value = strict.parse(raw)
    except NotJSON as error:
        raise LinkError(f"The link is cut short or damaged: byte {error.at} of it.") from None
    except ValueError as error:
        raise LinkError(f"The link is damaged: {error}") from None
    if not isinstance(value, dict) or "v" not in value:
        raise LinkError("The link does not say its version.")
    if value["v"] != VERSION or type(value["v"]) is not int:
        raise LinkError(
            f"The link's version is {value['v']!r:.20}; only {VERSION} can be replayed."
        )
    try:
        return _check(value)
    except ValueError as error:
        raise LinkError(f"The link is wrong: {error}") from None


def _check(value: dict) -> Link:
    """The claim, each fact checked. ValueError."""
    value.setdefault("changes", [])  # most have none
    implicit = {"tokenizer"} - value.keys()
    check("it", value, {key: rule for key, rule in RULES.items() if key not in implicit})
    config = check_config("config", value["config"], TrainConfig)
    model = check_config("model", value["model"], GPTConfig)
    value.setdefault("tokenizer", implied(model))
    parameters = parameter_count(parameter_shapes(model))
    for what, asked, most in (
        ("parameters", parameters, MAX_PARAMETERS),
        ("activations", _activations(config, model), MAX_ACTIVATIONS),
    ):
        if asked > most:
            raise ValueError(f"it asks for {asked:,} {what}; a link may ask for {most:,}.")
    changes = check_changes(value["changes"], config, value["iter"])
    check_number("iter", value["iter"], (0, changed(config, changes, value["iter"]).iters))
    value["edits"] = carried(value["edits"])
    if value["edits"] != []:
        check_files(value["edits"])
    if value["tokenizer"] == BYTES and model.vocab_size != 256:
        raise ValueError(f"model.vocab_size is {model.vocab_size}; there are 256 bytes.")
    places = recorded(value["iter"])
    raw = base64.urlsafe_b64decode(value["losses"] + "=" * (-len(value["losses"]) % 4))
    if len(raw) != 4 * len(places):
        raise ValueError(
            f"losses has {len(raw)} bytes; {value['iter']} iters have {4 * len(places)}."
        )
    losses = np.frombuffer(raw, "<f4")
    if not np.isfinite(losses).all():
        raise ValueError("losses has one that is not a finite number.")
    return Link(
        config=config,
        model=model,
        val_loss=None if value["val_loss"] is None else float(value["val_loss"]),
        corpus_hash=value["corpus"],
        code_hash=value["code"],
        losses=dict(zip(places, losses.tolist(), strict=True)),
        edits=value["edits"] or {},
        changes=changes,
        **{name: value[name] for name in AS_IT_IS},
    )


def _activations(config: TrainConfig, model: GPTConfig) -> int:
    """Roughly how many numbers a forward pass keeps."""
    B, T = config.batch_size, model.block_size
    attention = B * model.n_head * T * T
    return B * T * model.n_layer * (8 * model.n_embd + 2 * model.d_ff) + attention


def corpus_of(link: Link, corpus: Corpus) -> Corpus:
    """The text by the link's tokenizer. LinkError unless its run was trained on this text."""
    if link.corpus_hash != corpus.sha256:
        raise LinkError(
            f"The link's run was trained on another text (SHA-256 {link.corpus_hash[:12]}…) "
            f"than {corpus.name!r} ({corpus.sha256[:12]}…)."
        )
    found = read_as(corpus, link.tokenizer)
    if found.vocab_size != link.model.vocab_size:
        raise LinkError(
            f"The link's model has {link.model.vocab_size} characters; {corpus.name!r} has "
            f"{found.vocab_size}."
        )
    return found


class Replay:
    """A link's run, trained again by the code in force. LinkError if the text is another."""

    def __init__(self, link: Link, corpus: Corpus, device: Device):
        corpus = corpus_of(link, corpus)
        self.link, self.run = link, Run(link.config, corpus, device, link.model)
        self.run.sample_every = 0  # no link claims what the run wrote
        self.device = _line(device_of(self.run))
        self.furthest = 0.0  # nats between a recorded loss and ours
        self.parted: int | None = None  # the first recorded iteration whose loss is not ours
        self.failed: int | None = None  # the first one that is further away than TOLERANCE

    @property
    def other_code(self) -> bool:
        """Whether the link's run was trained by other code than this."""
        return self.link.code_hash != self.run.code_hash

    def train(self) -> Iterator[tuple[Record, float | None]]:
        """Train; yields each record, and the loss that the link claims for it, if any. Ends when a
        loss is too far away, or at a pause, after which it can be called again.
        """
        run, changes = self.run, self.link.changes
        while run.iter < self.link.iter:
            run.change(**{name: new for at, name, _, new in changes if at == run.iter})
            stop = min([self.link.iter, *(at for at, *_ in changes if at > run.iter)])
            for record in train(run, stop):
                claimed = self.link.losses.get(record.iter)
                if claimed is not None:
                    self._compare(record.iter, claimed, record.train)
                yield record, claimed
                if self.failed is not None:
                    return
            if run.iter != stop or run.pausing:
                return

    def _compare(self, it: int, claimed: float, found: float) -> None:
        away = abs(claimed - found)
        self.furthest = max(self.furthest, away)
        if np.float32(found) != np.float32(claimed) and self.parted is None:
            self.parted = it
        if away > TOLERANCE and self.failed is None:
            self.failed = it

    def verdict(self) -> Verdict:
        """How the run compares with the link, once `train` has ended."""
        link, run = self.link, self.run
        if self.failed is not None:
            return Verdict(
                "different",
                f"Different: from iter {self.parted} on the losses are not the recorded ones, and "
                f"at iter {self.failed} they are {self.furthest:.2g} nats apart, more than the "
                f"{TOLERANCE} that another adapter explains. {self._who()}",
            )
        if run.iter < link.iter:
            return Verdict("different", f"Unfinished: iter {run.iter} of {link.iter}.")
        if link.val_loss is not None and abs(link.val_loss - (run.val_loss or 0)) > TOLERANCE:
            return Verdict(
                "different",
                f"Different: the validation loss is {run.val_loss}, and {link.val_loss} in the "
                f"link, though the training losses agree. {self._who()}",
            )
        same = _digest([record.train for record in run.log]) == link.trajectory
        if same and self.parted is None and _digest(run.model.weights()) == link.weights:
            return Verdict(
                "identical",
                f"Bit-identical: all {link.iter:,} losses and all weights are those of the link. "
                f"{self._who()}",
            )
        where = (
            "the recorded losses agree" if self.parted is None else f"from iter {self.parted} on"
        )
        return Verdict(
            "close",
            f"Within tolerance, not to the bit ({where}): no recorded loss is more than "
            f"{self.furthest:.2g} nats away, where {TOLERANCE} are allowed. {self._who()}",
        )

    def _who(self) -> str:
        if self.link.device == self.device:
            who = f"Both ran on {self.device}."
            if self.device.startswith("wasm:"):
                who += " That has the same bytes on every machine."
        else:
            who = f"The link's run was on {self.link.device}; this one on {self.device}."
        return f"{who} The code is other code." if self.other_code else who


def _line(device: str) -> str:
    """A device's name as a link has it."""
    return re.sub("[^ -~]", "?", device)[:200]


def _digest(numbers: object) -> str:
    """The first 32 hexadecimal digits of the SHA-256 of numbers as little-endian float32."""
    return hashlib.sha256(np.asarray(numbers, "<f4").tobytes()).hexdigest()[:32]
