"""The page's links: what a link claims, its run trained again, and this page's run as a link.

It knows nothing of the browser. A replay is a run of its own beside the session's, which it leaves
as it is. site/src/components/Link.tsx draws what this posts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from explain import LOST, code_error, explain
from view import FRAME, Message, View

import groundling.config
import groundling.link
import groundling.model
import groundling.state
from groundling import live, sources
from groundling.checkpoint import CheckpointError
from groundling.fingerprint import hash_of
from groundling.link import LinkError
from groundling.live import Loaded

if TYPE_CHECKING:
    from session import Session

    from groundling.corpus import Corpus
    from groundling.link import Link, Replay

ENDS = Exception, SystemExit
"""What ends a replay and nothing else: its code may be anyone's. A lost device ends more."""


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
        self.code = Loaded({}, {})  # what it is replayed by

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
        edits: dict[str, str] = {}
        try:
            link, device = groundling.link.loads(text), self.session.device
            edits, ours = link.edits, in_force()
            self.code = ours
            if edits != sources.overlay:
                live.load(edits)
                self.code = in_force()
                live.restore(ours)
            with self._in_its_code():
                if self.code is not ours:  # its kernels may be others than those we compiled
                    device = self.session.open_device(device.name, lambda *_: None)
                self.replay = groundling.link.Replay(link, self.session.corpus, device)
                self.stream = self.replay.train()
        except LOST:
            raise
        except ENDS as error:
            self._fail(error, edits)
            return
        self._post("running", so_far(self.replay))

    @contextmanager
    def _in_its_code(self) -> Iterator[None]:
        """In this block the code in force is the link's; what runs beside it keeps its own."""
        ours = in_force()
        live.restore(self.code)
        try:
            yield
        finally:
            self.code = in_force()  # with what it has imported since
            live.restore(ours)

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
            with self._in_its_code():
                while next(self.stream, None) is not None:
                    if not self.stopped and self.session.clock() >= deadline:
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
            self._fail(error, replay.link.edits)
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

    def _fail(self, error: BaseException, edits: dict[str, str]) -> None:
        told = code_error(error, edits)
        places = [frame for frame in told["frames"] if frame["yours"]]
        words = told if places else explain(error)
        where = " (at {path}, line {line}).".format(**places[-1]) if places else ""
        said = f"{words['title']}. {words['message']}{where}"
        self._post("failed", f"{said} A run beside it is as it was.")


def in_force() -> Loaded:
    """The code as it is now, for live.restore."""
    return Loaded(sources.overlay, live.loaded())


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
        groundling.link.corpus_of(claimed, corpus)
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
        "sameCode": claimed.code_hash == hash_of(claimed.edits),
        "diff": live.diff({}, claimed.edits),
        "sameText": claimed.corpus_hash == corpus.sha256,
        "problem": problem,
    }
