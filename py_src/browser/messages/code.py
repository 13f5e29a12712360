"""The editor, the console and projects. Lines count from 1, columns from 0 in UTF-16 code units."""

from typing import Literal, NotRequired, TypedDict

from groundling.labs.parity import Row as KernelCheck

from .base import (
    CodeError,
    Command,
    Edit,
    Files,
    LinkText,
    Report,
    Settings,
    WithCopy,
    WithText,
)

# ---- commands ------------------------------------------------------------------------------------


class ApplyCommand(WithCopy):
    """Continues the run with other code."""

    files: Files
    fit: NotRequired[bool]  # keep the parameters that fit by name and shape, draw the others anew
    anyway: NotRequired[bool]  # also if kernels differ from their NumPy references


class AtCursor(Command):
    """A question about a text that is being edited."""

    id: int  # the answer's too
    path: str  # of the source; empty for the console
    text: str
    at: int  # the cursor, in UTF-16 code units


class LintCommand(Command):
    """Asks for problems."""

    id: int
    path: str
    text: str


class Project(Command, Settings):
    """The page's project: its edits, and the settings to train them with."""

    name: str
    files: Files


class UnzipCommand(Command):
    """Brings a project's file, to be read."""

    name: str
    bytes: bytes


EvaluateCommand = WithText  # Runs what was typed at the console's prompt, against the live run.
InterruptCommand = Command  # Ends what was typed there, at its next wait for the device.
CompleteCommand = AtCursor  # Asks for completions.
HoverCommand = AtCursor  # Asks for documentation.
ZipCommand = Project  # Asks for the project as a file.
ShareCodeCommand = Project  # Asks for the project as a link.
CodeClaimCommand = WithText  # Asks what edits a link holds.

# ---- edits ---------------------------------------------------------------------------------------


class Source(TypedDict):
    """A file of the library."""

    path: str
    text: str


class SourcesReport(Report):
    """The Python and WGSL that is about to run, and the names that a new file must not have."""

    files: list[Source]
    keywords: list[str]  # of Python
    modules: list[str]  # that come with it


class RecipeEdit(TypedDict):
    """In a file, `old` is to become `new`; an empty `old` makes a new file."""

    path: str
    old: str
    new: str


class Recipe(TypedDict):
    """A worked edit."""

    name: str
    title: str
    text: str
    edits: list[RecipeEdit]


class RecipesReport(Report):
    """All recipes."""

    recipes: list[Recipe]


class AppliedReport(Report, Edit):
    """The run goes on with other code."""

    files: list[str]


class RefusedReport(Report):
    """The new code was not taken on; the old goes on."""

    error: CodeError


class FitReport(Report):
    """The new code's parameters are others; nothing has changed yet."""

    kept: list[str]
    fresh: list[str]
    dropped: list[str]


class KernelsReport(Report):
    """The checks of edited kernels. Unless all are ok, nothing was applied."""

    rows: list[KernelCheck]


# ---- the console ---------------------------------------------------------------------------------


class ArrayView(TypedDict):
    """An array in short."""

    shape: list[int]
    dtype: str
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    width: int
    height: int
    pixels: list[int]  # from 0 to 255, row by row


class ConsoleEntry(TypedDict):
    """Something printed, typed, evaluated or raised."""

    kind: Literal["in", "out", "err", "value", "array", "error"]
    text: str
    array: NotRequired[ArrayView]
    error: NotRequired[CodeError]


class ConsoleReport(Report):
    """What is new in the console."""

    entries: list[ConsoleEntry]


EvaluatedReport = Report  # What was typed at the prompt has ended; one for each `evaluate`.

# ---- help while typing ---------------------------------------------------------------------------


class Completion(TypedDict):
    """What could be typed next."""

    label: str
    type: str
    detail: str
    info: str


class CompletionsReport(Report):
    """Completions. They replace the text from `start` to where they were asked for."""

    id: int
    start: int
    options: list[Completion]


class DocReport(Report):
    """The documentation of what stands from `start` to `end`; empty if there is none."""

    id: int
    start: int
    end: int
    signature: str
    text: str


class Problem(TypedDict):
    """What the linter found."""

    line: int
    column: int
    endLine: int
    endColumn: int
    severity: Literal["error", "warning"]
    message: str


class LintedReport(Report):
    """The problems in a text."""

    id: int
    path: str
    problems: list[Problem]


# ---- projects ------------------------------------------------------------------------------------


class ProjectReport(Report):
    """A project that was opened, to be read, or what is wrong with it. Nothing of it has run."""

    origin: Literal["zip", "link"]
    name: str
    files: Files
    settings: Settings
    problem: str


CodeLinkReport = LinkText  # The edits as a link, or why they cannot be one.
