"""A view, which is a part of the page: what it may use of the session, and what that asks of it.

Views know nothing of the browser; the folders of site/src draw what they post.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from explain import explain
from wire import Message

if TYPE_CHECKING:
    from copies import Copies
    from page_run import Aside, PageRun

    from groundling.data import Corpus
    from groundling.devices.base import Device
    from groundling.runs.configfile import Setup
    from groundling.runs.records import Record
    from groundling.runs.run import Run

FRAME = 1 / 60  # seconds: messages come no more often
RESTING = ("ready", "paused", "done")
"""The phases in which a view may begin work of its own."""


class Refused(Exception):
    """Edits were refused, and the page was told."""


class PageSession(Protocol):
    """What a view may use of the session: see session.py."""

    post: Callable[[Message], None]
    clock: Callable[[], float]
    open_device: Callable[[str, Callable[..., None]], Device]
    phase: str
    setup: Setup  # of the next run
    corpus: Corpus
    device: Device | None
    copies: Copies
    asking: Message | None  # a load of another origin, to be made anyway or not
    page_run: PageRun | None  # the page's run, and what the page knows of it
    discarded: PageRun | Aside | None  # the run that was put aside for Undo

    @property
    def run(self) -> Run | None: ...
    def ask_boundary(self) -> None: ...
    def renew(self) -> None: ...
    def post_setup(self) -> None: ...
    def post_changed(self) -> None: ...
    def replacing(self, message: Message) -> AbstractContextManager[None]: ...
    def take(self, page_run: PageRun) -> None: ...
    def rest(self) -> None: ...
    def resume(self) -> None: ...
    def go_on_with(self, old: PageRun) -> None: ...
    def leave(self, device: Device) -> None: ...


class View:
    """A part of the page, beside the run. Each command TYPE is obeyed by the method do_TYPE:
    `commands` between two iterations; `live` ones at once, also while a step is in flight, so they
    may not touch the device. `begins` are commands that start work of the view: they are ignored
    while the run trains, and stop the work of the other views, with which it would share the
    device. `ends` are those that stop the work, also where its code does not end by itself.
    """

    commands: tuple[str, ...] = ()
    live: tuple[str, ...] = ()
    begins: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()

    def __init__(self, session: PageSession):
        self.session, self.post = session, session.post

    @property
    def running(self) -> bool:
        """Whether it has work to do: then `advance` is called."""
        return False

    def advance(self) -> None:
        """Work for about a frame."""

    def flush(self) -> None:
        """Post what has gathered. The host may call it while `advance` waits for the device."""

    def stop(self) -> None:
        """Stop its work: the run is about to train, or another view begins."""

    def drop(self) -> None:
        """Drop what was on the device, which is lost."""

    def on_failure(self, message: Message, error: BaseException) -> None:
        """Report an error that a command of this view raised. Nothing has changed."""
        self.post({"type": "error", **explain(error)})

    def between(self) -> None:
        """The run is between two iterations, as `session.ask_boundary` asked."""

    def on_phase(self, phase: str) -> None:
        """The session has entered a phase."""

    def on_records(self, records: list[Record]) -> None:
        """These records of the run have just been posted."""

    def on_error(self, error: BaseException) -> None:
        """This error has stopped the session, which is about to enter the phase "error"."""


class EditsView(Protocol):
    """What the session asks of the view of the reader's edits: see live_view.py."""

    change: object | None  # new code that has not taken its first step yet

    def use(self, message: Message) -> Callable[[], None]: ...
    def rehearse(self) -> None: ...
    def adopt(self) -> None: ...
    def refuse(self, error: BaseException) -> None: ...
    def carried(self, page_run: PageRun) -> PageRun: ...
