"""The page's figures of speed: the time of a step on this device, and of each line of Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from background import BackgroundView
from view import Message

import groundling.labs.bench
from groundling import sources

if TYPE_CHECKING:
    import messages.speed

WINDOWS = 4  # of steps, after three to warm up
MOST_BATCH = 256


class SpeedView(BackgroundView):
    """At most one measurement, on a run of its own."""

    commands = ends = ("unspeed",)
    begins = ("speed",)

    def do_speed(self, message: messages.speed.SpeedCommand) -> None:
        """Start to measure, at this batch size."""
        self.begin(self._measure(min(max(int(message["batchSize"]), 1), MOST_BATCH)))

    do_unspeed = BackgroundView.end_early

    def _measure(self, batch_size: int) -> Iterator[None]:
        self.tell("running")
        yield
        bench, device, corpus = groundling.labs.bench, self.session.device, self.session.corpus
        figures = yield from bench.measuring(device, corpus, batch_size, WINDOWS)
        figures = {"floor": None, "tiles": ""} | figures
        best = bench.ceilings(device)
        figures |= {"best_flops": best["flops"], "best_bytes": best["bytes"]}
        self.tell("running", figures=figures)
        commands = []
        for command in bench.profile(device, corpus, batch_size):
            commands.append(command)
            if len(commands) % 10 == 0:
                self.tell("running", figures=figures, done=len(commands))
            yield
        lines = by_line(commands)
        self.tell("done", figures=figures, lines=lines, done=len(commands))

    def tell(self, phase: str, message: str = "", **more: object) -> None:
        """Post how far the measurement is, and what is known of `figures`, `lines` and `done`."""
        usual = {"figures": None, "lines": [], "message": message, "done": 0}
        self.post({"type": "speed", "phase": phase, **usual, **more})


def by_line(commands: list[dict]) -> list[Message]:
    """The cost of each line of Python: its text, seconds and kernels; the costliest first."""
    found: dict[str, Message] = {}
    for command in commands:
        line = found.setdefault(
            command["line"],
            {"line": command["line"], "text": text_of(command["line"]), "seconds": 0.0}
            | {"kernels": {}},
        )
        line["seconds"] += command["seconds"]
        kernels = line["kernels"]
        kernels[command["kernel"]] = kernels.get(command["kernel"], 0) + 1
    return sorted(found.values(), key=lambda line: -line["seconds"])


def text_of(lines: str) -> list[str]:
    """The text of "model.py:73, optim.py:40 back", line by line."""
    found = [sources.line_at(place.removesuffix(" back"))[2] for place in lines.split(", ")]
    return list(dict.fromkeys(filter(None, found)))
