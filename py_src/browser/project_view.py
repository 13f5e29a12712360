"""The page's projects: edits as a zip or a link, and read from one; nothing of them is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from background import sentence
from run_messages import settings
from view import Message, View

import groundling.config
import groundling.edits.project
from groundling.edits.project import Project

if TYPE_CHECKING:
    import messages.code


class ProjectView(View):
    """Writes and reads projects; it holds none."""

    live = "zip", "unzip", "share_code", "code_claim"

    def do_zip(self, message: messages.code.ZipCommand) -> None:
        """Post the project as a file."""
        data = groundling.edits.project.to_zip(project(message))
        name = groundling.edits.project.file_name(message["name"])
        self.post({"type": "file", "name": name, "mime": "application/zip", "bytes": data})

    def do_unzip(self, message: messages.code.UnzipCommand) -> None:
        """Post what a project's file holds, or what is wrong with it."""
        found = groundling.edits.project.from_zip(message["bytes"])
        self._post_project("zip", message["name"], found)

    def do_share_code(self, message: messages.code.ShareCodeCommand) -> None:
        """Post the project as a link's fragment, or why it cannot be one."""
        text = groundling.edits.project.to_link(project(message))
        self.post({"type": "code_link", "text": text, "problem": ""})

    def do_code_claim(self, message: messages.code.CodeClaimCommand) -> None:
        """Post what a link's fragment holds, or what is wrong with it."""
        self._post_project("link", "the link", groundling.edits.project.from_link(message["text"]))

    def _post_project(
        self, origin: str, name: str, found: Project | None, problem: str = ""
    ) -> None:
        files, config = {}, groundling.config.TrainConfig()
        if found:
            name, files, config = found.name, found.files, found.config
        told = {"type": "project", "origin": origin, "name": name, "files": files}
        self.post({**told, "settings": settings(config), "problem": problem})

    def on_failure(self, message: Message, error: BaseException) -> None:
        """Report the error where the page waits for the answer."""
        problem, kind = sentence(error, self.session), message["type"]
        if kind == "share_code":
            self.post({"type": "code_link", "text": "", "problem": problem})
        elif kind == "unzip":
            self._post_project("zip", message["name"], None, problem)
        elif kind == "code_claim":
            self._post_project("link", "the link", None, problem)
        else:
            super().on_failure(message, error)


def project(message: messages.code.Project) -> Project:
    """The project that the page has. ValueError for what cannot be one."""
    config = groundling.config.TrainConfig(
        seed=message["seed"],
        iters=message["iters"],
        batch_size=message["batchSize"],
        lr=message["lr"],
    )
    return groundling.edits.project.Project(message["name"], message["files"], config)
