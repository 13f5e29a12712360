"""What the page has of a run, and of one that was put aside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import groundling.model
import groundling.runs.statefile
from groundling import sources
from groundling.engine.parameters import parameter_count

if TYPE_CHECKING:
    from groundling.data import Corpus
    from groundling.runs.run import Run
    from groundling.runs.statefile import Saved


MOST_KEPT = 20_000_000  # parameters of a model whose best weights are kept: 80 MB of memory


@dataclass(frozen=True)
class Kept:
    """The iteration and the place of a copy of a run's state."""

    iter: int
    serial: int | None  # autosave's number of it; None: the page has it, and gives it back


@dataclass
class PageRun:
    """A run and what the page knows of it: what Reset puts aside and Undo brings back."""

    run: Run
    posted: int = 0  # how many records of run.log the page has
    seconds: float = 0.0  # of training
    kept: Kept | None = None  # the last copy of its state
    overlay: dict[str, str] = field(default_factory=lambda: sources.overlay)  # the edits it is of
    shelf: str = ""  # its number on the page's shelf; empty: it has none yet
    shelved: int = -1  # the iteration that the shelf was last handed

    @property
    def iter(self) -> int:
        """How many iterations have been trained and reported."""
        return self.run.first + len(self.run.log)

    def keep_best(self) -> None:
        """Make the run keep the weights of its lowest validation loss, unless they are many."""
        shapes = groundling.model.parameter_shapes(self.run.model.config)
        self.run.keeps_best = parameter_count(shapes) <= MOST_KEPT

    def recapture(self) -> None:
        """Make the run capture its step again. Edited code may lack the method."""
        getattr(self.run, "recapture", lambda: None)()


@dataclass
class Aside:
    """What Undo restores a run from whose device is gone: a copy of its state, here or stored."""

    saved: Saved | None
    kept: Kept | None
    corpus: Corpus
    seconds: float
    overlay: dict[str, str]

    @classmethod
    def of(cls, page_run: PageRun | Aside | None, spoiled: bool) -> Aside | None:
        """A run without its device: its state, or after an error its last copy."""
        if not isinstance(page_run, PageRun):
            return page_run
        saved = None if spoiled else groundling.runs.statefile.snapshot(page_run.run)
        if saved is None and page_run.kept is None:
            return None
        return cls(saved, page_run.kept, page_run.run.corpus, page_run.seconds, page_run.overlay)

    @property
    def iter(self) -> int:
        """The iteration it is at."""
        return self.saved.state.iter if self.saved else self.kept.iter
