"""In Chromium, on WebGPU: a run that is cut up in every way there is ends with the bits of one that
went straight on, and the copies that autosave keeps outlive a worker that is killed.
"""

import os
import random
from hashlib import sha256

from groundling import sources
from groundling.config import GPTConfig
from groundling.model import initial_weights
from groundling.runs import statefile

SETTINGS = {"seed": "hamlet", "iters": 30, "batchSize": 2, "lr": 3e-4}
TRAIN = "py_src/groundling/train.py"
NOTHING = {TRAIN: sources.original(TRAIN) + "\n# An edit that changes no number.\n"}
KILLS = int(os.environ.get("GROUNDLING_KILLS", 2))


LONG = 600  # seconds: 30 iterations, on two cores that other work may share


def phase(worker, phase: str, reason: str = "") -> None:
    where = lambda m: (m["phase"], m["reason"]) == (phase, reason)  # noqa: E731
    worker.wait("phase", timeout=LONG, where=where)


def saved(worker) -> bytes:
    worker.tell("state")
    return worker.file(worker.wait("file"))


def hashes(data: bytes) -> dict[str, str]:
    """SHA-256 of the weights, and of AdamW's averages."""
    now = statefile.loads(data).state
    return {
        what: sha256(getattr(now, what).tobytes()).hexdigest() for what in ("weights", "m", "v")
    }


def test_the_first_weights_are_to_the_bit_what_they_are_natively(worker):
    """Their random words are JavaScript's there."""
    worker.tell("start", **SETTINGS | {"iters": 0})
    phase(worker, "done")
    found = statefile.loads(saved(worker)).state.weights
    assert found.tobytes() == initial_weights(GPTConfig(), "hamlet").tobytes()
    worker.tell("reset")
    phase(worker, "ready")


def test_30_iterations_are_some_and_a_file_and_a_reload_and_the_others(worker):
    """With a hidden tab, a pause and an applied edit in between."""
    worker.tell("start", **SETTINGS)
    phase(worker, "done")
    straight = saved(worker)
    assert statefile.loads(straight).state.iter == 30

    worker.tell("reset")
    worker.tell_as_it_trains("hidden", hidden=True)
    worker.tell("start", **SETTINGS)
    phase(worker, "paused", "hidden")
    worker.tell_as_it_trains("apply", files=NOTHING)
    worker.tell("hidden", hidden=False)
    assert worker.wait("applied", timeout=LONG)["files"] == [TRAIN]
    worker.tell_as_it_trains("pause")
    phase(worker, "paused", "hand")
    worker.tell_as_it_trains("pause")
    worker.tell("resume")
    phase(worker, "paused", "hand")
    half = saved(worker)
    assert 4 <= statefile.loads(half).state.iter < 30

    worker.reload()
    worker.tell("load", name="half.state", bytes=half, files=NOTHING)
    assert worker.wait("loaded")["iter"] == statefile.loads(half).state.iter
    worker.tell("resume")
    phase(worker, "done")
    pieces = saved(worker)
    assert hashes(pieces) == hashes(straight)
    assert statefile.loads(pieces).state.log == statefile.loads(straight).state.log


def test_a_worker_that_is_killed_as_it_keeps_the_run_leaves_a_copy_that_can_be_read(worker):
    """At random moments. What was said to be kept is there each time, and the run goes on from it.
    GROUNDLING_KILLS=50 kills that many; a worker takes seconds to come up (test_state.py has more).
    """
    chance, cut, kept = random.Random(0), 0, 0
    begin = SETTINGS | {"iters": 1_000_000, "batchSize": 1, "files": {}}  # with no edits
    worker.tell("reset")
    phase(worker, "ready")
    worker.tell("discard")  # the copies of the tests before, which are of other code
    assert worker.wait("offer")["copy"] is None
    worker.tell("start", **begin)
    for _ in range(KILLS):
        start = len(worker.messages)
        worker.wait("steps", where=lambda message: message["records"])
        wait = worker.end_after("phase", chance.uniform(0, 60))  # paused; it is being written
        worker.tell("pause")
        wait()
        worker.take()
        said = [m["iter"] for m in worker.messages[start:] if m["type"] == "autosaved"]
        kept, cut = max([kept, *said]), cut + (not said)
        worker.start()
        copy = worker.wait("offer")["copy"]
        if copy is None:
            assert kept == 0, "a copy that was kept is lost"
            worker.tell("start", **begin)
        else:
            assert copy["iter"] >= kept
            kept = copy["iter"]
            worker.tell("continue")
            assert worker.wait("loaded")["iter"] == kept
    print(f"{cut} of {KILLS} were killed before they said that the copy was kept")
    worker.tell("reset")
