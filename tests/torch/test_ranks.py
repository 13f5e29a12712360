"""Several processes that train one run together, as torchrun starts them."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from driving import (
    fill,
    iteration,
    load,
    open_page,
    pause,
    press,
    save_state,
    wait_for,
)
from playwright.sync_api import Page

from groundling.cli import main as cli
from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.limits import Refused
from groundling.devices.numpy import NumPyDevice
from groundling.devices.ranks import Ranks
from groundling.runs import checkpoint, statefile
from groundling.runs.run import Run
from groundling.train import train

TWIN = dict(seed="hamlet", iters=40, warmup=10, lr=3e-4, min_lr=3e-5)
SETTINGS = "--seed hamlet --iters 40 --warmup 10 --sample-interval 1000 --log log --out out.bin"


def start(
    folder: Path, ranks: int, options: str, restarts: int = 0, command: str = "train", **settings
):
    """A command of groundling's in several processes."""
    begin = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    begin += [f"--nproc-per-node={ranks}", f"--max-restarts={restarts}", "-m", "--", "groundling"]
    env = {**os.environ, "OMP_NUM_THREADS": "1", **settings.pop("env", {})}
    return subprocess.Popen(
        [*begin, command, *options.split()],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **settings,
    )


def finish(process: subprocess.Popen) -> tuple[int, str, list[str]]:
    """The exit code, the standard output, and what Groundling said in sentences."""
    out, err = process.communicate(timeout=290)
    print(err)
    return process.returncode, out, re.findall("^groundling: .*$", err, re.M)


def losses(log: Path) -> list[float]:
    """The losses of a log by iteration."""
    return [json.loads(line)["train"] for line in log.read_text().splitlines()]


def weights(path: Path) -> np.ndarray:
    return checkpoint.loads(path.read_bytes()).weights


@pytest.fixture(scope="module")
def on_numpy(corpus: Corpus) -> Run:
    """The golden run of 40 iterations on NumPy, in one process."""
    run = Run(TrainConfig(**TWIN), corpus, NumPyDevice())
    run.sample_every = 0
    for _ in train(run):
        pass
    return run


def is_as(run: Run, folder: Path) -> None:
    """Fails unless the files of processes that trained together are those of a run in one."""
    expected = [record.train for record in run.log]
    np.testing.assert_allclose(losses(folder / "log"), expected, 1e-6)
    np.testing.assert_allclose(weights(folder / "out.bin"), run.model.weights(), 0, 1e-5)


@pytest.mark.parametrize("ranks", [2, 4])
def test_several_processes_train_as_one_does(tmp_path: Path, on_numpy: Run, ranks: int):
    code, out, said = finish(start(tmp_path, ranks, SETTINGS))
    assert (code, said) == (0, [])
    assert out.startswith("Finished iter 40, validation loss ") and out.count("\n") == 1
    is_as(on_numpy, tmp_path)
    vals = [json.loads(line).get("val") for line in (tmp_path / "log").read_text().splitlines()]
    assert vals[0] == pytest.approx(on_numpy.log[0].val, rel=1e-6)


def test_a_state_goes_on_in_any_number_of_processes(tmp_path: Path, on_numpy: Run, corpus: Corpus):
    """NumPy to 10, two processes to 20, one to 30, two to the end."""
    run = Run(TrainConfig(**TWIN), corpus, NumPyDevice())
    run.sample_every = 1000
    for _ in train(run, stop_at=10):
        pass
    (tmp_path / "a").write_bytes(statefile.save_state(run))
    for ranks, at, file in ((2, 20, "a --state b"), (1, 30, "b --state c")):
        options = f"--device torch:cpu --resume {file} --stop-at {at}"
        code, out, _ = finish(start(tmp_path, ranks, options))
        assert code == 0 and out.startswith(f"Stopped at iter {at}")
    saved = statefile.loads((tmp_path / "b").read_bytes())
    assert (saved.state.iter, saved.state.config) == (20, TrainConfig(**TWIN))
    assert saved.device.startswith("torch: PyTorch ") and "process" not in saved.device
    resumed = "--device torch:cpu --resume c --log log --out out.bin"
    code, *_ = finish(start(tmp_path, 2, resumed))
    assert code == 0
    is_as(on_numpy, tmp_path)


def test_a_run_goes_from_the_page_to_two_processes_to_one_and_back(
    page: Page, site_url: str, tmp_path: Path, corpus: Corpus
):
    """About 10 iterations in Chromium, 10 in two processes, 10 in one, and the rest in Chromium."""
    open_page(page, site_url)
    fill(page, Iterations="100", Batch_size="8")
    press(page, "Start")
    pause(page, 10)
    (tmp_path / "a").write_bytes(save_state(page))
    begun = statefile.loads((tmp_path / "a").read_bytes()).state
    assert 10 <= begun.iter < 80
    for ranks, at, file in ((2, begun.iter + 10, "a"), (1, begun.iter + 20, "b")):
        options = f"--device torch:cpu --resume {file} --state b --stop-at {at}"
        assert finish(start(tmp_path, ranks, options))[0] == 0

    page.reload()
    wait_for(page, "ready")
    load(page, "b.state", (tmp_path / "b").read_bytes())
    wait_for(page, "paused")
    assert iteration(page) == begun.iter + 20
    press(page, "Resume")
    wait_for(page, "done")
    ended = statefile.loads(save_state(page)).state

    run = Run(begun.config, corpus, NumPyDevice())
    run.sample_every = 0
    for _ in train(run):
        pass
    assert [one.iter for one in ended.log] == list(range(100))
    found, expected = ([one.train for one in log] for log in (ended.log, run.log))
    np.testing.assert_allclose(found, expected, 1e-6)
    np.testing.assert_allclose(ended.weights, run.model.weights(), 0, 1e-5)


def test_a_step_of_two_processes_is_timed(tmp_path: Path):
    process = start(tmp_path, 2, "--preset tiny --batch-size 4 --json figures", command="bench")
    code, out, said = finish(process)
    assert (code, said) == (0, [])
    assert out.count(", 2 processes\n") == 1 and out.count("batch 4\n") == 1
    alone = finish(start(tmp_path, 1, "--preset tiny --batch-size 4 --json one", command="bench"))
    assert alone[0] == 0
    two, one = (json.loads((tmp_path / name).read_text())["step"] for name in ("figures", "one"))
    assert two["flops"] == one["flops"] > 0


def kill_one(process: subprocess.Popen, log: Path, at: int) -> None:
    """Kill the second process once there are so many losses."""
    for _ in range(2400):
        if log.exists() and log.read_text().count("\n") >= at:
            break
        assert process.poll() is None
        time.sleep(0.05)
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    environments = {pid: Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in listed}
    [second] = [pid for pid, env in environments.items() if b"RANK=1" in env]
    os.kill(int(second), signal.SIGKILL)


KEPT = "--seed hamlet --iters 400 --warmup 10 --sample-interval 1000 --log log --out out.bin "
KEPT += "--state s --batch-size 4 --checkpoint-interval 50 --eval-interval 1000"


def test_a_process_that_dies_ends_all_with_a_sentence_that_says_what_is_left(tmp_path: Path):
    process = start(tmp_path, 2, KEPT)
    kill_one(process, tmp_path / "log", 60)
    code, out, said = finish(process)
    assert (code, out) == (1, "")
    assert said == [
        "groundling: Another process of this run ended, so training cannot go on. The last state "
        "is in s. The log is in log."
    ]
    state = statefile.loads((tmp_path / "s").read_bytes()).state
    assert state.iter % 50 == 0 and not (tmp_path / "out.bin").exists()


def test_started_again_by_torchrun_a_run_goes_on_to_the_same_losses(tmp_path: Path):
    process = start(tmp_path, 2, KEPT, restarts=1)
    kill_one(process, tmp_path / "log", 60)
    code, out, said = finish(process)
    assert code == 0 and out.startswith("Finished iter 400")
    assert said[0].startswith("groundling: Another process of this run ended")
    told = r"groundling: a process had ended\. The run goes on from iteration \d*[05]0\."
    assert re.fullmatch(told, said[1])
    (tmp_path / "whole").mkdir()
    assert finish(start(tmp_path / "whole", 2, KEPT))[0] == 0
    assert (tmp_path / "log").read_text() == (tmp_path / "whole/log").read_text()
    assert (weights(tmp_path / "out.bin") == weights(tmp_path / "whole/out.bin")).all()


def test_what_all_refuse_is_told_once(tmp_path: Path):
    code, out, said = finish(start(tmp_path, 2, "--preset none --out out.bin"))
    assert (code, out) == (1, "") and not (tmp_path / "out.bin").exists()
    assert len(said) == 1 and said[0].startswith("groundling: Unknown preset 'none'.")


@pytest.mark.parametrize(("accumulate", "how", "of"), [(1, "", 3), (2, " in 2 parts each", 6)])
def test_a_batch_that_cannot_be_shared_is_refused(
    corpus: Corpus, device, accumulate: int, how: str, of: int
):
    device.ranks = Ranks()
    device.ranks.size = 3
    told = f"batch_size is 32, which 3 processes{how} cannot share: it must be a multiple of {of}."
    try:
        with pytest.raises(Refused) as refused:
            Run(TrainConfig(accumulate=accumulate), corpus, device)
    finally:
        del device.ranks
    assert str(refused.value) == told


def test_other_devices_do_not_share_a_run(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert cli.main(["train", "--device", "numpy"]) == 2
    assert capsys.readouterr().err == (
        "groundling: torchrun started 3 processes, which only the torch device lets train one run "
        "together, not numpy.\n"
    )


def test_processes_of_different_code_are_refused(tmp_path: Path):
    """The second one's code has an edit."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os\nif os.environ.get('RANK') == '1':\n"
        "    from groundling import sources\n"
        "    name = 'py_src/groundling/optim.py'\n"
        "    sources.overlay[name] = sources.text(name) + '# another'\n"
    )
    process = start(tmp_path, 2, "--out out.bin", env={"PYTHONPATH": str(tmp_path)})
    code, _, said = finish(process)
    assert (code, said) == (
        1,
        [
            "groundling: The 2 processes do not have the same code: that of rank 1 is not that of "
            "rank 0."
        ],
    )


def test_each_process_has_left_the_others_before_python_ends(tmp_path: Path):
    """Or gloo's threads could still hold a tensor then, and abort the process."""
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, os, sys\n"
        "def tell():\n"
        "    if 'torch' in sys.modules and 'RANK' in os.environ:\n"
        "        here = sys.modules['torch'].distributed.is_initialized()\n"
        "        open('left' + os.environ['RANK'], 'w').write(str(here))\n"
        "atexit.register(tell)\n"
    )
    options = "--iters 2 --warmup 1 --batch-size 2 --out out.bin"
    assert finish(start(tmp_path, 2, options, env={"PYTHONPATH": str(tmp_path)}))[0] == 0
    assert [(tmp_path / f"left{rank}").read_text() for rank in range(2)] == ["False", "False"]


def test_a_full_disk_is_told_in_a_sentence_and_the_last_state_stays(tmp_path: Path):
    """A limit on the size of files, as a disk without room: weights fit, a state does not."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))

    (tmp_path / "s").write_bytes(b"as it was")
    options = "--iters 4 --warmup 2 --batch-size 4 --state s --out out.bin --checkpoint-interval 2"
    code, out, said = finish(start(tmp_path, 2, options, preexec_fn=limit))
    assert code == 1 and out.startswith("Finished iter 4")
    assert set(said) == {"groundling: s: File too large. It was not written."}
    assert (tmp_path / "s").read_bytes() == b"as it was" and (tmp_path / "out.bin").exists()


def test_ctrl_c_stops_all_after_the_same_iteration_and_saves(tmp_path: Path):
    process = start(tmp_path, 2, KEPT.replace("--iters 400", "--iters 100000"))
    while not (tmp_path / "log").exists() or not (tmp_path / "log").read_text():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    finish(process)
    state = statefile.loads((tmp_path / "s").read_bytes()).state
    assert state.iter == len(losses(tmp_path / "log")) < 100_000


def test_the_masks_of_dropout_are_those_of_a_batch_in_parts(corpus: Corpus, device):
    """Each process has the masks of its parts: several train as one does in as many parts."""
    config, model = dict(iters=1, batch_size=8), GPTConfig(dropout=0.3)

    class OneOfTwo(Ranks):
        size = 2

        def __init__(self, rank: int, sums: list):
            self.rank, self.sums = rank, sums

        def average(self, *tensors) -> None:
            self.sums += tensors

    found = []
    for rank in (0, 1):
        sums: list = []
        device.ranks = OneOfTwo(rank, sums)
        try:
            for _ in train(Run(TrainConfig(**config, eval_batches=1), corpus, device, model)):
                pass
        finally:
            del device.ranks
        found.append(sums[1].item())
    whole = Run(TrainConfig(**config, accumulate=2, eval_batches=1), corpus, device, model)
    for _ in train(whole):
        pass
    assert np.mean(found) == pytest.approx(whole.log[0].train, rel=1e-6)
