"""The page's shelf: each run that ends, pauses or is replaced, as a state file to be kept.

The page has the files, in the browser's storage; here they are made and read. A run that goes on
from one that is kept has its number, and takes its place.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from background import sentence
from copies import post_pieces
from messages.limits import MAX_SHELF_STATE
from page_run import PageRun
from view import RESTING, Message, View

import groundling.labs.compare
import groundling.labs.report
import groundling.model
import groundling.runs.checkpoint
import groundling.runs.statefile
from groundling import sources
from groundling.edits import live
from groundling.engine.parameters import parameter_count
from groundling.runs.checkpoint import CheckpointError
from groundling.runs.run import NonFiniteLoss

if TYPE_CHECKING:
    import messages.shelf
    from copies import Pieces
    from view import PageSession

    from groundling.runs.run import Run
    from groundling.runs.statefile import Saved

MOST_POINTS = 2000  # of a curve that is shown
MOST_SAMPLES = 3


class ShelfView(View):
    """Hands the page each run to keep."""

    live = "shelf", "shelve", "report"

    def __init__(self, session: PageSession):
        super().__init__(session)
        self.marks: list[messages.shelf.ShelfMark] = []

    def do_shelf(self, message: messages.shelf.ShelfCommand) -> None:
        """Note which runs the page keeps."""
        self.marks = message["runs"]

    def do_shelve(self, message: messages.shelf.ShelveCommand) -> None:
        """Post a state file as a run to keep, once it is read."""
        data = message["bytes"]
        if not groundling.runs.statefile.is_state(data):
            raise CheckpointError("It is not a state file. Weights can be loaded, not kept here.")
        saved = groundling.runs.statefile.loads(data)
        if saved.state.iter == saved.state.first:
            raise CheckpointError("Its run has not been trained yet.")
        known = sources.overlay if saved.code_hash == sources.code_hash() else {}
        name = re.sub(r"\.state$", "", message["name"])
        self._post(secrets.token_hex(8), saved, known, [(0, data)], name)

    def do_report(self, message: messages.shelf.ReportCommand) -> None:
        """Post a report as a file."""
        saved = groundling.runs.statefile.loads(message["bytes"])
        edits, name = live.check(message["files"]), message["name"]
        text = groundling.labs.report.dumps(saved, name, message["page"], edits)
        at = saved.state
        file = groundling.runs.statefile.file_name(at.config.seed, at.iter, at.model)
        file = file.replace(".state", ".html")
        data = text.encode("utf-8", "replace")
        self.post({"type": "file", "name": file, "mime": "text/html", "bytes": data})

    def on_failure(self, message: Message, error: BaseException) -> None:
        """Report why a file cannot be kept."""
        self._refuse(f"{message.get('name', 'The run')}: {sentence(error, self.session)}")

    def on_phase(self, phase: str) -> None:
        """Post the run that has paused, ended or been replaced, unless the page has it so."""
        page_run = self.session.page_run or self.session.discarded
        if not isinstance(page_run, PageRun) or not len(page_run.run.log):
            return
        if phase in RESTING:
            if page_run.run.iter != page_run.shelved:
                self._keep(page_run)
        elif phase == "error":
            saved = self.session.copies.of(page_run, {})  # the last good copy, if there is one
            if saved and saved.state.iter != page_run.shelved:
                self._post_run(page_run, saved, groundling.runs.statefile.stream(saved))

    def _refuses(self, run: Run) -> bool:
        """Whether the run is too large for the shelf; then the page is told."""
        size = 12 * parameter_count(groundling.model.parameter_shapes(run.model.config))
        if size > MAX_SHELF_STATE:
            self._refuse(
                f"The run's state has {size / 1e6:,.0f} MB, and the shelf keeps runs of up to "
                f"{MAX_SHELF_STATE / 1e6:,.0f} MB. Save state keeps it as a file."
            )
        return size > MAX_SHELF_STATE

    def _keep(self, page_run: PageRun) -> None:
        run = page_run.run
        if self._refuses(run):
            page_run.shelved = run.iter
            return
        try:
            saved = groundling.runs.statefile.facts(run)
            self._post_run(page_run, saved, groundling.runs.statefile.stream(saved, run.floats()))
        except (CheckpointError, NonFiniteLoss):
            pass  # it is spoiled: the session says so, and what was kept before stays

    def _post_run(self, page_run: PageRun, saved: Saved, pieces: Pieces) -> None:
        """Post a run of this session's."""
        page_run.shelved = saved.state.iter
        if not page_run.shelf and (mark := self._goes_on(saved)):
            page_run.shelf = mark["id"]
            if mark["iter"] == saved.state.iter:
                return  # it was continued from there
        page_run.shelf = page_run.shelf or secrets.token_hex(8)
        self._post(page_run.shelf, saved, page_run.overlay, pieces)
        best = getattr(page_run.run, "best", None)  # edited code may lack it
        lowest = groundling.labs.compare.best(saved.state.log)
        if best and lowest and best.iter == lowest[0]:
            post_pieces(self.post, groundling.runs.checkpoint.stream(best))
            self.post({"type": "shelved_best", "id": page_run.shelf, "iter": best.iter})

    def keep(self, run: Run, name: str) -> None:
        """Post a run that is not the page's own, which has ended, as a new one."""
        if not self._refuses(run):
            saved = groundling.runs.statefile.facts(run)
            pieces = groundling.runs.statefile.stream(saved, run.floats())
            self._post(secrets.token_hex(8), saved, sources.overlay, pieces, name)

    def _goes_on(self, saved: Saved) -> messages.shelf.ShelfMark | None:
        """The furthest run that is kept and that this one goes on from, if there is one."""
        at = saved.state

        def is_before(mark: messages.shelf.ShelfMark) -> bool:
            i = mark["iter"] - 1 - at.first
            known = mark["seed"] == at.config.seed and 0 <= i < len(at.log)
            done = mark["iter"] >= mark["iters"]  # it may be trained further
            meant = done or mark["iters"] == at.config.iters
            return known and meant and at.log[i].smooth == mark["loss"]

        found = filter(is_before, self.marks)
        return max(found, key=lambda mark: mark["iter"], default=None)

    def _post(
        self, id: str, saved: Saved, files: dict[str, str], pieces: Pieces, name: str = ""
    ) -> None:
        state, lab = saved.state, groundling.labs.compare
        post_pieces(self.post, pieces)
        run = {
            "id": id,
            "name": ((name or state.config.seed).strip() or "no seed")[:60],
            "seed": state.config.seed,
            "iter": state.iter,
            "iters": state.config.iters,
            "loss": state.log[-1].smooth,
            "valLoss": state.val_loss,
            "best": lab.best(state.log),
            "createdAt": saved.created_at,
            "settings": [*lab.settings(saved).items()],
            "curve": lab.thinned(state.log, MOST_POINTS),
            "validation": lab.thinned(state.log, MOST_POINTS, "val"),
            "samples": [{"iter": s.iter, "text": s.text} for s in state.samples[-MOST_SAMPLES:]],
            "files": dict(files),
            "changes": [{"iter": at, "diff": diff} for at, diff in state.edits],
        }
        self.post({"type": "shelved", "run": run, "problem": ""})

    def _refuse(self, problem: str) -> None:
        self.post({"type": "shelved", "run": None, "problem": problem})
