"""Writing files: whole or not at all, and over those of another run only if asked to."""

import argparse
import math
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from ..runs import checkpoint, statefile
from ..runs.checkpoint import HEADER_BYTES, Checkpoint
from ..runs.configfile import Setup
from ..runs.run import Run
from .terminal import complain

PIECE = 2**20  # bytes


class Saver:
    """Saves a run's files; of several processes the first does. A file that cannot be written is
    reported, and training continues. The state is saved every `interval` iterations, which is
    infinite unless an option asks for it.
    """

    def __init__(self, run: Run, args: argparse.Namespace, setup: Setup):
        self.run, self.out, self.state = run, args.out, args.state
        self.log = " and ".join(filter(None, (args.log, args.tensorboard)))
        self.saved: list[str] = []  # file names
        self.ours: set[str] = set()  # those that no earlier run had written
        self.last_state = ""  # and those of the state
        self.last_best = ""  # and of the best weights among them
        self.best: Checkpoint | None = None  # those that it has
        self.failed = False
        asked = args.state or args.config or args.checkpoint_interval
        self.interval = setup.checkpoint_interval if asked else math.inf

    @property
    def next_at(self) -> float:
        """The iteration after which the state is saved next."""
        return self.interval * (self.run.iter // self.interval + 1)

    @property
    def left(self) -> str:
        """The files that exist when a run fails or is interrupted, in sentences."""
        others = [name for name in self.saved if name != self.last_state]
        told = [f"The last state is in {self.last_state}."] if self.last_state else []
        told += [f"The weights are in {name}." for name in others]
        told += [f"The log is in {self.log}."] if self.log else []
        return " ".join(told) or "Nothing was written."

    def save_weights(self) -> None:
        """Save the weights."""
        self._save(self.out, checkpoint.file_name, checkpoint.stream(self.run.checkpoint()))

    def save_state(self) -> None:
        """Save the state. Where its name has the iteration, the previous one is deleted."""
        name = self._save(self.state, statefile.file_name, statefile.stream_run(self.run))
        self.last_state = self._instead(self.last_state, name)

    def save_best(self) -> None:
        """Save the weights of the lowest validation loss, if there are lower ones than before."""
        ckpt = self.run.best
        if ckpt is None or ckpt is self.best:
            return
        self.best, out = ckpt, self.out and best_name(self.out)
        name = self._save(
            out,
            lambda *who: best_name(checkpoint.file_name(*who)),
            checkpoint.stream(ckpt),
            ckpt.iter,
        )
        self.last_best = self._instead(self.last_best, name)

    def _instead(self, before: str, name: str | None) -> str:
        """The file that is there now: `name`, and then ours before is deleted; or that one."""
        if name and before in self.ours and before != name:
            self.saved.remove(before)
            Path(before).unlink(missing_ok=True)
        return name or before

    def _save(
        self, asked: str | None, file_name: Callable, pieces: Iterable, iter: int | None = None
    ) -> str | None:
        """Write a file to `asked` or its default name. Returns the path, or None if it failed."""
        run = self.run
        at = run.iter if iter is None else iter
        default = Path(file_name(run.config.seed, at, run.model.config))
        there = {one.name for one in Path().iterdir()}
        try:
            path = Path(asked) if asked else default
            if run.ranks.rank == 0:
                path = write_pieces(path, pieces, keep=not asked)
        except OSError as error:
            self.failed = True
            complain(f"{error.filename}: {error.strerror}. It was not written.", code=1)
            return None
        if not asked and path != default:
            complain(f"{default} belongs to another run and was not overwritten.", code=0)
        name = asked or str(path)
        if name not in there:
            self.ours.add(name)
        if name not in self.saved:
            self.saved.append(name)
        return name


def best_name(weights: str) -> str:
    """The name of the best weights beside those of the end: a.bin, a-best.bin."""
    path = Path(weights)
    return str(path.with_name(f"{path.stem}-best{path.suffix}"))


def write(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all. Raises OSError with the file's name."""
    write_pieces(path, [(0, data)])


def write_pieces(path: Path, pieces: Iterable[tuple[int, bytes]], keep: bool = False) -> Path:
    """Write a file from pieces and their offsets, whole or not at all. Returns its path, which is a
    new one if `keep` and another run's file is there. A link stays, and what it points to is
    written. Raises OSError with the file's name.
    """
    place = path if keep else Path(os.path.realpath(path))
    # another process may write it, too; and a name may be as long as the system allows
    part = place.with_name(f"{place.name[-50:]}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            for at, piece in pieces:
                file.seek(at)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())  # before it replaces the old file
        return part.replace(unused(path, part) if keep else place)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):  # one of write has no file name
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def write_folder(folder: Path, files: Mapping[str, bytes | Path]) -> None:
    """Write files into a folder, or copy those that are given by a path: all of them or none.
    Raises OSError with the folder's name.
    """
    was_there = folder.exists()
    folder.mkdir(exist_ok=True)
    try:
        with TemporaryDirectory(dir=folder) as new:
            for name, data in files.items():
                if isinstance(data, Path):
                    shutil.copyfile(data, Path(new, name))
                else:
                    write(Path(new, name), data)
            for name in files:
                Path(new, name).replace(folder / name)
    except OSError as error:
        if not was_there:
            with suppress(OSError):
                folder.rmdir()
        raise OSError(error.errno, error.strerror, str(folder)) from error


def require_writable(path: Path, *read: str) -> None:
    """ValueError if a file cannot be written there, or is one of those that are read: checked
    before training, not after.
    """
    parent = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
    if path.is_dir():
        raise ValueError(f"Cannot write {path}: it is a folder.")
    if path.exists() and not path.is_file():
        raise ValueError(f"Cannot write {path}: it is a device or a pipe, not a file.")
    if not parent.is_dir():
        raise ValueError(f"Cannot write {path}: there is no folder {parent}.")
    if not os.access(parent, os.W_OK):
        raise ValueError(f"Cannot write {path}: no permission to write in {parent}.")
    require_unread(str(path), *read)


def require_unread(path: str | None, *read: str | None) -> None:
    """ValueError if a file that is to be written is one of those that are read."""
    if path and os.path.isfile(path):
        for other in filter(None, read):
            if os.path.exists(other) and os.path.samefile(path, other):
                raise ValueError(f"Cannot write {path}: it is a file to read.")


def unused(path: Path, new: Path) -> Path:
    """The path for a new file, with a number added if another run's file is there."""
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
