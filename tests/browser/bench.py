"""A training step in Chromium, on the CPU and its software adapter: ours and jax-js's, by turns.

`python build.py bench` runs it. The two take turns in one browser, a window of steps each, so that
whatever else the machine does meets both alike.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, Page

from groundling.labs import bench

ROOT = Path(__file__).parents[2]
BATCH, ROUNDS = 16, 5
OURS = """async (message) => {
  globalThis.worker ??= new Worker("bench_ours.js", { type: "module" });
  const answer = new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
  worker.postMessage(message);
  return answer;
}"""
STEPS = {"wasm": 8, "webgpu": 3, "numpy": 3, "jax-js webgpu": 2, "jax-js wasm": 4}  # in a window


def bench_chromium(
    build: object, chromium: Browser, site_url: str, runner: Path, monkeypatch: object
):
    """Prints a table, and writes site/bench.json. Give it the machine to itself."""
    monkeypatch.setitem(os.environ, "NODE_PATH", str(ROOT / "site/node_modules"))
    build.bundle(runner, ROOT / "tests/browser/bench_jax.js")
    shutil.copyfile(ROOT / "tests/browser/bench_ours.js", runner / "bench_ours.js")
    for name, script in (("ours", ""), ("jax", "<script type=module src=bench_jax.js></script>")):
        (runner / f"bench_{name}.html").write_text(f"<!doctype html><title>bench</title>{script}")
    windows = {name: start(chromium, site_url, name) for name in STEPS}
    times: dict[str, list[float]] = {name: [] for name in STEPS}
    losses: dict[str, list[float]] = {name: [] for name in STEPS}
    for i in range(ROUNDS + 1):
        for name, window in windows.items():
            answer = window({"steps": STEPS[name]})
            losses[name].append(answer["loss"])
            if i:  # the first compiles
                times[name].append(answer["ms"])
    print(f"\nIn Chromium {chromium.version}, batch {BATCH}, by turns, {ROUNDS} windows each:")
    ours = median(times["wasm"])
    for name, values in times.items():
        middle, low, high = median(values), min(values), max(values)
        ratio = f"{middle / ours:.2f} of wasm's"
        print(f"  {name:14} {middle:8.1f} ms a step ({low:.1f} to {high:.1f}), {ratio}")
    for name, values in losses.items():
        assert values[-1] < values[0], f"{name} does not learn: {values}"
    figures = {}
    for name in ("wasm", "webgpu", "numpy"):
        answer = windows[name]({"figures": True, "batch": BATCH})
        figures[name] = json.loads(answer["figures"])
        print(bench.report(figures[name]))
    out = ROOT / "site/bench.json"
    out.write_text(json.dumps({"machine": bench.machine(), "windows": times, **figures}, indent=1))
    print(f"All figures are in {out.relative_to(ROOT)}.")


def start(chromium: Browser, site_url: str, name: str) -> Callable[[dict], dict]:
    """A page that trains on the device of that name; what it returns sends it a message."""
    page: Page = chromium.new_page()
    page.set_default_timeout(600_000)

    def run(script: str, message: object) -> dict:
        page.bring_to_front()  # a page behind others gets less of the processor
        answer = page.evaluate(script, message)
        assert "error" not in answer, f"{name}: {answer['error']}"
        return answer

    if name.startswith("jax-js"):
        page.goto(f"{site_url}runner/bench_jax.html#{name.split()[1]}")
        page.wait_for_timeout(500)
        return lambda message: run("(n) => windowOf(n)", message["steps"])
    page.goto(f"{site_url}runner/bench_ours.html")
    run(OURS, {"device": name, "batch": BATCH})
    return lambda message: run(OURS, message)
