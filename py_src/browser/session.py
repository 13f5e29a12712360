"""The session behind the page: commands in, messages out, as py_src/browser/messages has them.

It knows nothing of the browser, and its tests run natively. The host calls `receive` with each
command, whenever it comes, also while `advance` waits for the GPU; and it calls `advance` again and
again, as long as that returns True and after every command. Commands are obeyed between two
iterations, when nothing is in flight.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from autosave import Autosave, StoreError, StoreFull
from beside import sentence
from explain import LOST, UNKNOWN, explain
from trial import Aside, Kept, Trial
from view import FRAME, EditsView, Refused, View
from wire import Message

import groundling.config
import groundling.data
import groundling.model
import groundling.runs.checkpoint
import groundling.runs.configfile
import groundling.runs.run
import groundling.runs.samples
import groundling.runs.statefile
import groundling.runs.texts
import groundling.train
from groundling import sources
from groundling.devices.base import DeviceError, DeviceLost
from groundling.edits import live
from groundling.engine.parameters import parameter_count
from groundling.runs.checkpoint import CheckpointError
from groundling.runs.run import NonFiniteLoss
from groundling.runs.statefile import OtherOrigin

if TYPE_CHECKING:
    from typing import Any

    from groundling.config import GPTConfig, TrainConfig
    from groundling.data import Corpus
    from groundling.devices.base import Device
    from groundling.runs.records import Record
    from groundling.runs.run import Run
    from groundling.runs.statefile import Saved

Pieces = Iterator[tuple[int, "bytes | memoryview"]]
"""A file in pieces, each with its place; see state.stream."""
DRAWING = 0.1  # seconds between two words of how many weights are drawn
MOST_RECORDS = 5_000  # in a message: a long run that comes back would be hundreds of MB as one
RATE_WINDOW = 3.0  # seconds that iterations per second are measured over
KEEP = 20.0  # seconds of training between two copies of the run's state; sooner, if
KEEP_LEAST = 5.0  # so many seconds have passed, and the setup's checkpoint_interval
KEEP_SHARE = 0.05  # of the time at most goes to copying
LIVE = ("lr", "log", "interrupt")
"""Commands that need not wait until nothing is in flight; the views have more."""
STOPS = "pause", "reset", "interrupt"
"""Commands that end code which does not end by itself: after STOP_SECONDS, once it has waited for
the device STOP_WAITS times, or for as long as STOP_ITERS iterations take. So do those of the views
that end what they have begun, while no run trains.
"""
STOP_SECONDS = 1.5
STOP_WAITS = 200  # an iteration with an evaluation and a sample has about 15
STOP_ITERS = 6  # what is in flight, the iteration and an evaluation
STOP_FIRST = 8.0  # seconds for them, where nobody knows yet how long an iteration takes
RESTING = ("ready", "paused", "done")
"""The phases in which a view may begin work of its own."""


class Session:
    """One page's training: at most one run, on one device.

    post(message) sends a message to the page; its values are plain, but for `bytes`.
    open_device(name, stage) opens a device; it may call stage(name, done, total, detail) meanwhile.
    views(session) makes its views, of which the first is the one of the reader's edits. clock() is
    in seconds. Without an autosave, copies of the run go to the page only.
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
        self.autosave, self.trouble = autosave, ""  # and what was last told of copies that fail
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
        self.enders = {command for view in self.views for command in view.ends}
        self.phase, self.reason = "booting", ""
        self.device: Device | None = None
        self.asked = "webgpu", ""  # the device to open again after an error, and what is missing
        self.trial: Trial | None = None
        self.discarded: Trial | Aside | None = None
        self.hidden = False
        self.is_busy = False  # in `advance`
        self.asked_at, self.waits = math.inf, 0  # when it was asked to stop; its waits since
        self.rate: float | None = None  # iterations a second, as last told
        self.inbox: deque[Message] = deque()
        self.stream: Iterator | None = None  # train(run), while something may be in flight
        self.began = 0  # the iteration at which it began
        self.posted = self.since = -math.inf  # times: last post, start of training
        self.kept, self.keep_every = (-math.inf, 0), 0.0  # last copy: (time, iter); seconds
        self.marks: deque[tuple[float, int]] = deque()  # (time, iter), for the rate
        self.failing: dict[tuple[View, str], object] = {}  # what of a view fails, by which edits

    # ---- the host's side ------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        """Take a command. It is obeyed by `advance`, as soon as what is in flight has landed."""
        self.inbox.append(message)
        if self._stops(message) and self.is_busy and self.asked_at == math.inf:
            self.asked_at = self.clock()
        if self.stream is not None and message["type"] not in self.at_once:
            self.trial.run.pause()

    def _stops(self, message: Message) -> bool:
        """Whether a command ends code that does not end by itself."""
        beside = self.phase != "training" and message["type"] in self.enders
        return beside or message["type"] in STOPS

    def after_wait(self) -> None:
        """End code that goes on waiting for the device though it was asked to stop.

        The host calls it after each wait; an iteration that ends, as it should, is never ended so.
        """
        typed = any(message["type"] == "interrupt" for message in self.inbox)
        if self.asked_at == math.inf or not (sources.overlay or typed):
            return  # the library's own code comes to an end, however slow the device is
        if self.phase == "booting" or self.device.preparing:
            self.asked_at = self.clock()  # and so does a compiler
            return
        self.waits += 1
        seconds = self.clock() - self.asked_at - STOP_SECONDS
        rate = None if self.live.change else self.rate  # of the code that runs
        trains = self.phase == "training" and not typed
        slow = STOP_ITERS / rate if rate else STOP_FIRST if trains else 0.0
        if seconds > 0 and (self.waits > STOP_WAITS or seconds > slow):
            self.asked_at, self.waits = math.inf, 0
            raise KeyboardInterrupt("It did not come to an end by itself when you stopped it.")

    def advance(self) -> bool:
        """Train for about a frame and obey what was asked; True when there is more to do now."""
        asked = any(map(self._stops, self.inbox))
        self.asked_at, self.waits = self.clock() if asked else math.inf, 0
        self.is_busy = True
        try:
            if self.stream is not None:
                self._train()
            for view in self.views:
                if view.running:
                    self._ask(view, "advance")
            while self.inbox and (self.stream is None or self.inbox[0]["type"] in self.at_once):
                self._obey(self.inbox.popleft())
                if not any(map(self._stops, self.inbox)):
                    self.asked_at, self.waits = math.inf, 0  # it is obeyed; what follows may last
            if self.phase == "training" and self.stream is None:
                self._go_on()
        except BaseException as error:
            self._stumble(error)
        finally:
            self.is_busy, self.asked_at = False, math.inf
        beside = any(view.running for view in self.views)
        return self.phase == "training" or beside or bool(self.inbox)

    def flush(self) -> None:
        """Post what has gathered. The host may call it while `advance` waits, so what fails here
        is left for `advance` to meet.
        """
        with suppress(BaseException):
            self._flush()

    def _flush(self) -> None:
        if self.trial and len(self.trial.run.log) > self.trial.posted:
            self._post_steps()
        for view in self.views:
            self._ask(view, "flush")

    def open(self, name: str, missing: str = "") -> None:
        """Open a device: NumPy where there is no WebGPU, and the page is told what is missing. The
        run of the device before is put aside.
        """
        self.trial, self.discarded = None, self._aside(self.trial or self.discarded)
        self.asked, detail = (name, missing), ""
        self._enter("booting")
        if self.device:
            self.device.close()
        try:
            self.device = self.open_device(name, self._stage)
        except DeviceError as error:
            if name == "numpy":
                raise
            missing, detail = "adapter", str(error)
            self.device = self.open_device("numpy", self._stage)
        self.post(
            {
                "type": "ready",
                "adapter": {
                    "device": self.device.name,
                    "name": self.device.description,
                    "fallback": bool(missing) or self.device.is_emulated,
                    "missing": missing,
                    "detail": detail,
                },
                "defaults": settings(self.setup.train),
                "limits": limits(),
            }
        )
        self._enter("ready")
        self._offer()

    def post_setup(self) -> None:
        """Tell the page, and the views, of the text, the model and the settings of the next run."""
        self.post({"type": "setup", "settings": settings(self.setup.train)})
        self._enter("ready")

    def post_changed(self) -> None:
        """Tell the page that settings of the run were changed; one that was done may go on."""
        self.post({"type": "setup", "settings": settings(self.run.config)})
        self._post_steps()
        if self.phase == "done":
            self._rest()

    def _model(self) -> Message:
        """The model of the run, or of the next one."""
        model = self.run.model.config if self.run else self.setup.model
        shapes = groundling.model.parameter_shapes(model)
        return {
            "uniformLoss": math.log(model.vocab_size),
            "vocabSize": model.vocab_size,
            "opening": groundling.runs.samples.opening(self.corpus),
            "parameters": parameter_count(shapes),
        }

    def _follow(self, corpus: Corpus, model: GPTConfig) -> None:
        """Have the text of a run, as it reads it, and its model with that, where it is another."""
        if (corpus.sha256, corpus.tokenizer) != (self.corpus.sha256, self.corpus.tokenizer):
            self.corpus = corpus
            self.setup = replace(self.setup, tokenizer=corpus.tokenizer, model=model)

    @property
    def run(self) -> Run | None:
        """The run that is the page's now."""
        return self.trial.run if self.trial else None

    def ask_boundary(self) -> None:
        """Have every view's `between` called once the run is between two iterations."""
        self.receive({"type": "boundary"})

    # ---- training -------------------------------------------------------------------------------

    def _train(self) -> None:
        """Take records until a frame has passed, or nothing is left in flight."""
        deadline = max(self.clock(), self.posted + FRAME)
        while (record := next(self.stream, None)) is not None:
            if record.val is not None and not math.isfinite(record.val):
                raise NonFiniteLoss(record)
            if self.live.change:
                self.live.adopt()
            if any(message["type"] not in self.at_once for message in self.inbox):
                self.trial.run.pause()
            if self.clock() >= deadline:
                break
        else:
            self.stream = None
            if self.trial.iter == self.began and not self.trial.run.pausing:
                raise RuntimeError(
                    f"train() ended at iteration {self.began} without having trained: it has to "
                    "yield a Record for each iteration, until the last one or run.pause()."
                )
        self._flush()
        if self.stream is not None and self._is_stale():
            self.trial.run.pause()  # so that nothing is in flight when it is copied

    def _is_stale(self) -> bool:
        """Whether it is time for another copy of the run."""
        seconds, iters = self.clock() - self.kept[0], self.trial.iter - self.kept[1]
        often = iters >= self.setup.checkpoint_interval
        enough = seconds > KEEP_LEAST and often or seconds > KEEP
        return enough and seconds > self.keep_every

    def _go_on(self) -> None:
        """Begin to train, or go on after the commands or a copy; or be done."""
        run = self.trial.run
        if self.trial.iter >= run.config.iters:
            self._keep()
            self._enter("done")
        elif self.hidden:
            self._enter("paused", "hidden")
        else:
            if self._is_stale():
                self._keep()
            self.stream, self.began = iter(groundling.train.train(run)), self.trial.iter

    def _post_steps(self) -> None:
        """Post where the run stands, with the records that have gathered."""
        trial, now = self.trial, self.clock()
        run, training = trial.run, self.phase == "training"
        if training:
            self.marks.append((now, trial.iter))
            while len(self.marks) > 3 and now - self.marks[0][0] > RATE_WINDOW:
                self.marks.popleft()
        rate = None
        if training and now > self.marks[0][0]:
            rate = (trial.iter - self.marks[0][1]) / (now - self.marks[0][0])
        self.rate = rate or self.rate
        tokens = run.config.batch_size * run.model.config.block_size
        val_loss = run.val_loss if run.val_loss is not None and run.val_loss < math.inf else None
        told = {
            "iter": trial.iter,
            "iters": run.config.iters,
            "trainLoss": run.train_loss,
            "valLoss": val_loss,
            "perplexity": perplexity(val_loss),
            "lr": run.log[-1].lr if run.log else None,
            "itersPerSecond": rate,
            "tokensPerSecond": None if rate is None else rate * tokens,
            "elapsed": trial.seconds + (now - self.since if training else 0.0),
        }
        posted, end = trial.posted, len(run.log)
        self.posted, trial.posted = now, end
        for at in range(posted, max(end, posted + 1), MOST_RECORDS):
            records = run.log[at : at + MOST_RECORDS]
            self.post({"type": "steps", "records": [row(record) for record in records], **told})
            if records:
                self._ask_all("on_records", records)

    # ---- commands -------------------------------------------------------------------------------

    def _obey(self, message: Message) -> None:
        """Obey a command. Whatever it raises, the run is as it was; but for a lost device."""
        command = message["type"]
        view = self.doers.get(command)
        try:
            if self.live.change and self.stream is None:
                self.live.rehearse()  # every other command is on code that has proved itself
            if view and command in view.begins:
                if self.phase not in RESTING:
                    return
                self._stop_views()
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
                self.post({"type": "error", **explain(error)})

    @contextmanager
    def _replacing(self, message: Message) -> Iterator[None]:
        """In the block another run takes the place of the page's, under the edits of the command.
        What is raised, also by these edits, leaves all as it was: run, text, settings and code.
        """
        was, device = (self.trial, self.discarded, self.setup, self.corpus), self.device
        undo = self.live.use(message)
        try:
            yield
        except BaseException:
            undo()
            replaced = self.trial is not was[0]
            self.trial, self.discarded, self.setup, self.corpus = was
            if replaced and self.trial:
                self._begin(self.trial)  # the page had heard of the other already
            raise
        self.leave(device)

    def _do_start(self, message: Message) -> None:
        if self.phase != "ready":
            return
        with self._replacing(message):
            self.discarded = None
            train = train_config(message, self.setup.train)
            model = live.again(groundling.config.GPTConfig, self.setup.model)
            setup = replace(self.setup, train=train, model=model)
            drawn = self._drawing(self.clock())
            run = groundling.runs.run.begin(setup, self.corpus, self.device, drawn)
            self._begin(Trial(run))
            self._enter("training")

    def _drawing(self, last: float) -> Callable[[int, int], None]:
        """Tells the page how many of the first weights are drawn, where that takes long."""

        def drawn(done: int, total: int) -> None:
            nonlocal last
            if (now := self.clock()) - last > DRAWING:
                last = now
                self.post({"type": "drawing", "done": done, "total": total})

        return drawn

    def _do_pause(self, message: Message) -> None:
        if self.phase == "training" or self.reason == "hidden":
            self._enter("paused", "hand")
            self._keep()

    def _do_resume(self, message: Message) -> None:
        if self.phase == "paused":
            self.discarded = None
            self._enter("training")

    def _do_hidden(self, message: Message) -> None:
        self.hidden = message["hidden"]
        if self.hidden and self.phase == "training":
            self._enter("paused", "hidden")
            self._keep()
        elif not self.hidden and self.reason == "hidden":
            self._enter("training")

    def _do_reset(self, message: Message) -> None:
        if self.phase == "booting":
            return
        if self.phase == "error":
            self.open(*self.asked)
        else:
            self._put_aside()
            self._enter("ready")

    def _do_undo(self, message: Message) -> None:
        if not self.discarded or self.phase not in RESTING:
            return
        with self._replacing(message):
            aside, self.discarded = self.discarded, None
            if isinstance(aside, Trial):
                run = aside.run
                self._follow(run.corpus, run.model.config)
                trial = self.live.carried(aside)
            else:
                if not (saved := aside.saved or self.copy_of(aside, message)):
                    raise ValueError("The copy of that run is gone: it cannot be brought back.")
                self._follow(aside.corpus, saved.state.model)
                run = groundling.runs.statefile.resume(saved, self.corpus, self.device, anyway=True)
                trial = Trial(run, seconds=aside.seconds)
                if diff := live.diff(aside.overlay, sources.overlay):
                    run.edits.append((run.iter, diff))
            self._begin(trial)
            self._rest()
        self._keep()  # the copy that it had may be gone by now

    def _put_aside(self) -> None:
        """Put the run aside for Undo, if there is one."""
        if not self.trial:
            return
        self._stop_clock()
        self.trial.recapture()  # what is put aside needs no memory for steps
        self.discarded, self.trial = self.trial, None

    def _aside(self, trial: Trial | Aside | None) -> Aside | None:
        """A run without its device, which another takes the place of: as it is; or after an error,
        which may have left an iteration in the middle, its last copy.
        """
        if not isinstance(trial, Trial):
            return trial
        saved = None if self.phase == "error" else groundling.runs.statefile.snapshot(trial.run)
        if saved is None and trial.kept is None:
            return None
        return Aside(saved, trial.kept, trial.run.corpus, trial.seconds, trial.overlay)

    def _do_interrupt(self, message: Message) -> None:
        """Nothing, once what it was to end has ended."""

    def _do_lr(self, message: Message) -> None:
        if self.trial:
            self.trial.run.set_lr(message["value"])

    def _do_load(self, message: Message) -> None:
        if self.phase in ("booting", "error"):
            raise CheckpointError("There is no device to load it on. Reset, and load it again.")
        if groundling.runs.statefile.is_state(message["bytes"]):
            self._load_state(message, groundling.runs.statefile.loads(message["bytes"]))
        else:
            with self._replacing(message):
                self._load_weights(message)

    def _load_weights(self, message: Message) -> None:
        ckpt = groundling.runs.checkpoint.loads(message["bytes"])
        corpus = self._corpus_of(ckpt.vocab_hash)
        groundling.runs.checkpoint.require_vocab(ckpt, corpus.vocab_hash)
        config = replace(train_config(message, self.setup.train), seed=ckpt.seed)
        run = groundling.runs.run.Run(config, corpus, self.device, ckpt.config)
        run.sample_every = self.setup.sample_interval
        run.load(ckpt)
        note = (
            "The file holds weights only: AdamW's averages and the order of the batches begin anew."
        )
        if ckpt.iter >= config.iters:
            note += (
                f" At iteration {ckpt.iter:,} of {config.iters:,} nothing is left to train: to go "
                "on, Reset, raise Iterations, and load it again."
            )
        self._take("weights", message["name"], run, note)

    def _load_state(self, message: Message, saved: Saved, anyway: bool = False) -> bool:
        """Make the run of a state the page's, or ask, with nothing changed so far; True if it is
        the page's now.
        """
        self.asking = None
        try:
            with self._replacing(message):
                self._resume(message["name"], saved, anyway)
        except OtherOrigin as error:
            self.asking = {"message": message, "saved": saved}
            at, differences = saved.state, error.differences
            asked = {"name": message["name"], "seed": at.config.seed, "iter": at.iter}
            self.post({"type": "asked", **asked, "differences": differences})
            return False
        return True

    def _resume(self, name: str, saved: Saved, anyway: bool) -> None:
        corpus = self._corpus_of(saved.vocab_hash)
        run = groundling.runs.statefile.resume(saved, corpus, self.device, anyway)
        note = "This is the whole run: it goes on as if it had never stopped"
        here = groundling.runs.statefile.device_of(run)
        if anyway:
            note = "The run goes on from here by other code or on another text than it began with."
        elif saved.device != here:
            note += f", but on another device ({here}; it was {saved.device}), whose sums may round"
            note += " otherwise."
        else:
            note += ", bit for bit."
        self._take("state", name, run, note)

    def _corpus_of(self, vocab_hash: str) -> Corpus:
        """The text, by the tokenizer of a file's vocabulary."""
        tokenizer = groundling.data.tokenizer_of(vocab_hash)
        return groundling.runs.texts.read_as(self.corpus, tokenizer)

    def _take(self, kind: str, name: str, run: Run, note: str) -> None:
        """Make a run that was read the page's, and put the one before it aside."""
        self._put_aside()
        self._begin(Trial(run))
        told = {"seed": run.config.seed, "iter": run.iter, "valLoss": run.val_loss, "note": note}
        self.post({"type": "loaded", "kind": kind, "name": name, **told})
        self._rest()

    def _do_anyway(self, message: Message) -> None:
        """The answer to `asked`."""
        if self.asking and self.phase in RESTING:
            self._load_state(**self.asking, anyway=True)

    def _do_continue(self, message: Message) -> None:
        """Go on from the newest copy of autosave."""
        if self.phase != "ready" or not self.autosave:
            return
        message = message | {"name": "The copy in this browser"}
        if not (saved := self._from_store(lambda autosave: autosave.newest())):
            self._offer()
        elif saved.corpus_hash != self.corpus.sha256:
            name = repr(saved.dataset.name) if saved.dataset else "another text"
            raise ValueError(
                f"The run was trained on {name} (SHA-256 {saved.corpus_hash[:12]}…), which is not "
                "the text in use. Bring it under Text and model, then Continue."
            )
        elif self._load_state(message, saved):
            self._note_copy(saved, self.autosave.serial)
            if self.phase == "paused":
                self.discarded = None
                self._enter("training")

    def _do_discard(self, message: Message) -> None:
        """Let the copies of autosave go."""
        self._from_store(lambda autosave: autosave.discard())
        self._offer()

    def _do_undiscard(self, message: Message) -> None:
        """Bring them back, if no other copy has been kept since."""
        self._from_store(lambda autosave: autosave.restore())
        self._offer()

    def _do_save(self, message: Message) -> None:
        def of_copy(saved: Saved) -> Pieces:
            return groundling.runs.checkpoint.stream(groundling.runs.statefile.weights_of(saved))

        def of_run(run: Run) -> Pieces:
            return groundling.runs.checkpoint.stream(run.checkpoint())

        self._save(message, groundling.runs.checkpoint.file_name, of_run, of_copy)

    def _do_state(self, message: Message) -> None:
        def of_copy(saved: Saved) -> Pieces:
            at = saved.state
            return groundling.runs.statefile.stream(saved, [at.weights, at.m, at.v])

        self._save(
            message,
            groundling.runs.statefile.file_name,
            groundling.runs.statefile.stream_run,
            of_copy,
        )

    def _save(
        self,
        message: Message,
        file_name: Callable[[str, int], str],
        of_run: Callable[[Run], Pieces],
        of_copy: Callable[[Saved], Pieces],
    ) -> None:
        """Give the page a file of the run, or of its last copy where the run is lost or spoiled."""
        if not self.trial:
            self.post({"type": "notice", "message": "There is no run yet, so nothing to save."})
            return
        run, iter = self.trial.run, self.trial.run.iter
        try:
            self._post_pieces(of_run(run))
        except (*LOST, NonFiniteLoss, ValueError, RuntimeError):
            text = "The run as it is now is lost or spoiled. "
            if not (copy := self.copy_of(self.trial, message)):
                text += "There is nothing to save: no copy of it had been made yet."
                self.post({"type": "notice", "message": text})
                return
            self._post_pieces(of_copy(copy))
            iter = copy.state.iter
            text += f"What was saved is the last good copy, of iteration {iter:,}."
            self.post({"type": "notice", "message": text})
        name = file_name(run.config.seed, iter, run.model.config)
        self.post({"type": "file", "name": name, "mime": "application/octet-stream"})

    def copy_of(self, trial: Trial | Aside, message: Message) -> Saved | None:
        """The last copy of a run that is lost or spoiled; where the page has it, it has sent it
        with the command.
        """
        if trial.kept and trial.kept.serial is not None:
            return self._from_store(lambda autosave: autosave.read(trial.kept.serial))
        return groundling.runs.statefile.loads(message["bytes"]) if message.get("bytes") else None

    def _post_pieces(self, pieces: Pieces) -> None:
        """Give the page a file piece by piece, each with its place; what it is for comes next."""
        first = True
        for at, piece in pieces:
            self.post({"type": "piece", "first": first, "at": at, "bytes": piece})
            first = False

    def _do_log(self, message: Message) -> None:
        if not self.trial:
            return
        out = io.StringIO()
        rows = csv.DictWriter(out, ["iter", "train", "smooth", "lr", "val"], lineterminator="\n")
        rows.writeheader()
        rows.writerows(map(row, self.trial.run.log))
        run = self.trial.run
        name = groundling.runs.checkpoint.file_name(
            run.config.seed, self.trial.iter, run.model.config
        )
        self._post_file(name.replace(".bin", ".csv"), "text/csv", out.getvalue().encode())

    def _do_lost(self, message: Message) -> None:
        """Not from the page: the host says that a GPU is gone, which may be one of before."""
        if message["device"] is self.device and self.phase != "error":
            raise DeviceLost(message["message"])

    def _do_device(self, message: Message) -> None:
        if self.phase in ("booting", "ready", "error"):
            self.open(message["name"], message.get("missing", ""))

    def _do_boundary(self, message: Message) -> None:
        """Not from the page: a view has asked for it."""
        self._ask_all("between")

    # ---- state ----------------------------------------------------------------------------------

    def _begin(self, trial: Trial) -> None:
        """Make a run the page's: its settings, its records, where it stands."""
        self.trial, trial.posted, self.asking = trial, 0, None
        self._follow(trial.run.corpus, trial.run.model.config)
        edits = [{"iter": at, "diff": diff} for at, diff in trial.run.edits]
        self.post({"type": "run", **settings(trial.run.config), "edits": edits})
        self._post_steps()

    def go_on_with(self, old: Trial) -> None:
        """The run has taken the place of one that it goes on from: the page has most of it."""
        run = self.run
        if settings(run.config) != settings(old.run.config) or self.phase == "error":
            self._begin(self.trial)
        if self.phase == "error":
            self._rest()

    def leave(self, device: Device) -> None:
        """Let a device go, if edited code has opened another in its place; but a run that was put
        aside may be on it, and then it stays open.
        """
        if device is not self.device:
            self._ask_all("drop")
            if not self.discarded:
                device.close()

    def _rest(self) -> None:
        """Enter the phase of a run that does not train: paused, or done."""
        done = self.trial.iter >= self.trial.run.config.iters
        self._enter("done" if done else "paused", "" if done else "hand")

    def _enter(self, phase: str, reason: str = "") -> None:
        """Enter a phase. The clock of the run stands still in all but `training`."""
        if phase == "training":
            self._stop_views()
        elif phase in ("booting", "error"):
            self._ask_all("drop")  # their device is gone, or may be
        self._stop_clock()
        self.phase, self.reason = phase, reason
        if phase == "training":
            self.since = self.clock()
            self.kept = self.since, self.trial.iter
            self.marks.clear()
        if self.trial:
            self._post_steps()
        undo = self.discarded.iter if self.discarded and phase in RESTING else None
        self.post({"type": "model", **self._model()})
        self.post({"type": "phase", "phase": phase, "reason": reason, "undo": undo or None})
        self._ask_all("on_phase", phase)

    def _stop_clock(self) -> None:
        """Count the training so far into the run's time, and leave that phase."""
        if self.phase == "training":
            self.trial.seconds += self.clock() - self.since
            self.phase = "paused"

    def _stop_views(self) -> None:
        """End what the views have begun: two at a time would share the GPU."""
        self._ask_all("stop")

    def _ask_all(self, what: str, *arguments: object) -> None:
        for view in self.views:
            self._ask(view, what, *arguments)

    def _ask(self, view: View, what: str, *arguments: object) -> None:
        """Have a view do something. What fails there ends nothing else, and is told once, since it
        may fail at every frame.
        """
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
        """Meet what `advance` has met with: back to the old code, or stop and say why. What fails
        on the way is told in the fewest words, and the session obeys on.
        """
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
        """Stop, say why, and keep what there is."""
        panel = explain(error)
        self._ask_all("on_error", error)
        self._enter("error", panel["title"])
        self.post({"type": "error", **panel})

    def _keep(self) -> None:
        """Copy the run to where it outlasts this worker: the browser's storage, or else the page.
        Where that fails the run goes on, and the page is told.
        """
        began, run = self.clock(), self.trial.run
        try:
            facts = groundling.runs.statefile.facts(run)
            serial = self._autosave(facts, run)
            if serial is None:
                self._post_pieces(groundling.runs.statefile.stream(facts, run.floats()))
            self._note_copy(facts, serial)
        except (*LOST, NonFiniteLoss):
            raise
        except Exception as error:
            why = "There is not enough memory" if isinstance(error, MemoryError) else error
            self._tell(
                f"No copy of the run could be made ({why}). It goes on; Save state keeps it."
            )
        now = self.clock()
        self.kept, self.keep_every = (now, self.trial.iter), (now - began) / KEEP_SHARE

    def _note_copy(self, facts: Saved, serial: int | None) -> None:
        """There is a copy of the run: with that number in the store, or None: in the page."""
        at = facts.state
        self.trial.kept = Kept(at.iter, serial)
        name = groundling.runs.statefile.file_name(at.config.seed, at.iter, at.model)
        self.post({"type": "kept", "name": name, "iter": at.iter, "here": serial is not None})

    def _autosave(self, facts: Saved, run: Run) -> int | None:
        """Keep the run in the store: the copy's number there, or None, and the page is told."""
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
        """Tell the page that copies fail, once for as long as it is so."""
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

    def _from_store(self, look: Callable[[Autosave], Any]) -> Any:
        """What autosave gives; None where there is none, or it fails, and then the page is told."""
        try:
            return look(self.autosave) if self.autosave else None
        except StoreError as error:
            self._lose_store(error)
        except MemoryError:
            text = "There is not enough memory to read the copy that is kept in this browser."
            self.post({"type": "notice", "message": text})
        return None

    def _offer(self) -> None:
        """Tell the page of the newest copy that autosave has, if there is one."""
        saved = self._from_store(lambda autosave: autosave.newest(floats=False))
        copy = None
        if saved:
            at, config = saved.state, saved.state.config
            copy = {"seed": config.seed, "iter": at.iter, "iters": config.iters}
            copy |= {"valLoss": at.val_loss, "createdAt": saved.created_at, "text": None}
            if saved.corpus_hash != self.corpus.sha256:
                name = saved.dataset.name if saved.dataset else "another text"
                ours = saved.corpus_hash == groundling.data.SHAKESPEARE_SHA256
                copy["text"] = {"hash": saved.corpus_hash, "name": name, "ours": ours}
        self.post({"type": "offer", "copy": copy})

    def _stage(self, stage: str, done: int, total: int, detail: str = "") -> None:
        self.post({"type": "stage", "stage": stage, "done": done, "total": total, "detail": detail})

    def _post_file(self, name: str, mime: str, data: bytes) -> None:
        self.post({"type": "file", "name": name, "mime": mime, "bytes": data})


def row(record: Record) -> Message:
    """A record as the chart and the CSV have it."""
    return {name: getattr(record, name) for name in ("iter", "train", "smooth", "lr", "val")}


def perplexity(nats: float | None) -> float | None:
    """e to the loss: among how many characters an even guess would be as good. None if absurd."""
    return math.exp(nats) if nats is not None and nats < 20 else None


def settings(config: TrainConfig) -> Message:
    """What the page's fields show."""
    return {
        "seed": config.seed,
        "iters": config.iters,
        "batchSize": config.batch_size,
        "lr": config.lr,
    }


def limits() -> Message:
    """What the page's fields may hold: the least and the most; of the seed, its characters."""
    known = groundling.config.TRAIN_LIMITS
    return {
        "seed": (0, groundling.config.MAX_SEED),
        "iters": known["iters"],
        "batchSize": known["batch_size"],
        "lr": known["lr"],
    }


def train_config(message: Message, usual: TrainConfig) -> TrainConfig:
    """The run that the page's fields ask for, and for the rest the usual one, with the defaults of
    the code in force, which an edit may have changed. ValueError for what cannot be.
    """
    config = replace(
        groundling.config.with_peak(usual, message["lr"]),
        seed=message["seed"],
        iters=message["iters"],
        batch_size=message["batchSize"],
    )
    return live.again(groundling.config.TrainConfig, config)
