"""Make a model talk: draw one character after another from what it thinks comes next."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .corpus import Vocabulary
from .jit import jit
from .model import GPT
from .ops import last_row, unembedding
from .rng import Stream
from .tensor import no_grad

READ_EVERY = 16  # characters drawn on the device between two reads
ALIGN = 64  # floats: where WebGPU can bind a row of logits


def generate(
    model: GPT, corpus: Vocabulary, prompt: str, length: int, seed: str | Stream, **settings: float
) -> str:
    """`length` characters that follow the prompt, all at once. Settings as in `stream`."""
    return "".join(stream(model, corpus, prompt, length, seed, **settings, read_every=length))


def stream(
    model: GPT,
    corpus: Vocabulary,
    prompt: str,
    length: int,
    seed: str | Stream,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float = 1.0,
    logits: list[np.ndarray] | None = None,
    read_every: int = READ_EVERY,
) -> Iterator[str]:
    """Characters that follow the prompt, a few at a time, `length` in all; the same ones for the
    same seed.

    The logits are divided by the temperature, then all but the top_k largest are left out, then all
    but the fewest whose probabilities reach top_p; see `distribution`. Draws come from the stream
    `<seed>:sample`, or from a Stream that is given, which is then `length` draws further. The
    model sees the prompt's last block_size characters at most, from the left of its window, which
    slides once it is full. The whole draw runs on the device. A list that is given as `logits` gets
    those that each character was drawn from, float32 (V,). ValueError for settings out of range,
    an empty prompt, or a character outside the vocabulary.
    """
    device, T, V = model.device, model.config.block_size, model.config.vocab_size
    tokens = corpus.encode(prompt)[-T:]
    top_k = V if top_k is None else top_k
    check_settings(temperature, top_k, top_p)
    if not prompt:
        raise ValueError(
            "The prompt is empty; give it one character at least, a line break for instance."
        )
    if length < 1:
        raise ValueError(f"length is {length}; it must be at least 1.")
    source = Stream(f"{seed}:sample") if isinstance(seed, str) else seed
    window = device.tensor(np.pad(tokens, (0, T - len(tokens))))
    seen = device.tensor(np.array([len(tokens)], np.uint32))
    uniforms = device.tensor(source.uniform(length))
    settings = device.tensor([temperature, min(top_k, V), top_p])
    drawn = device.tensor(np.zeros(length, np.uint32))
    count = device.tensor(np.zeros(1, np.uint32))

    rows, row = min(length, read_every), -(-V // ALIGN) * ALIGN
    seen_logits = None if logits is None else device.empty(rows, row)

    @jit(device)
    def draw():
        model.dropout_key = None
        with no_grad():
            x = last_row(model.hidden(window.view(1, T)), seen)
            logits = unembedding(x, model.parameters["wte"])
        tensors = logits, uniforms, settings, window, seen, drawn, count
        device.run("sample_token", *tensors, vocab_size=V, block_size=T)
        return logits

    def parts():
        for start in range(0, length, read_every):
            n = min(read_every, length - start)
            for at in range(n):
                latest = draw()
                if seen_logits:
                    place = seen_logits.view(V, offset=at * row)
                    device.run("copy", latest, place, size=V, factor=1.0, accumulate=0)
                device.submit()
            if seen_logits:
                logits.extend(seen_logits.numpy()[:n, :V])
            yield drawn.view(n, offset=start).numpy()

    yield from corpus.decoding(parts())


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
