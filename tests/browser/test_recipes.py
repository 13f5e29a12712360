"""The recipes in Chromium, on WebGPU: each trains there as it does natively on NumPy; and edited
kernels are checked before they are applied.
"""

import pytest

import groundling.config
import groundling.train
from groundling import sources
from groundling.devices.numpy import NumPyDevice
from groundling.edits import live, recipes

SETTINGS = {"seed": "hamlet", "iters": 2, "batchSize": 2, "lr": 3e-4}


def edit(path: str, old: str, new: str) -> dict[str, str]:
    """An overlay of one file with one replacement."""
    text = sources.original(path)
    assert text.count(old) == 1
    return {path: text.replace(old, new)}


# One layer, one batch to evaluate on, and no samples.
CONFIG = "py_src/groundling/config.py"
SHORT = edit(
    "py_src/groundling/runs/configfile.py", "sample_interval: int = 200", "sample_interval: int = 0"
) | {
    CONFIG: edit(CONFIG, "eval_batches: int = 4", "eval_batches: int = 1")[CONFIG].replace(
        "n_layer: int = 4", "n_layer: int = 1"
    )
}


def overlay(recipe: recipes.Recipe) -> dict[str, str]:
    """A recipe as edits of the library's own files."""
    texts = {edit.path: sources.original(edit.path) for edit in recipe.edits if edit.old}
    return recipes.apply(recipe, texts)


def natively(files: dict[str, str], corpus) -> list:
    """The records of the same run on NumPy."""
    before = live.load(files)
    try:
        config = groundling.config.TrainConfig(iters=SETTINGS["iters"], batch_size=2)
        return list(groundling.train.train(groundling.runs.run.Run(config, corpus, NumPyDevice())))
    finally:
        live.restore(before)


def test_every_recipe_trains_as_it_does_natively(worker, corpus):
    told = next(message for message in worker.messages if message["type"] == "recipes")
    names = [recipe["name"] for recipe in told["recipes"]]
    assert names == [recipe.name for recipe in recipes.RECIPES]
    seen = {}
    for recipe in recipes.RECIPES:
        files = SHORT | overlay(recipe)
        worker.tell("reset")
        worker.tell("start", **SETTINGS, files=files)
        start = len(worker.messages)
        worker.wait("phase", where=lambda message: message["phase"] == "done")
        steps = [m for m in worker.messages[start:] if m["type"] == "steps"]
        found = [record for message in steps for record in message["records"]]
        expected = natively(files, corpus)
        assert len(found) == len(expected) == SETTINGS["iters"], recipe.name
        for record, other in zip(found, expected, strict=True):
            assert record["lr"] == other.lr
            assert record["train"] == pytest.approx(other.train, abs=1e-4), recipe.name
            assert record["val"] == pytest.approx(other.val, abs=1e-4), recipe.name
        printed = [m for m in worker.messages[start:] if m["type"] == "console"]
        seen[recipe.name] = "".join(e["text"] for m in printed for e in m["entries"])
    assert seen["print-sample"].startswith("iter 0: ")
    assert "iter 0: h.0.attn.c_attn " in seen["log-gradients"]
    assert {name for name, text in seen.items() if text} == {"print-sample", "log-gradients"}


def test_a_kernel_that_disagrees_with_its_reference_is_applied_only_if_asked_again(worker):
    files = SHORT | overlay(recipes.CUSTOM_KERNEL)
    path = "shaders/silu_forward.wgsl"
    assert files[path].count("1.0 + exp(-x[i])") == 1
    wrong = files | {path: files[path].replace("1.0 + exp(-x[i])", "1.1 + exp(-x[i])")}
    worker.tell("reset")
    worker.tell("start", **SETTINGS | {"iters": 100_000}, files=SHORT)
    worker.wait("steps", where=lambda message: message["records"])

    worker.tell("apply", files=wrong)
    rows = {row["kernel"]: row for row in worker.wait("kernels")["rows"]}
    assert [rows[name]["ok"] for name in ("silu_forward", "silu_backward")] == [False, True]
    bad = rows["silu_forward"]
    assert bad["largest"] > bad["tolerance"] > 0 and bad["where"].startswith("y[")

    worker.tell("apply", files=files)
    assert all(row["ok"] for row in worker.wait("kernels")["rows"])
    first = worker.wait("applied")
    assert first["iter"] > 0 and path in first["files"]

    worker.tell("apply", files=wrong)
    assert not all(row["ok"] for row in worker.wait("kernels")["rows"])
    worker.tell("apply", files=wrong, anyway=True)
    assert worker.wait("applied")["iter"] >= first["iter"]
    worker.tell("reset")
