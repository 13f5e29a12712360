"""Sample text from a model, one character after another.

`generate` is the whole algorithm. runs/writer.py generates the same text much faster: its loop runs
on the device, and it caches the keys and values of earlier tokens.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from .data import Vocabulary
from .engine.tensor import no_grad
from .model import GPT
from .rng import Stream


def generate(
    model: GPT,
    corpus: Vocabulary,
    prompt: str,
    length: int,
    seed: str,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float = 1.0,
) -> str:
    """Generate `length` characters that continue the prompt; the same seed gives the same text.

    ValueError for settings out of range, an empty prompt, or a character outside the vocabulary.
    """
    tokens = check_prompt(corpus, prompt, length).tolist()
    model.eval()
    for u in Stream(f"{seed}:sample").uniform(length):
        window = tokens[-model.config.block_size :]  # all that fits in the context
        with no_grad():
            logits = model(model.device.tensor(np.array([window], np.uint32))).numpy()[0, -1]
        tokens.append(draw(distribution(logits, temperature, top_k, top_p).drawn, u))
    return corpus.decode(tokens[-length:])


def draw(probabilities: np.ndarray, u: float) -> int:
    """The first token at which the cumulative sum of probabilities (V,) exceeds u, in [0, 1)."""
    token = np.searchsorted(np.cumsum(probabilities), u * probabilities.sum(), side="right")
    return int(min(token, np.flatnonzero(probabilities)[-1]))


@dataclass(frozen=True)
class Distribution:
    """The distribution of the next token. Each array is (V,); the probabilities are float64."""

    probabilities: np.ndarray  # softmax(logits / temperature), before top_k and top_p
    is_top: np.ndarray  # among the top_k most likely
    is_kept: np.ndarray  # and in the nucleus: it can be drawn
    drawn: np.ndarray  # the probabilities of being drawn: 0 if not kept; they sum to 1
    ranked: np.ndarray  # the tokens, most likely first


def distribution(
    logits: np.ndarray, temperature: float = 0.8, top_k: int | None = None, top_p: float = 1.0
) -> Distribution:
    """The distribution that the next token is drawn from: logits (V,), scaled by the temperature,
    then restricted by top_k, then by top_p.

    The nucleus (Holtzman et al. 2019, "The Curious Case of Neural Text Degeneration") is the
    smallest set of the most likely tokens whose probabilities, among the top_k, sum to top_p or
    more. Of equal logits the first in the vocabulary ranks higher. Temperature 0 is greedy: the
    most likely token is drawn. ValueError for settings out of range.
    """
    logits = np.asarray(logits, np.float64)
    top_k = len(logits) if top_k is None else top_k
    temperature, top_k = checked(temperature, top_k, top_p)
    weights = np.exp((logits - logits.max()) / temperature)
    ranked = np.argsort(-logits, kind="stable")
    top = ranked[:top_k]
    before = np.cumsum(weights[top]) - weights[top]  # of what ranks higher
    enough = top_p * weights[top].sum() if top_p < 1 else np.inf  # 1 is all, however it rounds
    nucleus = top[(before < enough) | (np.arange(len(top)) == 0)]
    is_top, is_kept = (np.isin(np.arange(len(logits)), part) for part in (top, nucleus))
    drawn = np.where(is_kept, weights, 0.0)
    return Distribution(weights / weights.sum(), is_top, is_kept, drawn / drawn.sum(), ranked)


def surprise(logits: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """-log softmax(logits)[token] in nats: logits (..., V), tokens (...) -> float64 (...).

    It is the loss of that token, at temperature 1, without top_k and top_p.
    """
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    at = np.asarray(tokens, np.int64)[..., None]
    return np.log(np.exp(shifted).sum(-1)) - np.take_along_axis(shifted, at, -1)[..., 0]


def checked(temperature: float, top_k: int, top_p: float) -> tuple[float, int]:
    """The temperature and top_k; a temperature of 0 is a top_k of 1. ValueError for a setting that
    is out of range.
    """
    if temperature != 0 and not 0.01 <= temperature <= 100:
        raise ValueError(
            f"temperature is {temperature}; it must be from 0.01 to 100, or 0, which always takes "
            "the most likely token."
        )
    if top_k < 1:
        raise ValueError(f"top_k is {top_k}; it must be at least 1.")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}; it must be above 0 and at most 1.")
    return (temperature, top_k) if temperature else (1.0, 1)


def until(parts: Iterable[str], stop: str) -> Iterator[str]:
    """A text that comes in parts, up to where `stop` first appears in it."""
    held = ""  # what may be the beginning of `stop`
    for part in parts:
        held += part
        if (at := held.find(stop)) >= 0:
            yield held[:at]
            return
        ready = max(0, len(held) - len(stop) + 1)
        yield held[:ready]
        held = held[ready:]
    yield held


def check_prompt(corpus: Vocabulary, prompt: str, length: int) -> np.ndarray:
    """The prompt's tokens, uint32. ValueError if the prompt is empty or the length below 1."""
    tokens = corpus.encode(prompt)
    if not prompt:
        raise ValueError(
            "The prompt is empty; give it one character at least, a line break for instance."
        )
    if length < 1:
        raise ValueError(f"length is {length}; it must be at least 1.")
    return tokens
