"""Help at the keyboard: lint, completion and documentation, at once. Nothing is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import assist
import lint
from view import Message, View

if TYPE_CHECKING:
    import messages.code
    from view import PageSession

CONSOLE = "run", "model", "optimizer", "sample", "corpus", "device", "np", "groundling", "_"


class AssistView(View):
    """Answers for the text in an editor (`path`), or at the prompt (path "")."""

    live = "lint", "complete", "hover"

    def __init__(self, session: PageSession, known: Callable[[], dict[str, object]]):
        """known() gives the names at the console's prompt."""
        super().__init__(session)
        self.assist, self.known = assist.Assist(), known

    def do_lint(self, message: messages.code.LintCommand) -> None:
        """Post what is wrong with a text."""
        path, text = message["path"], message["text"]
        if path.endswith(".wgsl"):
            found = lint.wgsl(text)
        else:
            found = lint.python(text, () if path else {*CONSOLE, *self._names("")})
        problems = [asdict(problem) for problem in found]
        for problem in problems:
            problem["endLine"] = problem.pop("end_line")
            problem["endColumn"] = problem.pop("end_column")
        self.post({"type": "linted", "id": message["id"], "path": path, "problems": problems})

    def do_complete(self, message: messages.code.CompleteCommand) -> None:
        """Post what could be typed next."""
        path = message["path"]
        start, options = self.assist.complete(
            path, message["text"], message["at"], self._names(path)
        )
        found = [asdict(option) for option in options]
        self.post({"type": "completions", "id": message["id"], "start": start, "options": found})

    def do_hover(self, message: messages.code.HoverCommand) -> None:
        """Post what a name means."""
        path, at = message["path"], message["at"]
        doc = self.assist.hover(path, message["text"], at, self._names(path))
        doc = doc or assist.Doc(at, at, "", "")
        told = {"start": doc.start, "end": doc.end, "signature": doc.signature, "text": doc.text}
        self.post({"type": "doc", "id": message["id"], **told})

    def on_failure(self, message: Message, error: BaseException) -> None:
        """Answer with nothing: what is typed may be anything, and an error panel would be in the
        way.
        """
        told = {"id": message["id"]}
        match message["type"]:
            case "lint":
                self.post({"type": "linted", **told, "path": message["path"], "problems": []})
            case "complete":
                self.post({"type": "completions", **told, "start": message["at"], "options": []})
            case "hover":
                at = {"start": message["at"], "end": message["at"]}
                self.post({"type": "doc", **told, **at, "signature": "", "text": ""})

    def _names(self, path: str) -> dict[str, object]:
        """The names that exist whatever a text says: the run's, and at the prompt all others."""
        session, names = self.session, {}
        if run := session.run:
            names = {"run": run, "model": run.model, "optimizer": run.optimizer}
        names["corpus"] = session.corpus
        if session.device:
            names["device"] = session.device
        if not path:
            names = self.known() | names
        return names
