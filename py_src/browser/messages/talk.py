"""Models that write: the Talk tab, and the text in Credits."""

from typing import Literal, TypedDict

from .base import Command, Report, VoiceName

# ---- commands ------------------------------------------------------------------------------------


class Knobs(TypedDict):
    """The settings of the sampler."""

    temperature: float
    topK: int
    topP: float


class VoiceCommand(Command):
    """Brings weights or a state, to be read as one of the models."""

    source: Literal["reference", "file"]
    name: str
    bytes: bytes


class TalkCommand(Command, Knobs):
    """Begins a text."""

    id: int
    source: VoiceName
    prompt: str
    seed: str
    length: int  # characters; 0 looks at the prompt and writes nothing


class WeighCommand(Command, Knobs):
    """Asks what a character was chosen from, with these settings."""

    turn: int
    at: int | None  # the character's place; null: the last one


class ReciteCommand(Command):
    """Asks for the next characters of the text in Credits."""

    prompt: str
    seed: str


UntalkCommand = Command  # Stops the text.

# ---- reports -------------------------------------------------------------------------------------


class Voice(TypedDict):
    """A model that can write."""

    name: str  # of its file
    seed: str
    iter: int
    valLoss: float | None
    parameters: int
    vocabSize: int
    opening: str | None  # a prompt from its text; null where one of Shakespeare's will do


class VoiceReport(Report):
    """A file was read as a model, or why it was not."""

    source: Literal["reference", "file"]
    problem: str  # with the file's name, or empty
    voice: Voice | None


class TalkReport(Report):
    """How far a text is."""

    id: int
    phase: Literal["begun", "writing", "done", "stopped", "failed"]
    prompt: str | None
    text: str  # the new characters
    nats: list[float | None]
    """Their surprises; with "begun" those of the prompt, null where there is no context."""
    probabilities: list[float]  # the probabilities with which they were drawn
    problem: str


Fate = Literal["kept", "top_p", "top_k"]
"""Whether a character can be drawn; if not, whether top_p or top_k excludes it."""


class Chosen(TypedDict):
    """The character that is there, among those that it was chosen from."""

    nats: float | None  # its surprise; null if it is infinite
    rank: int
    drawn: float | None  # the probability with which it was drawn


class WeighedReport(Report):
    """What the character at a place was chosen from."""

    id: int  # of the text
    turn: int
    at: int
    character: str | None  # null if it is still to come
    bars: list[tuple[str, float, float, Fate]]
    """Characters, the likeliest first: each with its probability at this temperature, its
    probability to be drawn, and its fate."""
    chosen: Chosen | None


class RecitedReport(Report):
    """The next characters of the text in Credits."""

    text: str
    problem: str
