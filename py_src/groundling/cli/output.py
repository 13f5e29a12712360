"""Names of files that nobody has asked for by name: none of another run is ever overwritten."""

import re
from pathlib import Path

from ..runs.checkpoint import HEADER_BYTES

PIECE = 2**20  # bytes


def unused(path: Path, new: Path) -> Path:
    """Where a new file may go: to the path, or if another run's file is there, to the path with a
    number. A file of the same run has the same bytes, all but the time, and may be replaced.
    """
    place, n = path, 1
    while place.exists() and not _is_same(place, new):
        n += 1
        place = path.with_name(f"{path.stem}-{n}{path.suffix}")
    return place


def _is_same(one: Path, two: Path) -> bool:
    if not one.is_file() or one.stat().st_size != two.stat().st_size:
        return False
    with one.open("rb") as a, two.open("rb") as b:
        heads = [
            re.sub(rb'"createdAt":"[^"]*"', b"", file.read(HEADER_BYTES), count=1)
            for file in (a, b)
        ]
        if heads[0] != heads[1]:
            return False
        while piece := a.read(PIECE):
            if piece != b.read(PIECE):
                return False
    return True
