"""A training step in Chromium, on the CPU and its software adapter, and on the CPU in Firefox and
WebKit: ours and jax-js's, by turns.

`python build.py bench` runs it. In a browser all take turns, a window of steps each, so that
whatever else the machine does meets them alike.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import ModuleType

import pytest
import webdriver
from playwright.sync_api import Browser, Page

from groundling.labs import bench

ROOT = Path(__file__).parents[2]
BATCH, ROUNDS = 16, 5
PAGE = """<!doctype html><title>bench</title><link rel=icon href=data:,>
<script type=module src=bench_jax.js></script>"""
ON_CPU = ("wasm", "wasm on one core", "jax-js wasm")
STEPS = {  # in a window
    "wasm": 8,
    "wasm on one core": 8,
    "webgpu": 3,
    "numpy": 3,
    "jax-js webgpu": 2,
    "jax-js wasm": 4,
}
OURS = """(message) => {
  window.workers ??= {};
  const worker = (window.workers[message.name] ??= new Worker("bench_ours.js", { type: "module" }));
  const answer = new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
  worker.postMessage(message);
  return answer;
}"""
Window = Callable[[dict], dict]  # sends a message to what trains
Found = tuple[dict[str, list[float]], int]  # by `by_turns`


def bench_browsers(
    build: ModuleType,
    chromium: Browser,
    site_url: str,
    runner: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """Prints tables, and writes site/bench.json. Give it the machine to itself."""
    monkeypatch.setitem(os.environ, "NODE_PATH", str(ROOT / "site/node_modules"))
    build.bundle(runner, ROOT / "tests/browser/bench_jax.js")
    shutil.copyfile(ROOT / "tests/browser/bench_ours.js", runner / "bench_ours.js")
    (runner / "bench.html").write_text(PAGE)
    url = f"{site_url}runner/bench.html"
    windows = {name: start(in_chromium(chromium, url, name), name) for name in STEPS}
    found = {f"Chromium {chromium.version}": by_turns(windows)}
    [(times, _)] = found.values()
    print(f"\nIn Chromium {chromium.version}, batch {BATCH}, by turns, {ROUNDS} windows each:")
    ours = median(times["wasm"])
    for name, values in times.items():
        middle, low, high = median(values), min(values), max(values)
        ratio = f"{middle / ours:.2f} of wasm's"
        print(f"  {name:16} {middle:8.1f} ms a step ({low:.1f} to {high:.1f}), {ratio}")
    figures = {}
    for name in ("wasm", "webgpu", "numpy"):
        answer = windows[name]({"figures": True, "batch": BATCH})
        figures[name] = json.loads(answer["figures"])
        print(bench.report(figures[name]))
    for context in chromium.contexts:
        context.close()
    found |= in_engines(build, url, tmp_path)
    print(f"On the CPU, batch {BATCH}, by turns, ms a step:")
    print(f"{'':26} one core      both    jax-js   ours of jax-js's")
    for name, (times, cores) in found.items():
        ours, alone, theirs = (median(times[one]) for one in ON_CPU)
        both = f"{ours:.1f}" if cores == 2 else "-"  # a trial chose one, or the browser cannot
        print(f"  {name:24} {alone:8.1f} {both:>9} {theirs:9.1f} {ours / theirs:18.2f}")
    out = ROOT / "site/bench.json"
    all_times = {name: times for name, (times, _) in found.items()}
    kept = {"machine": bench.machine(), "windows": all_times, **figures}
    out.write_text(json.dumps(kept, indent=1))
    print(f"All figures are in {out.relative_to(ROOT)}.")


def in_engines(build: ModuleType, url: str, folder: Path) -> dict[str, Found]:
    """What `by_turns` finds on the CPU in the other browsers that are here, by name and version."""
    found = {}
    for name, open_browser in webdriver.ENGINES.items():
        find, packages = build.ENGINES[name]
        if (path := find()) is None:
            print(f"{name} is missing: on Debian, {' '.join(packages)}.")
            continue
        with open_browser(path, folder / name) as browser:
            browser.send("SetTimeouts", script=600_000)
            browser.open(f"{url}#wasm")
            windows = {one: start(in_page(browser), one) for one in ON_CPU}
            found[f"{name} {browser.version}"] = by_turns(windows)
    return found


def by_turns(windows: dict[str, Window]) -> Found:
    """The milliseconds a step of each window, and the cores that wasm's last one was on."""
    times: dict[str, list[float]] = {name: [] for name in windows}
    losses: dict[str, list[float]] = {name: [] for name in windows}
    for i in range(ROUNDS + 1):
        for name, window in windows.items():
            answer = window({"steps": STEPS[name]})
            losses[name].append(answer["loss"])
            if i:  # the first compiles
                times[name].append(answer["ms"])
            if name == "wasm":
                cores = answer["cores"]
    for name, values in losses.items():
        assert values[-1] < values[0], f"{name} does not learn: {values}"
    return times, cores


def in_chromium(chromium: Browser, url: str, name: str) -> Callable[[str, object], dict]:
    """A page of its own; what it returns calls a function there."""
    page: Page = chromium.new_page()
    page.set_default_timeout(600_000)
    page.goto(f"{url}#{name.split()[-1]}")

    def call(script: str, message: object) -> dict:
        page.bring_to_front()  # a page behind others gets less of the processor
        return page.evaluate(script, message)

    return call


def in_page(browser: webdriver.Browser) -> Callable[[str, object], dict]:
    """The same in the one page of another browser."""
    return lambda script, message: browser.js(f"return ({script})(arguments[0])", message)


def start(call: Callable[[str, object], dict], name: str) -> Window:
    """Begin to train on the device of that name."""
    if name.startswith("jax-js"):
        return lambda message: call("(n) => window.windowOf(n)", message["steps"])

    def window(message: dict) -> dict:
        answer = call(OURS, {"name": name, **message})
        assert "error" not in answer, f"{name}: {answer['error']}"
        return answer

    device, _, alone = name.partition(" on ")
    window({"device": device, "alone": bool(alone), "batch": BATCH})
    return window
