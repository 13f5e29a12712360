"""The page's course: checks what the reader has made, for the lesson that is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from beside import sentence
from view import Message, View

import groundling.labs.course

if TYPE_CHECKING:
    import messages.course
    from view import PageSession

    from groundling.labs.course import Seen


class CourseView(View):
    """Verdicts, each on what `seen` returns at the time."""

    commands = ("check",)

    def __init__(self, session: PageSession, seen: Callable[[], Seen]):
        super().__init__(session)
        self.seen = seen

    def do_check(self, message: messages.course.CheckCommand) -> None:
        """Check a task, or the number that answers a question."""
        course, asked = groundling.labs.course, (message["name"], message["given"])
        if message["value"] is None:
            finding = course.check(self.seen(), *asked)
        else:
            finding = course.answer(self.seen(), *asked, message["value"])
        self.post({"type": "checked", "id": message["id"], **asdict(finding)})

    def on_failure(self, message: Message, error: BaseException) -> None:
        """Report the error as the verdict."""
        says = sentence(error, self.session)
        self.post({"type": "checked", "id": message["id"], "done": False, "says": says})
