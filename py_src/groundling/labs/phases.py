"""The phases of the default run, by what its samples look like.

phase_of(200).name    "Character frequency"
"""

import math
from dataclasses import dataclass, replace

from ..config import GPTConfig
from ..data import CHARACTERS, SHAKESPEARE_SHA256, Corpus


@dataclass(frozen=True)
class Phase:
    """A stretch of the default run, and what its samples look like."""

    name: str
    before: float  # the iteration it ends at
    about: str


PHASES = (
    Phase(
        "Random and uniform",
        50,
        "The weights are still noise, so every character is about as likely as any other, whatever "
        "came before it.",
    ),
    Phase(
        "Character frequency",
        300,
        "The model has learned how common each character is: many spaces and e's, few capitals. "
        "Which follows which, it knows only here and there.",
    ),
    Phase(
        "Word shapes",
        800,
        "Vowels and consonants take turns, and spaces come in time, so it looks like words. About "
        "one in four is one.",
    ),
    Phase(
        "Short words",
        1500,
        "Short words that are common come out right: the, and, thou, my. A line begins with a "
        "capital. About one word in three is one.",
    ),
    Phase(
        "Shakespeare-flavoured",
        math.inf,
        "Lines and speeches, and at times a name with a colon. More of the words are words, and "
        "none of it adds up: the model has the sound, not the sense.",
    ),
)


def phase_of(it: int) -> Phase:
    """The phase that the default run is in after `it` iterations."""
    return next(phase for phase in PHASES if it < phase.before)


def has_phases(corpus: Corpus, model: GPTConfig) -> bool:
    """Whether a run goes through PHASES: the default model does, on tiny-shakespeare."""
    known = corpus.sha256 == SHAKESPEARE_SHA256 and corpus.tokenizer == CHARACTERS
    return known and replace(model, dropout=0.0) == GPTConfig()
