"""The library's own text, file by file: what is on the disk, under the reader's edits.

A file is named as it is in the repository: `py_src/groundling/train.py`, `shaders/gelu.wgsl`. What
reads its own source (the kernels' device, the code's hash, the page's editor) reads it here;
live.py is what changes `overlay`. The disk is read once: what runs is what was there then.
"""

from functools import cache
from pathlib import Path

LIBRARY, SHADERS = "py_src/groundling/", "shaders/"

overlay: dict[str, str] = {}
"""The reader's edits: the whole text of every file that is other than it was, or new."""


@cache
def folder(prefix: str) -> Path:
    """Where the files of LIBRARY or of SHADERS are: in the repository, or as installed."""
    here = Path(__file__).resolve().parent
    inside = here / "shaders"
    return here if prefix == LIBRARY else inside if inside.is_dir() else here.parents[1] / "shaders"


def on_disk(path: str) -> Path:
    """Where a file is, or would be."""
    prefix = SHADERS if path.startswith(SHADERS) else LIBRARY
    return folder(prefix) / path.removeprefix(prefix)


def paths() -> list[str]:
    """Every file, those that only the overlay has too, in alphabetical order."""
    found = {LIBRARY + path.name for path in folder(LIBRARY).glob("*.py")}
    found |= {f"{LIBRARY}devices/{path.name}" for path in folder(LIBRARY).glob("devices/*.py")}
    found |= {SHADERS + path.name for path in folder(SHADERS).glob("*.wgsl")}
    return sorted(found | set(overlay))


@cache
def original(path: str) -> str | None:
    """A file's text without the reader's edits; None for one that is new."""
    file = on_disk(path)
    return file.read_text(encoding="utf-8") if file.is_file() else None


def exists(path: str) -> bool:
    """Whether there is such a file now."""
    return path in overlay or original(path) is not None


def text(path: str) -> str:
    """A file's text as it is now. FileNotFoundError."""
    found = overlay.get(path, original(path))
    if found is None:
        raise FileNotFoundError(path)
    return found


def kernels() -> list[str]:
    """The names of all kernels."""
    names = (path for path in paths() if path.startswith(SHADERS))
    return [name.removeprefix(SHADERS).removesuffix(".wgsl") for name in names]
