"""The library's own text, file by file: what is on the disk, under the reader's edits.

A file is named as it is in the repository: `py_src/groundling/engine/ops.py`, `shaders/gelu.wgsl`;
as a module the first is `groundling.engine.ops`. What reads its own source (the kernels' device,
the page's editor) reads it here; edits/live.py is what changes `overlay`. The disk is read once:
what runs is what was there then.
"""

import hashlib
from functools import cache
from pathlib import Path

LIBRARY, SHADERS = "py_src/groundling/", "shaders/"
TEMPLATES = f"{SHADERS}tiles/"  # of which devices/webgpu/templates.py makes kernels
PACKAGE = __package__

overlay: dict[str, str] = {}
"""The reader's edits: the whole text of every file that is other than it was, or new."""

# What decides the numbers of a run; the rest of the library reads, writes and shows these.
DECIDING = (
    SHADERS,
    *(f"{LIBRARY}{name}/" for name in ("devices", "engine")),
    *(f"{LIBRARY}{name}.py" for name in ("config", "data", "model", "optim", "rng", "train")),
    f"{LIBRARY}runs/run.py",
)


def module_of(path: str) -> str:
    """The module of a file of the library; "" for any other file."""
    if not path.startswith(LIBRARY) or not path.endswith(".py"):
        return ""
    name = path.removeprefix(LIBRARY).removesuffix(".py").replace("/", ".")
    return f"{PACKAGE}.{name}".removesuffix(".__init__")


def path_of(module: str) -> str:
    """The file of a module of the library, whether it exists or not; "" for any other module."""
    package, _, name = module.partition(".")
    if package != PACKAGE:
        return ""
    place = LIBRARY + name.replace(".", "/")
    inside = f"{place.rstrip('/')}/__init__.py"
    return inside if original(inside) is not None else f"{place}.py"


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
    return sorted({*_on_disk(), *overlay})


@cache
def _on_disk() -> frozenset[str]:
    return frozenset(
        prefix + path.relative_to(folder(prefix)).as_posix()
        for prefix, kind in ((LIBRARY, "py"), (SHADERS, "wgsl"), (SHADERS, "ts"))
        for path in folder(prefix).rglob(f"*.{kind}")
    )


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


def line_at(place: str) -> tuple[str, int, str]:
    """The file, number and text of a line that is told as "model.py:73"; ("", 0, "") if none is."""
    name, _, number = place.partition(":")
    path = f"{LIBRARY}{name}"
    rows = text(path).splitlines() if number.isdigit() and exists(path) else []
    at = int(number) if rows else 0
    return (path, at, rows[at - 1].strip()) if 0 < at <= len(rows) else ("", 0, "")


def kernels() -> list[str]:
    """The names of all kernels."""
    return [path.removeprefix(SHADERS)[:-5] for path in paths() if is_kernel(path)]


def kernel_path(name: str) -> str:
    """The file of a kernel's WGSL, whether it exists or not."""
    return f"{SHADERS}{name}.wgsl"


def is_kernel(path: str) -> bool:
    """Whether a file is the WGSL of one kernel."""
    return path.endswith(".wgsl") and not path.startswith(TEMPLATES)


@cache
def code_hash() -> str:
    """SHA-256 of the files that decide a run's numbers, added modules too: the same in the page as
    natively. It is cached, so that it is that of the code that runs; live.py clears it.
    """
    return hash_of(overlay)


def hash_of(edits: dict[str, str]) -> str:
    """What code_hash is, or would be, under these edits; of none, that of the library itself."""
    digest = hashlib.sha256()
    texts = {path: original(path) for path in paths()} | edits
    for name, path in sorted((path.removeprefix(LIBRARY), path) for path in texts):
        if texts[path] is not None and decides(path):
            text = hashlib.sha256(texts[path].encode()).hexdigest()
            digest.update(f"{name}\0{text}\n".encode())
    return digest.hexdigest()


def decides(path: str) -> bool:
    """Whether a file can change the numbers of a run."""
    return path.startswith(DECIDING) or original(path) is None
