"""The page's links: what a link claims, its run trained again, and this page's run as a link.

It knows nothing of the browser. A replay is a run of its own beside the session's, which it leaves
as it is. site/src/components/Link.tsx draws what this posts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from explain import LOST, explain
from view import FRAME, Message, View

import groundling.config
import groundling.link
import groundling.model
import groundling.state
from groundling.checkpoint import CheckpointError
from groundling.devices import DeviceError
from groundling.fingerprint import code_hash
from groundling.link import LinkError
from groundling.train import NonFiniteLoss

if TYPE_CHECKING:
    from session import Session

    from groundling.corpus import Corpus
    from groundling.link import Link, Replay

ENDS = DeviceError, MemoryError, NonFiniteLoss, ValueError
"""What ends a replay and nothing else; a lost device ends the session's run too."""


class LinkView(View):
    """At most one replay, and what the page knows of it."""

    commands = ("share", "unreplay")
    live = ("claim",)
    begins = ("replay",)

    def __init__(self, session: Session):
        super().__init__(session)
        self.id, self.replay = "", None  # of the link that is replayed
        self.stream: Iterator | None = None  # replay.train(), until it has ended
        self.stopped = False

    @property
    def running(self) -> bool:
        """Whether there is more to train."""
        return self.stream is not None

    def do_share(self, message: Message) -> None:
        """Post the run as a link, or why it cannot be one."""
        if self.session.phase not in ("paused", "done"):
            return
        text = problem = ""
        try:
            saved = groundling.state.snapshot(self.session.run)
            text = groundling.link.dumps(groundling.link.claim(saved))
        except (LinkError, CheckpointError) as error:
            problem = str(error)
        self.post({"type": "link", "text": text, "problem": problem})

    def do_claim(self, message: Message) -> None:
        """Post what a link claims, or what is wrong with it. Nothing runs."""
        text = message["text"]
        answer = {
            "type": "claim",
            "id": identity(text),
            "text": text,
            "problem": "",
            "facts": None,
        }
        try:
            answer["facts"] = facts(groundling.link.loads(text), self.session.corpus)
        except LinkError as error:
            answer |= {"text": "", "problem": str(error)}
        self.post(answer)

    def do_replay(self, message: Message) -> None:
        """Train a link's run again, in place of the replay before."""
        self.stop()
        text = message["text"]
        self.id, self.replay, self.stopped = identity(text), None, False
        try:
            link = groundling.link.loads(text)
            corpus, device = self.session.corpus, self.session.device
            self.replay = groundling.link.Replay(link, corpus, device)
        except LOST:
            raise
        except ENDS as error:
            self._fail(error)
            return
        self.stream = self.replay.train()
        self._post("running", so_far(self.replay))

    def do_unreplay(self, message: Message) -> None:
        """End it early."""
        self.stop()

    def stop(self) -> None:
        """End it early: what is in flight lands, and the verdict is on what there is."""
        if self.stream is None:
            return
        self.stopped = True
        self.replay.run.pause()
        while self.running:
            self.advance()

    def drop(self) -> None:
        """Let it go with its device, with no word to the device."""
        if self.stream is not None:
            self.stream = None
            self._post("failed", "The device went away while the link was replayed.")
        self.replay = None

    def advance(self) -> None:
        """Train for about a frame, and post how far it agrees; at the end, the verdict."""
        replay, deadline = self.replay, self.session.clock() + FRAME
        try:
            while next(self.stream, None) is not None:
                if self.stopped:
                    replay.run.pause()  # once more: `train` forgets it as it begins
                elif self.session.clock() >= deadline:
                    self._post("running", so_far(replay))
                    return
            self.stream = None
            if self.stopped and replay.failed is None and done(replay) < replay.link.iter:
                where = f"Stopped at iter {done(replay):,} of {replay.link.iter:,}."
                self._post("stopped", f"{where} {so_far(replay)}")
            else:
                verdict = replay.verdict()
                self._post("done", verdict.message, verdict.kind)
        except LOST:
            raise
        except ENDS as error:
            self.stream = None
            self._fail(error)
        if not self.running:
            self.replay = None  # and with it its memory

    def _post(self, phase: str, message: str, verdict: str = "") -> None:
        at = {"iter": 0, "iters": 0, "losses": []}
        if replay := self.replay:
            found = {record.iter: record.train for record in replay.run.log}
            losses = [[it, found[it]] for it in replay.link.losses if it in found]
            at = {"iter": done(replay), "iters": replay.link.iter, "losses": losses}
        told = {"phase": phase, "message": message, "verdict": verdict}
        self.post({"type": "replay", "id": self.id, **told, **at})

    def _fail(self, error: BaseException) -> None:
        words = explain(error)
        self._post("failed", f"{words['title']}. {words['message']} A run beside it is as it was.")


def identity(text: str) -> str:
    """A short name of a link, by which the page knows which one a replay is of."""
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
        f"{replay.furthest:.2g} nats, where {groundling.link.TOLERANCE} are allowed."
    )


def facts(claimed: Link, corpus: Corpus) -> Message:
    """What a link claims, as the page shows it."""
    config, model = claimed.config, claimed.model
    parameters = sum(
        math.prod(shape) for shape in groundling.model.parameter_shapes(model).values()
    )
    settings, usual = asdict(config), asdict(groundling.config.TrainConfig())
    shown = "seed", "iters", "batch_size", "lr"
    unusual = [name for name in settings if name not in shown and settings[name] != usual[name]]
    problem = ""
    try:
        groundling.link.check_corpus(claimed, corpus)
    except LinkError as error:
        problem = str(error)
    return {
        "seed": config.seed,
        "iter": claimed.iter,
        "iters": config.iters,
        "batchSize": config.batch_size,
        "lr": config.lr,
        "others": ", ".join(f"{name} {settings[name]:g}" for name in unusual),
        "model": f"{parameters:,} parameters: {model.n_layer} layers, {model.n_head} heads, "
        f"{model.n_embd} wide, over {model.block_size} characters"
        + (f", dropout {model.dropout:g}" if model.dropout else ""),
        "valLoss": claimed.val_loss,
        "losses": [[it, loss] for it, loss in claimed.losses.items()],
        "device": claimed.device,
        "sameCode": claimed.code_hash == code_hash(),
        "sameText": claimed.corpus_hash == corpus.sha256,
        "problem": problem,
    }
