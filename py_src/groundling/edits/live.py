"""Edits, live: modules replaced while the program runs, and a run carried over to the new code.

    before = load({"py_src/groundling/train.py": text})   # all of the reader's edits
    new = carry(run, run.state(), corpus, device)         # the run, under the new code
    ...
    restore(before)                                       # or back, as if nothing had been

`load` makes the modules that the edits change, and those that import them, anew under their names;
what holds on to the old ones goes on with them untouched. So refer to what may be edited by its
module, at the time of the call (`groundling.train.train(run)`), and hold a run until the next one
has proved itself: its code and its buffers stay whole. Nothing is patched in place.
"""

from __future__ import annotations

import difflib
import importlib
import linecache
import math
import re
import sys
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from functools import lru_cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import sources
from ..sources import LIBRARY, PACKAGE, SHADERS, TEMPLATES, module_of, path_of
from .moved import MOVED

if TYPE_CHECKING:
    from ..data import Corpus
    from ..devices.base import Device
    from ..runs.run import Run, State

MAX_FILES = 100  # edited
MAX_CHARACTERS = 1_000_000  # of one file
MAX_DIFF = 20_000  # characters that are kept of one edit's diff
FIXED = re.compile(rf"{LIBRARY}(?:.*/)?__init__\.py|{LIBRARY}(?:edits/live|sources)\.py")
"""What makes edits work cannot itself be edited."""
EDITABLE = (
    rf"{LIBRARY}([a-z]+/){{0,2}}[a-z_][a-z0-9_]{{0,60}}\.py"
    rf"|({SHADERS}|{TEMPLATES})[a-z][a-z0-9_]{{0,60}}\.wgsl"
)
"""A regular expression of the paths that edits may have, for the page too."""


def references() -> dict[str, Callable]:
    """The registered references of kernels, by name; none if devices/kernels.py is not loaded."""
    kernels = sys.modules.get(f"{PACKAGE}.devices.kernels")
    return kernels.KERNELS if kernels else {}


@dataclass(frozen=True)
class Loaded:
    """What was in force before a `load`: edits, the modules made from them, and references."""

    overlay: dict[str, str]
    modules: dict[str, ModuleType]
    references: dict[str, Callable] = field(default_factory=lambda: dict(references()))


def check(overlay: object) -> dict[str, str]:
    """The edits, checked: paths and texts. ValueError."""
    if not isinstance(overlay, dict) or len(overlay) > MAX_FILES:
        raise ValueError(f"The edits must be a table of {MAX_FILES} files at most.")
    for path, text in overlay.items():
        if path in MOVED:
            raise ValueError(
                f"{path} is {MOVED[path]} now, and may have changed since this edit was made: make "
                "the same change there."
            )
        if not isinstance(path, str) or not re.fullmatch(EDITABLE, path) or not _has_folder(path):
            raise ValueError(
                f"{path!r:.100} cannot be edited: only {LIBRARY}NAME.py, the same in a folder that "
                f"is there, and {SHADERS}NAME.wgsl can, in lower case."
            )
        if FIXED.fullmatch(path):
            raise ValueError(f"{path} is part of what makes edits work; it cannot be edited.")
        if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
            raise ValueError(f"{path} must be a text of {MAX_CHARACTERS:,} characters at most.")
    return overlay


def _has_folder(path: str) -> bool:
    """Whether a file's folder exists and its module's name is free. Templates cannot be new."""
    if path.startswith(TEMPLATES):
        return sources.original(path) is not None
    folder = path.rpartition("/")[0]
    known = path.startswith(SHADERS) or sources.original(f"{folder}/__init__.py") is not None
    return known and path_of(module_of(path)) in ("", path)


def load(overlay: dict[str, str]) -> Loaded:
    """Put these edits in force in place of those before. Returns what `restore` takes. What their
    code raises is raised here, and nothing changes. ValueError for what cannot be edited.
    """
    overlay = {p: text for p, text in check(overlay).items() if text != sources.original(p)}
    before = Loaded(sources.overlay, loaded())
    changed = [path for path in changes(before.overlay, overlay) if path.endswith(".py")]
    for path in changed:
        if path in overlay:
            _compiled(path, overlay[path])  # all of them, before any of them runs
    _put_in_force(overlay)
    again = _with_dependents({module_of(path) for path in changed})
    _finder.replacing, _finder.before = again, before
    for name in again & before.modules.keys():
        del sys.modules[name]
        package, _, short = name.rpartition(".")
        vars(before.modules.get(package) or sys.modules[package]).pop(short, None)
    try:
        for name in sorted(again & before.modules.keys()):
            if sources.exists(path_of(name)):
                importlib.import_module(name)
    except BaseException:
        restore(before)
        raise
    finally:
        _finder.replacing, _finder.before = set(), before
    for name, function in list(references().items()):
        if function.__module__ not in sys.modules:  # its file is gone
            del references()[name]
    return before


def restore(before: Loaded) -> None:
    """Put back what was in force before a `load`."""
    for name in loaded():
        del sys.modules[name]
    for name, module in before.modules.items():
        sys.modules[name] = module
        package, _, short = name.rpartition(".")
        setattr(sys.modules[package], short, module)
    references().clear()
    references().update(before.references)
    _put_in_force(before.overlay)


def changes(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """The files that differ between two sets of edits."""
    return sorted(path for path in {*old, *new} if old.get(path) != new.get(path))


def diff(old: dict[str, str], new: dict[str, str]) -> str:
    """From one set of edits to another, as a unified diff, cut where it is too long to keep."""
    lines: list[str] = []
    for path in changes(old, new):
        texts = [edits.get(path, sources.original(path) or "") for edits in (old, new)]
        lines += difflib.unified_diff(
            *(text.splitlines() for text in texts), path, path, "", "", 3, ""
        )
    text = "\n".join(lines)
    return text if len(text) <= MAX_DIFF else text[:MAX_DIFF].rpartition("\n")[0] + "\n…"


# ---- a run under other code ----------------------------------------------------------------------


class OtherShapes(ValueError):
    """The edited model has other parameters; only those of one name and shape could be kept."""

    def __init__(self, kept: list[str], fresh: list[str], dropped: list[str]):
        super().__init__(
            f"The model has other parameters now: {len(kept)} of them are as they were, "
            f"{len(fresh)} are new or of another shape, {len(dropped)} are gone or were of another."
        )
        self.kept, self.fresh, self.dropped = kept, fresh, dropped


def carry(run: Run, state: State, corpus: Corpus, device: Device, fit: bool = False) -> Run:
    """`run` under the code in force, from a state of it; `run` itself stays as it is. OtherShapes
    if the model's parameters differ, unless fit: then those of one name and shape keep their
    numbers, and the others begin anew.
    """
    names = "config", "model", "runs.run"
    config, architecture, runs = (sys.modules[f"{PACKAGE}.{name}"] for name in names)
    model = again(config.GPTConfig, state.model)
    old, now = run.model.shapes, architecture.parameter_shapes(model)
    known = state.weights if now == old else None
    new = runs.Run(again(config.TrainConfig, state.config), corpus, device, model, known)
    if now == old:
        weights, m, v = state.weights, state.m, state.v
    else:
        kept = [name for name in now if old.get(name) == now[name]]
        if not fit:
            fresh, dropped = ([n for n in names if n not in kept] for names in (now, old))
            raise OtherShapes(kept, fresh, dropped)
        begun = new.state()
        weights, m, v = (
            _fitted(getattr(state, what), old, getattr(begun, what), now)
            for what in ("weights", "m", "v")
        )
    values = vars(state) | dict(
        model=new.model.config, config=new.config, weights=weights, m=m, v=v
    )
    new.restore(runs.State(**_known(runs.State, values)))
    new.sample_every = run.sample_every
    return new


def _fitted(old: np.ndarray, shapes: dict, new: np.ndarray, now: dict) -> np.ndarray:
    """`new`, with the numbers of `old` where a parameter has the same name and shape."""
    known, fitted = _parts(old, shapes), new.copy()
    for name, part in _parts(fitted, now).items():
        if shapes.get(name) == now[name]:
            part[:] = known[name]
    return fitted


def _parts(flat: np.ndarray, shapes: dict) -> dict[str, np.ndarray]:
    """Views of the parameters in an array of all of them."""
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    return dict(zip(shapes, np.split(flat, ends[:-1]), strict=True))


def again(kind: type, value: Any) -> Any:
    """A configuration under the code in force: what had an old default has the new one."""
    values = vars(value).copy()
    new = {each.name: each.default for each in fields(kind)}
    for each in fields(value):
        default = new.get(each.name, MISSING)
        if default is not MISSING and default != each.default == values[each.name]:
            values[each.name] = default
    return kind(**_known(kind, values))


def _known(kind: type, values: dict) -> dict:
    """Those of the values that a dataclass has a field for."""
    return {field.name: values[field.name] for field in fields(kind) if field.name in values}


# ---- modules ------------------------------------------------------------------------------------


class _Finder(MetaPathFinder, Loader):
    """Makes edited modules, and those that `load` makes again, from their text in `sources`."""

    replacing: set[str] = set()  # by name
    before = Loaded({}, {})

    def find_spec(self, name, path=None, target=None) -> ModuleSpec | None:
        file = path_of(name)
        is_ours = name in self.replacing and sources.exists(file)  # else its file is gone
        if not is_ours and file not in sources.overlay:
            return None
        spec = ModuleSpec(name, self, origin=_file(file))
        spec.has_location = True
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """None: a plain module."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        path = path_of(name)
        exec(_compiled(path, sources.text(path)), vars(module))
        if name in self.replacing and (old := self.before.modules.get(name)):
            text = self.before.overlay.get(path) or sources.original(path) or ""
            _keep_exceptions(old, text, module, sources.text(path))


_finder = _Finder()
sys.meta_path.insert(0, _finder)


def _keep_exceptions(old: ModuleType, text: str, new: ModuleType, now: str) -> None:
    """Keep the classes of exceptions whose text is the same, so that handlers still catch them."""
    for name, kind in vars(old).items():
        is_error = isinstance(kind, type) and issubclass(kind, BaseException)
        its_own = is_error and kind.__module__ == old.__name__
        if its_own and _class(name, text) == _class(name, now):
            setattr(new, name, kind)


def _class(name: str, text: str) -> str:
    """The text of a class, up to the next line that is not indented."""
    found = re.search(rf"^class {name}\b.*?(?=^\S|\Z)", text, re.M | re.S)
    return found[0].rstrip() if found else ""


def _with_dependents(names: set[str]) -> set[str]:
    """These modules and all loaded ones that import them, or import one that does, at their top."""
    imported = {
        name: _imports(name, sources.text(path_of(name)))
        for name in loaded()
        if sources.exists(path_of(name))
    }
    found = set(names)
    while more := {name for name, others in imported.items() if others & found} - found:
        found |= more
    return found


@lru_cache(maxsize=256)
def _imports(name: str, text: str) -> frozenset[str]:
    """The modules of ours that a module's text imports at its top, and what may be one."""
    package, found = name.split(".")[:-1], set()
    imports = r"^from (\.*)([\w.]*) import (\([^)]*\)|[^\n]*)"
    for dots, module, names in re.findall(imports, text, re.M):
        above = package[: len(package) + 1 - len(dots)] if dots else []
        base = ".".join([*above, *filter(None, [module])])
        found |= {base, *(f"{base}.{each}" for each in re.findall(r"\w+", names))}
    for line in re.findall(r"^import (.*)", text, re.M):
        found |= set(re.findall(r"[\w.]+", line))
    return frozenset(found)


@lru_cache(maxsize=256)
def _compiled(path: str, text: str) -> CodeType:
    return compile(text, _file(path), "exec", dont_inherit=True)


def loaded() -> dict[str, ModuleType]:
    """Our modules that can be made anew."""
    return {
        name: module
        for name, module in sys.modules.items()
        if name.startswith(f"{PACKAGE}.") and not FIXED.fullmatch(path_of(name))
    }


def _put_in_force(overlay: dict[str, str]) -> None:
    """Make these edits what `sources` has, and tracebacks show."""
    for path in {*sources.overlay, *overlay}:
        linecache.cache.pop(_file(path), None)
    sources.overlay = overlay
    for path, text in overlay.items():
        lines = text.splitlines(keepends=True)
        linecache.cache[_file(path)] = len(text), None, lines, _file(path)
    sources.code_hash.cache_clear()


def _file(path: str) -> str:
    """The name that tracebacks have for a file."""
    return str(sources.on_disk(path))
