"""The files of the page's run: weights, states and logs, and the copies in this browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from copies import post_pieces
from explain import LOST
from page_run import PageRun
from run_messages import train_config
from view import RESTING, View

import groundling.data
import groundling.runs.checkpoint
import groundling.runs.further
import groundling.runs.records
import groundling.runs.run
import groundling.runs.statefile
import groundling.runs.texts
from groundling.runs.checkpoint import CheckpointError
from groundling.runs.run import NonFiniteLoss
from groundling.runs.statefile import OtherOrigin

if TYPE_CHECKING:
    from types import ModuleType

    import messages.run
    from copies import Pieces
    from wire import Message

    from groundling.data import Corpus
    from groundling.runs.run import Run
    from groundling.runs.statefile import Saved


class FilesView(View):
    """Saves the run's files, and loads others in its place."""

    commands = "load", "anyway", "continue", "discard", "undiscard", "save", "best", "state"
    live = ("log",)

    def do_load(self, message: messages.run.LoadCommand) -> None:
        if self.session.phase in ("booting", "error"):
            raise CheckpointError("There is no device to load it on. Reset, and load it again.")
        if message.get("begin"):
            with self.session.replacing(message):
                self._begin_from(message)
        elif groundling.runs.statefile.is_state(message["bytes"]):
            self._load_state(message, groundling.runs.statefile.loads(message["bytes"]))
        else:
            with self.session.replacing(message):
                self._load_weights(message)

    def _begin_from(self, message: Message) -> None:
        """Begin a new run with the weights of a file."""
        states, data = groundling.runs.statefile, message["bytes"]
        if states.is_state(data):
            ckpt = states.weights_of(states.loads(data))
        else:
            ckpt = groundling.runs.checkpoint.loads(data)
        corpus, setup = self._corpus_of(ckpt.vocab_hash), self.session.setup
        setup = replace(setup, train=train_config(message, setup.train), tokenizer=corpus.tokenizer)
        run = groundling.runs.further.begin_from(ckpt, setup, corpus, self.session.device)
        note = groundling.runs.further.describe(run)
        note += " AdamW's averages, the schedule and the order of the batches begin anew."
        self._take("weights", message["name"], run, note)

    def _load_weights(self, message: Message) -> None:
        ckpt = groundling.runs.checkpoint.loads(message["bytes"])
        corpus = self._corpus_of(ckpt.vocab_hash)
        groundling.runs.checkpoint.require_vocab(ckpt, corpus.vocab_hash)
        config = replace(train_config(message, self.session.setup.train), seed=ckpt.seed)
        run = groundling.runs.run.Run(config, corpus, self.session.device, ckpt.config)
        run.sample_every = self.session.setup.sample_interval
        run.load(ckpt)
        note = (
            "The file holds weights only: AdamW's averages and the order of the batches begin anew."
        )
        if ckpt.iter >= config.iters:
            note += (
                f" At iteration {ckpt.iter:,} of {config.iters:,} nothing is left to train: to go "
                "on, raise Iterations, then Resume."
            )
        self._take("weights", message["name"], run, note)

    def _load_state(self, message: Message, saved: Saved, anyway: bool = False) -> bool:
        """Make the run of a state the page's, and return True; or ask first, with no change."""
        self.session.asking = None
        try:
            with self.session.replacing(message):
                self._resume(message["name"], saved, anyway)
        except OtherOrigin as error:
            self.session.asking = {"message": message, "saved": saved}
            at, differences = saved.state, error.differences
            asked = {"name": message["name"], "seed": at.config.seed, "iter": at.iter}
            self.post({"type": "asked", **asked, "differences": differences})
            return False
        return True

    def _resume(self, name: str, saved: Saved, anyway: bool) -> None:
        corpus = self._corpus_of(saved.vocab_hash)
        run = groundling.runs.statefile.resume(saved, corpus, self.session.device, anyway)
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
        """The text, read by the tokenizer of a file's vocabulary."""
        tokenizer = groundling.data.tokenizer_of(vocab_hash)
        return groundling.runs.texts.read_as(self.session.corpus, tokenizer)

    def _take(self, kind: str, name: str, run: Run, note: str) -> None:
        """Make a loaded run the page's, and put the one before it aside."""
        self.session.take(PageRun(run))
        told = {"seed": run.config.seed, "iter": run.iter, "valLoss": run.val_loss, "note": note}
        self.post({"type": "loaded", "kind": kind, "name": name, **told})
        self.session.rest()

    def do_anyway(self, message: messages.run.AnywayCommand) -> None:
        """The answer to `asked`."""
        if self.session.asking and self.session.phase in RESTING:
            self._load_state(**self.session.asking, anyway=True)

    def do_continue(self, message: messages.run.ContinueCommand) -> None:
        """Continue from autosave's newest copy."""
        if self.session.phase != "ready" or not self.session.copies.autosave:
            return
        message = message | {"name": "The copy in this browser"}
        if not (saved := self.session.copies.stored(lambda autosave: autosave.newest())):
            self.session.copies.offer(self.session.corpus)
        elif saved.corpus_hash != self.session.corpus.sha256:
            name = repr(saved.dataset.name) if saved.dataset else "another text"
            raise ValueError(
                f"The run was trained on {name} (SHA-256 {saved.corpus_hash[:12]}…), which is not "
                "the text in use. Bring it under Text and model, then Continue."
            )
        elif self._load_state(message, saved):
            self.session.copies.note(
                self.session.page_run, saved, self.session.copies.autosave.serial
            )
            self.session.resume()

    def do_discard(self, message: messages.run.DiscardCommand) -> None:
        """Discard autosave's copies."""
        self.session.copies.stored(lambda autosave: autosave.discard())
        self.session.copies.offer(self.session.corpus)

    def do_undiscard(self, message: messages.run.UndiscardCommand) -> None:
        """Restore them, if no other copy was saved since."""
        self.session.copies.stored(lambda autosave: autosave.restore())
        self.session.copies.offer(self.session.corpus)

    def do_save(self, message: messages.run.SaveCommand) -> None:
        files, weights_of = groundling.runs.checkpoint, groundling.runs.statefile.weights_of
        self._save(
            message,
            files,
            lambda run: files.stream(run.checkpoint()),
            lambda saved: files.stream(weights_of(saved)),
        )

    def do_best(self, message: messages.run.BestCommand) -> None:
        if not (self.session.run and (ckpt := self.session.run.best)):
            self.post({"type": "notice", "message": "No validation loss has been measured yet."})
            return
        files = groundling.runs.checkpoint
        post_pieces(self.post, files.stream(ckpt))
        name = files.file_name(ckpt.seed, ckpt.iter, ckpt.config).replace(".bin", "-best.bin")
        self.post({"type": "file", "name": name, "mime": "application/octet-stream"})

    def do_state(self, message: messages.run.StateCommand) -> None:
        files = groundling.runs.statefile
        self._save(message, files, files.stream_run, files.stream)

    def _save(
        self,
        message: Message,
        files: ModuleType,
        of_run: Callable[[Run], Pieces],
        of_copy: Callable[[Saved], Pieces],
    ) -> None:
        """Post a file of the run, or of its last copy if the run is lost or spoiled."""
        if not self.session.page_run:
            self.post({"type": "notice", "message": "There is no run yet, so nothing to save."})
            return
        run, iter = self.session.run, self.session.run.iter
        try:
            post_pieces(self.post, of_run(run))
        except (*LOST, NonFiniteLoss, ValueError, RuntimeError):
            text = "The run as it is now is lost or spoiled. "
            if not (copy := self.session.copies.of(self.session.page_run, message)):
                text += "There is nothing to save: no copy of it had been made yet."
                self.post({"type": "notice", "message": text})
                return
            post_pieces(self.post, of_copy(copy))
            iter = copy.state.iter
            text += f"What was saved is the last good copy, of iteration {iter:,}."
            self.post({"type": "notice", "message": text})
        name = files.file_name(run.config.seed, iter, run.model.config)
        self.post({"type": "file", "name": name, "mime": "application/octet-stream"})

    def do_log(self, message: messages.run.LogCommand) -> None:
        if not (page_run := self.session.page_run):
            return
        records = groundling.runs.records
        lines = [",".join(records.CSV), *map(records.csv_line, page_run.run.log), ""]
        seed, model = page_run.run.config.seed, page_run.run.model.config
        name = groundling.runs.checkpoint.file_name(seed, page_run.iter, model)
        file = {"name": name.replace(".bin", ".csv"), "mime": "text/csv"}
        self.post({"type": "file", **file, "bytes": "\n".join(lines).encode()})
