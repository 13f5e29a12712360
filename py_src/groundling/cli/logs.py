"""The logs of a run that trains: a line for each iteration, and TensorBoard's events."""

import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..runs.records import CSV, Record, csv_line
from ..runs.run import NonFiniteLoss
from .terminal import complain


class Logs:
    """The logs of --log and --tensorboard, if any. OSError if one cannot be opened, ValueError if
    TensorBoard is not installed; later errors are reported.
    """

    def __init__(self, file: str | None = None, tensorboard: str | None = None):
        self.logs: list[EventLog | FileLog] = []
        self.failed = False
        if tensorboard:
            self.logs.append(EventLog(tensorboard))
        if file:  # last: opening it deletes what it had
            self.logs.append(FileLog(file))

    def __enter__(self) -> "Logs":
        return self

    def __exit__(self, kind: object, error: BaseException | None, *_) -> None:
        if isinstance(error, NonFiniteLoss):
            self.add(error.record)  # so that `groundling doctor` sees it
        for log in list(self.logs):
            self._try(log, log.close)

    def add(self, record: Record) -> None:
        """Write a record."""
        for log in list(self.logs):
            self._try(log, lambda log=log: log.add(record))

    def _try(self, log: "EventLog | FileLog", work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            self.failed = True
            self.logs.remove(log)
            complain(f"{log.path}: {error.strerror}. Logging stops; training continues.", 1)
            with suppress(OSError):
                log.close()


class FileLog:
    """A line for each record: JSON or, in a file whose name ends in .csv, CSV."""

    def __init__(self, path: str):
        self.path, is_csv = path, path.lower().endswith(".csv")
        self.line = csv_line if is_csv else log_line
        self.file = open(path, "w", encoding="ascii")  # noqa: SIM115
        if is_csv:
            print(*CSV, sep=",", file=self.file)

    def add(self, record: Record) -> None:
        """Write a record at once. OSError."""
        print(self.line(record), file=self.file, flush=True)

    def close(self) -> None:
        """OSError."""
        self.file.close()


class EventLog:
    """A file of events in a folder, for TensorBoard. It replaces what the folder has of the same
    iterations, as a run that is resumed tells them again.
    """

    def __init__(self, folder: str):
        try:
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError:
            told = "TensorBoard is not installed here: pip install 'groundling[tensorboard]'."
            raise ValueError(told) from None
        self.path, self.event, self.summary = folder, Event, Summary
        Path(folder).mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns()}"  # they are read in the order of their names
        self.writer = RecordWriter(open(Path(folder, name), "wb"))  # noqa: SIM115
        start = SessionLog(status=SessionLog.START)
        self.head = {"file_version": "brain.Event:2"}, {"session_log": start}

    def _write(self, **event: object) -> None:
        event = self.event(wall_time=time.time(), **event)
        self.writer.write(event.SerializeToString())
        self.writer.flush()

    def add(self, record: Record) -> None:
        """Write a record at once. OSError."""
        for event in self.head:
            self._write(step=record.iter, **event)
        self.head = ()
        numbers = {"loss/train": record.train, "loss/val": record.val, "lr": record.lr}
        values = [
            self.summary.Value(tag=tag, simple_value=x)
            for tag, x in numbers.items()
            if x is not None
        ]
        self._write(step=record.iter, summary=self.summary(value=values))

    def close(self) -> None:
        """OSError."""
        self.writer.close()


def log_line(record: Record) -> str:
    """A record as JSON: iter, train, lr, and val if any. A loss that is not finite is null."""
    fields = {"iter": record.iter, "train": record.train, "lr": record.lr}
    if record.val is not None:
        fields["val"] = record.val
    numbers = {name: x if math.isfinite(x) else None for name, x in fields.items()}
    return json.dumps(numbers)
