"""The page's step, slowly: the next step of a model, stage by stage, with its numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from background import isolated, sentence
from view import Message, View

import groundling.config
import groundling.data
import groundling.labs.stages
import groundling.labs.step
import groundling.runs.run
from groundling import sources
from groundling.edits import live

if TYPE_CHECKING:
    import messages.step
    from view import PageSession

    from groundling.data import Corpus
    from groundling.labs.step import Step
    from groundling.runs.checkpoint import Checkpoint
    from groundling.runs.run import Run


class StepView(View):
    """The step that was taken apart last. It is told again when the reader chooses otherwise."""

    commands = ("step",)

    def __init__(self, session: PageSession, file_of: Callable[[str], Checkpoint | None]):
        """file_of(source) gives the weights of a model that is not the run."""
        super().__init__(session)
        self.file_of = file_of
        self.step: Step | None = None
        self.at = "", 0  # of which model, and the iteration it is at
        self.of: list = []  # that model, and what else the step depends on

    def do_step(self, message: messages.step.StepCommand) -> None:
        """Take the next step of a model apart, unless it is, and tell of what was chosen in it."""
        source = message["source"]

        def fail(error: BaseException) -> None:
            self.drop()
            self._tell(source, sentence(error, self.session))

        with isolated(self.session, fail):
            self._take(source)
            self._tell(source, apart=self._told(groundling.labs.stages.Choice(**message["chosen"])))

    def drop(self) -> None:
        """Forget the step."""
        self.step, self.at, self.of = None, ("", 0), []

    def on_phase(self, phase: str) -> None:
        """Forget the step of a run that goes on or is gone."""
        if self.at[0] == "run" and phase in ("training", "ready"):
            self.drop()

    def _take(self, source: str) -> None:
        session, run = self.session, self.session.run
        if session.device is None or session.phase in ("booting", "error"):
            raise ValueError("There is no device to take a step on. Reset, and try again.")
        model: Run | Checkpoint | None = run if source == "run" else self.file_of(source)
        if model is None:
            raise ValueError("There is no run, or no file is open, to take a step of.")
        if source == "run" and session.phase == "training":
            raise ValueError("The run trains: pause it, and its next step is taken apart.")
        of = [model, model.config, session.setup, session.device, sources.overlay]
        if self.at != (source, model.iter) or not groundling.runs.run.same(self.of, of):
            self.drop()
            beginning = run if source == "run" else self._beginning(model)
            self.step = groundling.labs.step.take_apart(beginning)
            self.at, self.of = (source, model.iter), of

    def _beginning(self, ckpt: Checkpoint) -> Run:
        """A run that begins with the weights of a file."""
        session, setup = self.session, self.session.setup
        train = live.again(groundling.config.TrainConfig, setup.train)
        train = replace(train, seed=ckpt.seed, iters=max(train.iters, ckpt.iter))
        corpus = self._text(ckpt)
        run = groundling.runs.run.Run(train, corpus, session.device, ckpt.config, ckpt.weights)
        run.load(ckpt)
        return run

    def _text(self, ckpt: Checkpoint) -> Corpus:
        """A text in the characters of a file: the one in use, or Shakespeare."""
        for text in (lambda: self.session.corpus, groundling.data.shakespeare):
            if (corpus := text()).vocab_hash == ckpt.vocab_hash:
                return corpus
        raise ValueError("The text in use has other characters than those the model learned.")

    def _told(self, chosen: groundling.labs.stages.Choice) -> Message:
        step, labs = self.step, groundling.labs.stages
        chosen = labs.fitting(step, chosen)
        decode = step.corpus.by_token().decode
        sides = {name: labs.sides(weights) for name, weights in step.before["w"].items()}
        return {
            "about": self._about(),
            "text": [decode(row) for row in step.tokens],
            "targets": [decode(row) for row in step.targets],
            "nats": [[round(float(nats), 4) for nats in row] for row in step.surprises],
            "chosen": asdict(chosen),
            "tensors": [
                {"name": name, "rows": rows, "columns": columns}
                for name, (rows, columns) in sides.items()
            ],
            "stages": [asdict(stage) for stage in labs.stages(step, chosen)],
        }

    def _about(self) -> str:
        model, step = self.of[0], self.step
        if self.at[0] != "run":
            return (
                f"The first step that training would take from these weights, seed {model.seed}, "
                f"iteration {model.iter:,}: AdamW has no averages yet."
            )
        if step.iter >= step.config.iters:
            return f"Your run is done; this is the step after it, iteration {step.iter:,}."
        return (
            f"Iteration {step.iter:,} of your run, the step it will take after Resume. It was "
            "computed on a copy: the run stays as it is."
        )

    def _tell(self, source: str, problem: str = "", apart: Message | None = None) -> None:
        iter = self.step.iter if self.step and source == "run" else None
        self.post(
            {"type": "step", "source": source, "iter": iter, "problem": problem, "apart": apart}
        )
