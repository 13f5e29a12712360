"""The page's projects: edits written as a zip or a link, and read from one; nothing of them is run.

site/src/project.ts has what this posts; the reader sees it as a diff and decides.
"""

from __future__ import annotations

from view import Message, View

import groundling.config
import groundling.project
from groundling.project import ProjectError


class ProjectView(View):
    """Writes and reads projects; it holds none."""

    live = "zip", "unzip", "share_code", "code_claim"

    def do_zip(self, message: Message) -> None:
        """Post the project as a file."""
        data = groundling.project.to_zip(project(message))
        name = groundling.project.file_name(message["name"])
        self.post({"type": "file", "name": name, "mime": "application/zip", "bytes": data})

    def do_unzip(self, message: Message) -> None:
        """Post what a project's file holds, or what is wrong with it."""
        self._open("zip", groundling.project.from_zip, message["bytes"], message["name"])

    def do_share_code(self, message: Message) -> None:
        """Post the project as a link's fragment, or why it cannot be one."""
        text = problem = ""
        try:
            text = groundling.project.to_link(project(message))
        except ValueError as error:
            problem = str(error)
        self.post({"type": "code_link", "text": text, "problem": problem})

    def do_code_claim(self, message: Message) -> None:
        """Post what a link's fragment holds, or what is wrong with it."""
        self._open("link", groundling.project.from_link, message["text"], "the link")

    def _open(self, origin: str, read, data: bytes | str, name: str) -> None:
        files: dict[str, str] = {}
        config, problem = groundling.config.TrainConfig(), ""
        try:
            found = read(data)
            name, files, config = found.name, found.files, found.config
        except ProjectError as error:
            problem = str(error)
        settings = {"seed": config.seed, "iters": config.iters}
        settings |= {"batchSize": config.batch_size, "lr": config.lr}
        told = {"type": "project", "origin": origin, "name": name, "files": files}
        self.post({**told, "settings": settings, "problem": problem})


def project(message: Message) -> groundling.project.Project:
    """The project that the page has. ValueError for what cannot be one."""
    config = groundling.config.TrainConfig(
        seed=message["seed"],
        iters=message["iters"],
        batch_size=message["batchSize"],
        lr=message["lr"],
    )
    return groundling.project.Project(message["name"], message["files"], config)
