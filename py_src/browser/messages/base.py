"""What several features share: commands, reports, settings, devices and errors."""

from typing import Literal, NotRequired, TypedDict


class Command(TypedDict):
    """A message from the page to the worker."""

    type: str


class Report(TypedDict):
    """A message from the worker to the page."""

    type: str


Phase = Literal["booting", "ready", "training", "paused", "done", "error"]
DeviceName = Literal["webgpu", "wasm", "numpy"]
VoiceName = Literal["reference", "file", "run"]
"""The models that can write: the reference checkpoint, a file of the reader's, and the run."""
Files = dict[str, str]
"""The reader's edits: path to whole text, for every file that differs from the original."""


class Settings(TypedDict):
    """The fields of the page that a run is made from."""

    seed: str
    iters: int
    batchSize: int
    lr: float


class SettingsLimits(TypedDict):
    """The smallest and the largest value of each field; for the seed, its length as JSON."""

    seed: tuple[int, int]
    iters: tuple[int, int]
    batchSize: tuple[int, int]
    lr: tuple[float, float]


class Frame(TypedDict):
    """A place in a traceback."""

    path: str
    name: str  # of the function
    line: int  # from 1
    column: int  # from 0, in UTF-16 code units
    endLine: int
    endColumn: int
    text: str  # of the line
    yours: bool  # whether the reader edited the file, or typed it in the console


class Panel(TypedDict):
    """An error in words."""

    title: str
    message: str
    hint: str
    detail: str


class CodeError(Panel):
    """An error in code."""

    frames: list[Frame]  # the innermost last


class WithCopy(Command):
    """A command that needs the run, or a copy of one that is lost."""

    bytes: NotRequired[bytes]  # the last copy of the run, where the page has it


class WithText(Command):
    """A command about a text: of the console's prompt, a link's fragment, or a config as JSON."""

    text: str


class Edit(TypedDict):
    """An edit of the code that a run took on."""

    iter: int  # the first under the new code
    diff: str  # unified


class LinkText(Report):
    """A link, or why there can be none."""

    text: str  # the address's fragment
    problem: str


class NoticeReport(Report):
    """A sentence for the reader."""

    message: str


class PieceReport(Report):
    """A piece of a file. The message after the last piece says what the file is for."""

    first: bool
    at: int  # where in the file it begins
    bytes: bytes


class FileReport(Report):
    """A file for the reader to keep. Without bytes, it is made of the pieces before."""

    name: str
    mime: str
    bytes: NotRequired[bytes]


PingCommand = Command  # Asks for nothing but `heard`.
HeardReport = Report  # The immediate answer to every command: the worker's event loop is alive.
