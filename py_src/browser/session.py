"""The session behind the page: commands in, messages out, as py_src/browser/messages has them.

It knows nothing of the browser. The host calls `receive` with each command, also while `advance`
waits for the GPU, and `advance` after each command and for as long as it returns True. Commands are
obeyed between two iterations, when nothing is in flight.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from background import sentence
from copies import Copies
from explain import LOST, UNKNOWN, explain
from page_run import Aside, PageRun
from run_messages import (
    Pace,
    adapter,
    drawing,
    limits,
    model_of,
    progress,
    row,
    settings,
    train_config,
)
from view import FRAME, RESTING, EditsView, Refused, View
from watchdog import Watchdog
from wire import Message

import groundling.config
import groundling.runs.configfile
import groundling.runs.further
import groundling.runs.run
import groundling.runs.statefile
import groundling.train
from groundling import sources
from groundling.devices.base import DeviceError, DeviceLost
from groundling.edits import live
from groundling.runs.run import NonFiniteLoss

if TYPE_CHECKING:
    import messages.code
    import messages.run
    from autosave import Autosave

    from groundling.config import GPTConfig
    from groundling.data import Corpus
    from groundling.devices.base import Device
    from groundling.runs.run import Run

MOST_RECORDS = 5_000  # in a message: a long run that comes back would be hundreds of MB as one
INSTEAD = {"webgpu": "wasm", "wasm": "numpy"}  # of a device that cannot be had
LIVE = ("lr", "interrupt")
"""Commands that need not wait until nothing is in flight; the views have more."""


class Session:
    """One page's training: at most one run, on one device. post(message) sends plain values, and
    `bytes`, to the page. open_device(name, stage) opens a device; it may call stage(name, done,
    total, detail). views(session) makes the views, that of the edits first. clock() is in seconds.
    Without an autosave, copies of the run go to the page only.
    """

    def __init__(
        self,
        post: Callable[[Message], None],
        open_device: Callable[[str, Callable[..., None]], Device],
        corpus: Corpus,
        views: Callable[[Session], list[View]],
        clock: Callable[[], float] = time.perf_counter,
        autosave: Autosave | None = None,
    ):
        self.post, self.open_device, self.corpus, self.clock = post, open_device, corpus, clock
        self.copies = Copies(post, clock, autosave)
        self.setup = groundling.runs.configfile.Setup().on(corpus)  # of the next run
        self.asking: Message | None = None  # a load of another origin, to be made anyway or not
        self.views = views(self)
        self.live: EditsView = self.views[0]
        self.doers = {
            command: view
            for view in self.views
            for command in (*view.commands, *view.live, *view.begins)
        }
        self.at_once = {*LIVE, *(command for view in self.views for command in view.live)}
        self.watchdog = Watchdog(clock, {command for view in self.views for command in view.ends})
        self.phase, self.reason = "booting", ""
        self.device: Device | None = None
        self.asked = "webgpu", ""  # the device to open again after an error, and what is missing
        self.page_run: PageRun | None = None
        self.discarded: PageRun | Aside | None = None
        self.hidden = False
        self.is_busy = False  # in `advance`
        self.rate: float | None = None  # iterations a second, as last told
        self.inbox: deque[Message] = deque()
        self.stream: Iterator | None = None  # train(run), while something may be in flight
        self.began = 0  # the iteration at which it began
        self.posted = self.since = -math.inf  # times: last post, start of training
        self.pace = Pace()
        self.failing: dict[tuple[View, str], object] = {}  # what of a view fails, by which edits

    # ---- the host's side ------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        """Queue a command. `advance` obeys it once nothing is in flight."""
        self.inbox.append(message)
        if self.is_busy:
            self.watchdog.hear(message, self.phase)
        if self.stream is not None and message["type"] not in self.at_once:
            self.page_run.run.pause()

    def advance(self) -> bool:
        """Train for about a frame and obey the commands; True when there is more to do now."""
        self.watchdog.begin(self.inbox, self.phase)
        self.is_busy = True
        try:
            if self.stream is not None:
                self._train()
            for view in self.views:
                if view.running:
                    self._ask(view, "advance")
            while self.inbox and (self.stream is None or self.inbox[0]["type"] in self.at_once):
                self._obey(self.inbox.popleft())
                self.watchdog.relax(self.inbox, self.phase)
            if self.phase == "training" and self.stream is None:
                self._go_on()
        except BaseException as error:
            self._stumble(error)
        finally:
            self.is_busy, self.watchdog.asked_at = False, math.inf
        beside = any(view.running for view in self.views)
        return self.phase == "training" or beside or bool(self.inbox)

    def after_wait(self) -> None:
        """Called by the host after each wait: ends code that was asked to stop and does not."""
        rate = None if self.live.change else self.rate  # of the code that runs
        preparing = self.phase == "booting" or self.device.preparing
        self.watchdog.after_wait(self.inbox, self.phase, rate, preparing)

    def flush(self) -> None:
        """Post what has gathered, also while `advance` waits; `advance` meets what fails here."""
        with suppress(BaseException):
            self._flush()

    def _flush(self) -> None:
        if self.page_run and len(self.page_run.run.log) > self.page_run.posted:
            self._post_steps()
        for view in self.views:
            self._ask(view, "flush")

    def open(self, name: str, missing: str = "") -> None:
        """Open a device, or where it cannot be had the next of INSTEAD, and put its run aside."""
        aside = Aside.of(self.page_run or self.discarded, spoiled=self.phase == "error")
        self.page_run, self.discarded = None, aside
        self.asked, detail = (name, missing), ""
        self._enter("booting")
        if self.device:
            self.device.close()
        device = None
        while not device:
            try:
                device = self.open_device(name, self._stage)
            except DeviceError as error:
                if name not in INSTEAD:
                    raise
                if name == "webgpu":
                    missing, detail = "adapter", str(error)
                else:
                    self.post({"type": "notice", "message": f"{error} NumPy trains, more slowly."})
                name = INSTEAD[name]
        self.device = device
        told = {"adapter": adapter(self.device, missing, detail), "limits": limits()}
        self.post({"type": "ready", **told, "defaults": settings(self.setup.train)})
        self._enter("ready")
        self.copies.offer(self.corpus)

    def renew(self) -> None:
        """Tell the page and the views of the text and the model of the next run."""
        self._enter("ready")

    def post_setup(self) -> None:
        """Tell the page the settings of the next run."""
        self.post({"type": "setup", "settings": settings(self.setup.train)})

    def post_changed(self) -> None:
        """Tell the page that the run's settings have changed; one that was done may continue."""
        self.post({"type": "setup", "settings": settings(self.run.config)})
        self._post_steps()
        if self.phase == "done":
            self.rest()

    def _follow(self, corpus: Corpus, model: GPTConfig) -> None:
        """Take over the text of a run, as it reads it, and its model with that."""
        if (corpus.sha256, corpus.tokenizer) != (self.corpus.sha256, self.corpus.tokenizer):
            self.corpus = corpus
            self.setup = replace(self.setup, tokenizer=corpus.tokenizer, model=model)

    @property
    def run(self) -> Run | None:
        """The run that is the page's now."""
        return self.page_run.run if self.page_run else None

    def ask_boundary(self) -> None:
        """Call every view's `between` once the run is between two iterations."""
        self.receive({"type": "boundary"})

    # ---- training -------------------------------------------------------------------------------

    def _train(self) -> None:
        """Take records until a frame has passed or nothing is in flight."""
        deadline = max(self.clock(), self.posted + FRAME)
        while (record := next(self.stream, None)) is not None:
            if record.val is not None and not math.isfinite(record.val):
                raise NonFiniteLoss(record)
            if self.live.change:
                self.live.adopt()
            if any(message["type"] not in self.at_once for message in self.inbox):
                self.page_run.run.pause()
            if self.clock() >= deadline:
                break
        else:
            self.stream = None
            if self.page_run.iter == self.began and not self.page_run.run.pausing:
                raise RuntimeError(
                    f"train() ended at iteration {self.began} without having trained: it has to "
                    "yield a Record for each iteration, until the last one or run.pause()."
                )
        self._flush()
        if self.stream is not None and self.copies.are_stale(self.page_run, self.setup):
            self.page_run.run.pause()  # so that nothing is in flight when it is copied

    def _go_on(self) -> None:
        """Start training, continue it after commands or a copy, or be done."""
        run = self.page_run.run
        if self.page_run.iter >= run.config.iters:
            self.copies.keep(self.page_run)
            self._enter("done")
        elif self.hidden:
            self._enter("paused", "hidden")
        else:
            if self.copies.are_stale(self.page_run, self.setup):
                self.copies.keep(self.page_run)
            self.stream, self.began = iter(groundling.train.train(run)), self.page_run.iter

    def _post_steps(self) -> None:
        """Post the run's progress and its new records."""
        page_run, now = self.page_run, self.clock()
        run, training = page_run.run, self.phase == "training"
        rate = self.pace.rate(now, page_run.iter) if training else None
        self.rate = rate or self.rate
        elapsed = page_run.seconds + (now - self.since if training else 0.0)
        posted, end = page_run.posted, len(run.log)
        self.posted, page_run.posted = now, end
        for at in range(posted, max(end, posted + 1), MOST_RECORDS):
            records = run.log[at : at + MOST_RECORDS]
            told = progress(page_run, elapsed, rate) | {"records": [*map(row, records)]}
            self.post({"type": "steps", **told})
            if records:
                self._ask_all("on_records", records)

    # ---- commands -------------------------------------------------------------------------------

    def _obey(self, message: Message) -> None:
        """Obey a command. An error leaves the run as it was, unless the device is lost."""
        command = message["type"]
        view = self.doers.get(command)
        try:
            if self.live.change and self.stream is None:
                self.live.rehearse()  # every other command is on code that has proved itself
            if view and command in view.begins:
                if self.phase not in RESTING:
                    return
                self._ask_all("stop")  # what another has begun: two would share the GPU
            do = getattr(view, f"do_{command}") if view else getattr(self, f"_do_{command}")
            with self.device.undisturbed() if view and self.device else nullcontext():
                do(message)
        except Refused:
            pass  # and told
        except LOST:
            raise
        except BaseException as error:
            if self.phase == "booting":
                raise
            if view:
                view.on_failure(message, error)
            else:
                self.post({"type": "error", **explain(error, message.get("files"))})

    @contextmanager
    def replacing(self, message: Message) -> Iterator[None]:
        """Replace the page's run in the block, under the command's edits, or change nothing."""
        was, device = (self.page_run, self.discarded, self.setup, self.corpus), self.device
        undo = self.live.use(message)
        try:
            yield
        except BaseException:
            undo()
            replaced = self.page_run is not was[0]
            self.page_run, self.discarded, self.setup, self.corpus = was
            if replaced and self.page_run:
                self._begin(self.page_run)  # the page had heard of the other already
            raise
        self.leave(device)

    def _do_start(self, message: messages.run.StartCommand) -> None:
        if self.phase != "ready":
            return
        with self.replacing(message):
            self.discarded = None
            train = train_config(message, self.setup.train)
            model = live.again(groundling.config.GPTConfig, self.setup.model)
            setup = replace(self.setup, train=train, model=model)
            drawn = drawing(self.post, self.clock)
            run = groundling.runs.run.begin(setup, self.corpus, self.device, drawn)
            self._begin(PageRun(run))
            self._enter("training")

    def _do_pause(self, message: messages.run.PauseCommand) -> None:
        if self.phase == "training" or self.reason == "hidden":
            self._enter("paused", "hand")
            self.copies.keep(self.page_run)

    def _do_resume(self, message: messages.run.ResumeCommand) -> None:
        self.resume()

    def resume(self) -> None:
        """Continue training, if the run is paused."""
        if self.phase == "paused":
            self.discarded = None
            if self.page_run.iter and not self.page_run.kept:
                self.copies.keep(
                    self.page_run
                )  # one that was loaded may break before its next copy
            self._enter("training")

    def _do_hidden(self, message: messages.run.HiddenCommand) -> None:
        self.hidden = message["hidden"]
        if self.hidden and self.phase == "training":
            self._enter("paused", "hidden")
            self.copies.keep(self.page_run)
        elif not self.hidden and self.reason == "hidden":
            self._enter("training")

    def _do_reset(self, message: messages.run.ResetCommand) -> None:
        if self.phase == "booting":
            return
        if self.phase == "error":
            self.open(*self.asked)
        else:
            self._put_aside()
            self._enter("ready")

    def _do_undo(self, message: messages.run.UndoCommand) -> None:
        if not self.discarded or self.phase not in RESTING:
            return
        with self.replacing(message):
            aside, self.discarded = self.discarded, None
            if isinstance(aside, PageRun):
                run = aside.run
                self._follow(run.corpus, run.model.config)
                page_run = self.live.carried(aside)
            else:
                if not (saved := aside.saved or self.copies.of(aside, message)):
                    raise ValueError("The copy of that run is gone: it cannot be brought back.")
                self._follow(aside.corpus, saved.state.model)
                run = groundling.runs.statefile.resume(saved, self.corpus, self.device, anyway=True)
                page_run = PageRun(run, seconds=aside.seconds)
                if diff := live.diff(aside.overlay, sources.overlay):
                    run.edits.append((run.iter, diff))
            self._begin(page_run)
            self.rest()
        self.copies.keep(self.page_run)  # the copy that it had may be gone by now

    def _put_aside(self) -> None:
        """Put the run aside for Undo, if there is one."""
        if self.page_run:
            self._stop_clock()
            self.page_run.recapture()  # what is put aside needs no memory for steps
            self.discarded, self.page_run = self.page_run, None

    def _do_interrupt(self, message: messages.code.InterruptCommand) -> None:
        """Nothing is left to end."""

    def _do_lr(self, message: messages.run.LrCommand) -> None:
        if self.page_run:
            self.page_run.run.set_lr(message["value"])
            self._post_steps()

    def _do_iters(self, message: messages.run.ItersCommand) -> None:
        if self.phase in ("training", "paused", "done"):
            groundling.runs.further.extend(self.run, message["value"])
            self.post_changed()

    def _do_lost(self, message: Message) -> None:
        """From the host, not the page: a GPU is lost, perhaps one that is no longer in use."""
        if message["device"] is self.device and self.phase != "error":
            raise DeviceLost(message["message"])

    def _do_device(self, message: messages.run.DeviceCommand) -> None:
        if self.phase in ("booting", "ready", "error"):
            self.open(message["name"], message.get("missing", ""))

    def _do_boundary(self, message: Message) -> None:
        """From a view, not the page."""
        self._ask_all("between")

    # ---- state ----------------------------------------------------------------------------------

    def _begin(self, page_run: PageRun) -> None:
        """Make a run the page's, and post its settings, records and progress."""
        self.page_run, page_run.posted, self.asking = page_run, 0, None
        page_run.keep_best()
        self._follow(page_run.run.corpus, page_run.run.model.config)
        edits = [{"iter": at, "diff": diff} for at, diff in page_run.run.edits]
        self.post({"type": "run", **settings(page_run.run.config), "edits": edits})
        self._post_steps()

    def take(self, page_run: PageRun) -> None:
        """Make a run the page's, and put the one before it aside for Undo."""
        self._put_aside()
        self._begin(page_run)

    def go_on_with(self, old: PageRun) -> None:
        """The run has replaced `old`, which it continues: the page has most of it."""
        if settings(self.run.config) != settings(old.run.config) or self.phase == "error":
            self._begin(self.page_run)
        if self.phase == "error":
            self.rest()

    def leave(self, device: Device) -> None:
        """Close a device that edited code has replaced, unless a run put aside is on it."""
        if device is not self.device:
            self._ask_all("drop")
            if not self.discarded:
                device.close()

    def rest(self) -> None:
        """Enter the phase of a run that does not train: paused, or done."""
        done = self.page_run.iter >= self.page_run.run.config.iters
        self._enter("done" if done else "paused", "" if done else "hand")

    def _enter(self, phase: str, reason: str = "") -> None:
        """Enter a phase. Only `training` counts to the run's time."""
        if phase == "training":
            self._ask_all("stop")
        elif phase in ("booting", "error"):
            self._ask_all("drop")  # their device is gone, or may be
        self._stop_clock()
        self.phase, self.reason = phase, reason
        if phase == "training":
            self.since = self.clock()
            self.copies.restart(self.page_run)
            self.pace = Pace()
        if self.page_run:
            self._post_steps()
        undo = self.discarded.iter if self.discarded and phase in RESTING else None
        model = self.run.model.config if self.run else self.setup.model
        self.post({"type": "model", **model_of(model, self.corpus)})
        self.post({"type": "phase", "phase": phase, "reason": reason, "undo": undo or None})
        self._ask_all("on_phase", phase)

    def _stop_clock(self) -> None:
        """Add the time since training began to the run's, and leave that phase."""
        if self.phase == "training":
            self.page_run.seconds += self.clock() - self.since
            self.phase = "paused"

    def _ask_all(self, what: str, *arguments: object) -> None:
        for view in self.views:
            self._ask(view, what, *arguments)

    def _ask(self, view: View, what: str, *arguments: object) -> None:
        """Call a method of a view. A failure is told once, since it may come at every frame."""
        try:
            getattr(view, what)(*arguments)
        except BaseException as error:
            if isinstance(error, LOST) and what not in ("drop", "on_error"):
                raise
            place, code = (view, what), sources.overlay
            if self.failing.get(place) is not code:
                self.failing[place] = code
                words = sentence(error, self)
                self.post({"type": "notice", "message": f"A part of the page failed. {words}"})

    def _stumble(self, error: BaseException) -> None:
        """Return to the old code, or stop and say why; reports failures on the way in short."""
        self.stream = None
        try:
            if self.live.change and not isinstance(error, LOST):
                self.live.refuse(error)
            else:
                self._fail(error)
        except BaseException as another:
            self.phase, self.reason = "error", UNKNOWN[0]
            message = f"{type(error).__name__}; and as that was told, {type(another).__name__}."
            told = {"title": UNKNOWN[0], "message": message, "hint": UNKNOWN[1], "detail": ""}
            phase = {"phase": self.phase, "reason": self.reason, "undo": None}
            for report in ({"type": "phase", **phase}, {"type": "error", **told, "frames": []}):
                with suppress(BaseException):
                    self.post(report)

    def _fail(self, error: BaseException) -> None:
        """Stop, post the error, and keep the run."""
        panel = explain(error)
        self._ask_all("on_error", error)
        self._enter("error", panel["title"])
        self.post({"type": "error", **panel})

    def _stage(self, stage: str, done: int, total: int, detail: str = "") -> None:
        self.post({"type": "stage", "stage": stage, "done": done, "total": total, "detail": detail})
