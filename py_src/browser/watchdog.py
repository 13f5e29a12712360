"""Ends code that does not end by itself, though the reader has asked it to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from groundling import sources

if TYPE_CHECKING:
    from wire import Message

STOPS = "pause", "reset", "interrupt"
"""Commands that end code which does not end by itself: after STOP_SECONDS, once it has waited for
the device STOP_WAITS times, or for as long as STOP_ITERS iterations take. So do those of the views
that end what they have begun, while no run trains.
"""
STOP_SECONDS = 1.5
STOP_WAITS = 200  # an iteration with an evaluation and a sample has about 15
STOP_ITERS = 6  # what is in flight, the iteration and an evaluation
STOP_FIRST = 8.0  # seconds for them, where nobody knows yet how long an iteration takes


class Watchdog:
    """When a session was asked to stop, and its waits since. `enders` end the work of a view."""

    def __init__(self, clock: Callable[[], float], enders: Collection[str]):
        self.clock, self.enders = clock, enders
        self.asked_at, self.waits = math.inf, 0

    def _is_asked(self, commands: Iterable[Message], phase: str) -> bool:
        ends = STOPS if phase == "training" else (*STOPS, *self.enders)
        return any(message["type"] in ends for message in commands)

    def hear(self, message: Message, phase: str) -> None:
        """Note a command that comes while code runs."""
        if self.asked_at == math.inf and self._is_asked([message], phase):
            self.asked_at = self.clock()

    def begin(self, commands: Iterable[Message], phase: str) -> None:
        """Start the time of code that is about to run, and may have been asked to stop before."""
        self.asked_at, self.waits = self.clock(), 0
        self.relax(commands, phase)

    def relax(self, commands: Iterable[Message], phase: str) -> None:
        """Only these commands are left; without a stop among them, code may take its time."""
        if not self._is_asked(commands, phase):
            self.asked_at, self.waits = math.inf, 0

    def after_wait(
        self, commands: Iterable[Message], phase: str, rate: float | None, preparing: bool
    ) -> None:
        """End code that was asked to stop and does not. rate: its iterations a second, if known."""
        typed = any(message["type"] == "interrupt" for message in commands)
        if self.asked_at == math.inf or not (sources.overlay or typed):
            return  # the library's own code comes to an end, however slow the device is
        if preparing:
            self.asked_at = self.clock()  # and so does a compiler
            return
        self.waits += 1
        seconds = self.clock() - self.asked_at - STOP_SECONDS
        trains = phase == "training" and not typed
        slow = STOP_ITERS / rate if rate else STOP_FIRST if trains else 0.0
        if seconds > 0 and (self.waits > STOP_WAITS or seconds > slow):
            self.asked_at, self.waits = math.inf, 0
            raise KeyboardInterrupt("It did not come to an end by itself when you stopped it.")
