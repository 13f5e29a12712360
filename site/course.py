"""Reads the lessons of the course, site/lessons/LANGUAGE/NN-name.md, for build.py.

A lesson is Markdown of a fixed form:

    # Its title
    Paragraphs of text.
    ## Do
    1. What to do, step by step.
    check: trained iters=50
    ## Question
    A paragraph, and then either the number that answers it or choices, of which one is right; what
    is said of a choice is indented under it:
    answer: even_guess within=0.01
    - [ ] A wrong choice.
      Why it is wrong.
    - [x] The right one.
      Why it is right.
    ## Hints
    1. The first hint.

`check` and `answer` are functions of groundling/labs/course.py, and their parameters. In a text
there may be `code`, **names of buttons**, [a word](term:nll) of site/src/ui/glossary.ts and
[a place](place:tab-talk) on the page, by its id.
"""

from __future__ import annotations

import re
from pathlib import Path

LESSONS = Path(__file__).parent / "lessons"
SECTIONS = ["text", "Do", "Question", "Hints"]
SPAN = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\((term|place):([\w-]+)\)")
CHOICE = re.compile(r"- \[([ x])\] ")

Span = str | dict[str, str]


class LessonError(ValueError):
    """What is wrong with a lesson, and in which file."""


def spans(text: str) -> list[Span]:
    """A text in its parts: plain ones, code, names, words and places."""
    found: list[Span] = []
    at = 0
    for match in SPAN.finditer(text):
        code, strong, shown, kind, to = match.groups()
        part = {"as": kind, "text": shown, "to": to}
        if code or strong:
            part = {"as": "code" if code else "strong", "text": code or strong, "to": ""}
        found += [text[at : match.start()], part]
        at = match.end()
    return [part for part in [*found, text[at:]] if part]


def value(text: str) -> float | str:
    """A parameter: a number where it is one."""
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def named(line: str) -> dict:
    """A function and its parameters, as after `check:`."""
    name, *given = line.split()
    pairs = (one.partition("=") for one in given)
    return {"name": name, "given": {key: value(text) for key, _, text in pairs}}


def blocks(lines: list[str]) -> list[str]:
    """Paragraphs, items and settings, each as one line; an item's second part after a newline."""
    found: list[str] = []
    begins = True
    for line in lines:
        if not line.strip():
            begins = True
        elif begins or re.match(r"\d+\. |- \[|check: |answer: ", line):
            found.append(line.strip())
            begins = False
        elif found[-1].startswith("- [") and line.startswith("  ") and "\n" not in found[-1]:
            found[-1] += "\n" + line.strip()
        else:
            found[-1] += " " + line.strip()
    return found


def lesson(text: str) -> dict:
    """A lesson as the page has it. LessonError."""
    head, *rest = text.strip().split("\n")
    if not head.startswith("# "):
        raise LessonError("it does not begin with `# ` and a title")
    sections: dict[str, list[str]] = {"text": []}
    for line in rest:
        if line.startswith("## "):
            sections[line[3:].strip()] = []
        else:
            sections[list(sections)[-1]].append(line)
    if list(sections) != SECTIONS:
        raise LessonError(f"its sections are {', '.join(sections)}; they should be {SECTIONS}")
    parts = {name: blocks(lines) for name, lines in sections.items()}

    def only(section: str, pattern: str) -> list[str]:
        """What follows the pattern in each block of a section that begins with it."""
        return [b[m.end() :] for b in parts[section] if (m := re.match(pattern, b))]

    checks, answers = only("Do", "check: "), only("Question", "answer: ")
    tasks, hints, choices = only("Do", r"\d+\. "), only("Hints", r"\d+\. "), []
    for block in parts["Question"]:
        if mark := CHOICE.match(block):
            shown, _, says = block[mark.end() :].partition("\n")
            choices.append({"text": spans(shown), "right": mark[1] == "x", "says": spans(says)})
    asked = [b for b in parts["Question"] if not b.startswith(("answer: ", "- ["))]
    if len(checks) != 1 or len(tasks) + 1 != len(parts["Do"]):
        raise LessonError("under Do there should be numbered steps and one line `check: `")
    if not hints or len(hints) != len(parts["Hints"]):
        raise LessonError("under Hints there should be numbered hints")
    if not asked or len(answers) + (sum(choice["right"] for choice in choices) == 1) != 1:
        raise LessonError("it should ask for one number, by `answer: `, or one of several choices")
    if any(not choice["says"] for choice in choices):
        raise LessonError("under each choice there should be what is said of it, indented")
    return {
        "title": head[2:].strip(),
        "text": [spans(block) for block in parts["text"]],
        "task": [spans(step) for step in tasks],
        "check": named(checks[0]),
        "question": [spans(block) for block in asked],
        "answer": named(answers[0]) if answers else None,
        "choices": choices,
        "hints": [spans(hint) for hint in hints],
    }


def lessons(folder: Path = LESSONS) -> dict[str, list[dict]]:
    """All lessons by language, in the order of their files' names. LessonError."""
    found: dict[str, list[dict]] = {}
    for path in sorted(folder.glob("*/*.md")):
        try:
            found.setdefault(path.parent.name, []).append(lesson(path.read_text(encoding="utf-8")))
        except LessonError as error:
            raise LessonError(f"{path.relative_to(folder)}: {error}.") from error
    return found


if __name__ == "__main__":
    import json
    import sys

    Path(sys.argv[1]).write_text(json.dumps(lessons(), ensure_ascii=False), encoding="utf-8")
