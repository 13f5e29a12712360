"""Make a model talk: draw one character after another from what it thinks comes next."""

from collections.abc import Iterator

import numpy as np

from .corpus import Corpus
from .jit import jit
from .model import GPT
from .ops import last_row, unembedding
from .rng import Stream
from .tensor import no_grad

READ_EVERY = 16  # characters drawn on the device between two reads


def generate(
    model: GPT, corpus: Corpus, prompt: str, length: int, seed: str, **settings: float
) -> str:
    """`length` characters that follow the prompt, all at once. Settings as in `stream`."""
    return "".join(stream(model, corpus, prompt, length, seed, **settings))


def stream(
    model: GPT,
    corpus: Corpus,
    prompt: str,
    length: int,
    seed: str,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float = 1.0,
) -> Iterator[str]:
    """Characters that follow the prompt, a few at a time, `length` in all; the same ones for the
    same seed.

    The logits are divided by the temperature, then all but the top_k largest are left out, then all
    but the fewest whose probabilities reach top_p. Draws come from the stream `<seed>:sample`. The
    model sees the prompt's last block_size characters at most, from the left of its window, which
    slides once it is full. The whole draw runs on the device. ValueError for settings out of range,
    an empty prompt, or a character outside the vocabulary.
    """
    device, T, V = model.device, model.config.block_size, model.config.vocab_size
    tokens = corpus.encode(prompt)[-T:]
    top_k = V if top_k is None else top_k
    _check(prompt, length, temperature, top_k, top_p)
    window = device.tensor(np.pad(tokens, (0, T - len(tokens))))
    seen = device.tensor(np.array([len(tokens)], np.uint32))
    uniforms = device.tensor(Stream(f"{seed}:sample").uniform(length))
    settings = device.tensor([temperature, min(top_k, V), top_p])
    drawn = device.tensor(np.zeros(length, np.uint32))
    count = device.tensor(np.zeros(1, np.uint32))

    @jit(device)
    def draw():
        model.dropout_key = None
        with no_grad():
            x = last_row(model.hidden(window.view(1, T)), seen)
            logits = unembedding(x, model.parameters["wte"])
        tensors = logits, uniforms, settings, window, seen, drawn, count
        device.run("sample_token", *tensors, vocab_size=V, block_size=T)

    for start in range(0, length, READ_EVERY):
        n = min(READ_EVERY, length - start)
        for _ in range(n):
            draw()
            device.submit()
        yield corpus.decode(drawn.view(n, offset=start).numpy())


def _check(prompt: str, length: int, temperature: float, top_k: int, top_p: float) -> None:
    if not prompt:
        raise ValueError(
            "The prompt is empty; give it one character at least, a line break for instance."
        )
    if length < 1:
        raise ValueError(f"length is {length}; it must be at least 1.")
    if not 0.01 <= temperature <= 100:
        raise ValueError(f"temperature is {temperature}; it must be from 0.01 to 100.")
    if top_k < 1:
        raise ValueError(f"top_k is {top_k}; it must be at least 1.")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}; it must be above 0 and at most 1.")
