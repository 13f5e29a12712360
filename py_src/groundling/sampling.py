"""Make a model talk: draw one character after another from what it thinks comes next."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from . import sources
from .data import Vocabulary
from .engine.ops import last_row, unembedding
from .engine.plan import Command
from .engine.tensor import Tensor, no_grad
from .model import GPT
from .rng import Stream

READ_EVERY = 16  # characters drawn on the device between two reads
MOST = 512  # of them
ALIGN = 64  # floats: where WebGPU can bind a row of logits
SECONDS = 0.05  # that the device is given work for at a time, so that the page stays responsive
SURER = 4  # times as many draws as were timed before are worth being timed again
TOO_LONG = 0.2  # seconds for a submit: what was measured no longer holds


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
    V = model.config.vocab_size
    tokens = corpus.encode(prompt)[-model.config.block_size :]
    top_k = V if top_k is None else top_k
    check_settings(temperature, top_k, top_p)
    if not prompt:
        raise ValueError(
            "The prompt is empty; give it one character at least, a line break for instance."
        )
    if length < 1:
        raise ValueError(f"length is {length}; it must be at least 1.")
    source = Stream(f"{seed}:sample") if isinstance(seed, str) else seed
    uniforms = source.uniform(length)
    parts = min(read_every, MOST)

    def drawn() -> Iterator[np.ndarray]:
        writer = Writer.of(model)
        try:
            writer.begin(tokens, (temperature, min(top_k, V), top_p))
            for start in range(0, length, parts):
                yield writer.draw(uniforms[start : start + parts], logits)
        finally:
            writer.end(model)

    yield from corpus.decoding(drawn())


class Writer:
    """A model's window, and the two plans that draw from it and append to it.

    `whole` runs the model on the whole window. In passing it fills a cache: every layer's keys and
    values. While the window is not full, `one` then runs the model on the newest token alone. Once
    the window slides, every token has another position, and there is nothing to keep. Both end in
    the draw, so that any number of draws is one submit.

    `one` is what the model itself does with one token, but for its embeddings and its attention,
    which look the position and the cache up. An edited model may do something else with a token
    alone than with the same among others: there `whole` does everything.
    """

    kept: WeakKeyDictionary[GPT, list["Writer"]] = WeakKeyDictionary()
    """Those that are not at work: capturing takes longer than a short text."""

    def __init__(self, model: GPT):
        device, config = model.device, model.config
        T, V, C = config.block_size, config.vocab_size, config.n_embd
        self.device, self.V, self.T, self.code = device, V, T, dict(sources.overlay)
        self.window = device.tensor(np.zeros(T, np.uint32))
        self.seen = device.tensor(np.ones(1, np.uint32))  # tokens in the window
        self.count = device.tensor(np.zeros(1, np.uint32))  # draws of this part
        self.settings = device.tensor(np.ones(3))
        self.uniforms = device.tensor(np.zeros(MOST))
        self.drawn = device.tensor(np.zeros(MOST, np.uint32))
        self.row = -(-V // ALIGN) * ALIGN
        self.logits = device.empty(MOST, self.row)
        self.caches = [device.empty(T, 3 * C) for _ in range(config.n_layer)]
        self.length = 0  # as `seen`, without asking the device
        self.costs: dict[Callable, float] = {}  # seconds a draw, by what makes it
        self.timed: dict[Callable, int] = {}  # how many draws that was found from

        def draw(x: Tensor) -> None:
            logits = unembedding(x, model.parameters["wte"])
            device.run("keep_row", logits, self.count, self.logits, size=V, stride=self.row)
            settings = self.uniforms, self.settings, self.window, self.seen, self.drawn, self.count
            device.run("sample_token", logits, *settings, vocab_size=V, block_size=T)

        def whole() -> None:
            model.dropout_key = None
            with no_grad():
                draw(last_row(model.hidden(self.window.view(1, T)), self.seen))

        def one() -> None:
            model.dropout_key = None
            with no_grad():
                draw(model.hidden(self.window.view(1, T).view(1, 1)).view(1, C))

        self.one: Callable[[int], None] | None = None
        if not device.capturing_enabled:
            self.whole = _again(whole)
            return
        is_ours = type(model) is GPT and not self.code
        self.whole = self._capture(whole, self._fill_caches if is_ours else list)
        if is_ours:
            self.one = self._capture(one, self._use_caches)

    @classmethod
    def of(cls, model: GPT) -> "Writer":
        """One for the code as it is now, that nobody else uses."""
        free = cls.kept.get(model, [])
        while free:
            writer = free.pop()
            if writer.code == sources.overlay and model.device.capturing_enabled:
                return writer
        return cls(model)

    def end(self, model: GPT) -> None:
        """Let it be used for the model's next text."""
        if self.device.capturing_enabled:
            self.kept.setdefault(model, []).append(self)

    def begin(self, tokens: np.ndarray, settings: tuple[float, int, float]) -> None:
        """Go on from these tokens, one at least and no more than the window has."""
        self.length = len(tokens)
        self.device.write(self.window, np.pad(tokens, (0, self.T - self.length)))
        self.device.write(self.seen, np.array([self.length], np.uint32))
        self.device.write(self.settings, settings)

    def draw(self, uniforms: np.ndarray, logits: list[np.ndarray] | None) -> np.ndarray:
        """The next tokens, one for each of the numbers, MOST at most. The model may have changed
        since the last ones.
        """
        n = len(uniforms)
        self.device.write(self.uniforms, np.pad(uniforms, (0, MOST - n)))
        self.device.write(self.count, np.zeros(1, np.uint32))
        alone = min(n - 1, self.T - self.length) if self.one else 0
        parts = [(self.whole, n)]
        if alone > 0:
            parts = [(self.whole, 1), (self.one, alone), (self.whole, n - 1 - alone)]
        self.length = min(self.T, self.length + n)
        began, at_once = time.perf_counter(), self._is_short(parts)
        for work, k in parts:
            self._run(work, k, at_once)
        tokens = self.drawn.view(n).numpy()
        if at_once and time.perf_counter() - began > TOO_LONG:
            self.timed.clear()
        if logits is not None:
            logits.extend(self.logits.view(n, self.row).numpy()[:, : self.V])
        return tokens

    def _is_short(self, parts: list[tuple[Callable[[int], None], int]]) -> bool:
        """Whether the device is known to do all that in SECONDS, so that it can be one submit."""
        is_known = all(k <= 2 * SURER * self.timed.get(work, 0) for work, k in parts)
        return is_known and sum(k * self.costs[work] for work, k in parts if k) <= SECONDS

    def _run(self, work: Callable[[int], None], n: int, at_once: bool) -> None:
        """Do it n times, unsent if that is to be one submit with what comes next; else as many at
        once as the device does in SECONDS. What that takes is measured, and kept for other texts.
        """
        if at_once and n:
            work(n)
            return
        while n > 0:
            k = max(1, min(n, int(SECONDS / self.costs.get(work, math.inf))))
            n -= k
            if n or k >= SURER * self.timed.get(work, 0):
                self._measure(work, k)
            else:
                work(k)
                self.device.submit()

    def _measure(self, work: Callable[[int], None], k: int) -> None:
        """Do it k times, and note how long that takes. What waiting takes by itself is not counted
        in, but a fourth of all that was waited always is, as that varies.
        """
        idle = self._wait()
        work(k)
        taken = self._wait()
        self.costs[work], self.timed[work] = max(taken - idle, taken / 4, 1e-9) / k, k

    def _wait(self) -> float:
        """How long it takes until all that was asked for is done."""
        began = time.perf_counter()
        self.count.item()
        return time.perf_counter() - began

    def _capture(self, work: Callable, rewrite: Callable) -> Callable[[int], None]:
        device = self.device
        with device.capture(rewrite=rewrite) as plan:
            work()
        return lambda times: device.replay(plan, times=times)

    def _fill_caches(self, commands: list[Command]) -> list[Command]:
        """The same, where each layer's queries, keys and values are copied to its cache."""
        caches, found = iter(self.caches), []
        for c in commands:
            if c.kernel == "attention":
                cache = next(caches)
                sizes = dict(size=cache.size, factor=1.0, accumulate=0)
                found.append(Command("copy", (c.tensors[0], cache), sizes))
            found.append(c)
        return found

    def _use_caches(self, commands: list[Command]) -> list[Command]:
        """The same for the newest token alone, at its place, as `_fill_caches` has left it."""
        (_, wte, _), (_, wpe, y) = (c.tensors for c in commands[:2])
        sizes = {name: commands[0].params[name] for name in ("n_embd", "vocab_size")}
        found = [Command("embedding_at", (self.window, self.seen, wte, wpe, y), sizes)]
        caches = iter(self.caches)
        for c in commands[2:]:
            if c.kernel == "attention":
                qkv, y, _ = c.tensors
                heads = {name: c.params[name] for name in ("n_head", "head_size")}
                c = Command("attention_at", (qkv, self.seen, next(caches), y), heads)
            found.append(c)
        return found


def _again(work: Callable) -> Callable[[int], None]:
    def repeat(times: int) -> None:
        for _ in range(times):
            work()

    return repeat


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
