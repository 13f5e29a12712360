"""Writes src/base/protocol.ts from the types in py_src/browser/messages, with their comments.

build.py runs it before it builds the page. It does not import the modules, so it needs nothing but
Python: a TypedDict becomes an interface, an alias a type, and an upper-case name a constant.
"""

from __future__ import annotations

import ast
import io
import json
import re
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


class Constants(dict):
    """A module's constants, each worked out from its text when it is asked for."""

    def __init__(self, path: Path):
        self.path, self.body = path, ast.parse(path.read_text(encoding="utf-8")).body

    def __missing__(self, name: str) -> object:
        for node in self.body:
            match node:
                case ast.ImportFrom(module, names, level) if name in [one.name for one in names]:
                    above = self.path.parents[level - 1] if level else ROOT / "py_src"
                    place = above.joinpath(*(module or "").split("."))
                    inside = place / f"{name}.py"
                    if inside.is_file():
                        return Constants(inside)
                    return Constants(place.with_suffix(".py"))[name]
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
    """A TypedDict; a message's has its `type`."""
    bases = [base.id for base in node.bases if base.id not in ("TypedDict", *KINDS)]
    yield f"export interface {node.name}{' extends ' * bool(bases)}{', '.join(bases)} {{"
    if kind := kind_of(node.name):
        name = node.name.removesuffix(kind)
        yield f'  type: "{re.sub("(?<!^)(?=[A-Z])", "_", name).lower()}";'
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


def kind_of(name: str) -> str:
    """What messages of this class are: "Command", "Report", or "" if they are none."""
    return next((kind for kind in KINDS if name.endswith(kind)), "")


def protocol() -> str:
    """The text of protocol.ts."""
    blocks, messages = [HEAD.strip()], {kind: [] for kind in KINDS}
    for path in sorted(MESSAGES.glob("[a-z]*.py")):
        constants, source = Constants(path), io.StringIO(path.read_text(encoding="utf-8"))
        comments = {
            token.start[0]: token.string.removeprefix("# ")
            for token in tokenize.generate_tokens(source.readline)
            if token.type == tokenize.COMMENT and token.start[1]
        }
        blocks.append(f"// ---- {path.stem} ".ljust(WIDTH - 1, "-"))
        for node, text in documented(constants.body, comments):
            match node:
                case ast.ClassDef(name) if name not in KINDS:
                    lines = [*doc(ast.get_docstring(node)), *interface(node, comments)]
                    if kind := kind_of(name):
                        messages[kind].append(name)
                case ast.Assign([ast.Name(name)]) if name.isupper():
                    value = json.dumps(constants[name])
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
