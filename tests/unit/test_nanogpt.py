"""The folder that nanoGPT goes on with. tests/interchange has PyTorch load it; here a reader of our
own makes of the pickle what it says, and nothing else.
"""

import io
import math
import pickle
import runpy
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from groundling.cli import main as cli
from groundling.config import GPTConfig, TrainConfig
from groundling.data import BYTES, Corpus
from groundling.runs import checkpoint, interchange, nanogpt, statefile, torchfile
from groundling.runs.checkpoint import CheckpointError
from groundling.runs.run import Run
from groundling.train import train

TEXT = "To be, or not to be, that is the question:\n" * 20
CORPUS = Corpus(TEXT)
MODEL = GPTConfig(CORPUS.vocab_size, block_size=8, n_layer=2, n_head=2, n_embd=12, d_ff=48)
TRAIN = TrainConfig(iters=6, batch_size=4, accumulate=2, eval_interval=2, eval_batches=1)


@pytest.fixture
def saved(device) -> statefile.Saved:
    run = Run(TRAIN, CORPUS, device, MODEL)
    for _ in train(run, 5):
        pass
    return statefile.snapshot(run)


class Reader(pickle.Unpickler):
    """Makes arrays of the tensors, and refuses all other code."""

    def __init__(self, packed: zipfile.ZipFile):
        super().__init__(io.BytesIO(packed.read("archive/data.pkl")))
        self.packed = packed

    def find_class(self, module, name):
        known = {
            "torch._utils._rebuild_tensor_v2": self.tensor,
            "torch.FloatStorage": "float",
            "collections.OrderedDict": OrderedDict,
        }
        return known[f"{module}.{name}"]

    def persistent_load(self, place):
        what, kind, key, where, size = place
        assert (what, kind, where) == ("storage", "float", "cpu")
        numbers = np.frombuffer(self.packed.read(f"archive/data/{key}"), "<f4")
        assert len(numbers) == size
        return key, numbers

    def tensor(self, storage, offset, shape, strides, requires_grad, hooks):
        key, numbers = storage
        assert not requires_grad and not hooks
        strides = [4 * stride for stride in strides]
        array = np.lib.stride_tricks.as_strided(numbers[offset:], shape, strides)
        return key, array


def read(data: bytes) -> object:
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        assert {entry.compress_type for entry in packed.infolist()} == {zipfile.ZIP_STORED}
        return Reader(packed).load()


def test_a_torch_file_holds_what_it_was_given(rng):
    array = rng.standard_normal((3, 4)).astype(np.float32)
    plain = {"a": [1, -(2**40), 0, 255, 128], "é": (True, False, None), "b": (0.5, -math.inf, {})}
    found = read(torchfile.dumps(plain | {"tied": [array, array], "turned": array.T}))
    assert {name: found[name] for name in plain} == plain
    (one, first), (two, _) = found["tied"]
    assert one == two
    np.testing.assert_array_equal(first, array)
    np.testing.assert_array_equal(found["turned"][1], array.T)
    with pytest.raises(TypeError, match="A bytes has no place"):
        torchfile.dumps(b"")


def test_the_checkpoint_is_what_nanogpt_resumes_from(saved):
    ckpt = read(nanogpt.folder(saved, CORPUS, "/out")["ckpt.pt"])
    assert ckpt["iter_num"] == 5
    assert ckpt["best_val_loss"] == min(r.val for r in saved.state.log if r.val is not None)
    asked = "n_layer", "n_head", "n_embd", "block_size", "bias", "vocab_size"
    assert [ckpt["model_args"][name] for name in asked] == [2, 2, 12, 8, True, CORPUS.vocab_size]
    assert ckpt["model"]["lm_head.weight"][0] == ckpt["model"]["transformer.wte.weight"][0]
    turned = ckpt["model"]["transformer.h.1.mlp.c_fc.weight"][1]
    ours = interchange.tensors_of(statefile.weights_of(saved))["h.1.mlp.c_fc"]
    np.testing.assert_array_equal(turned, ours.T)


def test_the_moments_are_in_the_order_of_nanogpts_parameters(saved):
    """As configure_optimizers has them: matrices, then the rest, each in the order of modules."""
    optimizer = read(nanogpt.folder(saved, CORPUS, "/out")["ckpt.pt"])["optimizer"]
    blocks = [f"h.{layer}.{name}" for layer in range(2) for name in (
        "ln_1.weight", "ln_1.bias", "attn.c_attn", "attn.c_attn.bias", "attn.c_proj",
        "attn.c_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc", "mlp.c_fc.bias", "mlp.c_proj",
        "mlp.c_proj.bias",
    )]  # fmt: skip
    order = ["wte", "wpe", *blocks, "ln_f.weight", "ln_f.bias"]
    is_matrix = [not name.endswith((".weight", ".bias")) for name in order]
    order = [n for n, m in zip(order, is_matrix, strict=True) if m] + [
        n for n, m in zip(order, is_matrix, strict=True) if not m
    ]
    decayed, others = optimizer["param_groups"]
    assert decayed["params"] + others["params"] == list(range(len(order)))
    assert len(decayed["params"]) == sum(is_matrix)
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert (decayed["betas"], decayed["eps"]) == ((0.9, 0.95), 1e-8)
    for what, moments in (("exp_avg", saved.state.m), ("exp_avg_sq", saved.state.v)):
        ours = interchange.tensors_of(
            checkpoint.Checkpoint(MODEL, "", 0, None, "", "", weights=moments)
        )
        for number, name in enumerate(order):
            state = optimizer["state"][number]
            assert state["step"][1] == 5
            expected = ours.get(name)
            if expected is None:  # a bias that ours does not have
                expected = np.zeros(ours[name.removesuffix(".bias")].shape[1])
            elif name not in ("wte", "wpe"):
                expected = expected.T
            np.testing.assert_array_equal(state[what][1], expected)


@pytest.mark.parametrize("tokenizer", ["char-v1", BYTES])
def test_the_text_and_its_characters_are_there(device, tokenizer):
    corpus = Corpus("Ça: " + TEXT, tokenizer=tokenizer)
    run = Run(TRAIN, corpus, device, GPTConfig(corpus.vocab_size, 8, 1, 2, 12, 48))
    files = nanogpt.folder(statefile.snapshot(run), corpus, "/out")
    for split in ("train", "val"):
        tokens = np.frombuffer(files[f"{split}.bin"], np.uint16)
        np.testing.assert_array_equal(tokens, getattr(corpus, split))
    meta = pickle.loads(files["meta.pkl"])
    assert meta["vocab_size"] == corpus.vocab_size
    assert "".join(meta["itos"][token] for token in range(meta["vocab_size"])) == corpus.vocab
    assert all(meta["itos"][token] == character for character, token in meta["stoi"].items())
    assert read(files["ckpt.pt"])["best_val_loss"] == 1e9  # nothing was evaluated


def test_the_config_file_has_the_settings_by_nanogpts_names(saved, tmp_path):
    path = tmp_path / "config.py"
    path.write_bytes(nanogpt.folder(saved, CORPUS, "/a 'path")["config.py"])
    told = runpy.run_path(str(path))
    assert told["out_dir"] == told["dataset"] == "/a 'path" and told["init_from"] == "resume"
    assert (told["batch_size"], told["gradient_accumulation_steps"]) == (2, 2)
    assert (told["max_iters"], told["lr_decay_iters"], told["learning_rate"]) == (6, 6, 3e-4)


@pytest.mark.parametrize(
    ("model", "corpus", "told"),
    [
        (MODEL, Corpus(TEXT[::-1]), "trained on another text"),
        (GPTConfig(17, 8, 1, 2, 12, 20), CORPUS, "d_ff is 20; nanoGPT's is always 4 times"),
    ],
)
def test_what_nanogpt_cannot_have_is_refused(device, model, corpus, told):
    saved = statefile.snapshot(Run(TRAIN, CORPUS, device, model))
    with pytest.raises(CheckpointError, match=told):
        nanogpt.folder(saved, corpus, "/out")


@pytest.mark.native
def test_a_state_is_exported_as_a_folder_and_what_differs_is_said(
    saved, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("mine.txt").write_text(TEXT)
    Path("a.state").write_bytes(statefile.dumps(saved))
    command = ["export", "a.state", "--to", "nanogpt", "out", "--text", "mine.txt"]
    assert cli.main(command) == 0
    names = ["ckpt.pt", "config.py", "meta.pkl", "train.bin", "val.bin"]
    assert sorted(path.name for path in Path("out").iterdir()) == names
    told = capsys.readouterr().out
    assert "GELU is the exact one" in told and "batches are drawn by PyTorch" in told
    assert repr(str(tmp_path / "out")) in Path("out/config.py").read_text()
