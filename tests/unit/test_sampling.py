"""Sampling, against the same drawn anew in plain Python."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from groundling import sampling, sources
from groundling.config import GPTConfig
from groundling.data import Corpus
from groundling.devices.base import Device
from groundling.engine.tensor import no_grad
from groundling.model import GPT, initial_weights
from groundling.rng import Stream
from groundling.runs.writer import READ_EVERY, generate, stream
from groundling.sampling import distribution, surprise, until

CORPUS = Corpus("How far that little candle throws his beams! So shines a good deed.")
CONFIG = GPTConfig(
    vocab_size=CORPUS.vocab_size, block_size=11, n_layer=1, n_head=3, n_embd=12, d_ff=20
)
PROMPT = "So shines"  # 9 of the window's 11


@pytest.fixture
def model(device: Device) -> GPT:
    """An untrained model, with weights so large that it has opinions."""
    weights = initial_weights(CONFIG, "sampling")
    return GPT(CONFIG, device, weights + 0.5 * Stream("large").normal(weights.size))


def choose(logits: list, temperature: float, top_k: int, top_p: float, u: float) -> int:
    """Temperature, then top-k, then top-p, then the token at which the running sum passes u."""
    weights = [math.exp((x - max(logits)) / temperature) for x in logits]
    ranked = sorted(range(len(logits)), key=lambda i: (-logits[i], i))[:top_k]
    total, kept, so_far = sum(weights[i] for i in ranked), [], 0.0
    for i in ranked:
        if kept and so_far >= top_p * total:
            break
        kept.append(i)
        so_far += weights[i]
    passed = 0.0
    for i in sorted(kept):
        passed += weights[i]
        if passed > u * so_far:
            return i
    return max(kept)


def last_logits(model: GPT, text: str) -> list[float]:
    """The logits after the text's last token, of a forward pass over no more than its window."""
    tokens = CORPUS.encode(text)[-CONFIG.block_size :]
    with no_grad():
        return model.forward(model.device.tensor(tokens[None])).numpy()[0, -1].tolist()


def expected_text(model: GPT, prompt: str, length: int, seed: str, *settings: float) -> str:
    text = prompt
    for u in Stream(f"{seed}:sample").uniform(length):
        text += CORPUS.vocab[choose(last_logits(model, text), *settings, u)]
    return text[len(prompt) :]


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(1.0, 999, 1.0), (0.8, 3, 1.0), (2.0, 999, 0.5), (0.5, 6, 0.7), (1.3, 999, 0.01), (1, 1, 1)],
)
def test_text_is_drawn_by_temperature_then_top_k_then_top_p(
    model: GPT, temperature: float, top_k: int, top_p: float
):
    """30 characters: the window fills after 2 and slides for 28."""
    settings = dict(temperature=temperature, top_k=top_k, top_p=top_p)
    text = generate(model, CORPUS, PROMPT, 30, "seed", **settings)
    assert text == expected_text(model, PROMPT, 30, "seed", temperature, top_k, top_p)
    assert text == sampling.generate(model, CORPUS, PROMPT, 30, "seed", **settings)


def draw(device: Device, logits: list, u: float, *settings: float) -> int:
    """One token by the kernel."""
    V = len(logits)
    window, length, count = (device.tensor(np.zeros(n, np.uint32)) for n in (4, 1, 1))
    out = device.tensor(np.array([V], np.uint32))
    tensors = (device.tensor(x) for x in (logits, [u], settings))
    device.run("sample_token", *tensors, window, length, out, count, vocab_size=V, block_size=4)
    return int(out.item())


def test_the_order_of_the_three_matters(device: Device):
    """Probabilities 0.4, 0.3, 0.2, 0.1. Top-2 leaves 4/7 and 3/7: then 0.5 keeps one alone."""
    logits = np.log([0.1, 0.3, 0.4, 0.2])
    assert draw(device, logits, 0.0, 1.0, 2, 0.5) == 2
    assert draw(device, logits, 0.999, 1.0, 2, 0.5) == 2
    # Without top-k the first 0.4 does not reach 0.5, so two are kept.
    assert draw(device, logits, 0.0, 1.0, 4, 0.5) == 1
    # At temperature 0.5 the probabilities go as their squares, 16, 9, 4, 1 of 30: one again.
    assert draw(device, logits, 0.0, 0.5, 4, 0.5) == 2


def test_the_draw_walks_the_vocabulary_in_order(device: Device):
    logits = np.log([0.25, 0.5, 0.25])
    draws = [
        draw(device, logits, u, 1.0, 3, 1.0) for u in (0, 0.2499, 0.2501, 0.7499, 0.7501, 0.999)
    ]
    assert draws == [0, 0, 1, 1, 2, 2]


def test_of_equal_logits_the_first_rank_highest(device: Device):
    assert [draw(device, [1, 2, 2, 2], u, 1.0, 2, 1.0) for u in (0.1, 0.9)] == [1, 2]


def test_logits_past_the_exponentials_range_are_drawn_from(device: Device):
    assert [draw(device, [5000, 5000], u, 1.0, 2, 1.0) for u in (0.4, 0.6)] == [0, 1]
    assert draw(device, [-5000, -4000], 0.0, 0.01, 2, 1.0) == 1


def test_draws_are_as_frequent_as_they_are_probable(device: Device):
    """1,000 evenly spread u; a token's count is its probability, give or take one."""
    probabilities = np.array([0.05, 0.45, 0.2, 0.3])
    V, n = 4, 1000
    window, length, count = (device.tensor(np.zeros(k, np.uint32)) for k in (4, 1, 1))
    out, uniforms = device.tensor(np.zeros(n, np.uint32)), device.tensor((np.arange(n) + 0.5) / n)
    tensors = device.tensor(np.log(probabilities)), uniforms, device.tensor([1.0, V, 1.0])
    for _ in range(n):
        device.run("sample_token", *tensors, window, length, out, count, vocab_size=V, block_size=4)
    counts = np.bincount(out.numpy(), minlength=V)
    np.testing.assert_allclose(counts, n * probabilities, atol=1)


def test_the_context_slides_only_when_it_is_full(device: Device):
    window = device.tensor(np.array([7, 8, 9, 0], np.uint32))
    length, count = device.tensor(np.array([3], np.uint32)), device.tensor(np.zeros(1, np.uint32))
    out = device.tensor(np.zeros(2, np.uint32))
    tensors = device.tensor([0.0, 5.0]), device.tensor([0.5, 0.5]), device.tensor([1.0, 1, 1.0])
    for expected in ([7, 8, 9, 1], [8, 9, 1, 1]):
        device.run("sample_token", *tensors, window, length, out, count, vocab_size=2, block_size=4)
        np.testing.assert_array_equal(window.numpy(), expected)
        assert length.item() == 4
    assert count.item() == 2


def test_a_prompt_longer_than_the_context_counts_by_its_end(model: GPT):
    prompt = "How far that little candle"
    text = generate(model, CORPUS, prompt, 8, "seed")
    assert text == generate(model, CORPUS, prompt[-CONFIG.block_size :], 8, "seed")
    assert text == expected_text(model, prompt, 8, "seed", 0.8, 999, 1.0)


def test_a_prompt_of_one_character_is_enough(model: GPT):
    assert generate(model, CORPUS, "H", 5, "s") == expected_text(model, "H", 5, "s", 0.8, 999, 1.0)


def test_one_seed_gives_one_text_and_another_seed_another(model: GPT):
    first, again, other = (generate(model, CORPUS, PROMPT, 40, seed) for seed in "aab")
    assert first == again != other


def test_a_text_of_any_length_takes_no_more_memory_than_what_is_read_of_it(model: GPT):
    endless = stream(model, CORPUS, PROMPT, 10**12, "seed")
    begun = next(endless) + next(endless)
    assert begun == generate(model, CORPUS, PROMPT, len(begun), "seed")


def test_a_longer_text_begins_as_a_shorter_one(model: GPT):
    assert generate(model, CORPUS, PROMPT, 40, "s").startswith(
        generate(model, CORPUS, PROMPT, 17, "s")
    )


@pytest.mark.parametrize("length", [1, READ_EVERY, READ_EVERY + 1, 3 * READ_EVERY - 1])
def test_a_stream_comes_in_parts_of_the_same_text(model: GPT, length: int):
    parts = list(stream(model, CORPUS, PROMPT, length, "s"))
    assert len(parts) == math.ceil(length / READ_EVERY)
    assert "".join(parts) == generate(model, CORPUS, PROMPT, length, "s")
    assert len("".join(parts)) == length


def test_sampling_takes_all_of_the_model_even_after_training_with_dropout(model: GPT):
    text = generate(model, CORPUS, PROMPT, 20, "s")
    thinned = GPT(replace(CONFIG, dropout=0.9), model.device, model.weights())
    thinned.train(model.device.tensor(np.array([1, 2], np.uint32)))  # as training leaves it
    assert generate(thinned, CORPUS, PROMPT, 20, "s") == text


def test_the_model_may_go_on_training_between_two_parts(model: GPT):
    parts = stream(model, CORPUS, PROMPT, 2 * READ_EVERY, "s")
    first = next(parts)
    model.load(np.zeros(model.weights().size, np.float32))  # every character equally likely
    rest = next(parts)
    uniforms = Stream("s:sample").uniform(2 * READ_EVERY)[READ_EVERY:]
    assert rest == "".join(CORPUS.vocab[int(u * CORPUS.vocab_size)] for u in uniforms)
    assert len(first) == READ_EVERY


def test_settings_at_the_ends_of_their_ranges_are_taken(model: GPT):
    for settings in (dict(temperature=0.01, top_p=1.0), dict(temperature=100, top_k=10**9)):
        assert len(generate(model, CORPUS, PROMPT, 1, "s", **settings)) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompt": ""}, "prompt is empty"),
        ({"prompt": "So €"}, "'€'"),
        ({"length": 0}, "length is 0"),
        ({"temperature": 0.005}, "temperature is 0.005"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.1}, "top_p is 1.1"),
    ],
)
def test_settings_out_of_range_are_refused(model: GPT, change: dict, said: str):
    given = dict(prompt=PROMPT, length=4, seed="s") | change
    with pytest.raises(ValueError, match=said):
        generate(model, CORPUS, **given)


# The cache


def written(model: GPT, length: int, read_every: int) -> tuple[str, np.ndarray, bool]:
    """A text, the logits it was drawn from, and whether the last one was from the cache."""
    logits: list[np.ndarray] = []
    settings = dict(logits=logits, read_every=read_every)
    text = "".join(stream(model, CORPUS, "So", length, "s", **settings))
    kernels = [command.kernel for command in model.device.replayed.commands]
    return text, np.array(logits), "attention_at" in kernels


@pytest.mark.parametrize(
    ("length", "read_every", "cached"), [(7, 16, True), (20, 20, False), (20, 3, False)]
)
def test_the_cache_changes_no_number(
    model: GPT, monkeypatch: pytest.MonkeyPatch, length: int, read_every: int, cached: bool
):
    """It is of use until the window's 11 tokens are there. To the bit on a GPU, where each row has
    its own sums in one order whatever the others are; as good as that with a BLAS.
    """
    text, logits, is_cached = written(model, length, read_every)
    assert is_cached == cached
    monkeypatch.setitem(sources.overlay, "py_src/groundling/model.py", "edited")
    plain_text, plain_logits, is_cached = written(model, length, read_every)
    assert not is_cached
    assert text == plain_text
    if model.device.name == "webgpu":
        np.testing.assert_array_equal(logits, plain_logits)
    np.testing.assert_allclose(logits, plain_logits, rtol=1e-5, atol=1e-5)


def test_a_model_of_ones_own_writes_without_the_cache(device: Device):
    """Every token looks at the first one, which a token alone would not see."""

    class Looking(GPT):
        def hidden(self, tokens):
            x = super().hidden(tokens)
            y = x.device.empty(*x.shape)
            x.device.run("position_embedding", x, x, y, size=x.size, period=CONFIG.n_embd)
            return y

    weights = initial_weights(CONFIG, "sampling")
    looking = Looking(CONFIG, device, weights + 0.5 * Stream("large").normal(weights.size))
    expected = expected_text(looking, "So", 20, "s", 0.8, 999, 1.0)
    assert generate(looking, CORPUS, "So", 20, "s") == expected


def test_two_texts_of_one_model_do_not_meet(model: GPT):
    texts = [stream(model, CORPUS, prompt, 40, "s", read_every=3) for prompt in ("So", "H")]
    pairs = list(zip(*texts, strict=True))
    for i, prompt in enumerate(("So", "H")):
        assert "".join(pair[i] for pair in pairs) == generate(model, CORPUS, prompt, 40, "s")


# What a token is drawn from


def independent(logits: list, temperature: float, top_k: int, top_p: float) -> dict:
    """Softmax, temperature, top-k and top-p once more, by loops over Python's numbers."""
    scaled = [x / temperature for x in logits]
    weights = [math.exp(x - max(scaled)) for x in scaled]
    ranked = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
    top = ranked[:top_k]
    kept, so_far = [], 0.0
    for i in top:
        if kept and top_p < 1 and so_far >= top_p * math.fsum(weights[j] for j in top):
            break
        kept.append(i)
        so_far += weights[i]
    return {
        "probabilities": [w / math.fsum(weights) for w in weights],
        "is_top": [i in top for i in range(len(logits))],
        "is_kept": [i in kept for i in range(len(logits))],
        "drawn": [w / so_far if i in kept else 0.0 for i, w in enumerate(weights)],
        "ranked": ranked,
    }


@pytest.mark.parametrize("temperature", [0.1, 0.8, 2.0])
@pytest.mark.parametrize("top_k", [1, 3, 65])
@pytest.mark.parametrize("top_p", [0.1, 0.9, 1.0])
def test_a_distribution_is_softmax_temperature_top_k_and_top_p(
    rng: np.random.Generator, temperature: float, top_k: int, top_p: float
):
    logits = 3 * rng.standard_normal(65).astype(np.float32)
    found = distribution(logits, temperature, top_k, top_p)
    for name, expected in independent(logits.tolist(), temperature, top_k, top_p).items():
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-12, err_msg=name)
    assert found.probabilities.sum() == pytest.approx(1) and found.drawn.sum() == pytest.approx(1)


def test_a_distribution_is_what_the_kernel_draws_from(device: Device, rng: np.random.Generator):
    """Over evenly spaced u, each token is drawn as often as its chance says, within one draw."""
    logits, n = rng.standard_normal(7).astype(np.float32), 100
    for settings in ((1.0, 7, 1.0), (0.7, 4, 1.0), (1.5, 5, 0.6)):
        tokens = [draw(device, logits, (i + 0.5) / n, *settings) for i in range(n)]
        expected = n * distribution(logits, *settings).drawn
        assert abs(np.bincount(tokens, minlength=7) - expected).max() < 1.01


def test_a_distribution_refuses_settings_out_of_range():
    with pytest.raises(ValueError, match="temperature is -1"):
        distribution(np.zeros(3), temperature=-1)


def test_temperature_0_draws_the_most_likely_token(rng: np.random.Generator):
    logits = rng.standard_normal(9).astype(np.float32)
    drawn = distribution(logits, temperature=0).drawn
    assert drawn.argmax() == logits.argmax() and drawn.max() == drawn.sum() == 1


def test_a_text_ends_before_what_stops_it_however_it_is_cut(rng: np.random.Generator):
    text = "abababcab abc"
    for stop, expected in (("abc", "abab"), ("x", text), ("ab", ""), ("cab ", "ababab")):
        cuts = sorted(rng.integers(0, len(text), 4))
        parts = [text[a:b] for a, b in pairwise([0, *cuts, len(text)])]
        assert "".join(until(parts, stop)) == expected


def test_surprise_is_the_loss_of_a_token(rng: np.random.Generator):
    logits = rng.standard_normal((2, 3, 5))
    tokens = rng.integers(0, 5, (2, 3))
    found = surprise(logits, tokens)
    for at in np.ndindex(2, 3):
        row = logits[at].tolist()
        expected = math.log(math.fsum(map(math.exp, row))) - row[tokens[at]]
        assert found[at] == pytest.approx(expected)
    assert surprise(np.array([1e4, 0.0]), np.array(1)) == pytest.approx(1e4)


def test_the_logits_of_each_character_come_with_it(model: GPT):
    seen: list[np.ndarray] = []
    text = PROMPT
    for part in stream(model, CORPUS, PROMPT, READ_EVERY + 3, "s", logits=seen):
        for character in part:
            row = seen[len(text) - len(PROMPT)]
            np.testing.assert_allclose(row, last_logits(model, text), rtol=1e-4, atol=1e-5)
            text += character
        assert len(seen) == len(text) - len(PROMPT)
    assert text[len(PROMPT) :] == generate(model, CORPUS, PROMPT, READ_EVERY + 3, "s")


def test_a_stream_that_is_given_goes_on_where_it_was(model: GPT):
    source = Stream("s:sample")
    first = generate(model, CORPUS, PROMPT, 12, source)
    assert first == generate(model, CORPUS, PROMPT, 12, "s")
    second = generate(model, CORPUS, PROMPT, 12, source)
    uniforms = Stream("s:sample").uniform(24)[12:]
    text = PROMPT
    for u in uniforms:
        text += CORPUS.vocab[choose(last_logits(model, text), 0.8, 999, 1.0, u)]
    assert second == text[len(PROMPT) :]
