"""The page's twin: two runs side by side, their losses as they come, and how they compare.

It knows nothing of the browser; site/src/twin.ts draws what it posts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from explain import LOST, explain
from view import FRAME, Message, View

import groundling.checkpoint
import groundling.config
import groundling.twin
from groundling import live
from groundling.devices import DeviceError
from groundling.train import NonFiniteLoss

if TYPE_CHECKING:
    from session import Session

    from groundling.twin import Twin, Verdict

MOST_ITERS = 1000  # it is a demonstration, and its schedule warms up in 10
ENDS = DeviceError, MemoryError, NonFiniteLoss, ValueError
"""What ends a twin and nothing else; a lost device ends the session's run too."""


class TwinView(View):
    """At most one twin, and what the page knows of it."""

    commands = ("untwin",)
    live = ("twin_file",)
    begins = ("twin",)

    def __init__(self, session: Session):
        super().__init__(session)
        self.twin: Twin | None = None
        self.stream: Iterator | None = None  # twin.train(), until both have ended
        self.stopped = False
        self.files: list[tuple[str, bytes]] = []  # of the last verdict: names and bytes

    @property
    def running(self) -> bool:
        """Whether there is more to train."""
        return self.stream is not None

    def do_twin(self, message: Message) -> None:
        """Begin a twin in place of the one before."""
        seeds, iters = tuple(message["seeds"]), message["iters"]
        self.twin = self.stream = None  # its memory is free before the next takes more
        self.files = []
        self.stopped = False
        try:
            if not 1 <= iters <= MOST_ITERS:
                raise ValueError(f"A twin has 1 to {MOST_ITERS:,} iterations, not {iters:,}.")
            session, setup = self.session, self.session.setup
            usual = live.again(groundling.config.TrainConfig, setup.train)
            model = live.again(groundling.config.GPTConfig, setup.model)
            make = groundling.twin.Twin
            self.twin = make(seeds, session.corpus, session.device, iters, usual, model)
        except LOST:
            raise
        except ENDS as error:
            self.twin = None
            self._fail(error, list(seeds), iters)
            return
        self.stream = self.twin.train()
        self._post("running", [])

    def do_untwin(self, message: Message) -> None:
        """End it early."""
        self.stop()

    def do_twin_file(self, message: Message) -> None:
        """Give the page one of the two files that the last verdict is about."""
        if not self.files:
            text = "These files went with the Python that made them. Run the twin again."
            self.post({"type": "notice", "message": text})
            return
        name, data = self.files[message["which"]]
        self.post({"type": "file", "name": name, "mime": "application/octet-stream", "bytes": data})

    def stop(self) -> None:
        """End it early: what is in flight lands, and there is no verdict."""
        if self.stream is None:
            return
        self.stopped = True
        for run in self.twin.runs:
            run.pause()
        while self.running:
            self.advance()

    def drop(self) -> None:
        """Let it go with its device, with no word to the device."""
        if self.stream is not None:
            self.stream = None
            self._post("failed", [], "The device went away while the twins trained.")
        self.twin = None

    def advance(self) -> None:
        """Train for about a frame, and post what has come; at the end, the verdict."""
        deadline, records = self.session.clock() + FRAME, []
        try:
            while (pair := next(self.stream, None)) is not None:
                a, b = pair
                records.append([a.iter, a.train, b.train])
                if self.session.clock() >= deadline:
                    self._post("running", records)
                    return
            self.stream = None
            if self.stopped:
                self._post("stopped", records)
            else:
                self.files = self._named(self.twin.files())
                self._post("done", records, verdict=self.twin.verdict())
        except LOST:
            raise
        except ENDS as error:
            self.stream = None
            self._fail(error, list(self.twin.seeds), self.twin.iters)
        if not self.running:
            self.twin = None  # and with it the memory of both

    def _named(self, files: tuple[bytes, bytes]) -> list[tuple[str, bytes]]:
        """The two files, each with a name of its own even where the seeds are one."""
        iters, model = self.twin.iters, self.twin.runs[0].model.config
        names = [groundling.checkpoint.file_name(seed, iters, model) for seed in self.twin.seeds]
        return [
            (f"twin-{mark}-{name}", data)
            for mark, name, data in zip("AB", names, files, strict=True)
        ]

    def _post(
        self,
        phase: str,
        records: list[list[float]],
        message: str = "",
        verdict: Verdict | None = None,
    ) -> None:
        twin = self.twin
        self.post(
            {
                "type": "twin",
                "phase": phase,
                "seeds": list(twin.seeds),
                "iters": twin.iters,
                "records": records,
                "parted": twin.parted,
                "message": message,
                "verdict": verdict and told(verdict),
            }
        )

    def _fail(self, error: BaseException, seeds: list[str], iters: int) -> None:
        words = explain(error)
        self.post(
            {
                "type": "twin",
                "phase": "failed",
                "seeds": seeds,
                "iters": iters,
                "records": [],
                "parted": None,
                "message": f"{words['title']}. {words['message']} A run beside it is as it was.",
                "verdict": None,
            }
        )


def told(verdict: Verdict) -> Message:
    """A verdict as the page shows it. `kind` is "identical", "weights" (they agree, the files do
    not) or "differ".
    """
    a, b = verdict.seeds
    same_weights = verdict.weights[0] == verdict.weights[1]
    kind = "identical" if verdict.identical else "weights" if same_weights else "differ"
    return {
        "kind": kind,
        "text": str(verdict),
        "files": list(verdict.files),
        "weights": list(verdict.weights),
        "parted": verdict.parted,
        "feeds": [groundling.twin.feeds(seed) for seed in (a, b)]
        if kind == "differ" and a != b
        else [],
    }
