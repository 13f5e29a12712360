"""What the tests of the page share: a reader's hands and eyes, in Playwright."""

import time
from pathlib import Path

from playwright.sync_api import Locator, Page, Route, expect

WAIT_MS = 120_000  # to boot, or for a step, on two cores that other work may share
expect.set_options(timeout=WAIT_MS)  # for an answer of the worker's, too

# What a worker is told, whatever machine this is; see `in_worker`.
TWO_CORES = "Object.defineProperty(navigator, 'hardwareConcurrency', { value: 2 });"


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def press(page: Page, name: str) -> None:
    button(page, name).click()


def fill(page: Page, **fields: str) -> None:
    """Fields by their labels."""
    for label, value in fields.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(value)


def type_at_the_console(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Ask the run").click()
    page.keyboard.insert_text(text)
    page.keyboard.press("Escape")  # a list of completions
    page.keyboard.press("Enter")


def readout(page: Page, name: str) -> str:
    return page.locator(f'[data-readout="{name}"]').inner_text()


def iteration(page: Page) -> int:
    return int(readout(page, "iter").partition(" / ")[0])


def wait_for(page: Page, phase: str, timeout: float = WAIT_MS) -> None:
    expect(page.locator("[data-phase]")).to_have_attribute("data-phase", phase, timeout=timeout)


def wait_for_iteration(page: Page, at_least: int) -> None:
    deadline = time.monotonic() + WAIT_MS / 1000
    while iteration(page) < at_least:
        assert time.monotonic() < deadline, f"still at iteration {readout(page, 'iter')}"
        page.wait_for_timeout(50)


def pressing(name: str) -> str:
    """A script that presses a button."""
    buttons = "[...document.querySelectorAll('button')]"
    return f"{buttons}.find((it) => it.textContent === {name!r}).click()"


def as_soon_as(page: Page, what: str, act: str, first: str = "") -> None:
    """Run a script in the page as soon as an expression is true there. From here one looks too
    seldom for what lasts as long as a few steps take, and acts too late. `first` is a script that
    begins it: what ends soon may have ended before one looks at all.
    """
    page.evaluate(
        f"""(ms) => new Promise((done, fail) => {{
          const look = () => {{
            if (!({what})) return;
            watcher.disconnect();
            done(void ({act}));
          }};
          const watcher = new MutationObserver(look);
          const all = {{ subtree: true, childList: true, characterData: true, attributes: true }};
          watcher.observe(document.body, all);
          {first};
          setTimeout(fail, ms, new Error(`nothing was seen in ${{ms}} ms`));
          look();
        }})""",
        WAIT_MS,
    )


def at_iteration(page: Page, at_least: int, act: str, first: str = "") -> None:
    """Run a script in the page as soon as a run that trains is at that iteration; see above."""
    trains = "document.querySelector('[data-phase]').dataset.phase === 'training'"
    at = "parseInt(document.querySelector('[data-readout=iter]').textContent)"
    as_soon_as(page, f"{trains} && {at} >= {at_least}", act, first)


def pause(page: Page, at_least: int, first: str = "") -> None:
    """Press Pause as soon as the run is at that iteration, and wait until it is paused."""
    at_iteration(page, at_least, pressing("Pause"), first)
    wait_for(page, "paused")


def wait_until_kept(page: Page, iter: int) -> None:
    """Wait until the page says that the browser keeps a copy of the run at that iteration."""
    told = page.get_by_role("main").get_by_text(f"Kept in this browser at iteration {iter:,}")
    expect(told).to_be_visible()


def open_page(page: Page, url: str) -> None:
    """Open the page, and wait until it is ready."""
    page.goto(url)
    wait_for(page, "ready")


def save_state(page: Page) -> bytes:
    with page.expect_download() as download:
        press(page, "Save state")
    return Path(download.value.path()).read_bytes()


def load(page: Page, name: str, data: bytes) -> None:
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    page.locator('input[aria-label="File to load"]').set_input_files(file)


def in_worker(page: Page, script: str) -> None:
    """Run a script in the worker before ours. `tell_worker` calls what it puts in `on`."""
    channel = "new BroadcastChannel('test').onmessage = () => on.forEach((act) => act())"

    def patch(route: Route) -> None:
        response = route.fetch()
        before = f"{{ const on = []; {channel}; {script}; }}"
        route.fulfill(response=response, body=before + response.text())

    page.route("**/worker.js", patch)


def tell_worker(page: Page) -> None:
    page.evaluate("new BroadcastChannel('test').postMessage('')")


def in_holding_worker(page: Page, script: str) -> list[Route]:
    """Run a script in the worker before ours, as `in_worker`. Where it calls hold(), the worker is
    deaf until the test fulfills what this list then has.
    """
    held: list[Route] = []
    page.route("**/held", lambda route: held.append(route))
    hold = """const hold = () => {
      const asked = new XMLHttpRequest();
      asked.open("GET", new URL("held", import.meta.url), false);
      asked.send();
    };"""
    in_worker(page, hold + script)
    return held


def hold_workers(page: Page) -> None:
    """Keep the page's workers, in their order, as `workers`."""
    page.add_init_script(
        """
        window.workers = [];
        window.Worker = class extends Worker {
            constructor(...options) { super(...options); workers.push(this); }
        };
        """
    )


def with_gpu(page: Page) -> None:
    """Let the page train on the software GPU, which it would not choose by itself."""
    page.add_init_script("localStorage.setItem('groundling-device', 'webgpu')")


def device(page: Page) -> str:
    """Which of the two is chosen: "GPU" or "CPU"."""
    return page.get_by_role("group", name="Device").locator("[aria-pressed=true]").inner_text()
