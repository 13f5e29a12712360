"""Copies of the page's run that outlast this worker: in the browser's storage, else in the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from autosave import Autosave, StoreError, StoreFull
from explain import LOST
from page_run import Aside, Kept, PageRun

import groundling.data
import groundling.runs.statefile
from groundling.runs.run import NonFiniteLoss

if TYPE_CHECKING:
    from typing import Any

    from wire import Message

    from groundling.data import Corpus
    from groundling.runs.configfile import Setup
    from groundling.runs.run import Run
    from groundling.runs.statefile import Saved

Pieces = Iterator[tuple[int, "bytes | memoryview"]]
"""A file in pieces, each with its place; see statefile.stream."""
KEEP = 20.0  # seconds of training between two copies of the run's state, at most
KEEP_LEAST = 5.0  # seconds, at least, where the setup's checkpoint_interval has passed sooner
KEEP_SHARE = 0.05  # of the time at most goes to copying


def post_pieces(post: Callable[[Message], None], pieces: Pieces) -> None:
    """Post a file in pieces, each with its offset. The next message says what the file is for."""
    first = True
    for at, piece in pieces:
        post({"type": "piece", "first": first, "at": at, "bytes": piece})
        first = False


class Copies:
    """The copies of a session's runs. Without an autosave they go to the page only."""

    def __init__(
        self,
        post: Callable[[Message], None],
        clock: Callable[[], float],
        autosave: Autosave | None,
    ):
        self.post, self.clock, self.autosave = post, clock, autosave
        self.trouble = ""  # what the page was last told of copies that fail
        self.last, self.every = (-math.inf, 0), 0.0  # the last copy: (time, iter); seconds

    def restart(self, page_run: PageRun) -> None:
        """Start the time to the next copy."""
        self.last = self.clock(), page_run.iter

    def keep(self, page_run: PageRun) -> None:
        """Copy the run to the browser's storage, else to the page. A failure is only reported."""
        began, run = self.clock(), page_run.run
        try:
            facts = groundling.runs.statefile.facts(run)
            serial = self._autosave(facts, run)
            if serial is None:
                post_pieces(self.post, groundling.runs.statefile.stream(facts, run.floats()))
            self.note(page_run, facts, serial)
        except (*LOST, NonFiniteLoss):
            raise
        except Exception as error:
            why = "There is not enough memory" if isinstance(error, MemoryError) else error
            self._tell(
                f"No copy of the run could be made ({why}). It goes on; Save state keeps it."
            )
        now = self.clock()
        self.last, self.every = (now, page_run.iter), (now - began) / KEEP_SHARE

    def note(self, page_run: PageRun, facts: Saved, serial: int | None) -> None:
        """Note a copy of the run: its number in the store, or None if it is in the page."""
        at = facts.state
        page_run.kept = Kept(at.iter, serial)
        name = groundling.runs.statefile.file_name(at.config.seed, at.iter, at.model)
        self.post({"type": "kept", "name": name, "iter": at.iter, "here": serial is not None})

    def _autosave(self, facts: Saved, run: Run) -> int | None:
        """Save the run in the store. Returns the copy's number, or None if it failed."""
        if not self.autosave:
            return None
        try:
            dropped = self.autosave.save(facts, run.floats)
        except StoreFull:
            self._tell(
                "The browser's storage is full. The run goes on, but newer copies of it are kept "
                "in this page only. Free some space, or press Save state."
            )
            return None
        except StoreError as error:
            self._lose_store(error)
            return None
        if dropped:
            self._tell(
                "The browser's storage is full. The run goes on, and older copies of it make room "
                "for newer ones."
            )
        else:
            self.trouble = ""
        copies = len(self.autosave.slots)
        self.post({"type": "autosaved", "iter": facts.state.iter, "copies": copies})
        return self.autosave.serial

    def _tell(self, trouble: str) -> None:
        """Tell the page that copies fail, once for each reason."""
        if trouble != self.trouble:
            self.post({"type": "notice", "message": trouble})
        self.trouble = trouble

    def _lose_store(self, error: StoreError) -> None:
        self.autosave = None
        self.post({"type": "keeping", "keeping": "none", "problem": str(error)})
        text = (
            f"The run is no longer kept in this browser ({error}). It goes on; Save state keeps it."
        )
        self.post({"type": "notice", "message": text})

    def stored(self, look: Callable[[Autosave], Any]) -> Any:
        """The result of `look`, or None if there is no autosave or it fails."""
        try:
            return look(self.autosave) if self.autosave else None
        except StoreError as error:
            self._lose_store(error)
        except MemoryError:
            text = "There is not enough memory to read the copy that is kept in this browser."
            self.post({"type": "notice", "message": text})
        return None

    def offer(self, corpus: Corpus) -> None:
        """Tell the page of the newest copy that autosave has, if there is one."""
        saved = self.stored(lambda autosave: autosave.newest(floats=False))
        copy = None
        if saved:
            at, config = saved.state, saved.state.config
            copy = {"seed": config.seed, "iter": at.iter, "iters": config.iters}
            copy |= {"valLoss": at.val_loss, "createdAt": saved.created_at, "text": None}
            if saved.corpus_hash != corpus.sha256:
                name = saved.dataset.name if saved.dataset else "another text"
                ours = saved.corpus_hash == groundling.data.SHAKESPEARE_SHA256
                copy["text"] = {"hash": saved.corpus_hash, "name": name, "ours": ours}
        self.post({"type": "offer", "copy": copy})

    def are_stale(self, page_run: PageRun, setup: Setup) -> bool:
        """Whether it is time for another copy of the run."""
        seconds, iters = self.clock() - self.last[0], page_run.iter - self.last[1]
        often = iters >= setup.checkpoint_interval
        enough = seconds > KEEP_LEAST and often or seconds > KEEP
        return enough and seconds > self.every

    def of(self, page_run: PageRun | Aside, message: Message) -> Saved | None:
        """The last copy of a lost or spoiled run. If the page has it, it is in the message."""
        if page_run.kept and page_run.kept.serial is not None:
            return self.stored(lambda autosave: autosave.read(page_run.kept.serial))
        return groundling.runs.statefile.loads(message["bytes"]) if message.get("bytes") else None
