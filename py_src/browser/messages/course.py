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
