"""The page's edits: new code for the run that trains, and back to the old when it fails.

Until the new code has taken its first step, the old run is whole, with its code and its memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from explain import LOST, code_error, panel
from view import Message, Refused, View

import groundling.data
import groundling.labs.parity
import groundling.train
from groundling import sources
from groundling.edits import live
from groundling.edits.live import Loaded, OtherShapes
from groundling.runs.run import NonFiniteLoss
from groundling.sources import SHADERS

if TYPE_CHECKING:
    import messages.code
    from page_run import PageRun
    from view import PageSession

    from groundling.runs.run import State


NO_COPY = panel(
    "This run cannot go on",
    "Reset; then Start trains with this code from the beginning.",
    "It failed before a copy of it was made.",
)


class NoCopy(Exception):
    """The run is lost or spoiled, and there is no copy of it."""


@dataclass
class Change:
    """New code in force, and how to undo it."""

    before: Loaded
    diff: str
    files: list[str]  # that are not as they were
    undo: Callable[[], None]
    page_run: PageRun | None = None  # the old run, while the new one is on probation
    iter: int = 0  # the first that is under the new code


class LiveView(View):
    """The reader's edits, and at most one change of code on probation."""

    commands = ("apply",)

    def __init__(self, session: PageSession):
        super().__init__(session)
        self.change: Change | None = None

    # ---- what the session asks -------------------------------------------------------------------

    def use(self, message: Message) -> Callable[[], None]:
        """Put the edits of a command in force. Returns a function that undoes it. Refused."""
        if "files" not in message:
            return lambda: None
        return self._load(message["files"], message.get("anyway", False)).undo

    def adopt(self) -> None:
        """The new code has taken its first step: drop the old run."""
        change, self.change = self.change, None
        if change.diff:
            self.session.run.edits.append((change.iter, change.diff))
        self._applied(change)
        self.session.go_on_with(change.page_run)
        self.session.leave(change.page_run.run.device)

    def refuse(self, error: BaseException) -> None:
        """The new code has failed: return to the old code and run."""
        change, self.change = self.change, None
        files = sources.overlay
        change.undo()
        self.session.page_run = change.page_run
        self._refused(error, files)

    def carried(self, page_run: PageRun) -> PageRun:
        """A run that was put aside, on the code and device in force. OtherShapes."""
        session, diff = self.session, live.diff(page_run.overlay, sources.overlay)
        if not diff and page_run.run.device is session.device:
            return page_run
        state = page_run.run.state()
        run = live.carry(page_run.run, state, session.corpus, session.device)
        if diff:
            run.edits.append((state.iter, diff))
        return replace(page_run, run=run, overlay=sources.overlay)

    def drop(self) -> None:
        """The device is lost: undo the change."""
        if self.change:
            self.change.undo()
            self.session.page_run, self.change = self.change.page_run, None

    # ---- commands --------------------------------------------------------------------------------

    def do_apply(self, message: messages.code.ApplyCommand) -> None:
        """Continue with new code from the next iteration on."""
        session = self.session
        if session.phase == "booting":
            return
        device = session.device
        change = self._load(message["files"], message.get("anyway", False))
        old = session.page_run
        if not old:
            self._applied(change)
            session.leave(device)
            return
        try:
            state = self._state(old, message)
            fit = message.get("fit", False)
            run = live.carry(old.run, state, session.corpus, session.device, fit)
            if session.phase == "training" and not (old.kept and old.kept.iter == old.iter):
                session.copies.keep(old)  # code that never ends is ended with all of Python
        except NoCopy:
            change.undo()
            self.post({"type": "refused", "error": NO_COPY})
            return
        except BaseException as error:
            files = sources.overlay
            change.undo()
            if isinstance(error, LOST):
                raise
            if isinstance(error, OtherShapes):
                names = {"kept": error.kept, "fresh": error.fresh, "dropped": error.dropped}
                self.post({"type": "fit", **names})
            else:
                self._refused(error, files)
            return
        change.page_run, change.iter, self.change = old, state.iter, change
        session.page_run = replace(old, run=run, overlay=sources.overlay)
        if session.phase != "training":
            self.rehearse()

    def rehearse(self) -> None:
        """Take the new code's first step and undo it. Meanwhile the page has the old run."""
        session = self.session
        new, session.page_run = session.page_run, self.change.page_run
        run = new.run
        try:
            state = run.state()
            if run.iter < run.config.iters:
                stream = groundling.train.train(run)
                next(stream, None)
                run.pause()
                for _ in stream:
                    pass
                run.restore(state)
        except LOST:
            raise
        except BaseException as error:
            self.refuse(error)
            return
        session.page_run = new
        self.adopt()

    def _state(self, old: PageRun, message: Message) -> State:
        """Where the run goes on from: if it failed, its last copy if there is one. NoCopy."""
        failed = self.session.phase == "error"
        if failed and (copy := self.session.copies.of(old, message)):
            return copy.state
        try:
            return old.run.state()
        except LOST:
            raise
        except (NonFiniteLoss, RuntimeError) as error:
            if failed:  # its log ends before the loss that was no number
                raise NoCopy from error
            raise

    # ---- code ------------------------------------------------------------------------------------

    def _load(self, files: dict[str, str], anyway: bool) -> Change:
        """Put edits in force. Refused, with nothing changed, if they fail."""
        session = self.session
        old, modules = sources.overlay, live.loaded()
        try:
            before = live.load(files)
        except BaseException as error:
            self._refused(error, files if isinstance(files, dict) else {})
            raise Refused from error
        device, corpus = session.device, session.corpus
        changed = live.changes(old, sources.overlay)
        names = [p.removeprefix(SHADERS)[:-5] for p in changed if p.startswith(SHADERS)]
        kernels = {
            name: device.kernels.pop(name, None) for name in names if device.name == "webgpu"
        }

        def undo() -> None:
            live.restore(before)
            for name, kernel in kernels.items():
                device.kernels.pop(name, None)
                if kernel:
                    device.kernels[name] = kernel
            if session.device is not device:
                session.device.close()
            session.device, session.corpus = device, corpus

        change = Change(before, live.diff(old, sources.overlay), changed, undo)
        now = live.loaded()
        anew = {name for name in now if now[name] is not modules.get(name)}
        try:
            if type(device).__module__ in anew:  # its kernels or tensors are others now
                session.device = session.open_device(device.name, lambda *_: None)
            if "groundling.data" in anew:
                text = corpus.decode(np.concatenate([corpus.train, corpus.val]))
                session.corpus = groundling.data.Corpus(text, corpus.name, corpus.tokenizer)
            if names and not self._agree(names, anyway):
                raise Refused
        except (*LOST, Refused):
            undo()
            raise
        except BaseException as error:
            undo()
            self._refused(error, files)
            raise Refused from error
        return change

    def _agree(self, names: list[str], anyway: bool) -> bool:
        """Compare edited kernels with their references, and tell the page; True to use them."""
        device = self.session.device
        names = [name for name in names if sources.exists(sources.kernel_path(name))]
        for name in names if device.name == "webgpu" else ():
            if sources.is_kernel(sources.kernel_path(name)):
                device.kernel(name).pipeline({})  # what does not compile is shown at its place
        if anyway or not names:
            return True
        rows = groundling.labs.parity.check(names, device)
        self.post({"type": "kernels", "rows": [vars(row) for row in rows]})
        return all(row.ok for row in rows)

    def _applied(self, change: Change) -> None:
        told = {"iter": change.iter, "diff": change.diff, "files": change.files}
        self.post({"type": "applied", **told})

    def _refused(self, error: BaseException, files: dict[str, str]) -> None:
        self.post({"type": "refused", "error": code_error(error, files)})
