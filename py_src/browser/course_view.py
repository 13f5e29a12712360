"""The page's course: checks and reports what the reader has made, for the lesson that is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from background import sentence
from view import Message, View

import groundling.labs.course
import groundling.labs.report
import groundling.runs.statefile

if TYPE_CHECKING:
    import messages.course
    from view import PageSession

    from groundling.labs.course import Seen


class CourseView(View):
    """Verdicts, each on what `seen` returns at the time."""

    commands = "check", "lesson_report"

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

    def do_lesson_report(self, message: messages.course.LessonReportCommand) -> None:
        """Post a report of a lesson as a file."""
        run, number = self.session.run, message["number"]
        saved = groundling.runs.statefile.snapshot(run) if run and len(run.log) else None
        text = groundling.labs.report.dumps(
            saved, f"Lesson {number}: {message['title']}", message["page"], None, message["answers"]
        )
        name, data = f"groundling-lesson-{number}.html", text.encode("utf-8", "replace")
        self.post({"type": "file", "name": name, "mime": "text/html", "bytes": data})

    def on_failure(self, message: Message, error: BaseException) -> None:
        """Report the error, of a check as its verdict."""
        if message["type"] == "check":
            says = sentence(error, self.session)
            self.post({"type": "checked", "id": message["id"], "done": False, "says": says})
        else:
            super().on_failure(message, error)
