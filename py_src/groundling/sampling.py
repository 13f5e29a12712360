"""Make a model talk: draw one character after another from what it thinks comes next.

`generate` is all there is to it. runs/writer.py writes the same text, much faster: the whole loop
runs on the device, and what was computed for earlier characters is kept.
"""

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
    """`length` characters that follow the prompt; the same ones for the same seed.

    ValueError for settings out of range, an empty prompt, or a character outside the vocabulary.
    """
    tokens = check_prompt(corpus, prompt, length).tolist()
    model.eval()
    for u in Stream(f"{seed}:sample").uniform(length):
        window = tokens[-model.config.block_size :]  # the model sees no further back
        with no_grad():
            logits = model(model.device.tensor(np.array([window], np.uint32))).numpy()[0, -1]
        tokens.append(draw(distribution(logits, temperature, top_k, top_p).drawn, u))
    return corpus.decode(tokens[-length:])


def draw(chances: np.ndarray, u: float) -> int:
    """The token at which the running sum of the chances (V,) passes u, from 0 to 1."""
    token = np.searchsorted(np.cumsum(chances), u * chances.sum(), side="right")
    return int(min(token, np.flatnonzero(chances)[-1]))


@dataclass(frozen=True)
class Distribution:
    """What a token is drawn from. Each array is (V,), by token; the chances are float64."""

    chances: np.ndarray  # softmax(logits / temperature): before anything is left out
    is_top: np.ndarray  # among the top_k largest
    is_kept: np.ndarray  # and in the nucleus too: it can be drawn
    drawn: np.ndarray  # the chances that it is drawn: 0 where it is left out, else they sum to 1
    ranked: np.ndarray  # the tokens, the likeliest first


def distribution(
    logits: np.ndarray, temperature: float = 0.8, top_k: int | None = None, top_p: float = 1.0
) -> Distribution:
    """What `sample_token` draws from: logits (V,), temperature, then top_k, then top_p.

    The nucleus (Holtzman et al. 2019, "The Curious Case of Neural Text Degeneration") is the fewest
    of the likeliest tokens whose chances, among the top_k, reach top_p; at least one. Of equal
    logits the first in the vocabulary ranks higher. ValueError for settings out of range.
    """
    logits = np.asarray(logits, np.float64)
    top_k = len(logits) if top_k is None else top_k
    check_settings(temperature, top_k, top_p)
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

    It is the loss of that token, at temperature 1 and with nothing left out.
    """
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    at = np.asarray(tokens, np.int64)[..., None]
    return np.log(np.exp(shifted).sum(-1)) - np.take_along_axis(shifted, at, -1)[..., 0]


def check_settings(temperature: float, top_k: int, top_p: float) -> None:
    """ValueError for what cannot be drawn with."""
    if not 0.01 <= temperature <= 100:
        raise ValueError(f"temperature is {temperature}; it must be from 0.01 to 100.")
    if top_k < 1:
        raise ValueError(f"top_k is {top_k}; it must be at least 1.")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}; it must be above 0 and at most 1.")


def check_prompt(corpus: Vocabulary, prompt: str, length: int) -> np.ndarray:
    """The prompt's tokens, uint32. ValueError where there is nothing to go on from or to write."""
    tokens = corpus.encode(prompt)
    if not prompt:
        raise ValueError(
            "The prompt is empty; give it one character at least, a line break for instance."
        )
    if length < 1:
        raise ValueError(f"length is {length}; it must be at least 1.")
    return tokens
