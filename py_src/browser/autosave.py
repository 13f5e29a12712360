"""Autosave: the last copies of the run, kept where a crash or a reload does not reach them.

What grows with every iteration, the log and the samples, is only ever added to: to one of JOURNALS
journals, a block for each copy. A copy itself is in one of SLOTS slots: a header that says how many
bytes of which journal belong to it, then the facts and the floats, as a state file has them.

    journal   blocks of: two little-endian uint64, records and bytes of samples; then both, as in
              groundling/runs/statefile.py
    slot      512 bytes of compact ASCII JSON, HEADER; metaBytes of facts; the floats

There is one slot more than there are copies to keep. A new copy is written to a slot that holds
none: its journal first, then its body, its header last, each flushed before the next, and only then
is the oldest copy let go. So whenever the worker ends, at any byte, the newest copy written whole
can be read. What was cut short is told by its SHA-256, and passed over.

A run that does not go on from the journal, as another was begun or an older state was loaded, has a
journal of its own; so there are as many journals as slots. A slot may also hold a whole state file,
as it did before there were journals.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

import groundling.model
import groundling.runs.records
import groundling.runs.statefile
from groundling.runs import strict
from groundling.runs.checkpoint import HEADER_BYTES, CheckpointError, read_header
from groundling.runs.records import COLUMNS, ROW
from groundling.runs.strict import COUNT, HASH, TEXT, TIME, check

if TYPE_CHECKING:
    from groundling.runs.records import Log
    from groundling.runs.samples import Sample
    from groundling.runs.statefile import Saved

KEEP = 3  # copies
SLOTS = [f"{i}.state" for i in range(KEEP + 1)]
JOURNALS = [f"{i}.log" for i in range(KEEP + 1)]
FORMAT = "groundling-copy-v1"
HEADER = {"format": TEXT, "journal": (0, len(JOURNALS) - 1), "createdAt": TIME}
HEADER |= dict.fromkeys(("serial", "iter", "journalBytes", "metaBytes", "floats"), COUNT)
HEADER |= dict.fromkeys(("journalSha256", "sha256"), HASH)
PIECE = 2**22  # bytes that are read at a time
BLOCK_BYTES = 16  # of a journal's block, before its records


class StoreError(Exception):
    """The browser's storage failed."""


class StoreFull(StoreError):
    """The browser's storage is full."""


class Store(Protocol):
    """Where the files are, SLOTS and JOURNALS. Each method may raise StoreError."""

    def size(self, name: str) -> int:
        """How many bytes the file has; 0 at first."""

    def read(self, name: str, at: int, n: int) -> bytes:
        """`n` bytes of the file from `at` on, or as many as there are."""

    def write(self, name: str, at: int, data: bytes | memoryview) -> None:
        """Write data at a byte of the file, which grows as needed. StoreFull."""

    def flush(self, name: str) -> None:
        """Wait until everything written to the file will survive a crash."""

    def truncate(self, name: str, size: int) -> None:
        """Cut the file off at a byte."""


@dataclass
class Journal:
    """A journal up to where it is written, and its contents."""

    name: str
    log: Log
    samples: list[Sample]
    size: int
    digest: Any  # a SHA-256 of all its bytes, which goes on with those to come

    def goes_on(self, saved: Saved) -> bool:
        """Whether a run continues its contents."""
        now = saved.state
        same = now.samples[: len(self.samples)] == self.samples
        return same and groundling.runs.records.Log(now.first, now.log).begins_with(self.log)


class Autosave:
    """The copies in a store. `slots` are those that hold one, newest first."""

    def __init__(self, store: Store):
        self.store = store
        self.headers: dict[str, dict] = {}
        self.journal: Journal | None = None  # that the next copy may go on with
        for slot in SLOTS:
            with suppress(ValueError):
                self.headers[slot] = _header(store.read(slot, 0, HEADER_BYTES))
        self.slots = sorted(self.headers, key=self._age, reverse=True)
        self.last = self.serial  # so that no two copies have one number
        self.discarded: dict[str, tuple[dict, bytes]] = {}  # what they held, newest first

    def _age(self, slot: str) -> tuple[int, str]:
        header = self.headers[slot]
        return header.get("serial", 0), header["createdAt"]

    def newest(self, floats: bool = True) -> Saved | None:
        """The newest whole copy, or None, perhaps without floats. Damaged newer ones are erased."""
        while self.slots:
            with suppress(ValueError):
                saved, self.journal = self._read(self.slots[0], floats)
                return saved
            self._erase(self.slots[0])
        return None

    def read(self, serial: int) -> Saved | None:
        """The copy of that serial number, if it is still there and whole."""
        for slot in self.slots:
            if self.headers[slot].get("serial") == serial:
                with suppress(ValueError):
                    return self._read(slot, True)[0]
        return None

    @property
    def serial(self) -> int:
        """The serial number of the newest copy; 0 if there is none."""
        return self._age(self.slots[0])[0] if self.slots else 0

    def save(self, facts: Saved, floats: Callable[[], Iterable[np.ndarray]]) -> bool:
        """Save a run: its facts, and its floats in pieces. True if older copies were erased to make
        room. StoreFull if there is no room beside the newest copy, which stays, as it does if this
        is cut short.
        """
        self.discarded = {}
        for slot in self.slots[KEEP:]:
            self._erase(slot)
        dropped = False
        while True:
            try:
                slot, header = self._write(facts, floats())
                break
            except StoreFull:
                self._tidy()
                if len(self.slots) < 2:
                    raise
                self._erase(self.slots[-1])
                dropped = True
        self.headers[slot], self.last = header, header["serial"]
        self.slots.insert(0, slot)
        for slot in self.slots[KEEP:]:
            self._erase(slot)
        return dropped

    def discard(self) -> None:
        """Erase the headers of all copies. `restore` can bring them back until the next save."""
        for slot in self.slots:
            self.discarded[slot] = self.headers.pop(slot), self.store.read(slot, 0, HEADER_BYTES)
            self._write_header(slot, bytes(HEADER_BYTES))
        self.slots = []

    def restore(self) -> None:
        """Restore the discarded copies."""
        for slot, (header, raw) in self.discarded.items():
            self._write_header(slot, raw)
            self.headers[slot] = header
        self.slots += self.discarded
        self.discarded = {}

    # ---- writing --------------------------------------------------------------------------------

    def _write(self, facts: Saved, floats: Iterable[np.ndarray]) -> tuple[str, dict]:
        """Write a copy to a free slot. Returns the slot and its header."""
        at, meta = facts.state, groundling.runs.statefile.dump_meta(facts)
        shapes = groundling.model.parameter_shapes(
            groundling.runs.statefile.read_meta(meta, facts.created_at).state.model
        )
        if not (self.journal and self.journal.goes_on(facts)):
            used = {self.headers[slot].get("journal") for slot in self.slots}
            free = next(i for i in range(len(JOURNALS)) if i not in used)
            self.journal = Journal(
                JOURNALS[free], groundling.runs.records.Log(at.first), [], 0, hashlib.sha256()
            )
        self._tidy()  # what was cut short takes room too
        self._add(facts)
        slot = next(slot for slot in SLOTS if slot not in self.slots)
        digest, end = hashlib.sha256(), HEADER_BYTES
        for part in chain([meta], groundling.runs.statefile.check_floats(floats, shapes)):
            digest.update(part)
            self.store.write(slot, end, part)
            end += len(part)
        self.store.flush(slot)  # before the header, which says that it is all there
        header = {
            "format": FORMAT,
            "serial": self.last + 1,
            "iter": at.iter,
            "journal": JOURNALS.index(self.journal.name),
            "journalBytes": self.journal.size,
            "journalSha256": self.journal.digest.hexdigest(),
            "metaBytes": len(meta),
            "floats": (end - HEADER_BYTES - len(meta)) // 4,
            "sha256": digest.hexdigest(),
            "createdAt": facts.created_at,
        }
        self._write_header(slot, strict.dumps(header).encode("ascii").ljust(HEADER_BYTES))
        return slot, header

    def _write_header(self, slot: str, header: bytes) -> None:
        self.store.write(slot, 0, header)
        self.store.flush(slot)

    def _add(self, facts: Saved) -> None:
        """Append to the journal what it lacks of a run."""
        at, journal = facts.state, self.journal
        log, known = groundling.runs.records.Log(at.first, at.log), len(journal.log)
        groundling.runs.statefile.check_rows(log.blocks(known), at.first + known)
        samples = groundling.runs.statefile.dump_samples(at.samples[len(journal.samples) :])
        counts = len(log) - known, len(samples)
        if not any(counts):
            return
        digest, end = journal.digest.copy(), journal.size
        lead = b"".join(count.to_bytes(8, "little") for count in counts)
        for part in (lead, *map(groundling.runs.statefile.rows_bytes, log.blocks(known)), samples):
            digest.update(part)
            self.store.write(journal.name, end, part)
            end += len(part)
        self.store.flush(journal.name)
        self.journal = Journal(journal.name, log, list(at.samples), end, digest)

    def _tidy(self) -> None:
        """Empty the slots and journals that no copy needs."""
        for slot in SLOTS:
            if slot not in self.slots:
                self.store.truncate(slot, 0)
        used = {self.headers[slot].get("journal") for slot in self.slots}
        for i, name in enumerate(JOURNALS):
            if self.journal and self.journal.name == name:
                self.store.truncate(name, self.journal.size)
            elif i not in used:
                self.store.truncate(name, 0)

    def _erase(self, slot: str) -> None:
        self.slots.remove(slot)
        del self.headers[slot]
        self.store.truncate(slot, 0)

    # ---- reading --------------------------------------------------------------------------------

    def _read(self, slot: str, floats: bool) -> tuple[Saved, Journal | None]:
        """The copy in a slot, and its part of the journal. CheckpointError."""
        header, size = self.headers[slot], self.store.size(slot)
        if header["format"] != FORMAT:
            return groundling.runs.statefile.loads(self.store.read(slot, 0, size)), None
        start = HEADER_BYTES + header["metaBytes"]
        if size != start + 4 * header["floats"]:
            raise CheckpointError("The copy was cut short.")
        meta = self.store.read(slot, HEADER_BYTES, header["metaBytes"])
        saved = groundling.runs.statefile.read_meta(meta, header["createdAt"])
        journal = self._read_journal(header, saved.state.first)
        saved.state.log, saved.state.samples = journal.log, list(journal.samples)
        groundling.runs.statefile.check_log(journal.log, saved.state.first, saved.state.iter)
        groundling.runs.statefile.check_sizes(saved, header)
        digest = hashlib.sha256(meta)
        numbers = np.empty(header["floats"] if floats else 0, "<f4")
        into = memoryview(numbers).cast("B")
        for at, piece in self._pieces(slot, start, size):
            digest.update(piece)
            if floats:
                into[at - start : at - start + len(piece)] = piece
        if digest.hexdigest() != header["sha256"]:
            raise CheckpointError("The copy is damaged.")
        if floats:
            groundling.runs.statefile.set_floats(saved, numbers.astype(np.float32, copy=False))
        return saved, journal

    def _read_journal(self, header: dict, first: int) -> Journal:
        """A journal up to where a copy says. CheckpointError."""
        name, end = JOURNALS[header["journal"]], header["journalBytes"]
        journal = Journal(name, groundling.runs.records.Log(first), [], end, hashlib.sha256())
        if self.store.size(name) < end:
            raise CheckpointError("The copy's journal was cut short.")
        at = 0
        while at < end:
            lead = self.store.read(name, at, BLOCK_BYTES)
            records, length = (int.from_bytes(lead[i : i + 8], "little") for i in (0, 8))
            rows = at + BLOCK_BYTES
            samples = rows + ROW * records
            journal.digest.update(lead)
            if samples + length > end:
                raise CheckpointError("The copy's journal is damaged.")
            for _, piece in self._pieces(name, rows, samples, PIECE // ROW * ROW):
                journal.digest.update(piece)
                journal.log.extend(np.frombuffer(piece, "<f8").reshape(-1, len(COLUMNS)))
            lines = self.store.read(name, samples, length)
            journal.digest.update(lines)
            journal.samples += groundling.runs.statefile.read_samples(lines)
            at = samples + length
        if journal.digest.hexdigest() != header["journalSha256"]:
            raise CheckpointError("The copy's journal is damaged.")
        return journal

    def _pieces(
        self, name: str, at: int, end: int, most: int = PIECE
    ) -> Iterator[tuple[int, bytes]]:
        """A part of a file in pieces, each with its offset."""
        while at < end:
            yield at, (piece := self.store.read(name, at, min(most, end - at)))
            if not piece:
                raise CheckpointError("The file was cut short.")
            at += len(piece)


def _header(raw: bytes) -> dict:
    """The header of a copy, or of a state file. CheckpointError."""
    header = read_header(
        raw, FORMAT, groundling.runs.statefile.FORMAT, groundling.runs.statefile.FORMAT_1
    )
    try:
        check("createdAt", header.get("createdAt"), TIME)
        if header["format"] == FORMAT:
            check("it", header, HEADER)
    except ValueError as error:
        raise CheckpointError(f"The copy's header is wrong: {error}") from None
    return header
