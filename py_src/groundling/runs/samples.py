"""What a model writes while it learns, and from what.

    sample = write(model, corpus, stream, iter=200, loss=2.77)

labs/textstats.py has what can be measured of it.
"""

from dataclasses import dataclass

from ..data import SHAKESPEARE_VOCAB, Corpus, Vocabulary
from ..model import GPT
from ..rng import Stream
from .writer import generate

LENGTH = 80  # characters of a sample
TEMPERATURE = 0.8
SHAKESPEARE_PROMPT = "?\n\nGREMIO:\nGood morrow, neighbou"
PROMPT_LENGTH = 32  # characters of the validation text that a sample goes on from


@dataclass(frozen=True)
class Sample:
    """What a model wrote after its prompt, and when."""

    iter: int  # how many updates had been made
    loss: float | None  # nats, of the latest validation by then; None before the first
    text: str


def prompt(corpus: Corpus) -> str:
    """The prompt of every sample: the beginning of the validation text."""
    return corpus.decode(corpus.val[:PROMPT_LENGTH]).strip("\ufffd") or "\n"


def beginning(vocabulary: Vocabulary) -> str:
    """A prompt that needs no text: Shakespeare's, else a line break or the first character."""
    if isinstance(vocabulary, Corpus):
        return prompt(vocabulary)
    if vocabulary.vocab == SHAKESPEARE_VOCAB:
        return SHAKESPEARE_PROMPT
    return "\n" if "\n" in vocabulary.vocab else vocabulary.vocab[0]


def opening(vocabulary: Vocabulary) -> str | None:
    """The default text of the page's prompts; None for Shakespeare's."""
    return None if vocabulary.vocab == SHAKESPEARE_VOCAB else beginning(vocabulary)


def write(model: GPT, corpus: Corpus, stream: Stream, iter: int, loss: float | None) -> Sample:
    """Write the next sample. The stream advances from sample to sample."""
    text = generate(model, corpus, prompt(corpus), LENGTH, stream, temperature=TEMPERATURE)
    return Sample(iter, loss, text)
