"""Completion and documentation for what is typed, from the text itself and from what is alive.

Nothing of the reader's is called: objects are looked at through their types and __dict__, so a
property stays unread and a __getattr__ unasked. The text need not be whole Python: the line at hand
is left out, and where the rest cannot be read either, the last text of the file that could be is
taken instead.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import resolve_name
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

from groundling import sources
from groundling.edits.errors import attributes, shown_path, units

MAX_TEXT = 300_000  # characters
MAX_OPTIONS = 200
MAX_DOC = 2_000  # characters
SIMPLE = int, float, str, bool, type(None)
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


# ---- what a text defines -------------------------------------------------------------------------


@dataclass
class Scope:
    """A function or a class of the text, or all of it: the names it gives, and where it is."""

    node: ast.AST
    first: int
    last: int
    names: dict[str, ast.AST | None] = field(default_factory=dict)


@dataclass
class Outline:
    """What a text defines: its scopes, outermost first."""

    scopes: list[Scope]

    def around(self, line: int, indentation: int) -> list[Scope]:
        """The scopes that a line is in, outermost first."""
        return [
            scope
            for scope in self.scopes
            if scope.first <= line <= scope.last
            and (indentation > getattr(scope.node, "col_offset", -1))
        ]


def outline(text: str) -> Outline | None:
    """What the text defines; None if it is not Python."""
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
    return Outline(scopes)


def own_attributes(node: ast.ClassDef) -> dict[str, ast.AST | None]:
    """The methods and fields of a class in the text, and what its methods give `self`."""
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


# ---- the two kinds of things ---------------------------------------------------------------------


def option(label: str, thing: object) -> Option:
    """A name as an option. `thing` is its definition in the text, or the living object."""
    kind, signature, doc = explained(thing)
    return Option(label, kind, signature[:120], doc.partition("\n\n")[0][:300])


def explained(thing: object) -> tuple[str, str, str]:
    """Kind, signature and documentation of a definition or an object."""
    if _is(thing, ast.AST):
        return _of_text(thing)
    if _is(thing, staticmethod, classmethod, MethodType):
        thing = thing.__func__
    if _is(thing, property):
        return "property", "", _doc(thing.fget.__doc__) if _is(thing.fget, FunctionType) else ""
    if _is(thing, FunctionType):
        return "function", _signature(thing), _doc(thing.__doc__)
    if _is(thing, type):
        init = attributes(thing).get("__init__")
        signature = _signature(init, skip=1) if _is(init, FunctionType) else ""
        return "class", signature, _doc(attributes(thing).get("__doc__"))
    if _is(thing, ModuleType):
        return "namespace", "", _doc(attributes(thing).get("__doc__"))
    if _is(thing, BuiltinFunctionType):
        signature = re.sub(r"\$\w+(, )?", "", thing.__text_signature__ or "")
        return "function", signature, _doc(thing.__doc__)
    return "variable", _summary(thing), ""


def _is(thing: object, *kinds: type) -> bool:
    """isinstance by type alone: that asks an object's __class__, which may be a property."""
    return issubclass(type(thing), kinds)


def definition(thing: object) -> object:
    """Where a function or a class of the library is defined in its text; else the thing itself.

    The text has the annotations, whose evaluation would run code.
    """
    found = thing.__func__ if _is(thing, staticmethod, classmethod, MethodType) else thing
    found = found.fget if _is(found, property) else found
    if _is(found, FunctionType):
        path, name = shown_path(found.__code__.co_filename), found.__code__.co_name
        first = found.__code__.co_firstlineno
    elif _is(found, type):
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
        _defined[path] = text, [scope.node for scope in found.scopes[1:]] if found else []
    return _defined[path][1]


_defined: dict[str, tuple[str, list[ast.AST]]] = {}


def _of_text(node: ast.AST) -> tuple[str, str, str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        kind = "property" if any(map(_is_property, node.decorator_list)) else "function"
        signature = "" if kind == "property" else f"({ast.unparse(node.args)}){returns}"
        return kind, signature, _doc(ast.get_docstring(node))
    if isinstance(node, ast.ClassDef):
        init = [part for part in node.body if getattr(part, "name", "") == "__init__"]
        signature = f"({ast.unparse(init[0].args)})" if init else ""
        signature = re.sub(r"^\(self(, )?", "(", signature)
        return "class", signature, _doc(ast.get_docstring(node))
    if isinstance(node, ast.arg):
        return "variable", ast.unparse(node.annotation) if node.annotation else "", ""
    return "variable", "", ""


def _is_property(decorator: ast.AST) -> bool:
    return getattr(decorator, "id", "") in ("property", "cached_property")


def _signature(function: FunctionType, skip: int = 0) -> str:
    """(x, weight, eps=1e-05): from the code object, so that no default's repr is called."""
    code, defaults = function.__code__, function.__defaults__ or ()
    names = list(code.co_varnames[: code.co_argcount])
    values = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    parts = [_argument(name, values) for name in names[skip:]]
    at = code.co_argcount + code.co_kwonlyargcount
    if code.co_flags & 0x04:  # *args
        parts.append(f"*{code.co_varnames[at]}")
        at += 1
    elif code.co_kwonlyargcount:
        parts.append("*")
    keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    parts += [_argument(name, function.__kwdefaults__ or {}) for name in keywords]
    if code.co_flags & 0x08:  # **kwargs
        parts.append(f"**{code.co_varnames[at]}")
    return f"({', '.join(parts)})"


def _argument(name: str, defaults: Mapping) -> str:
    if name not in defaults:
        return name
    value = defaults[name]
    return f"{name}={repr(value)[:40] if type(value) in SIMPLE else '...'}"


def _doc(text: object) -> str:
    """A docstring without its indentation."""
    if not isinstance(text, str):
        return ""
    lines = text[: 2 * MAX_DOC].strip().split("\n")
    return "\n".join(lines[:1] + [_unindented(line) for line in lines[1:]])[:MAX_DOC]


def _unindented(line: str) -> str:
    return line[4:] if line.startswith("    ") else line.lstrip(" ")


def _summary(value: object) -> str:
    """An object in a few words, none of them its own."""
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


# ---- finding what a name means -------------------------------------------------------------------


class Assist:
    """Completion and documentation. `outlines` keeps the last good outline of each file."""

    def __init__(self):
        self.outlines: dict[str, tuple[str, Outline]] = {}

    def complete(
        self, path: str, text: str, at: int, live: Mapping[str, object]
    ) -> tuple[int, list[Option]]:
        """What could stand at `at` (UTF-16 code units), and where it would begin.

        `live` are the names that are there whatever the text says.
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

    def outline(self, path: str, text: str, cursor: int) -> tuple[Outline | None, int, int]:
        """The text's outline without the line at hand, that line's number, and its indentation."""
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
        return kept and kept[1], number, indentation if line.strip() else max(indentation, 1)

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


class _Missing:
    """Stands for what is not known."""


MISSING = _Missing()


class _Where:
    """The place in a text: what names mean there."""

    def __init__(self, assist: Assist, path: str, text: str, cursor: int, live: Mapping):
        found, line, indentation = assist.outline(path, text, cursor)
        self.scopes = found.around(line, indentation) if found else []
        self.all = found.scopes if found else []
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
            if _is(named, type, ast.ClassDef):
                return named
        return node

    def members(self, thing: object) -> dict[str, object]:
        """What can follow a dot after it."""
        if thing is MISSING or thing is KEYWORD:
            return {}
        if _is(thing, ast.ClassDef):
            found = own_attributes(thing)
            living = self.globals.get(thing.name)
            known = self._instance(thing.name)
            rest = attributes(known) if known is not MISSING else {}
            rest |= attributes(living) if _is(living, type) else {}
            return {**rest, **{n: node or rest.get(n) for n, node in found.items()}}
        return {} if _is(thing, ast.AST, property) else attributes(thing)

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


KEYWORD = _Missing()


def _keywords(thing: object) -> dict[str, object]:
    """A function's arguments, each with =."""
    if _is(thing, type):
        thing = attributes(thing).get("__init__")
    if _is(thing, MethodType, staticmethod, classmethod):
        thing = thing.__func__
    if _is(thing, FunctionType):
        code = thing.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    elif _is(thing, ast.FunctionDef):
        names = [argument.arg for argument in (*thing.args.args, *thing.args.kwonlyargs)]
    else:
        names = ()
    return {f"{name}=": ARGUMENT for name in names if name not in ("self", "cls")}


ARGUMENT = _Missing()


def _chosen(things: Mapping[str, object], prefix: str, hidden: bool) -> list[Option]:
    """Options for the names that begin with the prefix, then those that have it."""
    low = prefix.lower()
    shown = [name for name in things if isinstance(name, str) and (hidden or name[:1] != "_")]
    names = [name for name in shown if name.lower().startswith(low)]
    if low:
        names += [name for name in shown if low in name.lower() and name not in set(names)]
    return list(_options(names[:MAX_OPTIONS], things))


def _options(names: Iterable[str], things: Mapping[str, object]) -> Iterator[Option]:
    for name in names:
        thing = things[name]
        if thing is KEYWORD:
            yield Option(name, "keyword")
        elif thing is ARGUMENT:
            yield Option(name, "property")
        elif thing is None or thing is MISSING:
            yield Option(name, "variable")
        else:
            yield option(name, thing)


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


def index(text: str, at: int) -> int:
    """The index in a str of a place that is counted in UTF-16 code units."""
    if text.isascii():
        return max(0, min(at, len(text)))
    data = text.encode("utf-16-le", "surrogatepass")[: 2 * max(0, at)]
    return len(data.decode("utf-16-le", "replace"))


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
