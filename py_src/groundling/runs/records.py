"""What a run tells of each iteration, and the log of all of them: a list of Records, as rows of
numbers, so that a million take 40 MB and a copy of them takes no time.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

COLUMNS = "train", "smooth", "lr", "grad_norm", "val"
CSV = "iter", "train", "smooth", "lr", "val"  # the columns of a log in a file of CSV
ROW = 8 * len(COLUMNS)  # bytes of a record in a file: float64, little-endian
BLOCK = 4096  # rows; of a log's copies, those that are full share one memory


@dataclass(frozen=True)
class Record:
    """An iteration: its loss before the update, learning rate, and validation loss if any."""

    iter: int
    train: float  # nats, this batch
    lr: float
    val: float | None
    grad_norm: float  # before clipping
    smooth: float  # the running average of the losses: 0.9 old, 0.1 new


def csv_line(record: Record) -> str:
    """The record as a line of CSV."""
    numbers = (getattr(record, name) for name in CSV)
    return ",".join("" if number is None else str(number) for number in numbers)


class Log(Sequence[Record]):
    """The Records of the iterations from `first` on, in order. It only grows."""

    def __init__(self, first: int = 0, records: Iterable[Record] = ()):
        self.first, self._length = first, 0
        self._blocks: list[np.ndarray] = []  # (BLOCK, 5) each; only the last is still written to
        if isinstance(records, Log) and records.first == first:
            self._length, self._blocks = records._length, list(records._blocks)
            if self._length % BLOCK:
                self._blocks[-1] = self._blocks[-1].copy()
        else:
            for record in records:
                self.append(record)

    def __copy__(self) -> "Log":
        return Log(self.first, self)

    @classmethod
    def of_rows(cls, first: int, rows: np.ndarray) -> "Log":
        """A log of rows; see `extend`."""
        log = cls(first)
        log.extend(rows)
        return log

    def extend(self, rows: np.ndarray) -> None:
        """Add records as rows, float64 (records, 5) by COLUMNS; val is NaN without evaluation."""
        while len(rows):
            at = self._length % BLOCK
            if at == 0:
                self._blocks.append(np.empty((BLOCK, len(COLUMNS))))
            some, rows = rows[: BLOCK - at], rows[BLOCK - at :]
            self._blocks[-1][at : at + len(some)] = some
            self._length += len(some)

    def append(self, record: Record) -> None:
        """Add the record of the next iteration. ValueError for any other iteration."""
        if record.iter != self.first + self._length:
            raise ValueError(
                f"The next record is of iter {record.iter}; the log is at "
                f"{self.first + self._length}."
            )
        val = math.nan if record.val is None else record.val
        row = record.train, record.smooth, record.lr, record.grad_norm, val
        self.extend(np.array([row], np.float64))

    def blocks(self, start: int = 0) -> Iterator[np.ndarray]:
        """The rows from the record `start` on, float64 (rows, 5), some thousand at a time."""
        while start < self._length:
            at = start % BLOCK
            block = self._blocks[start // BLOCK][at : at + self._length - start]
            yield block
            start += len(block)

    def column(self, name: str) -> np.ndarray:
        """One of COLUMNS, of all records: float64 (records,)."""
        at = COLUMNS.index(name)
        return np.concatenate([np.empty(0), *(block[:, at] for block in self.blocks())])

    def begins_with(self, other: "Log") -> bool:
        """Whether this log begins with the records of another one, to the bit."""
        if self.first != other.first or self._length < other._length:
            return False
        return all(
            mine is theirs or mine[: len(theirs)].tobytes() == theirs.tobytes()
            for mine, theirs in zip(self._blocks, other._shared(), strict=False)
        )

    def _shared(self) -> Iterator[np.ndarray]:
        """The blocks; of the last, as far as it is written."""
        for i, block in enumerate(self._blocks):
            yield block if (i + 1) * BLOCK <= self._length else block[: self._length - i * BLOCK]

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> Record: ...
    @overload
    def __getitem__(self, at: slice) -> list[Record]: ...
    def __getitem__(self, at):
        if isinstance(at, slice):
            start, stop, step = at.indices(self._length)
            if step == 1:
                return list(self._records(start, stop))
            return [self[i] for i in range(start, stop, step)]
        at = range(self._length)[at]  # IndexError, and from the end where it is below 0
        return next(self._records(at, at + 1))

    def __iter__(self) -> Iterator[Record]:
        return self._records(0, self._length)

    def _records(self, start: int, stop: int) -> Iterator[Record]:
        while start < stop:
            at = start % BLOCK
            rows = self._blocks[start // BLOCK][at : at + stop - start].tolist()
            for it, (train, smooth, lr, norm, val) in enumerate(rows, self.first + start):
                yield Record(it, train, lr, None if math.isnan(val) else val, norm, smooth)
            start += len(rows)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Log):
            return len(self) == len(other) and self.begins_with(other)
        return isinstance(other, list) and list(self) == other

    __hash__ = None

    def __repr__(self) -> str:
        return f"<{self._length:,} records from iter {self.first} on>"
