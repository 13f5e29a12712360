"""Autosave: the last states of the run, kept where a crash or a reload does not reach them.

A store has SLOTS slots, one more than there are copies to keep: a new state is written to a slot
that holds none of them, body first and header last, and only then is the oldest one let go. So
whenever the worker ends, the newest state that was written whole can be read. What was cut short
is told by the SHA-256 in its header, and passed over.
"""

from contextlib import suppress
from typing import Protocol

from groundling import state
from groundling.checkpoint import HEADER_BYTES, CheckpointError, read_header
from groundling.state import Saved

KEEP = 3  # copies
SLOTS = KEEP + 1


class StoreError(Exception):
    """The browser's storage does not do what it was asked."""


class StoreFull(StoreError):
    """It has no room left."""


class Store(Protocol):
    """Where the slots are, numbered from 0. Each method may raise StoreError."""

    def read(self, slot: int) -> bytes:
        """All that is in the slot; b"" at first."""

    def write(self, slot: int, at: int, data: bytes) -> None:
        """Put data at a byte of the slot, which grows as needed. StoreFull."""

    def flush(self, slot: int) -> None:
        """Return when all that was written to the slot will outlast a crash."""

    def erase(self, slot: int) -> None:
        """Empty the slot."""


class Autosave:
    """The copies in a store. `slots` are the numbers of those that hold one, newest first."""

    def __init__(self, store: Store):
        self.store = store
        times = {}
        for slot in range(SLOTS):
            with suppress(CheckpointError):
                times[slot] = str(
                    read_header(store.read(slot), state.FORMAT, state.FORMAT_1).get("createdAt")
                )
        self.slots = sorted(times, key=times.__getitem__, reverse=True)
        self.discarded: list[tuple[int, bytes]] = []  # slots with their headers, newest first

    def newest(self) -> Saved | None:
        """The newest copy that is whole, or None. Newer ones that are not are erased."""
        while self.slots:
            with suppress(CheckpointError):
                return state.loads(self.store.read(self.slots[0]))
            self.store.erase(self.slots.pop(0))
        return None

    def save(self, data: bytes) -> bool:
        """Keep a state file; True if older copies had to go sooner, for want of room.

        StoreFull when there is no room beside the newest copy, which stays. If this is cut short,
        at any byte, the newest copy stays too.
        """
        del self.slots[KEEP:]
        self.discarded = []
        spare = [slot for slot in range(SLOTS) if slot not in self.slots]
        for slot in spare:  # what was cut short takes room too
            self.store.erase(slot)
        dropped = False
        while True:
            try:
                self._write(spare[0], data)
                break
            except StoreFull:
                self.store.erase(spare[0])
                if len(self.slots) < 2:
                    raise
                self.store.erase(self.slots.pop())
                dropped = True
        self.slots.insert(0, spare[0])
        for old in self.slots[KEEP:]:
            self.store.erase(old)
        del self.slots[KEEP:]
        return dropped

    def _write(self, slot: int, data: bytes) -> None:
        self.store.write(slot, HEADER_BYTES, data[HEADER_BYTES:])
        self.store.flush(slot)  # before the header, which says that it is all there
        self._write_header(slot, data[:HEADER_BYTES])

    def _write_header(self, slot: int, header: bytes) -> None:
        self.store.write(slot, 0, header)
        self.store.flush(slot)

    def discard(self) -> None:
        """Let all copies go. Until another one is saved, `restore` can bring them back: only their
        headers are erased, without which no copy is read, in the next visit either.
        """
        for slot in self.slots:
            self.discarded.append((slot, self.store.read(slot)[:HEADER_BYTES]))
            self._write_header(slot, bytes(HEADER_BYTES))
        self.slots = []

    def restore(self) -> None:
        """Bring back what was discarded."""
        for slot, header in self.discarded:
            self._write_header(slot, header)
            self.slots.append(slot)
        self.discarded = []
