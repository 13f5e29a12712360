"""Work beside the run: one engine for all of it.

A twin, a case, a replay, a measurement, a text and a look run code that may be edited, on any file,
on the run's device and sometimes its model. What they raise ends them alone and leaves the run as
it was. Only a lost device is the session's, since the run is lost with it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from explain import LOST, REFUSALS, explain
from view import FRAME, Message, View

if TYPE_CHECKING:
    from view import PageSession

GONE = "The device was lost or changed before this was done."


class BackgroundView(View):
    """A view with work of its own: a generator that is advanced for about a frame at a time."""

    work: Generator | None = None
    records: Sequence = ()  # that the page does not have yet

    # ---- what a view says of its work -----------------------------------------------------------

    def tell(self, phase: str, message: str = "") -> None:
        """Post how far the work is: "running", "done", "stopped" or "failed", and why."""
        raise NotImplementedError

    def shown(self) -> None:
        """Post what has come in this frame."""
        if self.records:
            self.tell("running")

    def stopped(self) -> None:
        """Post that the work was ended early."""
        self.tell("stopped")

    def let_go(self) -> None:
        """Drop what the work held: its memory is free for the next."""

    def around(self) -> AbstractContextManager:
        """The context in which each part of the work runs."""
        return nullcontext()

    def edits(self) -> dict[str, str] | None:
        """The edits that the work runs under, if not those in force."""

    # ---- the engine -----------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether there is more to do."""
        return self.work is not None

    def end_early(self, message: Message) -> None:
        """Obey a command that stops the work."""
        self.stop()

    def begin(self, work: Generator) -> None:
        """Start work in place of the work before, up to its first `yield`."""
        self._end()
        self.work = work
        self._run(self._step)

    def advance(self) -> None:
        """Continue for about a frame, or for one step beside a run that trains."""
        self._run(self._frame)

    def stop(self) -> None:
        """Stop the work."""
        if self.work is not None:
            self._run(self.stopped)
            self._end()

    def drop(self) -> None:
        """Drop the work: its device is lost."""
        if self.work is not None:
            self.tell("failed", GONE)
        self._end()

    def _step(self) -> None:
        if next(self.work, self) is self:
            self._end()

    def _frame(self) -> None:
        session = self.session
        deadline = session.clock() + FRAME
        while self.work is not None:
            self._step()
            if session.clock() >= deadline or session.phase == "training":
                break
        self.shown()

    def _run(self, step: Callable[[], None]) -> None:
        with isolated(self.session, self._fail), self.around():
            step()

    def _fail(self, error: BaseException) -> None:
        self.tell("failed", sentence(error, self.session, self.edits()))
        self._end()

    def _end(self) -> None:
        work, self.work = self.work, None
        if work is not None:
            with isolated(self.session, lambda error: None), self.around():
                work.close()  # it may be in the middle of a `with`
        self.let_go()


@contextmanager
def isolated(session: PageSession, tell: Callable[[BaseException], None]) -> Iterator[None]:
    """Run work beside the run in the block. What it raises is passed to `tell`, except that the
    device was lost; the run's device, tape and model are afterwards as they were before, and its
    weights are not written to.
    """
    device, run = session.device, session.run
    model = getattr(run, "model", None)
    had = [(part, dict(vars(part))) for part in parts(model)]
    try:
        with device.undisturbed(getattr(model, "flat", ())) if device else nullcontext():
            yield
    except LOST:
        raise
    except BaseException as error:
        tell(error)
    finally:
        for part, attributes in had:
            vars(part).clear()
            vars(part).update(attributes)


def parts(model: object) -> list[object]:
    """A model and the modules in it; an edit may have changed what finds them, or their class."""
    found, ahead = {}, [model]
    while ahead:
        part = ahead.pop()
        is_module = part is model or hasattr(type(part), "forward")
        if id(part) not in found and is_module and hasattr(part, "__dict__"):
            found[id(part)] = part
            for value in vars(part).values():
                ahead += value if isinstance(value, list) else [value]
    return list(found.values())


def sentence(
    error: BaseException, session: PageSession, files: dict[str, str] | None = None
) -> str:
    """An error of work beside the run, as a sentence."""
    words = explain(error, files)
    if words["title"] in REFUSALS:
        return words["message"]
    places = [frame for frame in words["frames"] if frame["yours"]]
    where = " (at {path}, line {line})".format(**places[-1]) if places else ""
    message = words["message"].rstrip(".")
    after = " The run is as it was." if session.run else ""
    return f"{words['title']}. {message}{where}.{after}"
