"""What a part of the page is to the session: commands of its own, and perhaps work of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from explain import explain
from messages import Message

if TYPE_CHECKING:
    from session import Session

    from groundling.runs.records import Record

FRAME = 1 / 60  # seconds: messages come no more often


class View:
    """One part of the page, beside the run. Each command TYPE is obeyed by the method do_TYPE.

    commands are obeyed between two iterations, when nothing is in flight. live ones are obeyed at
    once, also while a step is in flight, so they may not touch the device. begins are commands that
    start work of the view's own: they are ignored while the run trains, and end what another view
    has begun, since two at a time would share the device. ends are those of the commands that end
    the view's work, also where its code does not end by itself.
    """

    commands: tuple[str, ...] = ()
    live: tuple[str, ...] = ()
    begins: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()

    def __init__(self, session: Session):
        self.session, self.post = session, session.post

    @property
    def running(self) -> bool:
        """Whether it has begun work that goes on: `advance` is called for as long as it has."""
        return False

    def advance(self) -> None:
        """Go on for about a frame."""

    def flush(self) -> None:
        """Post what has gathered. The host may call it while `advance` waits for the device."""

    def stop(self) -> None:
        """End early what it has begun: the run is about to train, or another view begins."""

    def drop(self) -> None:
        """Let go of what is on the device, which is gone, with no word to it."""

    def on_failure(self, message: Message, error: BaseException) -> None:
        """A command of this view's has raised this: tell the page. Nothing has changed."""
        self.post({"type": "error", **explain(error)})

    def between(self) -> None:
        """The run is between two iterations with nothing in flight, as `session.ask_boundary`
        asked.
        """

    def on_phase(self, phase: str) -> None:
        """The session has entered a phase."""

    def on_records(self, records: list[Record]) -> None:
        """These records of the run have just been posted."""

    def on_error(self, error: BaseException) -> None:
        """This has stopped the session, which is about to enter the phase "error"."""
