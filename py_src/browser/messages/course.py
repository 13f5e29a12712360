"""The course: verdicts on what the reader has made."""

from .base import Command, Report


class CheckCommand(Command):
    """Asks whether a lesson's task is done, or a number answers its question."""

    id: int
    name: str  # of a check or an answer of groundling/labs/course.py
    given: dict[str, float | str]  # its parameters
    value: float | None  # the answer; null for the task


class CheckedReport(Report):
    """The verdict."""

    id: int  # of its `check`
    done: bool
    says: str


class LessonReportCommand(Command):
    """Asks for a report of a lesson, with the run that there is: one HTML file."""

    number: int
    title: str
    answers: list[tuple[str, str]]  # what the lesson asks for and what the reader did, by name
    page: str  # the address of this page
