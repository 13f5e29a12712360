"""Completion and documentation for what is typed, from the text itself and from what is alive.

Nothing of the reader's is called; see outline.py. The text need not be whole Python: the line at
hand is left out, and where the rest cannot be parsed either, the file's last text that could be is
used.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import keyword
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import resolve_name
from types import FunctionType, MethodType

from outline import Scope, definition, explained, is_a, outline, own_attributes

from groundling import sources
from groundling.edits.columns import index, units
from groundling.edits.introspect import attributes

MAX_TEXT = 300_000  # characters
MAX_OPTIONS = 200
NAME = r"[^\W\d]\w*"
BEFORE = re.compile(rf"((?:{NAME}\.)*)({NAME})?$")
STRINGS = re.compile(
    r"#[^\n]*|"
    r'"""(?:[^\\]|\\.)*?(?:"""|\Z)|'
    r"'''(?:[^\\]|\\.)*?(?:'''|\Z)|"
    r'"(?:[^"\\\n]|\\.)*(?:["\n]|\Z)|'
    r"'(?:[^'\\\n]|\\.)*(?:['\n]|\Z)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Option:
    """What could be typed: `type` is CodeMirror's name of its kind."""

    label: str
    type: str
    detail: str = ""
    info: str = ""


@dataclass(frozen=True)
class Doc:
    """What a name means: `start` to `end` is where it stands."""

    start: int
    end: int
    signature: str
    text: str


# ---- finding what a name means -------------------------------------------------------------------


class Assist:
    """Completion and documentation. `outlines` keeps the last good outline of each file."""

    def __init__(self):
        self.outlines: dict[str, tuple[str, list[Scope]]] = {}

    def complete(
        self, path: str, text: str, at: int, live: Mapping[str, object]
    ) -> tuple[int, list[Option]]:
        """What could stand at `at` (UTF-16 code units), and where it would begin. `live` are the
        names that are there whatever the text says.
        """
        if len(text) > MAX_TEXT:
            return at, []
        cursor = index(text, at)
        before = text[:cursor]
        if path.endswith(".wgsl"):
            return self._complete_wgsl(text, before)
        place = _string_at(before)
        if place is not None:
            return self._complete_string(before[place:], before, live)
        base, prefix = BEFORE.search(before[-500:]).groups()
        start = units(before) - units(prefix or "")
        where = _Where(self, path, text, cursor, live)
        line = before[before.rfind("\n") + 1 :]
        if found := re.match(r"\s*from\s+(\.*[\w.]*)\s+import\s+(?:\(?[\w\s,]*)$", line):
            things = where.module(found[1])
        elif found := re.match(r"\s*from\s+(\.[\w.]*?)\w*$", line):
            things = dict.fromkeys(_modules(where.module_name(found[1])))
        elif base:
            things = where.members(where.resolve(base.rstrip(".").split(".")))
        else:
            things = where.arguments(before) | where.names()
        return start, _chosen(things, prefix or "", hidden=(prefix or "").startswith("_"))

    def hover(self, path: str, text: str, at: int, live: Mapping[str, object]) -> Doc | None:
        """What the name at `at` means."""
        if len(text) > MAX_TEXT or path.endswith(".wgsl"):
            return None
        cursor = index(text, at)
        start, end = cursor, cursor
        while start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_"):
            start -= 1
        while end < len(text) and (text[end].isalnum() or text[end] == "_"):
            end += 1
        name = text[start:end]
        if (
            not name.isidentifier()
            or keyword.iskeyword(name)
            or _string_at(text[:start]) is not None
        ):
            return None
        base = BEFORE.search(text[max(0, start - 500) : start])[1]
        where = _Where(self, path, text, cursor, live)
        thing = where.resolve([*base.rstrip(".").split("."), name] if base else [name])
        if thing is MISSING:
            return None
        kind, signature, doc = explained(definition(thing))
        if not signature and not doc:
            return None
        shown = f"{name}{signature}" if signature.startswith("(") else f"{name}: {signature}"
        return Doc(units(text[:start]), units(text[:end]), shown.rstrip(": "), doc)

    def outline(self, path: str, text: str, cursor: int) -> tuple[list[Scope], int, int]:
        """The text's scopes without the line at hand, that line's number, and its indentation."""
        first = text.rfind("\n", 0, cursor) + 1
        last = text.find("\n", cursor)
        line = text[first : last if last >= 0 else len(text)]
        indentation = len(line) - len(line.lstrip())
        opens = re.match(r"\s*(def|class|if|for|while|with|try|else|elif|except|finally)\b", line)
        stands_in = "" if not line.strip() else line if opens else " " * indentation + "pass"
        without = text[:first] + stands_in + (text[last:] if last >= 0 else "")
        number = text.count("\n", 0, cursor) + 1
        kept = self.outlines.get(path)
        if not kept or kept[0] != without:
            if found := outline(without) or outline(text):
                kept = self.outlines[path] = without, found
            if len(self.outlines) > 50:
                self.outlines.pop(next(iter(self.outlines)))
        return kept[1] if kept else [], number, indentation if line.strip() else max(indentation, 1)

    def _complete_string(
        self, string: str, before: str, live: Mapping[str, object]
    ) -> tuple[int, list[Option]]:
        """The names of kernels in device.run("..., and of parameters in parameters["..."""
        quoted = re.fullmatch(r"[\"']([\w.]*)", string)
        head = before[: len(before) - len(string)]
        things: dict[str, object] = {}
        if quoted and re.search(r"\brun\(\s*$", head):
            things = dict.fromkeys(sources.kernels())
        elif quoted and re.search(r"\bparameters\[\s*$", head):
            model = live.get("model")
            parameters = attributes(model).get("parameters") if model is not None else None
            things = dict(parameters) if type(parameters) is dict else {}
        prefix = quoted[1] if quoted else ""
        return units(before) - units(prefix), _chosen(things, prefix, hidden=True)

    def _complete_wgsl(self, text: str, before: str) -> tuple[int, list[Option]]:
        base, prefix = BEFORE.search(before[-500:]).groups()
        prefix = prefix or ""
        start = units(before) - len(prefix)
        if base:
            fields = re.search(r"struct Params\s*{([^}]*)}", text) if base == "params." else None
            found = re.findall(r"(\w+)\s*:\s*(\w+)", fields[1]) if fields else ()
            return start, [Option(name, "property", kind) for name, kind in found]
        words = set(re.findall(r"\b[a-zA-Z_]\w*", text)) - {prefix}
        options = [Option(word, "variable") for word in sorted(words)]
        options += [Option(word, "function") for word in WGSL if word not in words]
        fits = [o for o in options if o.label.lower().startswith(prefix.lower())]
        return start, fits[:MAX_OPTIONS]


MISSING, KEYWORD, ARGUMENT = object(), object(), object()
"""In place of an object: what is not known, a keyword of Python, and an argument's name."""


class _Where:
    """The place in a text: what names mean there."""

    def __init__(self, assist: Assist, path: str, text: str, cursor: int, live: Mapping):
        found, line, indentation = assist.outline(path, text, cursor)
        self.scopes = [scope for scope in found if scope.has(line, indentation)]
        self.live, self.path = live, path
        name = sources.module_of(path)
        self.globals = vars(sys.modules[name]) if name in sys.modules else {}

    def names(self) -> dict[str, object]:
        """Every name that means something here, the nearest first."""
        found: dict[str, object] = {}
        for scope in reversed(self.scopes):
            if not isinstance(scope.node, ast.ClassDef) or scope is self.scopes[-1]:
                for name, node in scope.names.items():
                    found.setdefault(name, self._better(name, node))
        for names in (self.live, self.globals):
            for name, value in names.items():
                found.setdefault(name, value)
        for name in (*keyword.kwlist, *keyword.softkwlist):
            found.setdefault(name, KEYWORD)
        for name, value in vars(builtins).items():
            found.setdefault(name, value)
        return found

    def _better(self, name: str, node: ast.AST | None) -> object:
        """Of what the text only assigns or imports, the living object says more."""
        if isinstance(node, ast.Import | ast.ImportFrom) or node is None:
            known = self.live.get(name, MISSING)
            known = self.globals.get(name, MISSING) if known is MISSING else known
            if known is MISSING and isinstance(node, ast.Import):
                known = self._imported(name, node)
            if known is MISSING and isinstance(node, ast.ImportFrom):
                things = self.module("." * node.level + (node.module or ""))
                aliases = {alias.asname or alias.name: alias.name for alias in node.names}
                known = things.get(aliases.get(name, name), MISSING)
            return node if known is MISSING else known
        return node

    def _imported(self, name: str, node: ast.Import) -> object:
        for alias in node.names:
            if (alias.asname or alias.name.partition(".")[0]) == name:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                return sys.modules.get(whole, MISSING)
        return MISSING

    def module(self, name: str) -> dict[str, object]:
        """What a module has, if it was imported before: `.model`, `numpy`."""
        whole = self.module_name(name)
        return dict(vars(sys.modules[whole])) if whole in sys.modules else {}

    def module_name(self, name: str) -> str:
        """A module's full name: of `..engine.ops`, written here, `groundling.engine.ops`."""
        package = sources.module_of(self.path).rpartition(".")[0] or sources.PACKAGE
        try:
            return resolve_name(name, package)
        except ImportError:  # more dots than there are folders
            return ""

    def resolve(self, parts: list[str]) -> object:
        """What a dotted name means; MISSING if it is not known."""
        thing = self._first(parts[0])
        for part in parts[1:]:
            thing = self.members(thing).get(part, MISSING)
        return thing

    def _first(self, name: str) -> object:
        classes = [scope.node for scope in self.scopes if isinstance(scope.node, ast.ClassDef)]
        if name == "self" and classes:
            return classes[-1]
        for scope in reversed(self.scopes):
            if name in scope.names and not isinstance(scope.node, ast.ClassDef):
                node = scope.names[name]
                if isinstance(node, ast.arg):
                    return self._annotated(name, node)
                return self._better(name, node)
        for names in (self.live, self.globals, vars(builtins)):
            if name in names:
                return names[name]
        return MISSING

    def _annotated(self, name: str, node: ast.arg) -> object:
        """An argument: the living object of that name, else what its annotation says it is."""
        if name in self.live:
            return self.live[name]
        kind = node.annotation
        kind = kind.value if isinstance(kind, ast.Constant) else getattr(kind, "id", None)
        if isinstance(kind, str) and kind.isidentifier():
            named = self._first(kind)
            if is_a(named, type, ast.ClassDef):
                return named
        return node

    def members(self, thing: object) -> dict[str, object]:
        """What can follow a dot after it."""
        if thing is MISSING or thing is KEYWORD:
            return {}
        if is_a(thing, ast.ClassDef):
            found = own_attributes(thing)
            living = self.globals.get(thing.name)
            known = self._instance(thing.name)
            rest = attributes(known) if known is not MISSING else {}
            rest |= attributes(living) if is_a(living, type) else {}
            return {**rest, **{n: node or rest.get(n) for n, node in found.items()}}
        return {} if is_a(thing, ast.AST, property) else attributes(thing)

    def _instance(self, kind: str) -> object:
        """A living object of a class of that name: the run, its model, ..."""
        for value in self.live.values():
            if type.__dict__["__name__"].__get__(type(value)) == kind:
                return value
        return MISSING

    def arguments(self, before: str) -> dict[str, object]:
        """The keyword arguments of the call that is being typed, as `name=`."""
        depth = 0
        for at in range(len(before) - 1, max(-1, len(before) - 1000), -1):
            if before[at] in ")]}":
                depth += 1
            elif before[at] in "([{":
                depth -= 1
                if depth < 0:
                    called = re.search(rf"({NAME}(?:\.{NAME})*)$", before[max(0, at - 200) : at])
                    if before[at] != "(" or not called:
                        return {}
                    return _keywords(self.resolve(called[1].split(".")))
        return {}


def _keywords(thing: object) -> dict[str, object]:
    """A function's arguments, each with =."""
    if is_a(thing, type):
        thing = attributes(thing).get("__init__")
    if is_a(thing, MethodType, staticmethod, classmethod):
        thing = thing.__func__
    if is_a(thing, FunctionType):
        names = inspect.getargs(thing.__code__).args
    elif is_a(thing, ast.FunctionDef):
        names = [argument.arg for argument in (*thing.args.args, *thing.args.kwonlyargs)]
    else:
        names = ()
    return {f"{name}=": ARGUMENT for name in names if name not in ("self", "cls")}


def _chosen(things: Mapping[str, object], prefix: str, hidden: bool) -> list[Option]:
    """Options for the names that begin with the prefix, then those that have it."""
    low = prefix.lower()
    shown = [name for name in things if isinstance(name, str) and (hidden or name[:1] != "_")]
    names = [name for name in shown if name.lower().startswith(low)]
    if low:
        names += [name for name in shown if low in name.lower() and name not in set(names)]
    return [_option(name, things[name]) for name in names[:MAX_OPTIONS]]


def _option(name: str, thing: object) -> Option:
    """A name as an option. `thing` is its definition in the text, or the living object."""
    for special, kind in ((KEYWORD, "keyword"), (ARGUMENT, "property"), (MISSING, "variable")):
        if thing is special:
            return Option(name, kind)
    kind, signature, doc = ("variable", "", "") if thing is None else explained(thing)
    return Option(name, kind, signature[:120], doc.partition("\n\n")[0][:300])


def _string_at(before: str) -> int | None:
    """Where the string or comment begins that a text ends in; None if it ends in neither."""
    for found in STRINGS.finditer(before):
        if found.end() == len(before):
            whole = found[0]
            if whole.startswith("#"):
                return found.start()
            quote = whole[:3] if whole.startswith(('"""', "'''")) else whole[0]
            closed = len(whole) >= 2 * len(quote) and whole.endswith(quote)
            return None if closed or whole.endswith("\n") and len(quote) == 1 else found.start()
    return None


def _modules(package: str) -> list[str]:
    """The names of the modules and packages in a package of the library."""
    modules = (sources.module_of(path).rpartition(".") for path in sources.paths())
    return [name for parent, _, name in modules if parent and parent == package.rstrip(".")]


WGSL = (
    *("abs", "arrayLength", "atomicAdd", "atomicLoad", "atomicStore", "bitcast", "ceil", "clamp"),
    *("cos", "countOneBits", "cross", "dot", "exp", "exp2", "floor", "fma", "fract", "inverseSqrt"),
    *("length", "log", "log2", "max", "min", "mix", "modf", "normalize", "pow", "round", "select"),
    *("sign", "sin", "smoothstep", "sqrt", "step", "storageBarrier", "tan", "tanh", "trunc"),
    *("unpack2x16float", "workgroupBarrier", "workgroupUniformLoad", "array", "bool", "f32", "i32"),
    *("u32", "vec2", "vec3", "vec4", "vec4f", "vec4u", "break", "const", "continue", "else", "for"),
    *("fn", "if", "let", "loop", "return", "storage", "struct", "uniform", "var", "while"),
    *("workgroup", "workgroup_size", "compute", "group", "binding", "read", "read_write"),
)
