"""nanoGPT goes on with an exported run: its train.py's resumption, step by step, in PyTorch."""

import numpy as np
import pytest
import torch
from nano import NanoGPT
from torch.nn import functional

from groundling.config import TrainConfig
from groundling.data import Corpus
from groundling.devices.numpy import NumPyDevice
from groundling.engine.ops import gather_batch
from groundling.runs import nanogpt, statefile
from groundling.runs.run import Run
from groundling.train import train

TRAIN = TrainConfig(iters=200, batch_size=8, warmup=10, lr=1e-3)


@pytest.fixture(scope="module")
def run(corpus: Corpus) -> Run:
    run = Run(TRAIN, corpus, NumPyDevice())
    run.sample_every = 0
    for _ in train(run, 60):
        pass
    return run


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory):
    path = tmp_path_factory.mktemp("out")
    for name, data in nanogpt.folder(statefile.snapshot(run), run.corpus, str(path)).items():
        (path / name).write_bytes(data)
    return path


def resumed(folder) -> tuple[NanoGPT, torch.optim.AdamW, dict]:
    """The model and the optimizer as init_from = 'resume' has them."""
    saved = torch.load(folder / "ckpt.pt", map_location="cpu", weights_only=True)
    asked = "n_layer", "n_head", "n_embd", "block_size", "bias", "vocab_size"
    model = NanoGPT(**{name: saved["model_args"][name] for name in asked}, dropout=0.0)
    model.load_state_dict(saved["model"])
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for _, p in named if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for _, p in named if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95))
    optimizer.load_state_dict(saved["optimizer"])
    return model, optimizer, saved


def test_each_parameter_has_its_own_averages(run, folder):
    model, optimizer, saved = resumed(folder)
    assert saved["iter_num"] == 60
    at, state = 0, run.state()
    for name, shape in run.model.shapes.items():
        size = int(np.prod(shape))
        key = name if name.endswith((".weight", ".bias")) else f"{name}.weight"
        parameter = model.get_parameter(f"transformer.{key}")
        turned = len(shape) == 2 and name not in ("wte", "wpe")
        for what, ours in (("exp_avg", state.m), ("exp_avg_sq", state.v)):
            expected = ours[at : at + size].reshape(shape)
            found = optimizer.state[parameter][what].numpy()
            np.testing.assert_array_equal(found, expected.T if turned else expected)
        at += size
    assert all(entry["step"].item() == 60 for entry in optimizer.state.values())


def test_the_loss_at_resumption_is_ours_and_falls(run, folder):
    """By nanoGPT's own batches of the exported train.bin and with its exact GELU."""
    model, optimizer, _ = resumed(folder)
    data, T = np.memmap(folder / "train.bin", np.uint16, "r"), run.model.config.block_size
    torch.manual_seed(1)
    losses = []
    for step in range(20):
        places = torch.randint(len(data) - T, (32,))
        cuts = [torch.from_numpy(data[i : i + T + 1].astype(np.int64)) for i in places]
        cuts = torch.stack(cuts)
        x, y = cuts[:, :-1], cuts[:, 1:].flatten()
        logits = model(x, gelu="none")
        loss = functional.cross_entropy(logits.view(-1, logits.size(-1)), y)
        if step == 0:
            text, offsets = run.train_tokens, run.device.tensor(places.numpy().astype(np.uint32))
            ours = run.model.loss(*gather_batch(text, offsets, T)).item()
            print(f"loss at resumption {loss.item():.4f}, ours {ours:.4f}")
            assert abs(loss.item() - ours) < 2e-2
        losses.append(loss.item())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
