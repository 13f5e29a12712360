"""The page's twin: two runs side by side, their losses as they come, and how they compare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from background import BackgroundView
from messages.limits import MAX_TWIN
from view import Message

import groundling.config
import groundling.labs.twin
import groundling.runs.checkpoint
from groundling.edits import live

if TYPE_CHECKING:
    import messages.twin
    from view import PageSession

    from groundling.labs.twin import Twin, Verdict


class TwinView(BackgroundView):
    """At most one twin, and what the page knows of it."""

    commands = ends = ("untwin",)
    live = ("twin_file",)
    begins = ("twin",)

    def __init__(self, session: PageSession):
        super().__init__(session)
        self.seeds, self.iters = ("", ""), 0
        self.twin: Twin | None = None
        self.verdict: Verdict | None = None  # of the last twin that came to its end
        self.records: list[list[float]] = []  # that the page does not have yet
        self.files: list[tuple[str, bytes]] = []  # of the last verdict: names and bytes

    def do_twin(self, message: messages.twin.TwinCommand) -> None:
        """Start a twin in place of the one before."""
        self.stop()
        self.seeds, self.iters, self.files = tuple(message["seeds"]), message["iters"], []
        self.begin(self._train())

    do_untwin = BackgroundView.end_early

    def do_twin_file(self, message: messages.twin.TwinFileCommand) -> None:
        """Post one of the two files of the last verdict."""
        if not self.files:
            text = "These files went with the Python that made them. Run the twin again."
            self.post({"type": "notice", "message": text})
            return
        name, data = self.files[message["which"]]
        self.post({"type": "file", "name": name, "mime": "application/octet-stream", "bytes": data})

    def _train(self) -> Iterator[None]:
        if not 1 <= self.iters <= MAX_TWIN:
            raise ValueError(f"A twin has 1 to {MAX_TWIN:,} iterations, not {self.iters:,}.")
        session, setup = self.session, self.session.setup
        usual = live.again(groundling.config.TrainConfig, setup.train)
        model = live.again(groundling.config.GPTConfig, setup.model)
        make, where = groundling.labs.twin.Twin, (session.corpus, session.device)
        self.twin = make(self.seeds, *where, self.iters, usual, model)
        self.tell("running")
        yield
        for a, b in self.twin.train():
            self.records.append([a.iter, a.train, b.train])
            yield
        self.files = self._named(self.twin.files())
        self.verdict = self.twin.verdict()
        self.tell("done", verdict=self.verdict)

    def let_go(self) -> None:
        """Free the memory of both runs."""
        self.twin, self.records = None, []

    def _named(self, files: tuple[bytes, bytes]) -> list[tuple[str, bytes]]:
        """The two files, each with a name of its own even if the seeds are equal."""
        iters, model = self.twin.iters, self.twin.runs[0].model.config
        file_name, found = groundling.runs.checkpoint.file_name, []
        for mark, seed, data in zip("AB", self.twin.seeds, files, strict=True):
            found.append((f"twin-{mark}-{file_name(seed, iters, model)}", data))
        return found

    def tell(self, phase: str, message: str = "", verdict: Verdict | None = None) -> None:
        """Post how far the two runs are, and their verdict."""
        records, self.records = self.records, []
        self.post(
            {
                "type": "twin",
                "phase": phase,
                "seeds": list(self.seeds),
                "iters": self.iters,
                "records": records,
                "parted": self.twin and self.twin.parted,
                "message": message,
                "verdict": verdict and told(verdict),
            }
        )


def told(verdict: Verdict) -> Message:
    """A verdict as the page shows it."""
    a, b = verdict.seeds
    same_weights = verdict.weights[0] == verdict.weights[1]
    kind = "identical" if verdict.identical else "weights" if same_weights else "differ"
    return {
        "kind": kind,
        "text": str(verdict),
        "files": list(verdict.files),
        "weights": list(verdict.weights),
        "feeds": [groundling.labs.twin.feeds(seed) for seed in (a, b)]
        if kind == "differ" and a != b
        else [],
    }
