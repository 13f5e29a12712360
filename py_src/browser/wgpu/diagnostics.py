"""`wgpu.diagnostics`: facts about the system, versions and live objects, as dicts and as a report.

A topic is a DiagnosticsBase, also one of the program's own; making it registers it.
"""

import sys
from typing import Any

import js

from .base import alive

__all__ = ["DiagnosticsBase", "diagnostics"]

LIBRARIES = "wgpu", "pyodide", "numpy"


class DiagnosticsRoot:
    """All topics, each an attribute."""

    def __init__(self) -> None:
        self._topics: dict[str, DiagnosticsBase] = {}

    def __repr__(self) -> str:
        return f"<DiagnosticsRoot with topics: {', '.join(self._topics)}>"

    def _register_diagnostics(self, name: str, topic: "DiagnosticsBase") -> None:
        self._topics[name] = topic
        setattr(self, name, topic)

    def get_dict(self) -> dict[str, dict]:
        """Each topic's dict."""
        return {name: topic.get_dict() for name, topic in self._topics.items()}

    def get_report(self) -> str:
        """Each topic's report, one after the other."""
        return "".join(topic.get_report() for topic in self._topics.values())

    def print_report(self) -> None:
        print(self.get_report(), end="")


class DiagnosticsBase:
    """A topic: a subclass has `get_dict`, of values or of one dict for each row of a table."""

    def __init__(self, name: str) -> None:
        if not (isinstance(name, str) and name.isidentifier()):
            raise ValueError("Diagnostics name must be an identifier (underscores, no spaces).")
        self.name = name
        diagnostics._register_diagnostics(name, self)

    def __repr__(self) -> str:
        return f"<Diagnostics for '{self.name}'>"

    def get_dict(self) -> dict[str, Any]:
        raise NotImplementedError()

    def get_subscript(self) -> str:
        """A text below the table."""
        return ""

    def get_report(self) -> str:
        text = f"\n██ {self.name}:\n\n{table(self.get_dict())}"
        below = self.get_subscript()
        return f"{text}\n{below.rstrip()}\n" if below else text

    def print_report(self) -> None:
        print(self.get_report(), end="")


def table(rows: dict[str, Any]) -> str:
    """The rows with their names to the left, and a head where they are dicts."""
    if not rows:
        return "No data\n"
    cells = {name: row if isinstance(row, dict) else {"": row} for name, row in rows.items()}
    columns = list(dict.fromkeys(key for row in cells.values() for key in row))
    lines = [["", *columns], [""]] if any(columns) else []
    lines += [
        [f"{name}:", *(str(row.get(key, "")) for key in columns)] for name, row in cells.items()
    ]
    widths = [max(len(line[i]) for line in lines if i < len(line)) for i in range(len(columns) + 1)]
    aligned = ("  ".join(map(str.rjust, line, widths)).rstrip() for line in lines)
    return "\n".join(aligned) + "\n"


diagnostics = DiagnosticsRoot()


class System(DiagnosticsBase):
    def get_dict(self) -> dict[str, str]:
        import platform  # not as the page starts

        return {
            "platform": platform.platform(),
            "browser": js.navigator.userAgent,
            "python_implementation": platform.python_implementation(),
            "python": platform.python_version(),
        }


class Versions(DiagnosticsBase):
    def get_dict(self) -> dict[str, str]:
        loaded = ((name, sys.modules.get(name)) for name in LIBRARIES)
        return {name: str(module.__version__) for name, module in loaded if module}


class ObjectCounts(DiagnosticsBase):
    def get_dict(self) -> dict[str, dict[str, int]]:
        counts = {name.removeprefix("GPU"): {"count": alive[name]} for name in sorted(alive)}
        return counts | {"total": {"count": alive.total()}}


System("system")
Versions("versions")
ObjectCounts("object_counts")
