"""Which code this is: one hash of all that decides the numbers of a run besides its seed, its
configuration and its text.
"""

import hashlib
from functools import cache

from . import sources
from .sources import LIBRARY, SHADERS

# The rest of the library reads, writes and shows what these compute.
MODULES = "config", "corpus", "fuse", "jit", "model", "ops", "optim", "rng", "tensor", "train"


@cache
def code_hash() -> str:
    """SHA-256 of the modules and kernels that decide the numbers, the same in the page as natively.

    A module that the reader has added counts too. It is taken once, so that it stays that of the
    code that runs when a file on the disk is edited meanwhile; live.py, which changes what runs,
    has it taken anew.
    """
    return hash_of(sources.overlay)


def hash_of(overlay: dict[str, str]) -> str:
    """What code_hash is, or would be, under these edits; of none, that of the library itself."""
    digest = hashlib.sha256()
    texts = {path: sources.original(path) for path in sources.paths()} | overlay
    for name, path in sorted((path.removeprefix(LIBRARY), path) for path in texts):
        if texts[path] is not None and decides(path):
            text = hashlib.sha256(texts[path].encode()).hexdigest()
            digest.update(f"{name}\0{text}\n".encode())
    return digest.hexdigest()


def decides(path: str) -> bool:
    """Whether a file can change the numbers of a run."""
    known = path.startswith((SHADERS, f"{LIBRARY}devices/"))
    known |= path.removeprefix(LIBRARY).removesuffix(".py") in MODULES
    return known or sources.original(path) is None
