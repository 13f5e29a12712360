"""A loss curve, and how it is read from a log: of JSON lines, or the CSV that the page writes.

    curve = read_log(data)

    {"iter": 0, "train": 4.2, "lr": 3e-06, "val": 4.19}     as `groundling train --log` writes it
    iter,train,smooth,lr,val                                as the page does; or with ; and decimal
    0,4.2,4.2,0.000003,4.19                                 commas, as a spreadsheet may save it

`iter` and `train` are required, `val` and `lr` are optional, and anything else is ignored.
"""

import csv
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..runs.decoding import decode

if TYPE_CHECKING:
    from ..runs.records import Record

MAX_BYTES, MAX_LINE, MAX_RECORDS = 2**28, 4096, 2_000_000  # of a log
COLUMNS = "iter", "train", "val", "lr"


@dataclass
class Curve:
    """The records of a run as columns. None: no validation, or an unknown learning rate."""

    iter: list[int] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    val: list[float | None] = field(default_factory=list)
    lr: list[float | None] = field(default_factory=list)

    def add(self, record: "Record") -> None:
        """Add a record. One of the last iteration replaces what is there."""
        if self.iter and self.iter[-1] == record.iter:
            for column in vars(self).values():
                column.pop()
        self.iter.append(record.iter)
        self.train.append(record.train)
        self.val.append(record.val)
        self.lr.append(record.lr)

    def __len__(self) -> int:
        return len(self.iter)


def read_log(data: bytes) -> Curve:
    """The curve of a log. null: a loss that was no number; an empty cell: missing. ValueError."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"It has {len(data):,} bytes; a log may have {MAX_BYTES:,}.")
    curve = Curve()
    fields_of: Callable[[str], dict] | None = None  # a line's, by name
    for number, line in enumerate(decode(data).split("\n"), 1):
        if not line.strip():
            continue
        try:
            if len(line) > MAX_LINE:
                raise ValueError(
                    f"it has {len(line):,} characters; a record has {MAX_LINE:,} at most."
                )
            if fields_of is None:
                fields_of = _json_fields if line.lstrip()[0] in "{[" else _csv_fields(line)
                if fields_of is not _json_fields:
                    continue
            if "train" in (found := fields_of(line)):
                _read(found, curve)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    if not curve:
        raise ValueError("It is empty: there is no record in it.")
    return curve


def _json_fields(line: str) -> dict:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON.") from None
    if not isinstance(found, dict) or "iter" not in found or "train" not in found:
        raise ValueError("it is not a record: an object with iter and train.")
    return found


def _csv_fields(header: str) -> Callable[[str], dict]:
    """What reads the lines under this header of a CSV."""
    for delimiter in ",;\t":
        names = [name.strip().lower() for name in _cells(header, delimiter)]
        if "iter" in names and "train" in names:
            break
    else:
        raise ValueError(
            "it begins no log. A log begins with a record as JSON, or with the names of a CSV's "
            "columns, iter and train among them."
        )

    def fields_of(line: str) -> dict:
        cells = [cell.strip() for cell in _cells(line, delimiter)]
        if len(cells) != len(names):
            raise ValueError(f"it has {len(cells)} columns; the first line names {len(names)}.")
        row = dict(zip(names, cells, strict=True))
        return {name: _cell(text, delimiter) for name in COLUMNS if (text := row.get(name, ""))}

    return fields_of


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line.rstrip("\r")], delimiter=delimiter))
    except csv.Error:
        raise ValueError("it is not CSV.") from None


def _cell(text: str, delimiter: str) -> float | str:
    """A cell's number; the text, where it is none."""
    if delimiter != ",":
        text = text.replace(",", ".")
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        return text


def _read(found: dict, curve: Curve) -> None:
    """Add a record, from its fields by name."""
    if len(curve) >= MAX_RECORDS:
        raise ValueError(f"a log may have {MAX_RECORDS:,} records.")
    it = found.get("iter")
    if type(it) is not int or not 0 <= it < 2**53:
        raise ValueError(f"iter is {_short(it)}; it must be a whole number from 0 on.")
    if curve.iter and it <= curve.iter[-1]:
        raise ValueError(f"iter {it:,} comes after iter {curve.iter[-1]:,}; a log is of one run.")
    loss = _number("train", found["train"])
    val, lr = (_number(name, found[name]) if name in found else None for name in ("val", "lr"))
    curve.iter.append(it)
    curve.train.append(loss)
    curve.val.append(val)
    curve.lr.append(lr if lr is not None and math.isfinite(lr) else None)


def _number(name: str, value: object) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} is {_short(value)}; it must be a number.")
    try:
        return float(value)
    except OverflowError:  # a whole number beyond all floats
        return math.inf


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
