"""What is wrong with a text as it is typed: nothing of it is run.

Python is compiled, read by pyflakes, and looked through for what a jitted function would silently
keep. Of WGSL only what the device needs to find is said here; its compiler reads it at Apply.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from groundling.devices.webgpu.wgsl import BINDING
from groundling.edits.columns import characters, units, whole

MAX_TEXT = 300_000  # characters
MAX_PROBLEMS = 100
PYFLAKES = Path(__file__).resolve().parents[2] / "wheels/pyflakes.whl"  # in the page


@dataclass(frozen=True)
class Problem:
    """A place in a text, and what is wrong there: lines from 1, columns in UTF-16 code units."""

    line: int
    column: int
    end_line: int
    end_column: int
    severity: str  # "error" or "warning"
    message: str


def python(text: str, known: Collection[str] = ()) -> list[Problem]:
    """The problems of Python. `known` are names that nothing in the text defines."""
    if len(text) > MAX_TEXT:
        return [Problem(1, 0, 1, 0, "warning", f"Over {MAX_TEXT:,} characters: not looked at.")]
    lines = text.split("\n")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            tree = ast.parse(text)
            compile(tree, "", "exec")
        except SyntaxError as error:
            return [_syntax(error, lines)]
        except (ValueError, RecursionError, MemoryError) as error:
            return [Problem(1, 0, 1, 0, "error", f"Python cannot read this: {error}.")]
    found = [_at(lines, w.lineno or 1, 0, 0, str(w.message)) for w in warned]
    found += [*_flakes(tree, lines, known), *_jitted(tree, lines)]
    found.sort(key=lambda problem: (problem.line, problem.column))
    return found[:MAX_PROBLEMS]


def _syntax(error: SyntaxError, lines: list[str]) -> Problem:
    line = min(max(1, error.lineno or 1), len(lines))
    text = lines[line - 1]
    column = units(text[: max(0, (error.offset or 1) - 1)])
    end = error.end_lineno or line
    if end != line or not error.end_offset or error.end_offset <= (error.offset or 1):
        end_column = max(column + 1, units(text.rstrip()))
    else:
        end_column = units(text[: error.end_offset - 1])
    return Problem(line, column, line, end_column, "error", f"{error.msg}.".replace("..", "."))


def _at(lines: list[str], line: int, start: int, length: int, message: str) -> Problem:
    """A warning at characters of a line; where length is 0, at all that is on it."""
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    column, end = whole(text)
    if length:
        column, end = units(text[:start]), units(text[: start + length])
    message = message if message.endswith((".", "?")) else f"{message}."
    return Problem(line, column, line, max(column + 1, end), "warning", message)


def _node(lines: list[str], node: ast.AST, message: str) -> Problem:
    text = lines[node.lineno - 1]
    start, end = characters(text, node.col_offset), characters(text, node.end_col_offset)
    length = end - start if node.end_lineno == node.lineno else 0
    return _at(lines, node.lineno, start, length, message)


# ---- pyflakes ------------------------------------------------------------------------------------


def _flakes(tree: ast.Module, lines: list[str], known: Collection[str]) -> Iterator[Problem]:
    if str(PYFLAKES) not in sys.path and PYFLAKES.exists():
        sys.path.append(str(PYFLAKES))
    from pyflakes.checker import Checker  # about 40 ms in the page, the first time

    for message in Checker(tree, builtins=frozenset(known)).messages:
        said = message.message % message.message_args
        text = lines[message.lineno - 1]
        start = characters(text, message.col)
        name = str(message.message_args[0]).rpartition(".")[2] if message.message_args else ""
        if name.isidentifier() and (place := re.search(rf"\b{name}\b", text[start:])):
            start, length = start + place.start(), len(name)
        else:
            length = 0
        yield _at(lines, message.lineno, start, length, said[0].upper() + said[1:])


# ---- jitted functions ----------------------------------------------------------------------------


def _jitted(tree: ast.Module, lines: list[str]) -> Iterator[Problem]:
    """What runs only once: reads in a jitted function, and numbers from outside that change."""
    for outer in ast.walk(tree):
        if not isinstance(outer, ast.FunctionDef):
            continue
        jitted = [node for node in ast.walk(outer) if node is not outer and _is_jitted(node)]
        if not jitted:
            continue
        within = {id(node) for function in jitted for node in ast.walk(function)}
        changing = set()  # names that the function around it assigns in a loop
        for loop in ast.walk(outer):
            if isinstance(loop, ast.For | ast.While):
                changing |= {
                    node.id
                    for node in ast.walk(loop)
                    if isinstance(node, ast.Name)
                    and isinstance(node.ctx, ast.Store)
                    and id(node) not in within
                }
        for function in jitted:
            yield from _captured(function, changing, lines)


def _is_jitted(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        "jit" in (getattr(name, "id", ""), getattr(name, "attr", ""))
        for decorator in node.decorator_list
        for name in (decorator, getattr(decorator, "func", None))
    )


def _captured(function: ast.FunctionDef, changing: set[str], lines: list[str]) -> Iterator[Problem]:
    own = {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
    own |= {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    for node in (node for part in function.body for node in ast.walk(part)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("item", "numpy"):
            said = "A jitted function cannot read: return the tensor, and read it outside."
            yield _node(lines, node, said)
        elif isinstance(node, ast.Name) and node.id in changing - own:
            yield _node(
                lines,
                node,
                f"{node.id} changes outside, but in a jitted function it stays as it first was: "
                "pass it in, as an array.",
            )


# ---- WGSL ----------------------------------------------------------------------------------------

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
PAIRS = {")": "(", "]": "[", "}": "{"}


def wgsl(text: str) -> list[Problem]:
    """The problems of a kernel's WGSL that can be told without its compiler."""
    if len(text) > MAX_TEXT:
        return [Problem(1, 0, 1, 0, "warning", f"Over {MAX_TEXT:,} characters: not looked at.")]
    lines = text.split("\n")
    code = COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    problems, unclosed = [], []

    def error(at: int, length: int, message: str) -> None:
        line = text.count("\n", 0, at) + 1
        start = at - (text.rfind("\n", 0, at) + 1)
        problem = _at(lines, line, start, length, message)
        problems.append(Problem(**{**vars(problem), "severity": "error"}))

    if (start := code.find("/*")) >= 0:
        error(start, 2, "This comment does not end.")
        return problems
    for found in re.finditer(r"[][(){}]", code):
        if found[0] in PAIRS.values():
            unclosed.append(found)
        elif unclosed and unclosed[-1][0] == PAIRS[found[0]]:
            unclosed.pop()
        else:
            error(found.start(), 1, f"Nothing that is open here is closed by {found[0]}")
            return problems
    if unclosed:
        error(unclosed[-1].start(), 1, f"This {unclosed[-1][0]} is not closed.")
        return problems
    bindings = list(BINDING.finditer(code))
    for number, found in enumerate(bindings):
        if int(found[1]) != number:
            error(found.start(), len(found[0]), f"The bindings go 0, 1, 2 …: this is {number}.")
            break
    if bindings and bindings[-1][2] != "uniform":
        last = bindings[-1]
        error(last.start(), len(last[0]), "The last binding is the uniform with the parameters.")
    for pattern, where, message in (
        (r"struct Params\s*{|{kernel}", code, "It needs a `struct Params {...}`: its parameters."),
        (r"(?m)^// grid: .+$", text, "It needs a line `// grid: size / 64`: how many workgroups."),
        (r"fn main\b", code, "It needs an entry point: `@compute @workgroup_size(64) fn main`."),
    ):
        if not re.search(pattern, where):
            error(0, 0, message)
    return problems[:MAX_PROBLEMS]
