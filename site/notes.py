"""Reads the notes on the code, site/notes/LANGUAGE/PATH.md, for build.py.

PATH is that of the file which the notes are on, in the project. A note is a heading that quotes the
piece of a line that it is about, as it occurs once in the file, and a paragraph:

    ## `loss.backward()`
    What is said of it, with `code` and **stress**.
"""

from __future__ import annotations

import re
from pathlib import Path

from course import LessonError, blocks, spans

NOTES = Path(__file__).parent / "notes"
HEADING = re.compile(r"^## `(.+)`$", re.M)


def notes_on(text: str) -> list[dict]:
    """The notes in a file: of each what it quotes, and its text. LessonError."""
    before, *parts = HEADING.split(text)
    found = []
    for quote, said in zip(parts[::2], parts[1::2], strict=True):
        paragraphs = blocks(said.splitlines())
        if len(paragraphs) != 1 or paragraphs[0].startswith("#"):
            raise LessonError(f"under `{quote}` there should be one paragraph")
        found.append({"quote": quote, "text": spans(paragraphs[0])})
    if before.strip() or not found:
        raise LessonError("it should have headings, each a quote in backquotes, and their notes")
    return found


def notes(folder: Path = NOTES) -> dict[str, dict[str, list[dict]]]:
    """All notes by language, and there by the path of the file that they are on. LessonError."""
    found: dict[str, dict[str, list[dict]]] = {}
    for path in sorted(folder.glob("*/**/*.md")):
        language, *on = path.relative_to(folder).with_suffix("").parts
        try:
            own = notes_on(path.read_text(encoding="utf-8"))
        except LessonError as error:
            raise LessonError(f"{path.relative_to(folder)}: {error}.") from error
        found.setdefault(language, {})["/".join(on)] = own
    return found


if __name__ == "__main__":
    import json
    import sys

    Path(sys.argv[1]).write_text(json.dumps(notes(), ensure_ascii=False), encoding="utf-8")
