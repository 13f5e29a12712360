"""Writes src/base/protocol.ts from the types in py_src/browser/messages, with their comments.

build.py runs it before it builds the page. It does not import the modules, so it needs nothing but
Python: a TypedDict or a dataclass becomes an interface, an alias a type, and an upper-case name a
constant.
"""

from __future__ import annotations

import ast
import io
import json
import re
import runpy
import textwrap
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MESSAGES = ROOT / "py_src/browser/messages"
OUT = ROOT / "site/src/base/protocol.ts"
WIDTH = 100
HEAD = """\
// Every message between the page and the worker: plain objects, told apart by `type`.
// Written by site/protocol.py from py_src/browser/messages: edit those modules, and build.
"""
PLAIN = {"str": "string", "int": "number", "float": "number", "bool": "boolean"}
PLAIN |= {"bytes": "Uint8Array<ArrayBuffer>"}
KINDS = "Command", "Report"
type_of = runpy.run_path(str(MESSAGES / "__init__.py"))["type_of"]


def typescript(node: ast.expr) -> str:
    """A type as TypeScript writes it."""
    match node:
        case ast.Name(name):
            return PLAIN.get(name, name)
        case ast.Constant(None):
            return "null"
        case ast.BinOp(left, ast.BitOr(), right):
            return f"{typescript(left)} | {typescript(right)}"
        case ast.Subscript(ast.Name("Literal"), ast.Tuple(values)):
            return " | ".join(json.dumps(value.value) for value in values)
        case ast.Subscript(ast.Name("list"), item):
            found = typescript(item)
            return f"({found})[]" if isinstance(item, ast.BinOp) else f"{found}[]"
        case ast.Subscript(ast.Name("tuple"), ast.Tuple(items)):
            return f"[{', '.join(map(typescript, items))}]"
        case ast.Subscript(ast.Name("dict"), ast.Tuple([key, value])):
            return f"Record<{typescript(key)}, {typescript(value)}>"
    raise ValueError(f"site/protocol.py cannot write {ast.unparse(node)} in TypeScript.")


class Module(dict):
    """A module's text, and its constants, each worked out when it is asked for."""

    def __init__(self, path: Path):
        text = path.read_text(encoding="utf-8")
        self.path, self.body = path, ast.parse(text).body
        self.comments = {  # that end a line, by its number
            token.start[0]: token.string.removeprefix("# ")
            for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.type == tokenize.COMMENT and token.start[1]
        }

    def statements(self) -> Iterator[tuple[ast.stmt, str, dict[int, str]]]:
        """Each with its comment, and the comments within it. A class of the library that it imports
        is among them, and so is a message without fields of its own, as a class.
        """
        for node, text in documented(self.body, self.comments):
            match node:
                case ast.Assign([ast.Name(name)], base) if type_of(name)[0]:
                    yield ast.ClassDef(name, [base], [], [ast.Pass()], []), text, {}
                case ast.ImportFrom(str(module), names):
                    file = ROOT / "py_src" / f"{module.replace('.', '/')}.py"
                    if file.is_file():
                        yield from Module(file).classes({one.name: one.asname for one in names})
                case _:
                    yield node, text, self.comments

    def classes(self, names: dict[str, str | None]) -> Iterator[tuple[ast.stmt, str, dict]]:
        """Those of its classes that have these names, under the other names given for them."""
        for node in self.body:
            if isinstance(node, ast.ClassDef) and node.name in names:
                node.name = names[node.name] or node.name
                yield node, "", self.comments

    def __missing__(self, name: str) -> object:
        for node in self.body:
            match node:
                case ast.ImportFrom(module, names, level) if name in [one.name for one in names]:
                    above = self.path.parents[level - 1] if level else ROOT / "py_src"
                    place = above.joinpath(*(module or "").split("."))
                    inside = place / f"{name}.py"
                    if inside.is_file():
                        return Module(inside)
                    return Module(place.with_suffix(".py"))[name]
                case ast.Assign([target]) if name in re.findall(r"\w+", ast.unparse(target)):
                    exec(compile(ast.Module([node], []), self.path, "exec"), {}, self)
                    return self[name]
        raise KeyError(name)

    def __getattr__(self, name: str) -> object:
        return self[name]


def documented(body: list[ast.stmt], comments: dict[int, str]) -> Iterator[tuple[ast.stmt, str]]:
    """Statements, each with the string that follows it or the comment in its line."""
    for node, after in zip(body, [*body[1:], None], strict=True):
        match after:
            case ast.Expr(ast.Constant(str(text))):
                yield node, text
            case _:
                yield node, comments.get(node.end_lineno, "")


def doc(text: str, indent: str = "") -> Iterator[str]:
    """The lines of a doc comment; none for an empty text."""
    lines = textwrap.wrap(f"/** {' '.join(text.split())} */", WIDTH - len(indent) - len(" * "))
    if text:
        yield from (indent + " * " * (line is not lines[0]) + line for line in lines)


def union(name: str, members: list[str]) -> Iterator[str]:
    """A type that is one of several."""
    line = f"export type {name} = {' | '.join(members)};"
    if len(line) <= WIDTH:
        yield line
    else:
        yield "\n".join([f"export type {name} =", *(f"  | {member}" for member in members)]) + ";"


def interface(node: ast.ClassDef, comments: dict[int, str]) -> Iterator[str]:
    """A TypedDict or a dataclass; a message's has its `type`."""
    bases = [base.id for base in node.bases if base.id not in ("TypedDict", *KINDS)]
    yield f"export interface {node.name}{' extends ' * bool(bases)}{', '.join(bases)} {{"
    if type_of(node.name)[0]:
        yield f'  type: "{type_of(node.name)[0]}";'
    for field, text in documented(node.body, comments):
        if isinstance(field, ast.AnnAssign):
            name, annotation = field.target.id, field.annotation
            match annotation:
                case ast.Subscript(ast.Name("NotRequired"), annotation):
                    name += "?"
                case _ if node.keywords:  # total=False
                    name += "?"
            yield from doc(text, "  ")
            yield f"  {name}: {typescript(annotation)};"
    yield "}"


def protocol() -> str:
    """The text of protocol.ts."""
    blocks, messages = [HEAD.strip()], {kind: [] for kind in KINDS}
    for path in sorted(MESSAGES.glob("[a-z]*.py")):
        module = Module(path)
        blocks.append(f"// ---- {path.stem} ".ljust(WIDTH - 1, "-"))
        for node, text, comments in module.statements():
            match node:
                case ast.ClassDef(name) if name not in KINDS:
                    text = ast.get_docstring(node) or text
                    lines = [*doc(text), *interface(node, comments)]
                    if type_of(name)[0]:
                        messages[type_of(name)[1]].append(name)
                case ast.Assign([ast.Name(name)]) if name.isupper():
                    value = json.dumps(module[name])
                    space = " " if len(name + value) < WIDTH - len("export const  = ;") else "\n  "
                    lines = [*doc(text), f"export const {name} ={space}{value};"]
                case ast.Assign([ast.Name(name)], value):
                    lines = [*doc(text), *union(name, typescript(value).split(" | "))]
                case _:
                    continue
            blocks.append("\n".join(lines))
    blocks += ["\n".join(union(kind, names)) for kind, names in messages.items()]
    return "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    text = protocol()
    if not OUT.exists() or OUT.read_text(encoding="utf-8") != text:
        OUT.write_text(text, encoding="utf-8")
