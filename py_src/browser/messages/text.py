"""The reader's own text, and the model and training that are set up for it."""

from typing import Literal, NotRequired, TypedDict

from groundling.runs.texts import Manifest, Unusual

from .base import Command, Report, WithText

# ---- commands: `text` of a config is JSON of a model, its training, or both ----------------------


class TextCommand(Command):
    """Brings a file of the reader's text."""

    turn: int
    name: str
    bytes: bytes
    more: int  # files of this text that follow


class DraftCommand(WithText):
    """Asks what a config costs, or what is wrong with it."""

    bytes: NotRequired[bytes]  # a config file, in place of `text`


class WarmupCommand(Command):
    """Sets the number of warmup iterations, of the run or of the next one."""

    value: int


SetupsCommand = Command  # Asks for the presets, the form's fields, and the config in force.
UntextCommand = Command  # Goes back to tiny-shakespeare.
UseCommand = WithText  # Makes a config the next run's, or changes what can change of the run.
ConfigCommand = WithText  # Asks for a config as a file.

# ---- reports -------------------------------------------------------------------------------------

ConfigValue = float | str | bool | list[float]


class Config(TypedDict):
    """A config file. Its keys are those of FormField, and a few that have no choice."""

    model: dict[str, ConfigValue]
    training: dict[str, ConfigValue]


class FormField(TypedDict):
    """A hyper-parameter in the form."""

    part: Literal["model", "training"]
    key: str
    label: str
    about: str
    min: float
    max: float
    whole: bool  # whether it is an integer
    settled: bool  # whether a run keeps it until its end


class Preset(TypedDict):
    """A model of the table of sizes, with its costs in bytes, operations and seconds."""

    name: str
    layers: int
    heads: int
    width: int
    context: int
    parameters: int
    weights: int
    moments: int
    activations: int
    recomputed: bool  # the activations are one block's, computed again in the backward pass
    flops: float
    seconds: float | None
    refusal: str  # why the device cannot train it, or empty
    config: Config


class SetupsReport(Report):
    """The presets, and the fields of the form."""

    presets: list[Preset]
    fields: list[FormField]


class TextFacts(TypedDict):
    """What there is to know of a text."""

    ours: bool  # whether it is tiny-shakespeare
    manifest: Manifest
    characters: int
    lines: int
    words: int
    distinct: int
    common: list[tuple[str, int]]
    unusual: list[Unusual]
    nUnusual: int
    ratio: float  # characters per parameter
    advice: str


class TextReport(Report):
    """The text in use, or why the one that the page has brought is not used."""

    turn: int | None
    problem: str
    facts: TextFacts | None


class Draft(TypedDict):
    """A config and what it costs. With a problem, the costs may be missing."""

    problem: str
    config: Config | None  # null if it is not a config at all
    answer: NotRequired[bool]  # to the page's `draft`
    inForce: NotRequired[bool]
    parameters: NotRequired[int]
    memory: NotRequired[int]
    flops: NotRequired[float]
    seconds: NotRequired[float | None]
    advice: NotRequired[str]


class DraftReport(Report, Draft):
    """A config that was asked about, or the one in force."""
