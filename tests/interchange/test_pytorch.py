"""The exports in the real programs: PyTorch, transformers and safetensors.

They are large, so the suite does without them (tests/unit/test_interchange.py computes GPT-2 in
NumPy instead). With them:

    .venv/bin/pip install -e '.[interchange,test]'
    .venv/bin/python -m pytest tests/interchange

Without them this fails: it never skips. The line that each test prints says what was measured.
"""

import io
import math
import os
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from nano import NanoGPT
from transformers import AutoTokenizer, GPT2LMHeadModel

from groundling.config import GPTConfig
from groundling.data import Corpus
from groundling.devices.numpy import NumPyDevice
from groundling.model import GPT, parameter_shapes
from groundling.rng import Stream
from groundling.runs import checkpoint, interchange
from groundling.runs.checkpoint import Checkpoint, CheckpointError

ATOL = 1e-4  # logits of a few units in float32, and two orders of summation


@pytest.fixture(scope="module")
def ckpt(corpus: Corpus) -> Checkpoint:
    """The default model, far from its initial weights: logits of several units."""
    config = GPTConfig()
    noise = Stream("weights").normal(sum(map(math.prod, parameter_shapes(config).values())))
    weights = (0.1 * noise).astype(np.float32)
    at = 0
    for name, shape in parameter_shapes(config).items():
        if ".ln_" in name or name.startswith("ln_"):
            weights[at : at + shape[0]] += name.endswith(".weight")
        at += math.prod(shape)
    when = "2026-11-21T08:00:00.000Z"
    return Checkpoint(config, "hamlet", 200, 2.5, corpus.vocab_hash, when, weights)


@pytest.fixture(scope="module")
def tokens(corpus: Corpus) -> np.ndarray:
    """Four texts of a whole context: uint32 (4, 64)."""
    return np.stack([corpus.val[at : at + 64] for at in (0, 1000, 2000, 3000)])


@pytest.fixture(scope="module")
def ours(ckpt: Checkpoint, tokens: np.ndarray) -> np.ndarray:
    device = NumPyDevice()
    return GPT(ckpt.config, device, ckpt.weights).forward(device.tensor(tokens)).numpy()


def agree(theirs: torch.Tensor, ours: np.ndarray, who: str) -> None:
    apart = np.abs(theirs.detach().numpy() - ours).max()
    print(f"{who}: logits up to {np.abs(ours).max():.2f}, at most {apart:.2g} apart")
    assert np.abs(ours).max() > 1
    assert apart < ATOL


def nanogpt(data: bytes) -> tuple[NanoGPT, dict]:
    """As nanoGPT's sample.py loads a ckpt.pt."""
    saved = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    model = NanoGPT(**saved["model_args"])
    model.load_state_dict(saved["model"])
    return model.eval(), saved


def test_nanogpt_computes_the_same_logits(ckpt, tokens, ours):
    model, saved = nanogpt(interchange.to_nanogpt(ckpt))
    assert (saved["iter_num"], saved["best_val_loss"]) == (200, 2.5)
    x = torch.from_numpy(tokens.astype(np.int64))
    agree(model(x), ours, "nanoGPT")
    exact = np.abs(model(x, gelu="none").detach().numpy() - ours).max()
    print(f"with nn.GELU() in its exact form: {exact:.2g} apart")


def test_nanogpt_gives_every_bit_back(ckpt):
    model, saved = nanogpt(interchange.to_nanogpt(ckpt))
    out = io.BytesIO()
    torch.save(saved | {"model": model.state_dict()}, out)
    assert checkpoint.dumps(interchange.from_nanogpt(out.getvalue())) == checkpoint.dumps(ckpt)


def test_a_compiled_models_names_come_back_too(ckpt):
    model, saved = nanogpt(interchange.to_nanogpt(ckpt))
    state = {f"_orig_mod.{name}": part for name, part in model.state_dict().items()}
    out = io.BytesIO()
    torch.save({"model": state, "model_args": saved["model_args"]}, out)
    read = interchange.from_nanogpt(out.getvalue(), like=ckpt)
    assert checkpoint.dumps(read) == checkpoint.dumps(ckpt)


class Trap:
    """What pickle would run on reading."""

    def __reduce__(self):
        return (pytest.fail, ("code in a file was run",))


@pytest.mark.parametrize("content", [Trap(), {"model": Trap()}, {"model": {}}, [1], {"a": 1}])
def test_a_ckpt_with_code_in_it_or_without_a_model_is_refused(ckpt, content):
    out = io.BytesIO()
    torch.save(content, out)
    with pytest.raises(CheckpointError):
        interchange.from_nanogpt(out.getvalue(), like=ckpt)


@pytest.mark.parametrize("data", [b"", b"\x80\x02}q\x00.", b"PK\x03\x04"])
def test_what_is_no_ckpt_is_refused(ckpt, data):
    with pytest.raises(CheckpointError, match="no ckpt.pt that can be read safely"):
        interchange.from_nanogpt(data, like=ckpt)


def test_a_tensor_that_is_larger_than_what_is_stored_is_refused(ckpt):
    model, saved = nanogpt(interchange.to_nanogpt(ckpt))
    state = dict(model.state_dict())
    state["transformer.wpe.weight"] = torch.zeros(1).expand(2**16, 2**16)
    out = io.BytesIO()
    torch.save(saved | {"model": state}, out)
    with pytest.raises(CheckpointError, match="'transformer.wpe.weight' is not a whole"):
        interchange.from_nanogpt(out.getvalue())


def flipped(data: bytes, word: int, last: int) -> bytes:
    """A bit of it flipped: of its last bytes, or of any."""
    damaged = bytearray(data)
    damaged[word % len(data) if word & 1 else -1 - word % min(last, len(data))] ^= 1 << (word >> 29)
    return bytes(damaged)


def with_pickle(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A ckpt.pt with another pickle in it, whose CRC-32 is right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            text = old.read(entry)
            new.writestr(entry, change(text) if entry.filename.endswith("data.pkl") else text)
    return out.getvalue()


def test_a_damaged_ckpt_is_read_or_refused_but_never_anything_else(ckpt):
    """500 cases; GROUNDLING_FUZZ=20000 makes it that many. Half of them are in the pickle."""
    cases = int(os.environ.get("GROUNDLING_FUZZ", 500))
    data, stream = interchange.to_nanogpt(ckpt), Stream("fuzz ckpt.pt")
    refused = 0
    for case, word in enumerate(stream.words(cases)):
        if case % 2:
            damaged = with_pickle(data, lambda text, word=word: flipped(text, word, 10**9))
        else:
            damaged = flipped(data, word, 20_000)
        try:
            read = interchange.from_nanogpt(damaged, like=ckpt)
        except CheckpointError as error:
            refused += 1
            assert 10 < len(str(error)) < 500
        else:
            again = interchange.from_nanogpt(interchange.to_nanogpt(read))
            assert again.weights.tobytes() == read.weights.tobytes()
    print(f"{refused:,} of {cases:,} refused")
    assert 0 < refused < cases


@pytest.fixture(scope="module")
def folder(ckpt, corpus, tmp_path_factory):
    path = tmp_path_factory.mktemp("gpt2")
    for name, data in interchange.to_gpt2(ckpt, corpus).items():
        (path / name).write_bytes(data)
    return path


def files_of(path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_transformers_computes_the_same_logits(folder, tokens, ours):
    model, told = GPT2LMHeadModel.from_pretrained(folder, output_loading_info=True)
    assert not any(told[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    logits = model.eval()(torch.from_numpy(tokens.astype(np.int64))).logits
    agree(logits, ours, "GPT2LMHeadModel")


def test_transformers_gives_every_bit_back(ckpt, folder, tmp_path):
    model = GPT2LMHeadModel.from_pretrained(folder)
    model.save_pretrained(tmp_path)
    read = interchange.from_gpt2(files_of(tmp_path))
    assert checkpoint.dumps(read) == checkpoint.dumps(ckpt)


def test_the_tokenizer_makes_our_tokens(folder, corpus):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = corpus.decode(corpus.val[:500])
    assert tokenizer(text)["input_ids"] == corpus.val[:500].tolist()
    assert tokenizer.decode(corpus.val[:500].tolist()) == text


def test_transformers_writes_on_from_a_prompt(folder, corpus):
    model = GPT2LMHeadModel.from_pretrained(folder)
    prompt = torch.from_numpy(corpus.encode("ROMEO:").astype(np.int64))[None]
    written = model.generate(prompt, max_new_tokens=8, do_sample=False, pad_token_id=0)
    assert written.shape == (1, 14)


def test_safetensors_reads_ours_and_we_read_safetensors(ckpt):
    data = interchange.to_safetensors(ckpt)
    parts = safetensors.torch.load(data)
    for name, part in interchange.tensors_of(ckpt).items():
        assert parts[name].numpy().tobytes() == part.tobytes()
    metadata = {"groundling": interchange._header_of(ckpt)}
    for back in (
        safetensors.torch.save(parts, metadata),
        safetensors.numpy.save(safetensors.numpy.load(data), metadata),
    ):
        assert checkpoint.dumps(interchange.from_safetensors(back)) == checkpoint.dumps(ckpt)
