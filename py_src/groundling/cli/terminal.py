"""Output to a terminal: untrusted text shown safely, a run's progress, and Ctrl-C or SIGTERM.

A model's output, a file name, an argument or a link's code can contain control characters that
move the cursor, change colours or rename the window. Within `shown`, control characters written to
a terminal are escaped, and so are characters that its encoding lacks. Files and pipes receive the
text unchanged.
"""

import codecs
import math
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, TextIO

from ..devices.ranks import started

if TYPE_CHECKING:
    from ..runs.records import Record
    from ..runs.run import Run

# Control characters except tab and newline, characters that change a line's direction or end it,
# and surrogates, with which Python represents an argument's bytes that are not UTF-8.
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
SIMPLER = {"↵": "\\n", "…": "...", "×": "x"}  # our own, where an encoding lacks them
ERRORS = "groundling.shown"


def visible(text: str) -> str:
    """The text with its control characters escaped, as in Python source."""
    return OBEYED.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return ascii(character)[1:-1]


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    """An escape for a character that an encoding lacks, or the original byte of a file name."""
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return SIMPLER.get(character) or _escape(character), error.start + 1


codecs.register_error(ERRORS, _replace)


class Screen:
    """A terminal that escapes control characters. `stream` is the terminal itself."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        """Write the text, escaped."""
        self.stream.write(visible(text))
        return len(text)

    def __getattr__(self, name: str):
        return getattr(self.stream, name)


@contextmanager
def shown() -> Iterator[None]:
    """Escape control characters in all that this block prints to a terminal."""
    before = sys.stdout, sys.stderr
    errors = [getattr(stream, "errors", None) for stream in before]
    sys.stdout, sys.stderr = (_safe(stream, ERRORS) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream, mode in zip(before, errors, strict=True):
            _safe(stream, mode)


@contextmanager
def never_closed() -> Iterator[None]:
    """In this block a standard stream that is closed, as in a service, is the null device."""
    modes = {"stdin": "r", "stdout": "w", "stderr": "w"}
    with ExitStack() as stack:
        closed = {name: mode for name, mode in modes.items() if getattr(sys, name) is None}
        for name, mode in closed.items():
            setattr(sys, name, stack.enter_context(open(os.devnull, mode)))
            stack.callback(setattr, sys, name, None)
        yield


def _safe(stream: TextIO, errors: str | None) -> TextIO:
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors=errors)
    return Screen(stream) if stream.isatty() else stream


def itself(to: TextIO) -> TextIO:
    """The stream below a Screen, for a bar, which moves the cursor."""
    return getattr(to, "stream", to)


def print_above(text: str, to: TextIO) -> None:
    """Print above the bars that are drawn on a terminal."""
    if not to.isatty():
        print(text, file=to, flush=True)
        return
    from tqdm import tqdm  # here, since the page has no tqdm

    with tqdm.external_write_mode(itself(to)):
        print(text, file=to, flush=True)


class Progress:
    """A run's progress: on a terminal a bar, in a file or pipe a line at each evaluation."""

    def __init__(self, run: "Run", to: TextIO):
        from tqdm import tqdm  # here, since the page has no tqdm

        self.run, self.to, self.live = run, to, to.isatty()
        try:
            known = all(os.get_terminal_size(to.fileno()))
        except OSError:
            known = False
        size = {"dynamic_ncols": True} if known else {"ncols": 79, "nrows": 24}
        form = "{n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
        self.bar = tqdm(
            total=run.config.iters,
            initial=run.iter,
            file=itself(to),
            delay=0 if self.live else math.inf,  # a file gets no bar, only its text
            bar_format=None if self.live else form,
            miniters=1,
            **size,
        )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error) -> None:
        with self._spared():
            self.bar.close()

    @contextmanager
    def _spared(self) -> Iterator[None]:
        """Training goes on where its progress cannot be written, as on a full disk; where nobody
        reads it any more, as in `groundling train 2>&1 | head`, it is paused, and so saved.
        """
        try:
            yield
        except BrokenPipeError:
            self.run.pause()
        except OSError:
            pass

    def show(self, record: "Record") -> None:
        """Show a record, at most ten a second."""
        facts = f"loss {record.smooth:.4f}"
        if self.run.val_loss is not None:
            facts += f", val {self.run.val_loss:.4f}"
        self.bar.set_postfix_str(facts, refresh=False)
        with self._spared():
            self.bar.update(record.iter + 1 - self.bar.n)
            if not self.live and record.val is not None:
                print(self.bar, file=self.to, flush=True)

    def above(self, *lines: str) -> None:
        """Print lines above the bar."""
        with self._spared():
            print_above("\n".join(lines), self.to)


def _rank() -> int:
    """Which of the processes that torchrun started this is."""
    return int(os.environ.get("RANK", 0))


def restarts() -> int:
    """How often torchrun has started its processes again, after one of them had ended."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))


@contextmanager
def first_rank_prints() -> Iterator[None]:
    """Let only the first of torchrun's processes print in this block, except by `complain`."""
    with ExitStack() as stack:
        if _rank():
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(redirect_stdout(nowhere))
            stack.enter_context(redirect_stderr(nowhere))
        yield


def _is_first_to_say(message: str) -> bool:
    """Whether no other of torchrun's processes has printed the message. The first one does so at
    once, and the others if it has not.
    """
    if started() == 1:
        return True
    if _rank():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # by which torchrun ends the others
        time.sleep(1)
    key = f"groundling {restarts()} {message}"
    try:
        from torch.distributed import TCPStore

        place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = TCPStore(*place, is_master=False, timeout=timedelta(seconds=5))
        return store.add(key, 1) == 1 or not _rank()
    except (ImportError, KeyError, RuntimeError, ValueError):
        return True


class BadInput(Exception):
    """The input cannot be used; the message says why."""


def complain(message: object, code: int) -> int:
    """Print an error message, once where several processes have it. Returns the exit code."""
    if _is_first_to_say(str(message)):
        stream = _safe(sys.__stderr__, ERRORS) if _rank() else sys.stderr
        with suppress(OSError):  # it may be on the full disk that the message tells of
            print_above(f"groundling: {message}", stream)
    return code


@contextmanager
def pause_on_interrupt(run: "Run") -> Iterator[None]:
    """In this block the first Ctrl-C pauses the run; the second raises KeyboardInterrupt. SIGTERM
    and SIGHUP, which often come twice, pause it however often, unless they are ignored, as by
    nohup. Of several processes torchrun ends those that are left by SIGTERM.
    """

    def on_interrupt(signum, frame):
        if signum == signal.SIGINT:
            signal.signal(signum, signal.default_int_handler)
        run.pause()

    asked = ["SIGINT"] if started() > 1 else ["SIGINT", "SIGTERM", "SIGHUP"]
    before = {}
    for one in (getattr(signal, name) for name in asked if hasattr(signal, name)):
        if one == signal.SIGINT or signal.getsignal(one) is not signal.SIG_IGN:
            before[one] = signal.signal(one, on_interrupt)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
