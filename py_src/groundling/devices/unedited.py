"""Whether a NumPy reference is as it was written. A device with kernels of its own, wasm or torch,
leaves one that was edited to NumPy.
"""

import ast
from collections.abc import Callable
from functools import cache

from .. import sources
from . import kernels

REFERENCES = f"{sources.LIBRARY}devices/kernels.py"
TEXT = sources.text(REFERENCES)  # as it was when this module was made


def is_original(kernel: str, function: Callable) -> bool:
    """Whether a function is the reference of a kernel as it was written."""
    return getattr(kernels, kernel, None) is function and is_unedited(kernel)


def is_unedited(kernel: str, text: str = TEXT) -> bool:
    """Whether a kernel's function, and all of its file that it uses, were not edited in `text`."""
    original = sources.original(REFERENCES)
    return text == original or _uses(text, kernel) == _uses(original, kernel)


@cache
def _definitions(text: str) -> dict[str, str]:
    """What a module defines at its top, by name, as code without comments and layout."""
    found = {}
    for node in ast.parse(text).body:
        names = [getattr(node, "name", "")]
        if isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.asname or alias.name for alias in node.names]
        found |= dict.fromkeys(names, node)
    return found


def _uses(text: str, name: str) -> dict[str, str]:
    """The definition of a name, and of each that it uses."""
    definitions, found, new = _definitions(text), {}, [name]
    while new:
        if (name := new.pop()) in definitions and name not in found:
            node = definitions[name]
            found[name] = ast.dump(node)
            new += [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
    return found
