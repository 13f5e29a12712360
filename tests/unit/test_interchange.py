"""Other programs' formats: the exports compute what our model computes, and every bit comes back.

The forward pass here is GPT-2's as its paper and OpenAI's code have it, written anew in NumPy over
the exported arrays; tests/interchange loads them in PyTorch and transformers themselves.
"""

import json
import math
import struct
import sys
from dataclasses import replace

import numpy as np
import pytest

from groundling.config import GPTConfig
from groundling.data import BYTES, Corpus
from groundling.devices.numpy import NumPyDevice
from groundling.model import GPT, initial_weights, parameter_shapes
from groundling.rng import Stream
from groundling.runs import checkpoint, interchange
from groundling.runs.checkpoint import Checkpoint, CheckpointError
from groundling.runs.interchange import from_gpt2, from_safetensors, to_gpt2, to_safetensors

TEXT = "To be, or not to be, that is the question:\n" * 20


@pytest.fixture(scope="module")
def ckpt() -> Checkpoint:
    """A model of odd sizes with weights that are no round numbers, nor any LayerNorm 0 or 1."""
    corpus = Corpus(TEXT)
    config = GPTConfig(corpus.vocab_size, block_size=10, n_layer=2, n_head=3, n_embd=12, d_ff=20)
    count = sum(math.prod(shape) for shape in parameter_shapes(config).values())
    weights = (0.3 * Stream("weights").normal(count)).astype(np.float32)
    when = "2026-11-21T08:00:00.000Z"
    return Checkpoint(config, "hamlet", 200, 2.5, corpus.vocab_hash, when, weights)


@pytest.fixture
def folder(ckpt) -> dict[str, bytes]:
    return to_gpt2(ckpt, Corpus(TEXT))


def open_safetensors(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of a file, by the format's own description."""
    (length,) = struct.unpack("<Q", data[:8])
    arrays = {}
    for name, about in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            first, last = about["data_offsets"]
            raw = data[8 + length + first : 8 + length + last]
            arrays[name] = np.frombuffer(raw, "<f4").reshape(about["shape"]).astype(np.float64)
    return arrays


def gpt2(w: dict[str, np.ndarray], config: dict, tokens: np.ndarray) -> np.ndarray:
    """GPT-2's logits (T, V), in float64, of Hugging Face's tensors and its config.json."""

    def norm(x, name):
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        x = (x - mean) / np.sqrt(var + config["layer_norm_epsilon"])
        return x * w[f"transformer.{name}.weight"] + w[f"transformer.{name}.bias"]

    def conv1d(x, name):
        return x @ w[f"transformer.{name}.weight"] + w[f"transformer.{name}.bias"]

    n, T = config["n_head"], len(tokens)
    x = w["transformer.wte.weight"][tokens] + w["transformer.wpe.weight"][:T]
    for layer in range(config["n_layer"]):
        h = f"h.{layer}"
        qkv = np.split(conv1d(norm(x, f"{h}.ln_1"), f"{h}.attn.c_attn"), 3, axis=-1)
        heads = []
        for q, k, v in zip(*(np.split(a, n, axis=-1) for a in qkv), strict=True):
            scores = q @ k.T / math.sqrt(q.shape[-1])
            scores[np.triu_indices(T, 1)] = -np.inf
            p = np.exp(scores - scores.max(-1, keepdims=True))
            heads.append(p / p.sum(-1, keepdims=True) @ v)
        x = x + conv1d(np.concatenate(heads, axis=-1), f"{h}.attn.c_proj")
        u = conv1d(norm(x, f"{h}.ln_2"), f"{h}.mlp.c_fc")
        u = 0.5 * u * (1 + np.tanh(math.sqrt(2 / math.pi) * (u + 0.044715 * u**3)))
        x = x + conv1d(u, f"{h}.mlp.c_proj")
    return norm(x, "ln_f") @ w["transformer.wte.weight"].T


def logits_of(ckpt: Checkpoint, tokens: np.ndarray) -> np.ndarray:
    device = NumPyDevice()
    model = GPT(ckpt.config, device, ckpt.weights)
    return model.forward(device.tensor(tokens[None].astype(np.uint32))).numpy()[0]


def edited(data: bytes, change) -> bytes:
    """A safetensors file whose header `change` has changed in place."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


# safetensors


def test_a_safetensors_file_has_our_names_and_every_bit_comes_back(ckpt):
    data = to_safetensors(ckpt)
    arrays = open_safetensors(data)
    assert {name: array.shape for name, array in arrays.items()} == parameter_shapes(ckpt.config)
    flat = np.concatenate([array.reshape(-1) for array in arrays.values()], dtype=np.float32)
    assert flat.tobytes() == ckpt.weights.tobytes()
    assert checkpoint.dumps(from_safetensors(data)) == checkpoint.dumps(ckpt)
    assert struct.unpack("<Q", data[:8])[0] % 8 == 0


def test_any_order_of_the_tensors_in_the_file_will_do(ckpt):
    parts = interchange.tensors_of(ckpt)
    turned = dict(reversed(parts.items()))
    data = interchange.write_safetensors(turned, {"groundling": interchange._header_of(ckpt)})
    assert from_safetensors(data).weights.tobytes() == ckpt.weights.tobytes()


def test_a_file_without_our_header_needs_one_like_it(ckpt):
    data = edited(to_safetensors(ckpt), lambda header: header.pop("__metadata__"))
    with pytest.raises(CheckpointError, match="--like FILE takes them"):
        from_safetensors(data)
    read = from_safetensors(data, like=ckpt)
    assert checkpoint.dumps(read) == checkpoint.dumps(ckpt)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no safetensors"),
        (b"\x05\0\0\0\0\0\0\0{}", "a header of 5 bytes follows, and it has 10 in all"),
        (b"\xff" * 8 + b"{}", "a header of 18,446,744,073,709,551,615 bytes"),
        (b"\x02\0\0\0\0\0\0\0[]", "header is wrong: it is not an object."),
        (b"\x02\0\0\0\0\0\0\0{", "no safetensors"),
        (b"\x02\0\0\0\0\0\0\0{,", "header is wrong: line 1, character 2"),
        (b"\x02\0\0\0\0\0\0\0{}", "does not say its seed"),
        (b"\x02\0\0\0\0\0\0\0{}more", "has 14 bytes; its tensors end at 10"),
    ],
)
def test_what_is_no_safetensors(data, told):
    with pytest.raises(CheckpointError, match=told):
        from_safetensors(data)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("wpe", {"dtype": "F64"}, "wpe is of dtype 'F64'"),
        ("wpe", {"dtype": None}, "wpe is of dtype None"),
        ("wpe", {"shape": [10, 13]}, "wpe has 480 bytes; its shape makes 520"),
        ("wpe", {"shape": [2**39, 2**39]}, "its shape makes 1,208,925,819,614,629,174,706,176"),
        ("wpe", {"shape": [-10, -12]}, "a size in wpe.shape is -10"),
        ("wpe", {"shape": "12"}, "wpe.shape is '12'; it must be a list."),
        ("wpe", {"shape": [12, 10]}, r"wpe is of shape \(12, 10\); it must be \(10, 12\)"),
        ("wpe", {"data_offsets": [0, 480]}, "wpe begins at byte|wte begins at byte"),
        ("wpe", {"data_offsets": [480, 0]}, r"wpe.data_offsets\[1\] is 0"),
        ("wpe", {"data_offsets": [0, 2**60]}, r"wpe.data_offsets\[1\] is 1152921504606846976"),
        ("wpe", {"extra": 1}, "wpe has 'extra'"),
        ("strange", {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}, "'strange'"),
    ],
)
def test_a_tensor_that_is_not_what_it_should_be(ckpt, name, change, told):
    data = to_safetensors(ckpt)
    damaged = edited(data, lambda header: header.setdefault(name, {}).update(change))
    with pytest.raises(CheckpointError, match=told):
        from_safetensors(damaged)


def test_weights_that_are_not_finite_are_refused(ckpt):
    data = to_safetensors(ckpt)
    with pytest.raises(CheckpointError, match=r"ln_f.bias\[11\] is nan"):
        from_safetensors(data[:-4] + np.float32(np.nan).tobytes())


# gpt2


def test_gpt2_computes_from_the_export_what_our_model_computes(ckpt, folder):
    config, arrays = (
        json.loads(folder["config.json"]),
        open_safetensors(folder["model.safetensors"]),
    )
    for length in (1, 10):
        tokens = Corpus(TEXT).train[5 : 5 + length]
        ours = logits_of(ckpt, tokens)
        assert np.abs(ours).max() > 0.3
        np.testing.assert_allclose(gpt2(arrays, config, tokens), ours, atol=1e-4)


def test_the_default_model_exported_computes_the_same(corpus):
    config = GPTConfig()
    count = sum(math.prod(shape) for shape in parameter_shapes(config).values())
    weights = (0.1 * Stream("w").normal(count)).astype(np.float32)
    when = "2026-11-21T08:00:00.000Z"
    ckpt = Checkpoint(config, "hamlet", 0, None, corpus.vocab_hash, when, weights)
    files = to_gpt2(ckpt, corpus)
    about, arrays = json.loads(files["config.json"]), open_safetensors(files["model.safetensors"])
    tokens = corpus.val[:64]
    np.testing.assert_allclose(gpt2(arrays, about, tokens), logits_of(ckpt, tokens), atol=1e-4)
    assert checkpoint.dumps(from_gpt2(files)) == checkpoint.dumps(ckpt)


def test_every_bit_comes_back_from_gpt2(ckpt, folder):
    assert checkpoint.dumps(from_gpt2(folder)) == checkpoint.dumps(ckpt)


def test_the_tokenizer_has_each_character_as_gpt2_writes_bytes(folder):
    vocab = json.loads(folder["vocab.json"])
    assert len(vocab) == Corpus(TEXT).vocab_size
    assert vocab["Ċ"] == 0  # a line break is U+010A there
    assert vocab["Ġ"] == 1  # and a space U+0120
    assert vocab["T"] == int(Corpus(TEXT).encode("T")[0])


def test_a_text_that_is_not_all_ascii_gets_no_tokenizer(ckpt):
    corpus = Corpus("Tö be, or nt haiqu:\n" * 50)
    assert corpus.vocab_size == ckpt.config.vocab_size
    files = to_gpt2(replace(ckpt, vocab_hash=corpus.vocab_hash), corpus)
    names = ["README.md", "config.json", "generation_config.json", "model.safetensors"]
    assert sorted(files) == names
    assert b"It has no tokenizer" in files["README.md"]


def test_a_model_of_bytes_gets_a_tokenizer_with_a_token_for_each(ckpt):
    corpus = Corpus(TEXT, tokenizer=BYTES)
    config = replace(ckpt.config, vocab_size=256)
    weights = initial_weights(config, "s")
    made = replace(ckpt, config=config, weights=weights, vocab_hash=corpus.vocab_hash)
    vocab = json.loads(to_gpt2(made, corpus)["vocab.json"])
    assert sorted(vocab.values()) == list(range(256))
    assert (vocab["Ġ"], vocab["a"], vocab["Ã"], vocab["Ċ"]) == (0x20, 0x61, 0xC3, 0x0A)


def test_the_folder_says_how_to_sample_and_what_the_model_is(ckpt, folder):
    generation = json.loads(folder["generation_config.json"])
    assert generation["max_length"] == ckpt.config.block_size and generation["do_sample"]
    card = folder["README.md"].decode()
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "seed 'hamlet'" in card and "2.5000 nats" in card and "17 characters" in card


def test_weights_of_another_text_are_refused(ckpt):
    with pytest.raises(CheckpointError, match="belong to another text"):
        to_gpt2(ckpt, Corpus("another " * 50))


def rewritten(folder: dict[str, bytes], **about: object) -> dict[str, bytes]:
    return folder | {"config.json": json.dumps(json.loads(folder["config.json"]) | about).encode()}


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"model_type": "llama"}, "model_type is 'llama'; ours is 'gpt2'"),
        ({"activation_function": "relu"}, "activation_function is 'relu'; ours is 'gelu_new'"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon is 1e-06"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings is False"),
        ({"n_layer": -1}, "config.json is wrong: n_layer is -1"),
        ({"n_positions": None}, "block_size is None"),
        ({"n_inner": "x"}, "d_ff is 'x'"),
        ({"n_layer": 3}, "The file has no h.2.ln_1.weight."),
        ({"n_head": 4}, "and its header says"),
        ({"groundling": "x" * 513}, "does not say its seed"),
        ({"groundling": "{}"}, "does not say its format"),
    ],
)
def test_a_config_that_is_not_of_our_model(folder, about, told):
    with pytest.raises(CheckpointError, match=told):
        from_gpt2(rewritten(folder, **about))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"transformer.h.1.mlp.c_fc.bias": np.ones(20, "f4")},
            "h.1.mlp.c_fc.bias is not all zeros",
        ),
        ({"lm_head.weight": np.ones((9, 12), "f4")}, "lm_head.weight is not wte.weight"),
        ({"score.weight": np.ones(1, "f4")}, "'score.weight', which our model has no place for"),
    ],
)
def test_parameters_that_our_model_does_not_have(folder, change, told):
    parts, _ = interchange.read_safetensors(folder["model.safetensors"])
    data = interchange.write_safetensors({**parts, **change}, {})
    with pytest.raises(CheckpointError, match=told):
        from_gpt2(folder | {"model.safetensors": data})


def test_names_without_prefix_masks_and_missing_biases_come_back_too(ckpt, folder):
    parts, _ = interchange.read_safetensors(folder["model.safetensors"])
    parts = {name.removeprefix("transformer."): part for name, part in parts.items()}
    parts = {name: part for name, part in parts.items() if ".c_" not in name or "weight" in name}
    parts["h.0.attn.bias"] = np.ones((1, 1, 10, 10), np.float32)
    parts["lm_head.weight"] = parts["wte.weight"]
    data = interchange.write_safetensors(parts, {})
    read = from_gpt2(folder | {"model.safetensors": data})
    assert checkpoint.dumps(read) == checkpoint.dumps(ckpt)


def test_a_folder_that_lacks_a_file(folder):
    for name in ("config.json", "model.safetensors"):
        with pytest.raises(CheckpointError, match=f"The folder has no {name}."):
            from_gpt2({key: value for key, value in folder.items() if key != name})


# nanoGPT, as far as it goes without PyTorch


def test_linear_weights_are_turned_for_torch_and_turned_back(ckpt):
    there = interchange.to_gpt2_names(ckpt, out_in=True)
    C, F = ckpt.config.n_embd, ckpt.config.d_ff
    shapes = {
        "wte.weight": (ckpt.config.vocab_size, C),
        "h.1.attn.c_attn.weight": (3 * C, C),
        "h.1.attn.c_attn.bias": (3 * C,),
        "h.1.mlp.c_fc.weight": (F, C),
        "h.1.mlp.c_proj.weight": (C, F),
        "h.1.mlp.c_proj.bias": (C,),
        "ln_f.bias": (C,),
    }
    for name, shape in shapes.items():
        assert there[f"transformer.{name}"].shape == shape
    back = interchange._from_gpt2_names(there, ckpt.config, out_in=True)
    ours = interchange.tensors_of(ckpt)
    assert list(back) == list(ours)
    for name, part in ours.items():
        np.testing.assert_array_equal(back[name], part)


def test_without_pytorch_a_sentence_says_so(ckpt, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(CheckpointError, match="PyTorch, which is not installed here"):
        interchange.from_nanogpt(b"", ckpt)
