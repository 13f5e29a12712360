"""A long run in Chromium with all that a reader does beside it: its records are whole, it ends with
the bytes of one that nobody disturbed, and what it holds does not grow.

It takes long, and is run by itself; it prints what memory was held on the way:

    python -m pytest -s -o python_functions=soak_* tests/browser/soak.py
"""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from groundling import sources
from groundling.config import GPTConfig, TrainConfig
from groundling.data import BYTES
from groundling.runs import configfile, statefile
from groundling.runs.configfile import Setup

ITERS = int(os.environ.get("GROUNDLING_SOAK", 200_000))
ROUNDS = max(4, min(40, ITERS // 5000))  # of what is done beside the run
MODEL = GPTConfig(256, block_size=8, n_layer=1, n_head=1, n_embd=8, d_ff=16)
TRAINING = TrainConfig(
    seed="soak", iters=ITERS, batch_size=1, eval_interval=max(50, ITERS // 200), eval_batches=1
)
SETTINGS = {"seed": TRAINING.seed, "iters": ITERS, "batchSize": 1, "lr": TRAINING.lr}
TEXT = b"The quick brown fox jumps over the lazy dog.\n" * 200
TRAIN = "py_src/groundling/train.py"
LONG = int(os.environ.get("GROUNDLING_LONG", 3600))
HEAP = "import pyodide_js; print('heap', pyodide_js._module.HEAPU8.length)"
HELD = "print('held', run.device.counts.memory)"


def phase(worker, *phases: str) -> str:
    found = worker.wait("phase", timeout=LONG, where=lambda m: m["phase"] in phases)
    return found["phase"]


def prepare(worker) -> None:
    """Choose NumPy, the model and the text."""
    worker.tell("reset")
    phase(worker, "ready")
    worker.tell("device", name="numpy")
    phase(worker, "ready")
    setup = Setup("soak", BYTES, MODEL, TRAINING, ITERS, max(1, ITERS // 100))
    worker.tell("text", turn=1, name="fox.txt", bytes=TEXT, more=0)
    worker.tell("use", text=configfile.dumps(setup))


def saved(worker) -> bytes:
    worker.tell("state")
    return worker.file(worker.wait("file"))


def printed(worker, code: str) -> str:
    """What a line at the console's prompt prints."""
    worker.tell("evaluate", text=code)
    texts: list[str] = []
    while not texts or not any("\n" in text for text in texts):
        message = worker.wait("console", timeout=60)
        texts += [str(entry.get("text", "")) for entry in message["entries"]]
    return "".join(texts)


def number(worker, code: str) -> int:
    return int(re.search(r"\b(?:heap|held) (\d+)", printed(worker, code))[1])


def renderer_bytes() -> int:
    """The resident memory of this test's largest browser process."""
    sizes = [0]
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
            line = status.with_name("cmdline").read_text()
        except OSError:
            continue
        if "--type=renderer" in line and (size := re.search(r"VmRSS:\s+(\d+) kB", text)):
            sizes.append(1024 * int(size[1]))
    return max(sizes)


@pytest.fixture(scope="module")
def straight(worker) -> bytes:
    """The state that a run ends with beside which nothing is done."""
    prepare(worker)
    worker.tell("start", **SETTINGS)
    phase(worker, "done")
    return saved(worker)


def soak_a_long_run_is_the_same_whatever_is_done_beside_it_and_holds_no_more(
    worker, straight: bytes
):
    prepare(worker)
    worker.tell("start", **SETTINGS)
    first = len(worker.messages)
    original = sources.original(TRAIN)
    rows = []
    for turn in range(ROUNDS):
        at = (turn + 1) * ITERS // (ROUNDS + 1)
        seen = [m["iter"] for m in worker.messages[first:] if m["type"] == "steps"]
        if not seen or seen[-1] < at:
            worker.wait("steps", timeout=LONG, where=lambda m, at=at: m["iter"] >= at)
        edited = {TRAIN: f"{original}\n# edit {turn} changes no number\n"}
        worker.tell("apply", files=edited)
        assert worker.wait("applied")["files"] == [TRAIN]
        worker.tell("lens", source="run", prompt="The fox")
        worker.wait("lens")
        worker.tell("unlens")
        if turn % 2 == 0:
            worker.tell("pause")
            phase(worker, "paused")
            worker.tell("resume")
            phase(worker, "training")
        rows.append((at, number(worker, HEAP), number(worker, HELD), renderer_bytes()))
    if not any(m["type"] == "phase" and m["phase"] == "done" for m in worker.messages[first:]):
        phase(worker, "done")
    whole = saved(worker)
    for at, heap, held, resident in rows:
        print(
            f"{at:>9,} iters  Python's heap {heap / 2**20:6.1f} MiB  on the device {held:>9,} B"
            f"  the browser's process {resident / 2**20:6.0f} MiB"
        )

    posted = [
        r["iter"] for m in worker.messages[first:] if m["type"] == "steps" for r in m["records"]
    ]
    assert posted == list(range(ITERS))
    ours, theirs = statefile.loads(whole).state, statefile.loads(straight).state
    for what in ("weights", "m", "v"):
        assert np.array_equal(getattr(ours, what), getattr(theirs, what)), what
    assert list(ours.log) == list(theirs.log)
    assert len(ours.edits) == ROUNDS
    early = rows[len(rows) // 10]
    # A captured step takes 0.6 MB, and is there or, just after an edit, not yet; never several.
    assert max(held for _, _, held, _ in rows) < 2**21, "memory on the device grows"
    assert rows[-1][1] - early[1] <= 2**24 + 100 * ITERS, "Python's heap grows by more than records"
