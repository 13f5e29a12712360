"""What is seen inside a model, against a forward pass of its own in float64, and against the steps
that training really makes. tests/gpu runs these on WebGPU too.
"""

import math

import numpy as np
import pytest

from groundling import model as model_module
from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.base import Device
from groundling.engine.tensor import no_grad
from groundling.labs.lens import Lens, health
from groundling.model import GPT, initial_weights, parameter_shapes
from groundling.runs.run import Run
from groundling.train import train

CONFIG = GPTConfig(vocab_size=23, block_size=20, n_layer=3, n_head=2, n_embd=12, d_ff=40)
TEXT = "To be, or not to be, that is the question:\n" * 20


def trained_weights(config: GPTConfig, rng: np.random.Generator) -> np.ndarray:
    """Weights far from their beginning, so that heads look somewhere and layers disagree."""
    weights = initial_weights(config, "lens")
    return (weights + 0.3 * rng.standard_normal(weights.size)).astype(np.float32)


def by_hand(config: GPTConfig, weights: np.ndarray, tokens: np.ndarray):
    """Attention (L, H, n, n) and probabilities (L + 1, n, V), in float64, written anew."""
    w, at = {}, 0
    for name, shape in parameter_shapes(config).items():
        w[name] = weights[at : at + math.prod(shape)].astype(np.float64).reshape(shape)
        at += math.prod(shape)

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    def chances(x):
        logits = norm(x, "ln_f") @ w["wte"].T
        e = np.exp(logits - logits.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    n, H, d = len(tokens), config.n_head, config.n_embd // config.n_head
    x = w["wte"][tokens] + w["wpe"][:n]
    maps, lens = [], [chances(x)]
    for layer in range(config.n_layer):
        h = f"h.{layer}"
        q, k, v = np.split(norm(x, f"{h}.ln_1") @ w[f"{h}.attn.c_attn"], 3, axis=1)
        heads, out = [], np.zeros_like(x)
        for head in range(H):
            part = slice(head * d, (head + 1) * d)
            weights_of = np.zeros((n, n))
            for i in range(n):
                scores = np.array([q[i, part] @ k[j, part] for j in range(i + 1)]) / math.sqrt(d)
                e = np.exp(scores - scores.max())
                weights_of[i, : i + 1] = e / e.sum()
            heads.append(weights_of)
            out[:, part] = weights_of @ v[:, part]
        maps.append(heads)
        x = x + out @ w[f"{h}.attn.c_proj"]
        a = norm(x, f"{h}.ln_2") @ w[f"{h}.mlp.c_fc"]
        a = 0.5 * a * (1 + np.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3)))
        x = x + a @ w[f"{h}.mlp.c_proj"]
        lens.append(chances(x))
    return np.array(maps), np.array(lens)


@pytest.mark.parametrize("n", [1, 7, 20])
def test_what_is_seen_is_what_a_forward_pass_by_hand_does(device: Device, rng, n: int):
    weights = trained_weights(CONFIG, rng)
    tokens = rng.integers(0, CONFIG.vocab_size, n).astype(np.uint32)
    look = Lens(GPT(CONFIG, device, weights)).look(tokens)
    maps, lens = by_hand(CONFIG, weights, tokens)
    assert look.attention.shape == (3, 2, n, n) and look.lens.shape == (4, n, 23)
    np.testing.assert_allclose(look.attention, maps, atol=2e-5)
    np.testing.assert_allclose(look.lens, lens, atol=2e-5)  # float32 against float64
    np.testing.assert_allclose(look.attention.sum(-1), 1, atol=1e-6)


def test_the_weights_are_those_that_the_attention_kernel_sums_with(device: Device, rng):
    B, T, C, H = 1, 9, 12, 2
    qkv = rng.standard_normal((B, T, 3 * C)).astype(np.float32)
    from groundling.engine.ops import causal_attention
    from groundling.labs.lens import attention

    with no_grad():
        y = causal_attention(device.tensor(qkv), H).numpy()[0]
    v = qkv[0, :, 2 * C :].reshape(T, H, C // H).transpose(1, 0, 2)
    ours = (attention(qkv[0], H) @ v).transpose(1, 0, 2).reshape(T, C)
    np.testing.assert_allclose(ours, y, atol=1e-5)


def test_a_captured_look_follows_the_weights_and_the_prompt(device: Device, rng):
    model = GPT(CONFIG, device, trained_weights(CONFIG, rng))
    lens = Lens(model)
    first = np.array([1, 2, 3], np.uint32)
    before = lens.look(first)
    again = lens.look(np.array([4, 5, 6, 7, 8], np.uint32))
    assert again.attention.shape[-1] == 5
    assert np.array_equal(lens.look(first).lens, before.lens)
    weights = trained_weights(CONFIG, rng)
    model.load(weights)
    np.testing.assert_allclose(lens.look(first).lens, by_hand(CONFIG, weights, first)[1], atol=2e-5)


def test_an_edited_model_is_looked_into_as_it_is(device: Device, rng):
    """Here the logits are doubled at the end, and so they are at each layer."""

    class Louder(model_module.GPT):
        def forward(self, tokens):
            return 2.0 * super().forward(tokens)

    weights, tokens = trained_weights(CONFIG, rng), np.array([3, 1, 4, 1, 5], np.uint32)
    plain = Lens(GPT(CONFIG, device, weights)).look(tokens).lens.astype(np.float64)
    loud = Lens(Louder(CONFIG, device, weights)).look(tokens).lens
    squares = plain**2 / (plain**2).sum(-1, keepdims=True)
    np.testing.assert_allclose(loud, squares, atol=1e-4)


def test_a_model_of_other_parts_has_no_lens_but_its_heads_are_seen(device: Device, rng):
    model = GPT(CONFIG, device, trained_weights(CONFIG, rng))
    for block in model.h:
        block.mlp = lambda x, norm=block.ln_2, mlp=block.mlp: mlp(norm(x))
    look = Lens(model).look(np.array([1, 2], np.uint32))
    assert look.lens.shape == (0, 2, 23) and look.attention.shape == (3, 2, 2, 2)


@pytest.mark.parametrize("n", [0, 21])
def test_a_prompt_that_does_not_fit_is_refused(device: Device, rng, n: int):
    lens = Lens(GPT(CONFIG, device, trained_weights(CONFIG, rng)))
    with pytest.raises(ValueError, match=f"1 to 20 characters, not {n}"):
        lens.look(np.zeros(n, np.uint32))


def test_a_look_changes_nothing_of_a_run(device: Device):
    corpus = Corpus(TEXT)
    model = GPTConfig(corpus.vocab_size, 8, 1, 2, 8, 16, dropout=0.1)
    plain, seen = (Run(TrainConfig(iters=8, batch_size=2), corpus, device, model) for _ in "ab")
    expected = [record.train for record in train(plain)]
    lens = Lens(seen.model)
    losses = []
    for stop in (3, 4, 8):
        losses += [record.train for record in train(seen, stop)]
        lens.look(corpus.encode("To be")[:5])
        health(seen)
    assert losses == expected
    assert np.array_equal(seen.model.weights(), plain.model.weights())


# ---- layers --------------------------------------------------------------------------------------


def test_the_health_of_each_part_is_that_of_the_steps_really_made(device: Device):
    corpus = Corpus(TEXT)
    config = TrainConfig(iters=20, batch_size=2, lr=1e-2, warmup=5, grad_clip=0.5)
    run = Run(config, corpus, device, GPTConfig(corpus.vocab_size, 8, 2, 2, 8, 16))
    fresh = health(run)
    assert [part.name for part in fresh] == [
        *("characters", "positions"),
        *("layer 1 norms", "layer 1 attention", "layer 1 MLP"),
        *("layer 2 norms", "layer 2 attention", "layer 2 MLP"),
        "last norm",
    ]
    assert sum(part.size for part in fresh) == run.model.weights().size
    assert {part.gradient for part in fresh} == {part.update for part in fresh} == {None}
    assert fresh[0].rms == pytest.approx(0.02, rel=0.2) and fresh[2].mean == pytest.approx(0.5)

    list(train(run, 6))
    before = run.model.weights().astype(np.float64)
    list(train(run, 7))
    after, found = run.model.weights().astype(np.float64), health(run)
    at = 0
    for part in found[:2]:  # which lie one after the other, as in the file
        weights, step = (x[at : at + part.size] for x in (after, after - before))
        at += part.size
        assert part.norm == pytest.approx(np.linalg.norm(weights), rel=1e-5)
        assert part.rms == pytest.approx(np.sqrt((weights**2).mean()), rel=1e-5)
        assert part.update == pytest.approx(
            np.linalg.norm(step) / np.linalg.norm(weights), rel=1e-3
        )
    total = math.sqrt(sum(part.gradient**2 for part in found))
    assert total == pytest.approx(min(run.log[-1].grad_norm, 0.5), rel=1e-4)
