"""Runs pytest inside Pyodide; pyodide_runner.js calls `main`."""

import os
from collections.abc import Callable, Iterable

import plans
import pytest
import second_core

# What Emscripten lacks, or has no use for: signals, file descriptors to swap, a cache to keep.
OPTIONS = ["-p", "no:faulthandler", "-p", "no:cacheprovider", "--capture=sys", "--color=no"]
OPTIONS += ["-W", "ignore::pytest.PytestConfigWarning"]  # for faulthandler's own settings


class Outcomes:
    """A pytest plugin that tells of each test: its name, "started" or the outcome, and why."""

    def __init__(self, tell: Callable[[str, str, str], None]) -> None:
        self.tell = tell

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.tell(nodeid, "started", "")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            printed = (f"-- {title} --\n{text}" for title, text in report.sections)
            self.tell(report.nodeid, report.outcome, "\n".join([report.longreprtext, *printed]))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.outcome != "passed":
            self.tell(report.nodeid, report.outcome, report.longreprtext)


def main(arguments: Iterable[str], tell: Callable[[str, str, str], None]) -> int:
    """pytest's exit code for the arguments, as on a command line in the repository's root."""
    os.chdir("/app")
    plans.install()
    second_core.install()
    os.environ["GROUNDLING_DATA"] = "/app/data"
    return int(pytest.main([*OPTIONS, *arguments], plugins=[Outcomes(tell)]))
