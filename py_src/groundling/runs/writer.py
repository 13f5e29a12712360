"""Fast text generation: the text of sampling.py, by a loop on the device with a cache."""

import math
import time
from collections.abc import Callable, Iterator
from copy import copy
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np

from .. import sources
from ..data import Vocabulary
from ..engine.ops import last_row, unembedding
from ..engine.parameters import ALIGN
from ..engine.tensor import Tensor, no_grad
from ..model import GPT, Attention
from ..rng import Stream
from ..sampling import check_prompt, checked

READ_EVERY = 16  # characters generated between two reads
MOST = 512  # characters between two reads
SECONDS = 0.05  # of work that is submitted at a time, so that the page stays responsive
SURER = 4  # time a submit again if it has this many times the draws of the last timing
TOO_LONG = 0.2  # seconds for a submit, after which the timings are discarded


def generate(
    model: GPT, corpus: Vocabulary, prompt: str, length: int, seed: str | Stream, **settings: float
) -> str:
    """`length` characters that continue the prompt. Settings as in `stream`."""
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
    """Yield `length` characters that continue the prompt, a few at a time; the same seed gives the
    same text.

    Settings as in sampling.distribution. Draws come from the stream `<seed>:sample`, or from the
    Stream that is given, which advances by a draw for each character. The model sees at most the
    last block_size characters; its window slides once it is full. If a list is given as `logits`,
    the logits that each character was drawn from are appended to it, float32 (V,). ValueError for
    settings out of range, an empty prompt, or a character outside the vocabulary.
    """
    V = model.config.vocab_size
    top_k = V if top_k is None else top_k
    temperature, top_k = checked(temperature, top_k, top_p)
    tokens = check_prompt(corpus, prompt, length)[-model.config.block_size :]
    source = Stream(f"{seed}:sample") if isinstance(seed, str) else seed
    parts = min(read_every, MOST)

    def drawn() -> Iterator[np.ndarray]:
        writer = Writer.of(model)
        try:
            writer.begin(tokens, (temperature, min(top_k, V), top_p))
            for start in range(0, length, parts):
                yield writer.draw(source.uniform(min(parts, length - start)), logits)
        finally:
            writer.end(model)

    yield from corpus.decoding(drawn())


class Writer:
    """A model's window of tokens, and two captured plans that draw the next token and append it.

    `whole` runs the model on the whole window, and fills a cache with every layer's keys and
    values. While the window is not full, `one` runs the model on the newest token alone. Once the
    window slides, the position of every token changes, and the cache cannot be used. Both plans
    include the draw, so that any number of draws is one submit.

    `one` runs the model's own blocks on one token. Only the embedding and the attention differ:
    they look up the position and the cache. An edited model may compute a token alone differently
    from the same token among others, so only `whole` is used for it.
    """

    kept: WeakKeyDictionary[GPT, list["Writer"]] = WeakKeyDictionary()
    """Writers that are not in use. Capturing one takes longer than generating a short text."""

    def __init__(self, model: GPT):
        device, config = model.device, model.config
        T, V, C = config.block_size, config.vocab_size, config.n_embd
        self.device, self.V, self.T, self.code = device, V, T, dict(sources.overlay)
        self.window = device.tensor(np.zeros(T, np.uint32))
        self.seen = device.tensor(np.ones(1, np.uint32))  # tokens in the window
        self.count = device.tensor(np.zeros(1, np.uint32))  # draws since the last read
        self.settings = device.tensor(np.ones(3))
        self.uniforms = device.tensor(np.zeros(MOST))
        self.drawn = device.tensor(np.zeros(MOST, np.uint32))
        self.row = -(-V // ALIGN) * ALIGN
        self.logits = device.empty(MOST, self.row)
        self.caches = [device.empty(T, 3 * C) for _ in range(config.n_layer)]
        self.length = 0  # a copy of `seen` on the host
        self.costs: dict[Callable, float] = {}  # seconds a draw, by plan
        self.timed: dict[Callable, int] = {}  # draws that this was measured on, by plan

        def draw(x: Tensor) -> None:
            logits = unembedding(x, model.wte)
            device.run("keep_row", logits, self.count, self.logits, size=V, stride=self.row)
            settings = self.uniforms, self.settings, self.window, self.seen, self.drawn, self.count
            device.run("sample_token", logits, *settings, vocab_size=V, block_size=T)

        def fill(layer: int, attention: Attention, qkv: Tensor) -> Tensor:
            cache = self.caches[layer]
            device.run("copy", qkv, cache, size=cache.size, factor=1.0, accumulate=0)
            return attention.attend(qkv)

        def look_up(layer: int, attention: Attention, qkv: Tensor) -> Tensor:
            y, n_head = device.empty(1, 1, C), attention.n_head
            heads = dict(n_head=n_head, head_size=C // n_head)
            device.run("attention_at", qkv, self.seen, self.caches[layer], y, **heads)
            return y

        is_ours = type(model) is GPT and not self.code and device.capturing_enabled
        filling = _attending(model, fill) if is_ours else model

        def whole() -> None:
            model.eval()
            with no_grad():
                draw(last_row(filling.hidden(self.window.view(1, T)), self.seen))

        def one() -> None:
            model.eval()
            with no_grad():
                x, sizes = device.empty(1, 1, C), dict(n_embd=C, vocab_size=V)
                tables = model.wte, model.wpe
                device.run("embedding_at", self.window, self.seen, *tables, x, **sizes)
                for block in _attending(model, look_up).h:
                    x = block(x)
                draw(model.ln_f(x).view(1, C))

        self.one: Callable[[int], None] | None = None
        if not device.capturing_enabled:
            self.whole = _again(whole)
            return
        self.whole = self._capture(whole)
        if is_ours:
            self.one = self._capture(one)

    @classmethod
    def of(cls, model: GPT) -> "Writer":
        """A writer for the current code that is not in use, or a new one."""
        free = cls.kept.get(model, [])
        while free:
            writer = free.pop()
            if writer.code == sources.overlay and model.device.capturing_enabled:
                return writer
        return cls(model)

    def end(self, model: GPT) -> None:
        """Keep the writer for the model's next text."""
        if self.device.capturing_enabled:
            self.kept.setdefault(model, []).append(self)

    def begin(self, tokens: np.ndarray, settings: tuple[float, int, float]) -> None:
        """Set the window to these tokens, from 1 to block_size of them."""
        self.length = len(tokens)
        self.device.write(self.window, np.pad(tokens, (0, self.T - self.length)))
        self.device.write(self.seen, np.array([self.length], np.uint32))
        self.device.write(self.settings, settings)

    def draw(self, uniforms: np.ndarray, logits: list[np.ndarray] | None) -> np.ndarray:
        """The next tokens, one per uniform number, at most MOST, by the present weights."""
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
        """Whether the timings say that all parts take at most SECONDS: one submit, then."""
        is_known = all(k <= 2 * SURER * self.timed.get(work, 0) for work, k in parts)
        return is_known and sum(k * self.costs[work] for work, k in parts if k) <= SECONDS

    def _run(self, work: Callable[[int], None], n: int, at_once: bool) -> None:
        """Run a plan n times: not submitted if `at_once`, else in timed submits of SECONDS."""
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
        """Time k runs of a plan, less the latency of a wait, at most three quarters of it all."""
        idle = self._wait()
        work(k)
        taken = self._wait()
        self.costs[work], self.timed[work] = max(taken - idle, taken / 4, 1e-9) / k, k

    def _wait(self) -> float:
        """Wait for the device; the seconds that it took."""
        began = time.perf_counter()
        self.count.item()
        return time.perf_counter() - began

    def _capture(self, work: Callable) -> Callable[[int], None]:
        device = self.device
        with device.capture() as plan:
            work()
        return lambda times: device.replay(plan, times=times)


def _attending(model: GPT, attend: Callable[[int, Attention, Tensor], Tensor]) -> GPT:
    """The same model with the same weights, with another function for the layers' attention."""
    other = copy(model)
    other.h = [copy(block) for block in model.h]
    for layer, block in enumerate(other.h):
        attention = block.attn
        block.attn = copy(attention)
        block.attn.attend = partial(attend, layer, attention)
    return other


def _again(work: Callable) -> Callable[[int], None]:
    def repeat(times: int) -> None:
        for _ in range(times):
            work()

    return repeat
