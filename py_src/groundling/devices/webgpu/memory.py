"""What was found best on an adapter, remembered from one start to the next.

It is a small JSON table: for each adapter, driver and version of the kernels, named by one hash,
the tiles that a trial chose (see products.py). `store` is where it is kept: nowhere, unless the
program says so, as the command line does with a file in the user's cache folder, and the page with
its own.

It is only ever a hint. What cannot be read, is too long or is no such table counts for nothing, and
a choice that is not one of those that there are, or is wrong here, is made anew.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from ... import sources
from . import tiles

MOST, LONGEST = 16, 4096  # entries of the table, and its bytes
DECIDING = f"{sources.LIBRARY}devices/webgpu/"  # what the trial, and what it tries, is made by


class Store(Protocol):
    """Where the table is kept."""

    host: str  # what an adapter does not tell: the browser and its version, for instance

    def read(self) -> bytes:
        """What was written last, or b"". May raise OSError."""

    def write(self, data: bytes) -> None:
        """Keep this in place of it. May raise OSError."""


store: Store | None = None


class File:
    """A Store in the user's cache folder; cli/main.py says which."""

    host = ""

    def __init__(self, path: Path):
        self.path = path

    def read(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(LONGEST + 1)

    def write(self, data: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        part.write_bytes(data)
        part.replace(self.path)


def key(description: str, adapter_info: Mapping[str, object]) -> str:
    """One hash of an adapter, what drives it, and all that the trial compares, as it is now."""
    paths = [f"{sources.SHADERS}{name}.wgsl" for name in sorted(tiles.KINDS)]
    paths += tiles.TEMPLATES.values()
    paths += [path for path in sources.paths() if path.startswith(DECIDING)]
    texts = [sources.text(path) for path in paths if sources.exists(path)]
    adapter = sorted((str(k), str(v)) for k, v in adapter_info.items())
    told = json.dumps([store.host if store else "", description, adapter, texts])
    return hashlib.sha256(told.encode()).hexdigest()


def recall(key: str) -> str:
    """The tiles that were chosen on an adapter; "" where none are known."""
    return _table().get(key, "") if store else ""


def keep(key: str, choice: str) -> None:
    """Remember the tiles that were chosen on an adapter, if that can be."""
    if not store:
        return
    table = _table()
    table.pop(key, None)
    newest = dict([*table.items(), (key, choice)][-MOST:])
    with suppress(OSError):  # then the next start has its trial
        store.write(json.dumps(newest, indent=1).encode())


def _table() -> dict[str, str]:
    """What the store has, as far as it is what `keep` writes."""
    try:
        data = store.read()
        table = json.loads(data) if len(data) <= LONGEST else None
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(table, dict):
        return {}
    return {key: name for key, name in table.items() if name in tiles.FORMS}
