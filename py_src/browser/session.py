"""The session behind the page: commands in, messages out; which ones, site/src/protocol.ts says.

It knows nothing of the browser, and its tests run natively. The host calls `receive` with each
command, whenever it comes, also while `advance` waits for the GPU; and it calls `advance` again and
again, as long as that returns True and after every command. Commands are obeyed between two
iterations, when nothing is in flight.
"""

import csv
import io
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from explain import LOST, explain
from inspector_view import InspectorView
from twin_view import TwinView

from groundling import checkpoint
from groundling.checkpoint import Checkpoint, CheckpointError
from groundling.config import GPTConfig, TrainConfig
from groundling.corpus import Corpus
from groundling.devices import Device, DeviceError, DeviceLost
from groundling.model import parameter_shapes
from groundling.train import NonFiniteLoss, Record, Run, train

FRAME = 1 / 60  # seconds: messages come no more often
RATE_WINDOW = 3.0  # seconds that iterations per second are measured over
KEEP = 20.0  # seconds of training between two copies of the weights, kept in case the GPU is lost
LIVE = ("lr", "log", "inspect", "look", "close")
"""The commands that need not wait until nothing is in flight."""

Message = dict[str, Any]


@dataclass
class Trial:
    """A run and what the page knows of it: what Reset puts aside and Undo brings back."""

    run: Run
    posted: int = 0  # how many records of run.log the page has
    seconds: float = 0.0  # of training
    kept: Checkpoint | None = None  # the last copy of its weights

    @property
    def iter(self) -> int:
        """How many iterations have been trained and reported."""
        return self.run.first + len(self.run.log)


class Session:
    """One page's training: at most one run, on one device.

    post(message) sends a message to the page; its values are plain, but for `bytes`.
    open_device(name, stage) opens a device; it may call stage(name, done, total, detail) meanwhile.
    clock() is in seconds.
    """

    def __init__(
        self,
        post: Callable[[Message], None],
        open_device: Callable[[str, Callable[..., None]], Device],
        corpus: Corpus,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.post, self.open_device, self.corpus, self.clock = post, open_device, corpus, clock
        self.twin, self.inspector = TwinView(post, corpus, clock), InspectorView(post)
        self.phase, self.reason = "booting", ""
        self.device: Device | None = None
        self.asked = "webgpu", ""  # the device to open again after an error, and what is missing
        self.trial: Trial | None = None
        self.discarded: Trial | None = None
        self.hidden = False
        self.inbox: deque[Message] = deque()
        self.stream: Iterator | None = None  # train(run), while something may be in flight
        self.posted = self.since = self.kept = -math.inf  # times: last post, start, last copy
        self.marks: deque[tuple[float, int]] = deque()  # (time, iter), for the rate

    # ---- the host's side ------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        """Take a command. It is obeyed by `advance`, as soon as what is in flight has landed."""
        self.inbox.append(message)
        if self.stream is not None and message["type"] not in LIVE:
            self.trial.run.pause()

    def advance(self) -> bool:
        """Train for about a frame and obey what was asked; True when there is more to do now."""
        try:
            if self.stream is not None:
                self._train()
            if self.twin.running:
                self.twin.advance()
            while self.inbox and (self.stream is None or self.inbox[0]["type"] in LIVE):
                self._obey(self.inbox.popleft())
            if self.phase == "training" and self.stream is None:
                self._go_on()
        except (Exception, KeyboardInterrupt) as error:
            self._fail(error)
        return self.stream is not None or self.twin.running or bool(self.inbox)

    def flush(self) -> None:
        """Post the records that have gathered. The host may call it while `advance` waits."""
        if self.trial and len(self.trial.run.log) > self.trial.posted:
            self._post_steps()

    def open(self, name: str, missing: str = "") -> None:
        """Open a device: NumPy where there is no WebGPU, and the page is told what is missing."""
        self.trial = self.discarded = None
        self.asked, detail = (name, missing), ""
        self._enter("booting")
        try:
            self.device = self.open_device(name, self._stage)
        except DeviceError as error:
            if name == "numpy":
                raise
            missing, detail = "adapter", str(error)
            self.device = self.open_device("numpy", self._stage)
        train_config, model = TrainConfig(), GPTConfig(vocab_size=self.corpus.vocab_size)
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
                "defaults": settings(train_config),
                "uniformLoss": math.log(self.corpus.vocab_size),
                "vocabSize": self.corpus.vocab_size,
                "parameters": sum(math.prod(shape) for shape in parameter_shapes(model).values()),
            }
        )
        self._enter("ready")

    # ---- training -------------------------------------------------------------------------------

    def _train(self) -> None:
        """Take records until a frame has passed, or nothing is left in flight."""
        deadline = max(self.clock(), self.posted + FRAME)
        while (record := next(self.stream, None)) is not None:
            if record.val is not None and not math.isfinite(record.val):
                raise NonFiniteLoss(record)
            if any(message["type"] not in LIVE for message in self.inbox):
                self.trial.run.pause()
            if self.clock() >= deadline:
                break
        else:
            self.stream = None
        self.flush()
        if self.clock() - self.kept > KEEP:
            self._keep()

    def _go_on(self) -> None:
        """Begin to train, or go on after the commands; or be done."""
        run = self.trial.run
        if self.trial.iter >= run.config.iters:
            self._keep()
            self._enter("done")
        elif self.hidden:
            self._enter("paused", "hidden")
        else:
            self.stream = train(run)

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
        tokens = run.config.batch_size * run.model.config.block_size
        val_loss = run.val_loss if run.val_loss is not None and run.val_loss < math.inf else None
        records, trial.posted = [row(r) for r in run.log[trial.posted :]], len(run.log)
        self.posted = now
        self.post(
            {
                "type": "steps",
                "records": records,
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
        )

    # ---- commands -------------------------------------------------------------------------------

    def _obey(self, message: Message) -> None:
        try:
            getattr(self, f"_do_{message['type']}")(message)
        except ValueError as error:  # refused, and nothing has changed
            self.post({"type": "error", **explain(error)})

    def _do_start(self, message: Message) -> None:
        if self.phase == "ready":
            self.discarded = None
            self._begin(Trial(Run(train_config(message), self.corpus, self.device)))
            self._enter("training")

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
        lost, self.discarded, self.trial = self.phase == "error", self.trial, None
        if lost:
            self.open(*self.asked)
        else:
            self._enter("ready")

    def _do_undo(self, message: Message) -> None:
        if self.discarded and self.phase in ("ready", "paused", "done"):
            trial, self.discarded = self.discarded, None
            self._begin(trial)
            self._rest()

    def _do_lr(self, message: Message) -> None:
        if self.trial:
            self.trial.run.set_lr(message["value"])

    def _do_load(self, message: Message) -> None:
        if self.phase in ("booting", "error"):
            raise CheckpointError("There is no device to load it on. Reset, and load it again.")
        ckpt = checkpoint.loads(message["bytes"], self.corpus.vocab_hash)
        config = replace(train_config(message), seed=ckpt.seed)
        run = Run(config, self.corpus, self.device, ckpt.config)
        run.load(ckpt)
        self.discarded = self.trial or self.discarded
        self._begin(Trial(run, kept=ckpt))
        note = (
            "The file holds weights only: AdamW's averages and the order of the batches begin anew."
        )
        if ckpt.iter >= config.iters:
            note += (
                f" At iteration {ckpt.iter:,} of {config.iters:,} nothing is left to train: to go "
                "on, Reset, raise Iterations, and load it again."
            )
        self.post(
            {
                "type": "loaded",
                "name": message["name"],
                "seed": ckpt.seed,
                "iter": ckpt.iter,
                "valLoss": ckpt.val_loss,
                "note": note,
            }
        )
        self._rest()

    def _do_save(self, message: Message) -> None:
        if not self.trial:
            self.post({"type": "notice", "message": "There is no run yet, so nothing to save."})
            return
        try:
            ckpt = self.trial.run.checkpoint()
            data = checkpoint.dumps(ckpt)
        except (*LOST, CheckpointError):
            if not (ckpt := self.trial.kept):
                raise
            data = checkpoint.dumps(ckpt)
            self.post(
                {
                    "type": "notice",
                    "message": "The weights of now are lost or spoiled. What was saved is the last "
                    f"good copy, of iteration {ckpt.iter:,}.",
                }
            )
        name = checkpoint.file_name(ckpt.seed, ckpt.iter)
        self._post_file(name, "application/octet-stream", data)

    def _do_log(self, message: Message) -> None:
        if not self.trial:
            return
        out = io.StringIO()
        rows = csv.DictWriter(out, ["iter", "train", "smooth", "lr", "val"], lineterminator="\n")
        rows.writeheader()
        rows.writerows(map(row, self.trial.run.log))
        name = checkpoint.file_name(self.trial.run.config.seed, self.trial.iter)
        self._post_file(name.replace(".bin", ".csv"), "text/csv", out.getvalue().encode())

    def _do_lost(self, message: Message) -> None:
        """Not from the page: the host says that the GPU is gone."""
        if self.phase != "error":
            raise DeviceLost(message["message"])

    def _do_device(self, message: Message) -> None:
        if self.phase in ("booting", "ready", "error"):
            self.open(message["name"], message.get("missing", ""))

    def _do_twin(self, message: Message) -> None:
        if self.phase in ("ready", "paused", "done"):
            self.twin.start(tuple(message["seeds"]), message["iters"], self.device)

    def _do_untwin(self, message: Message) -> None:
        self.twin.stop()

    def _do_inspect(self, message: Message) -> None:
        self.inspector.read(message["slot"], message["name"], message["bytes"])

    def _do_inspect_run(self, message: Message) -> None:
        """Inspect the weights of now, as Save weights would write them."""
        slot, name = message["slot"], "the current run"
        if not self.trial:
            self.inspector.refuse(slot, name, "There is no run yet: press Start, or load one.")
            return
        try:
            ckpt = self.trial.run.checkpoint()
            name = checkpoint.file_name(ckpt.seed, ckpt.iter)
            self.inspector.read(slot, name, checkpoint.dumps(ckpt))
        except (*LOST, CheckpointError) as error:
            self.inspector.refuse(slot, name, str(error))

    def _do_look(self, message: Message) -> None:
        self.inspector.look(message["slot"], message["page"])

    def _do_close(self, message: Message) -> None:
        self.inspector.close(message["slot"])

    # ---- state ----------------------------------------------------------------------------------

    def _begin(self, trial: Trial) -> None:
        """Make a run the page's: its settings, its records, where it stands."""
        self.trial, trial.posted = trial, 0
        self.post({"type": "run", **settings(trial.run.config)})
        self._post_steps()

    def _rest(self) -> None:
        """Enter the phase of a run that does not train: paused, or done."""
        done = self.trial.iter >= self.trial.run.config.iters
        self._enter("done" if done else "paused", "" if done else "hand")

    def _enter(self, phase: str, reason: str = "") -> None:
        """Enter a phase. The clock of the run stands still in all but `training`."""
        now, before = self.clock(), self.phase
        if phase == "training":
            self.twin.stop()  # two at a time would share the GPU
        elif phase in ("booting", "error"):
            self.twin.drop()  # its device is gone, or may be
        if before == "training" and self.trial:
            self.trial.seconds += now - self.since
        self.phase, self.reason = phase, reason
        if phase == "training":
            self.since = self.kept = now
            self.marks.clear()
        if self.trial:
            self._post_steps()
        undo = self.discarded.iter if self.discarded else None
        self.post({"type": "phase", "phase": phase, "reason": reason, "undo": undo or None})

    def _fail(self, error: BaseException) -> None:
        """Stop, say why, and keep what there is."""
        self.stream = None
        panel = explain(error)
        self._enter("error", panel["title"])
        self.post({"type": "error", **panel})

    def _keep(self) -> None:
        """Copy the weights, here and to the page, in case the GPU or this worker is lost."""
        self.kept = self.clock()
        ckpt = self.trial.run.checkpoint()
        try:
            data = checkpoint.dumps(ckpt)
        except CheckpointError:  # spoiled, as the loss will soon tell
            return
        self.trial.kept = ckpt
        name = checkpoint.file_name(ckpt.seed, ckpt.iter)
        self.post({"type": "kept", "name": name, "iter": ckpt.iter, "bytes": data})

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


def train_config(message: Message) -> TrainConfig:
    """The run that the page's fields ask for. ValueError for what cannot be."""
    return TrainConfig(
        seed=message["seed"],
        iters=message["iters"],
        batch_size=message["batchSize"],
        lr=message["lr"],
    )
