"""What a text defines, and what its definitions and living objects are: kind, signature and docs.

Nothing of the reader's is called: objects are looked at through their types and __dict__, so a
property stays unread and a __getattr__ unasked.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

from groundling import sources
from groundling.edits.errors import shown_path
from groundling.edits.introspect import attributes

MAX_DOC = 2_000  # characters
SIMPLE = int, float, str, bool, type(None)


@dataclass
class Scope:
    """A function, a class or the module: the names that it defines, and its lines."""

    node: ast.AST
    first: int
    last: int
    names: dict[str, ast.AST | None] = field(default_factory=dict)

    def has(self, line: int, indentation: int) -> bool:
        """Whether a line of this indentation is in it."""
        inside = indentation > getattr(self.node, "col_offset", -1)
        return inside and self.first <= line <= self.last


def outline(text: str) -> list[Scope] | None:
    """The scopes of a text, outermost first; None if it is not Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    scopes = [Scope(tree, 0, sys.maxsize)]
    lines = text.split("\n")

    def visit(node: ast.AST, scope: Scope) -> None:
        for child in ast.iter_child_nodes(node):
            inner = scope
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                scope.names[child.name] = child
                last = child.end_lineno
                while last < len(lines) and not lines[last].strip():
                    last += 1  # blank lines, on one of which the reader may be typing, belong to it
                inner = Scope(child, child.lineno, last)
                scopes.append(inner)
                if not isinstance(child, ast.ClassDef):
                    for argument in ast.walk(child.args):
                        if isinstance(argument, ast.arg):
                            inner.names[argument.arg] = argument
            elif isinstance(child, ast.Import | ast.ImportFrom):
                for alias in child.names:
                    scope.names[alias.asname or alias.name.partition(".")[0]] = child
            elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                scope.names.setdefault(child.id, None)
            visit(child, inner)

    try:
        visit(tree, scopes[0])
    except RecursionError:
        return None
    return scopes


def own_attributes(node: ast.ClassDef) -> dict[str, ast.AST | None]:
    """The methods and fields of a class in a text, and the attributes of `self`."""
    found: dict[str, ast.AST | None] = {}
    for part in ast.walk(node):
        if (
            isinstance(part, ast.Attribute)
            and isinstance(part.ctx, ast.Store)
            and getattr(part.value, "id", "") == "self"
        ):
            found.setdefault(part.attr, None)
    for part in node.body:
        if isinstance(part, ast.FunctionDef | ast.ClassDef):
            found[part.name] = part
        elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            found[part.target.id] = None
        elif isinstance(part, ast.Assign):
            found |= {name.id: None for name in part.targets if isinstance(name, ast.Name)}
    return found


# ---- what a definition or an object is -----------------------------------------------------------


def explained(thing: object) -> tuple[str, str, str]:
    """Kind, signature and documentation of a definition or an object."""
    if is_a(thing, ast.AST):
        return _of_text(thing)
    if is_a(thing, staticmethod, classmethod, MethodType):
        thing = thing.__func__
    if is_a(thing, property):
        return "property", "", _doc(thing.fget.__doc__) if is_a(thing.fget, FunctionType) else ""
    if is_a(thing, FunctionType):
        return "function", _signature(thing), _doc(thing.__doc__)
    if is_a(thing, type):
        init = attributes(thing).get("__init__")
        signature = _signature(init, skip=1) if is_a(init, FunctionType) else ""
        return "class", signature, _doc(attributes(thing).get("__doc__"))
    if is_a(thing, ModuleType):
        return "namespace", "", _doc(attributes(thing).get("__doc__"))
    if is_a(thing, BuiltinFunctionType):
        signature = re.sub(r"\$\w+(, )?", "", thing.__text_signature__ or "")
        return "function", signature, _doc(thing.__doc__)
    return "variable", _summary(thing), ""


def is_a(thing: object, *kinds: type) -> bool:
    """isinstance by type alone: that asks an object's __class__, which may be a property."""
    return issubclass(type(thing), kinds)


def definition(thing: object) -> object:
    """Where a function or class of the library is defined in its text; else the thing itself."""
    found = thing.__func__ if is_a(thing, staticmethod, classmethod, MethodType) else thing
    found = found.fget if is_a(found, property) else found
    if is_a(found, FunctionType):
        path, name = shown_path(found.__code__.co_filename), found.__code__.co_name
        first = found.__code__.co_firstlineno
    elif is_a(found, type):
        module = attributes(found).get("__module__")
        path = sources.path_of(module) if type(module) is str else ""
        name, first = type.__dict__["__name__"].__get__(found), None
    else:
        return thing
    for node in _definitions(path):
        lines = [node.lineno, *(decorator.lineno for decorator in node.decorator_list)]
        if node.name == name and first in (None, *lines):
            return node
    return thing


def _definitions(path: str) -> list[ast.AST]:
    """The functions and classes of a file of the library."""
    if not path.startswith(sources.LIBRARY) or path not in sources.paths():
        return []
    text = sources.text(path)
    if _defined.get(path, ("",))[0] != text:
        found = outline(text)
        _defined[path] = text, [scope.node for scope in found[1:]] if found else []
    return _defined[path][1]


_defined: dict[str, tuple[str, list[ast.AST]]] = {}


def _of_text(node: ast.AST) -> tuple[str, str, str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        decorators = {getattr(decorator, "id", "") for decorator in node.decorator_list}
        if decorators & {"property", "cached_property"}:
            return "property", "", _doc(ast.get_docstring(node))
        return "function", f"({ast.unparse(node.args)}){returns}", _doc(ast.get_docstring(node))
    if isinstance(node, ast.ClassDef):
        init = [part for part in node.body if getattr(part, "name", "") == "__init__"]
        signature = f"({ast.unparse(init[0].args)})" if init else ""
        signature = re.sub(r"^\(self(, )?", "(", signature)
        return "class", signature, _doc(ast.get_docstring(node))
    if isinstance(node, ast.arg):
        return "variable", ast.unparse(node.annotation) if node.annotation else "", ""
    return "variable", "", ""


def _signature(function: FunctionType, skip: int = 0) -> str:
    """(x, weight, eps=1e-05): from the code object, so that no default's repr is called."""
    names, more, rest = inspect.getargs(function.__code__)
    n, defaults = function.__code__.co_argcount, function.__defaults__ or ()
    values = dict(zip(names[n - len(defaults) : n], defaults, strict=True))
    parts = [_argument(name, values) for name in names[skip:n]]
    if more or names[n:]:
        parts.append(f"*{more or ''}")
    parts += [_argument(name, function.__kwdefaults__ or {}) for name in names[n:]]
    return f"({', '.join([*parts, *([f'**{rest}'] if rest else [])])})"


def _argument(name: str, defaults: Mapping) -> str:
    if name not in defaults:
        return name
    value = defaults[name]
    return f"{name}={repr(value)[:40] if type(value) in SIMPLE else '...'}"


def _doc(text: object) -> str:
    """A docstring without its indentation."""
    return inspect.cleandoc(text[: 2 * MAX_DOC])[:MAX_DOC] if isinstance(text, str) else ""


def _summary(value: object) -> str:
    """An object in a few words, without calling its methods."""
    kind = type(value)
    if kind in SIMPLE and kind is not str:
        return repr(value)[:40] if kind is not int or value.bit_length() < 128 else "int"
    if kind is str:
        return repr(value[:40])
    if kind in (list, tuple, dict, set):
        return f"{kind.__name__} of {len(value)}"
    shape = attributes(value).get("shape")
    name = type.__dict__["__name__"].__get__(kind)
    return f"{name} {list(shape)}" if type(shape) is tuple else name
