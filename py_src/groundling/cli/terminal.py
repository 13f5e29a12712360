"""What the command line prints: any text on any terminal, and a run's progress on one line.

What a model writes, a file's name, an argument or a link's code can have characters that a terminal
obeys: to move, to colour, to rename its window. In `shown` all that goes to a terminal is drawn and
nothing is obeyed, and what its encoding lacks is written as an escape. Into a file or a pipe goes
the text as it is.
"""

import codecs
import re
import shutil
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from ..runs.records import Record
from ..runs.run import Run

# Control characters but for tab and line end, what changes the direction of a line or ends one, and
# halves of characters, as which Python has an argument's bytes that are not UTF-8.
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
SIMPLER = {"↵": "\\n", "…": "...", "×": "x"}  # of ours, where an encoding lacks them
ERRORS = "groundling.shown"


def visible(text: str) -> str:
    """The text with an escape, as in Python's source, for each character that would be obeyed."""
    return OBEYED.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return ascii(character)[1:-1]


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    """What is written for a character that an encoding lacks; a byte of a name, as it was."""
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return SIMPLER.get(character) or _escape(character), error.start + 1


codecs.register_error(ERRORS, _replace)


class Screen:
    """A terminal as a stream that obeys nothing. `stream` is the terminal itself."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        """Show the text."""
        self.stream.write(visible(text))
        return len(text)

    def __getattr__(self, name: str):
        return getattr(self.stream, name)


@contextmanager
def shown() -> Iterator[None]:
    """In this block everything that is printed is shown, whatever it is and wherever it goes."""
    before = sys.stdout, sys.stderr
    errors = [getattr(stream, "errors", None) for stream in before]
    sys.stdout, sys.stderr = (_safe(stream, ERRORS) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream, mode in zip(before, errors, strict=True):
            _safe(stream, mode)


def _safe(stream: TextIO, errors: str | None) -> TextIO:
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors=errors)
    return Screen(stream) if stream and stream.isatty() else stream


class Progress:
    """How a run goes, for a person: one line drawn over and over on a terminal; in a file or a
    pipe, a line at every evaluation.
    """

    def __init__(self, run: Run, to: TextIO):
        self.run, self.to, self.live = run, to, to.isatty()
        self.screen = getattr(to, "stream", to)  # of a Screen, to draw over a line
        self.marks = deque([(time.monotonic(), run.iter)], maxlen=100)  # (when, iters done)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error) -> None:
        if self.live and len(self.marks) > 1:
            print(file=self.to)

    def show(self, record: Record) -> None:
        """Take in a record, and draw it if it is time to."""
        done, now = record.iter + 1, time.monotonic()
        last = done == self.run.config.iters
        if last or (now - self.marks[-1][0] > 0.1 if self.live else record.val is not None):
            self.marks.append((now, done))
            line = self.line(done)
            end, begin = ("", "\r") if self.live else ("\n", "")
            print(begin, line, sep="", end=end, file=self.screen, flush=True)

    def above(self, *lines: str) -> None:
        """Print lines that stay, above the one that is drawn over."""
        if self.live:
            blank = " " * (shutil.get_terminal_size().columns - 1)
            print(f"\r{blank}\r", end="", file=self.screen)
        print(*lines, sep="\n", file=self.to)
        if self.live and len(self.marks) > 1:
            print(self.line(self.marks[-1][1]), end="", file=self.screen)
        self.to.flush()

    def line(self, done: int) -> str:
        """412/2000 [####------] 12.3 it/s  loss 2.6123  val 2.6231  ETA 2:09"""
        total = self.run.config.iters
        (then, first), (now, _) = self.marks[0], self.marks[-1]
        rate = (done - first) / max(now - then, 1e-9)
        count, facts = f"{done}/{total}", f"{rate:.1f} it/s  loss {self.run.train_loss:.4f}"
        if self.run.val_loss is not None:
            facts += f"  val {self.run.val_loss:.4f}"
        if rate:
            facts += f"  ETA {clock((total - done) / rate)}"
        columns = shutil.get_terminal_size().columns - 1 if self.live else 100
        width = min(30, columns - len(count) - len(facts) - 4)
        bar = f"[{'#' * (width * done // total):-<{width}}] " if width > 4 else ""
        line = f"{count} {bar}{facts}"
        return line[:columns].ljust(columns) if self.live else line


def clock(seconds: float) -> str:
    """2:09, or 1:02:09 from an hour on."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
