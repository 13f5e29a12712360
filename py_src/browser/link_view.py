"""The page's links: what a link claims, its run trained again, and this page's run as a link."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING

from background import BackgroundView, sentence
from view import Message

import groundling.config
import groundling.labs.link
import groundling.model
import groundling.runs.statefile
from groundling import sources
from groundling.edits import live
from groundling.edits.live import Loaded
from groundling.engine.parameters import parameter_count
from groundling.labs.link import LinkError

if TYPE_CHECKING:
    import messages.share
    from view import PageSession

    from groundling.data import Corpus
    from groundling.labs.link import Link, Replay


class LinkView(BackgroundView):
    """At most one replay, and what the page knows of it."""

    commands = ("share", "unreplay")
    live = ("claim",)
    begins = ("replay",)
    ends = ("unreplay",)

    def __init__(self, session: PageSession):
        super().__init__(session)
        self.id, self.replay = "", None  # of the link that is replayed
        self.files: dict[str, str] = {}  # its edits
        self.code = Loaded({}, {})  # what it is replayed by

    def do_share(self, message: messages.share.ShareCommand) -> None:
        """Post the run as a link, or why it cannot be one."""
        if self.session.phase not in ("paused", "done"):
            return
        saved = groundling.runs.statefile.snapshot(self.session.run)
        text = groundling.labs.link.dumps(groundling.labs.link.claim(saved))
        self.post({"type": "link", "text": text, "problem": ""})

    def do_claim(self, message: messages.share.ClaimCommand) -> None:
        """Post what a link claims, or what is wrong with it. Nothing runs."""
        text = message["text"]
        known = facts(groundling.labs.link.loads(text), self.session.corpus)
        told = {"text": text, "problem": "", "facts": known}
        self.post({"type": "claim", "id": identity(text), **told})

    def on_failure(self, message: Message, error: BaseException) -> None:
        """Report the error where the page waits for the answer."""
        problem = sentence(error, self.session)
        if message["type"] == "share":
            self.post({"type": "link", "text": "", "problem": problem})
        elif message["type"] == "claim":
            told = {"text": "", "problem": problem, "facts": None}
            self.post({"type": "claim", "id": identity(message["text"]), **told})
        else:
            super().on_failure(message, error)

    def do_replay(self, message: messages.share.ReplayCommand) -> None:
        """Train a link's run again, in place of the replay before."""
        self.stop()
        self.id, self.code, self.files = identity(message["text"]), in_force(), {}
        self.begin(self._train(message["text"]))

    def _train(self, text: str) -> Iterator[None]:
        link, device = groundling.labs.link.loads(text), self.session.device
        self.files, own = link.edits, nullcontext()
        if link.edits != sources.overlay:
            live.load(link.edits)
            # its kernels may be others than those we compiled
            device = self.session.open_device(device.name, lambda *_: None)
            own = closing(device)
        with own:
            self.replay = groundling.labs.link.Replay(link, self.session.corpus, device)
            self.shown()
            yield
            for _ in self.replay.train():
                yield
            verdict = self.replay.verdict()
            self.tell("done", verdict.message, verdict.kind)

    @contextmanager
    def around(self) -> Iterator[None]:
        """Run in the code of the link, and then restore the code in force."""
        ours = in_force()
        live.restore(self.code)
        try:
            yield
        finally:
            self.code = in_force()  # with what it has imported since
            live.restore(ours)

    do_unreplay = BackgroundView.end_early

    def edits(self) -> dict[str, str]:
        """The link's edits."""
        return self.files

    def shown(self) -> None:
        """Post how far it agrees."""
        if self.replay:
            self.tell("running", so_far(self.replay))

    def stopped(self) -> None:
        """Post how far it agreed."""
        where = f"Stopped at iter {done(self.replay):,} of {self.replay.link.iter:,}."
        self.tell("stopped", f"{where} {so_far(self.replay)}")

    def let_go(self) -> None:
        """Free the memory of its run."""
        self.replay = None

    def tell(self, phase: str, message: str = "", verdict: str = "") -> None:
        """Post how far the replay is, and its verdict."""
        at = {"iter": 0, "iters": 0, "losses": []}
        if replay := self.replay:
            found = {record.iter: record.train for record in replay.run.log}
            losses = [[it, found[it]] for it in replay.link.losses if it in found]
            at = {"iter": done(replay), "iters": replay.link.iter, "losses": losses}
        told = {"phase": phase, "message": message, "verdict": verdict}
        self.post({"type": "replay", "id": self.id, **told, **at})


def in_force() -> Loaded:
    """The code as it is now, for live.restore."""
    return Loaded(sources.overlay, live.loaded())


def identity(text: str) -> str:
    """A short identifier of a link."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def done(replay: Replay) -> int:
    """How many iterations of the link have been trained and compared."""
    return len(replay.run.log)


def so_far(replay: Replay) -> str:
    """How a replay that has not ended compares with its link."""
    recorded = len(replay.link.losses)
    checked = sum(it < done(replay) for it in replay.link.losses)
    of = f"{checked} of {recorded} recorded losses checked"
    if not checked:
        return f"{of}."
    if replay.parted is None:
        return f"{of}: so far each is the same to the bit."
    return (
        f"{of}: from iter {replay.parted:,} on they differ, so far by at most "
        f"{replay.furthest:.2g} nats, where {groundling.labs.link.TOLERANCE} are allowed."
    )


def facts(claimed: Link, corpus: Corpus) -> Message:
    """What a link claims, as the page shows it."""
    config, model = claimed.config, claimed.model
    parameters = parameter_count(groundling.model.parameter_shapes(model))
    settings, usual = asdict(config), asdict(groundling.config.TrainConfig())
    shown = "seed", "iters", "batch_size", "lr"
    unusual = [name for name in settings if name not in shown and settings[name] != usual[name]]
    problem = ""
    try:
        groundling.labs.link.corpus_of(claimed, corpus)
    except LinkError as error:
        problem = str(error)
    return {
        "seed": config.seed,
        "iter": claimed.iter,
        "iters": config.iters,
        "batchSize": config.batch_size,
        "lr": config.lr,
        "others": ", ".join(
            [f"{name} {settings[name]:g}" for name in unusual]
            + [f"{name} {new:g} from iteration {at:,} on" for at, name, _, new in claimed.changes]
        ),
        "model": f"{parameters:,} parameters: {model.n_layer} layers, {model.n_head} heads, "
        f"{model.n_embd} wide, over {model.block_size} characters"
        + (f", dropout {model.dropout:g}" if model.dropout else ""),
        "valLoss": claimed.val_loss,
        "losses": [[it, loss] for it, loss in claimed.losses.items()],
        "device": claimed.device,
        "sameCode": claimed.code_hash == sources.hash_of(claimed.edits),
        "diff": live.diff({}, claimed.edits),
        "sameText": claimed.corpus_hash == corpus.sha256,
        "problem": problem,
    }
