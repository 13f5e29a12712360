"""What is remembered of an adapter from one start to the next: the forms of kernels that trials
chose (see autotune.py).

It is a small JSON table, by a hash of the adapter, its driver and the kernels, kept in `store`: by
default nowhere, by the command line in a file, by the page in the browser's storage. It is a hint
only: a malformed table is ignored, and a form that gives wrong numbers is not used.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Protocol

from ... import sources
from . import attention, tiles

MOST, LONGEST = 16, 4096  # entries, and bytes of the table
DECIDING = f"{sources.LIBRARY}devices/webgpu/"  # the code of trials and forms


class Store(Protocol):
    """Where the table is kept."""

    host: str  # what is not in an adapter's info: the browser and its version

    def read(self) -> bytes:
        """What was written last, or b"". May raise OSError."""

    def write(self, data: bytes) -> None:
        """Replace what was written last. May raise OSError."""


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


def key(description: str, adapter_info: Mapping[str, object], family: ModuleType) -> str:
    """A hash of an adapter, its driver, and the code of the trial and of a family's forms: tiles.py
    or attention.py.
    """
    paths = [sources.kernel_path(name) for name in sorted(family.KERNELS)]
    paths += family.TEMPLATES
    paths += [path for path in sources.paths() if path.startswith(DECIDING)]
    texts = [sources.text(path) for path in paths if sources.exists(path)]
    adapter = sorted((str(k), str(v)) for k, v in adapter_info.items())
    told = json.dumps([store.host if store else "", description, adapter, texts])
    return hashlib.sha256(told.encode()).hexdigest()


def recall(key: str) -> str:
    """The form that was chosen on an adapter, or ""."""
    return _table().get(key, "") if store else ""


def keep(key: str, choice: str) -> None:
    """Remember the form that was chosen on an adapter, if there is a store."""
    if not store:
        return
    table = _table()
    table.pop(key, None)
    newest = dict([*table.items(), (key, choice)][-MOST:])
    with suppress(OSError):  # the next start has a trial then
        store.write(json.dumps(newest, indent=1).encode())


def _table() -> dict[str, str]:
    """The table in the store, without what `keep` cannot have written."""
    try:
        data = store.read()
        table = json.loads(data) if len(data) <= LONGEST else None
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(table, dict):
        return {}
    return {key: name for key, name in table.items() if name in tiles.FORMS + attention.FORMS}
