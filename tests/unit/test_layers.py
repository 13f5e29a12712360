"""Who may import whom: only downwards, and in no circle. Imports for types alone count too."""

import ast
import math
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from groundling import sources
from groundling.edits import recipes
from groundling.sources import LIBRARY, module_of

# Each may import what stands in a line below its own.
LAYERS = """
__main__
cli
labs
edits
train
runs
sampling
optim
model
data
devices
engine
config rng
sources
__init__
"""
FLOOR = {name: at for at, line in enumerate(LAYERS.split("\n")) for name in line.split()}
BROWSER = Path(__file__).parents[2] / "py_src/browser"
# Of the page's modules each may import those in a line below its own, and none beside it.
PAGE_LAYERS = """
main
views
session *_view
background
view
copies run_messages
page_run watchdog
explain wire plans second_core assist lint autosave
outline
messages.[!b]*
messages.base
"""
NAMED = re.compile(r"(?<![\w./-])(?:[\w-]+/)+[a-z][\w-]*\.(?:tsx?|py|wgsl|css)\b")


def imports(module: str, is_package: bool, text: str) -> Iterator[str]:
    """The modules that a text names in its imports, wherever they stand, and what they may name."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def arrows(texts: dict[str, str]) -> dict[str, set[str]]:
    """For each module of the library, by its file's path, the other modules that it imports."""
    known = {module_of(path) for path in texts}
    found = {}
    for path, text in texts.items():
        module = module_of(path)
        named = set(imports(module, path.endswith("__init__.py"), text)) & known - {module}
        # `from ..runs import cost` names the package too, which holds nothing but a docstring
        found[module] = {
            one for one in named if not any(two.startswith(f"{one}.") for two in named)
        }
    return found


def floor(module: str) -> int:
    """The line of LAYERS that a module is in."""
    return FLOOR[(module.split(".") + ["__init__"])[1]]


def check(texts: dict[str, str]) -> None:
    """AssertionError for an arrow upwards; graphlib.CycleError, which names them, for a circle."""
    found = arrows(texts)
    upwards = [(a, b) for a in found for b in found[a] if a != b and floor(b) < floor(a)]
    assert not upwards
    TopologicalSorter(found).prepare()


def library() -> dict[str, str]:
    return {path: sources.text(path) for path in sources.paths() if path.startswith(LIBRARY)}


def test_the_library_imports_only_downwards_and_in_no_circle():
    check(library())


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("engine/ops.py", "from ..devices.base import Device"),
        ("model.py", "if True:\n    from .train import Run"),
        ("devices/base.py", "def later():\n    from .. import runs"),
        ("engine/tensor.py", "from . import ops"),
        ("runs/records.py", "import groundling.train"),
    ],
)
def test_an_arrow_upwards_or_in_a_circle_is_found(path: str, line: str):
    texts = library()
    texts[LIBRARY + path] += f"\n{line}\n"
    with pytest.raises((AssertionError, ValueError)):
        check(texts)


def test_the_library_knows_nothing_of_the_page():
    pages = {path.stem for path in BROWSER.glob("*.py")}
    for path, text in library().items():
        named = {name.partition(".")[0] for name in imports(module_of(path), False, text)}
        assert not named & pages, path


def page_floor(module: str) -> int:
    """The line of PAGE_LAYERS that a module is in."""
    [found] = [
        at
        for at, line in enumerate(PAGE_LAYERS.split("\n"))
        if any(fnmatch(module, pattern) for pattern in line.split())
    ]
    return found


def page_faults(texts: dict[str, str]) -> list[tuple[str, str]]:
    """The arrows between modules of py_src/browser that may not be. One without the others, such as
    the shim's, is of the lowest line.
    """
    floors = {module: page_floor(module) for module in texts if not module.startswith("wgpu.")}
    return [
        (module, name)
        for module, text in texts.items()
        for name in imports(module, False, text)
        if name in floors and floors[name] <= floors.get(module, math.inf)
    ]


def page_modules() -> dict[str, str]:
    """The text of each module of py_src/browser."""
    return {
        ".".join(path.relative_to(BROWSER).with_suffix("").parts): path.read_text()
        for path in sorted(BROWSER.rglob("*.py"))
    }


def test_the_page_s_modules_import_only_downwards_and_none_beside_them():
    assert page_faults(page_modules()) == []


@pytest.mark.parametrize(
    ("module", "line", "name"),
    [
        ("talk_view", "if True:\n    from session import Session", "session"),
        ("session", "from talk_view import TalkView", "talk_view"),
        ("lens_view", "def later():\n    import talk_view", "talk_view"),
        ("explain", "import view", "view"),
        ("wgpu.device", "import explain", "explain"),
    ],
)
def test_an_arrow_upwards_or_beside_in_the_page_is_found(module: str, line: str, name: str):
    texts = page_modules()
    texts[module] += f"\n{line}\n"
    assert page_faults(texts) == [(module, name)]


@pytest.mark.native
def test_files_that_a_text_names_are_there():
    """As py_src/groundling/model.py, or shorter from a folder of the library or of the page."""
    root = Path(__file__).parents[2]
    tops = ("py_src", "shaders", "site/src")
    files = [
        path
        for top in tops
        for path in (root / top).rglob("*.*")
        if path.suffix not in (".pyc", ".wasm")
    ]
    bases = [root, *(root / base for base in ("py_src", "py_src/groundling", "site", "site/src"))]
    made = {edit.path for recipe in recipes.RECIPES for edit in recipe.edits if not edit.old}
    missing = [
        f"{path.relative_to(root)} names {name}"
        for path in files
        for name in NAMED.findall(path.read_text(encoding="utf-8"))
        if name not in made and not any((base / name).is_file() for base in bases)
    ]
    assert missing == []
