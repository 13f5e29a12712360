"""The page's sweep: one setting, several values, and a run of each, beside the page's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from background import BackgroundView
from messages.limits import MAX_SWEEP
from run_messages import train_config

import groundling.config
import groundling.labs.sweep
from groundling.edits import live

if TYPE_CHECKING:
    import messages.sweep
    from view import Message, PageSession

    from groundling.labs.sweep import Result, Sweep
    from groundling.runs.run import Run


class SweepView(BackgroundView):
    """At most one sweep, and what the page knows of it."""

    commands = ends = ("unsweep",)
    begins = ("sweep",)

    def __init__(self, session: PageSession, keep: Callable[[Run, str], None]):
        super().__init__(session)
        self.keep = keep  # puts a run on the shelf, under a name
        self.asked: Message = {"key": "", "values": "", "iters": 0}
        self.sweep: Sweep | None = None
        self.fresh = False  # whether there is something that the page does not know

    def do_sweep(self, message: messages.sweep.SweepCommand) -> None:
        """Start a sweep in place of the one before."""
        self.stop()
        self.asked, self.sweep = message, None
        self.begin(self._train())

    do_unsweep = BackgroundView.end_early

    def _train(self) -> Iterator[None]:
        key, iters, lab = self.asked["key"], self.asked["iters"], groundling.labs.sweep
        if (name := {field.key: field.name for field in lab.SWEPT.values()}.get(key)) is None:
            raise ValueError(f"There is no setting {key!r:.40}.")
        if not 1 <= iters <= MAX_SWEEP:
            raise ValueError(f"A run of a sweep has 1 to {MAX_SWEEP:,} iterations, not {iters:,}.")
        values, session = lab.read_values(name, self.asked["values"]), self.session
        setup = session.setup
        model = live.again(groundling.config.GPTConfig, setup.model)
        setup = replace(setup, train=train_config(self.asked, setup.train), model=model)
        self.sweep = lab.Sweep(setup, name, values, session.corpus, session.device)
        self.tell("running")
        yield
        for _ in self.sweep.train(self._ended):
            self.fresh = True
            yield
        self.tell("done")

    def _ended(self, result: Result, run: Run) -> None:
        """Keep a run that has come to its end."""
        if self.asked["keep"] and not result.problem:
            self.keep(run, f"{self.sweep.name} {result.value:g}, {run.config.seed}")

    def shown(self) -> None:
        """Post how far it is, if it is further than before."""
        if self.fresh and self.work is not None:
            self.tell("running")

    def let_go(self) -> None:
        """Free the memory of the run that trains; what came of those before it stays."""
        if self.sweep:
            self.sweep.run = None

    def tell(self, phase: str, message: str = "") -> None:
        """Post how far the sweep is."""
        sweep, self.fresh = self.sweep, False
        results = sweep.results if sweep else []
        self.post(
            {
                "type": "sweep",
                "phase": phase,
                "key": self.asked["key"],
                "values": list(sweep.values) if sweep else [],
                "iters": self.asked["iters"],
                "message": message,
                "results": [
                    {
                        "value": result.value,
                        "iter": len(result.log),
                        "trainLoss": result.train_loss,
                        "valLoss": result.val_loss,
                        "problem": result.problem,
                    }
                    for result in results
                ],
                "points": sweep.points() if sweep else [],
                "best": sweep.best.value if sweep and sweep.best else None,
            }
        )
