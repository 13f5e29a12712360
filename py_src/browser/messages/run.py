"""The run: start, stop, save and load it; its losses, its samples, and how the worker starts."""

from typing import Literal, NotRequired, TypedDict

from groundling.labs.textstats import Measures

from .base import (
    Command,
    DeviceName,
    Edit,
    Files,
    Frame,
    Panel,
    Phase,
    Report,
    Settings,
    SettingsLimits,
    WithCopy,
)

Missing = Literal["", "insecure", "webgpu", "jspi", "adapter", "emulated"]
"""Why the device is not WebGPU: what the browser lacks, or that the CPU emulates its GPU. Empty if
it is, or if the reader chose so.
"""

# ---- commands ------------------------------------------------------------------------------------


class StartCommand(Command, Settings):
    """Starts a run."""

    files: NotRequired[Files]  # the code to run it by; without them, by the code of the last run


class LrCommand(Command):
    """Sets the peak learning rate, also while training."""

    value: float


class ItersCommand(Command):
    """Sets the run's last iteration: a run that is done can then be trained further."""

    value: int


class LoadCommand(Command, Settings):
    """Loads a weights file or a state; the file says which it is."""

    name: str
    bytes: bytes
    begin: NotRequired[bool]  # a new run with the file's weights alone
    files: NotRequired[Files]  # as of `start`


class ContinueCommand(Command):
    """Continues from the copy of `offer`."""

    files: NotRequired[Files]  # as of `start`


class HiddenCommand(Command):
    """Tells whether the page is hidden."""

    hidden: bool


class DeviceCommand(Command):
    """Opens a device."""

    name: DeviceName
    missing: NotRequired[Missing]  # from the worker itself, which opens the first


PauseCommand = Command  # Pauses the run.
ResumeCommand = Command  # Resumes the run.
ResetCommand = Command  # Puts the run aside; after an error, opens the device again.
UndoCommand = WithCopy  # Brings back the run that the last reset or load put aside.
SaveCommand = WithCopy  # Asks for the weights file, `.bin`.
BestCommand = Command  # Asks for the weights of the lowest validation loss, `.bin`.
StateCommand = WithCopy  # Asks for the state file, `.state`: the whole run.
LogCommand = Command  # Asks for the log of losses, as CSV.
AnywayCommand = Command  # Answers `asked`: load it all the same.
DiscardCommand = Command  # Discards the copy of `offer`, and those before it.
UndiscardCommand = Command  # Restores the copies that `discard` has discarded.

# ---- the worker's start --------------------------------------------------------------------------

Stage = Literal["download", "python", "numpy", "adapter", "kernels"]
"""What the worker does before it is ready. Some of it overlaps."""


class StageReport(Report):
    """How far a stage is: bytes of a download, else a count."""

    stage: Stage
    done: int
    total: int  # 0 if it is not known
    detail: str


class Adapter(TypedDict):
    """The device in use."""

    device: DeviceName
    name: str
    fallback: bool  # slower than a GPU: on the CPU, or on a GPU that it emulates
    missing: Missing
    detail: str


class ReadyReport(Report):
    """A device is open."""

    adapter: Adapter
    defaults: Settings
    limits: SettingsLimits


# ---- the run -------------------------------------------------------------------------------------


class ModelReport(Report):
    """The model of the run, or of the next one."""

    uniformLoss: float  # ln(vocabSize), the loss of a uniform guess
    vocabSize: int
    unit: Literal["character", "byte"]  # that a token is
    parameters: int
    opening: str | None  # a prompt from its text; null where one of Shakespeare's will do


class SetupReport(Report):
    """The settings of the next run, or those that the run has now."""

    settings: Settings


class DrawingReport(Report):
    """How many of a new run's initial weights are drawn, where that takes long."""

    done: int
    total: int


class PhaseReport(Report):
    """The session is in another phase."""

    phase: Phase
    reason: str
    undo: int | None  # the iteration of the run that was put aside, if there is one


class RunReport(Report, Settings):
    """The run that is now the page's: a new one, a loaded one, or one that was brought back."""

    edits: list[Edit]


class Step(TypedDict):
    """One iteration. Losses are in nats per character; null if not finite."""

    iter: int
    train: float | None
    smooth: float | None  # the running average of `train`
    lr: float
    val: float | None


class Best(TypedDict):
    """The weights of the lowest validation loss."""

    iter: int
    valLoss: float


class Progress(TypedDict):
    """Where a run stands."""

    iter: int
    iters: int
    trainLoss: float | None
    valLoss: float | None
    perplexity: float | None
    lr: float | None
    itersPerSecond: float | None
    tokensPerSecond: float | None
    elapsed: float  # seconds of training
    cores: int  # of the CPU, that a step is done on
    best: Best | None  # if they are kept


class StepsReport(Report, Progress):
    """The iterations since the last such message."""

    records: list[Step]


class ErrorReport(Report, Panel):
    """What stopped the run, or a command that failed."""

    frames: NotRequired[list[Frame]]


# ---- files and copies ----------------------------------------------------------------------------


class KeptReport(Report):
    """A copy of the run's state, in case the worker is lost."""

    name: str
    iter: int
    here: bool  # in the browser's storage; else it is the pieces before


class LoadedReport(Report):
    """A file was loaded."""

    kind: Literal["weights", "state"]
    name: str
    seed: str
    iter: int
    valLoss: float | None
    note: str


class AskedReport(Report):
    """A state of other code or text: it is loaded once the reader agrees."""

    name: str
    seed: str
    iter: int
    differences: list[str]


Keeping = Literal["here", "taken", "none"]
"""Whether states are kept: not if another tab keeps them, or the browser has no room."""


class KeepingReport(Report):
    """Whether this browser keeps states."""

    keeping: Keeping
    problem: str  # what the browser said if it keeps none


class CopyText(TypedDict):
    """A text that is not the one in use."""

    hash: str
    name: str
    ours: bool


class Copy(TypedDict):
    """A state that autosave has kept."""

    seed: str
    iter: int
    iters: int
    valLoss: float | None
    createdAt: str
    text: CopyText | None  # the text it was trained on, if another one is in use


class OfferReport(Report):
    """The newest copy that autosave has, before a run begins."""

    copy: Copy | None


class AutosavedReport(Report):
    """A state was written to the browser's storage."""

    iter: int
    copies: int


# ---- samples -------------------------------------------------------------------------------------


class Sample(TypedDict):
    """What the run wrote at an iteration."""

    iter: int
    loss: float | None  # the validation loss by then
    phase: str  # empty for other models and texts than the default ones
    about: str  # the phase in a sentence or two
    text: str
    measures: Measures


class Scale(TypedDict):
    """The measures of the corpus's own text, and of uniform guesses."""

    written: Measures
    even: Measures


class Counted(TypedDict):
    """What a model writes that only counts pairs of the run's text."""

    loss: float
    about: str  # what it knows, in a sentence
    text: str
    measures: Measures


class SamplesReport(Report):
    """The run's samples from the `first` on; 0 is a run that is new to the page."""

    first: int
    prompt: str
    vocabSize: int
    scale: Scale
    counted: Counted
    every: int  # iterations
    samples: list[Sample]
