"""The page in the two other engines there are, Firefox's and WebKit's: what every reader does, from
the first visit to the next. Both train on the CPU here.
"""

import re
import time
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
import webdriver

WAIT = 300  # seconds for a step, on two cores that other work may share
TABS = ("text", "talk", "inside", "step", "doctor", "twin", "inspector", "speed", "credits")


class Reader:
    """A reader's hands and eyes."""

    def __init__(self, browser: webdriver.Browser):
        self.browser, self.js = browser, browser.js

    def find(self, selector: str, text: str = "") -> dict:
        """What fits the selector, is in sight, and has this text or label."""
        return self.until(
            f"there is {selector} {text!r}",
            lambda: self.js(
                """const [selector, text] = arguments;
                const name = (one) => one.getAttribute("aria-label") ?? one.textContent.trim();
                return [...document.querySelectorAll(selector)].find((one) =>
                  one.getClientRects().length && (!text || name(one) === text)) ?? null;""",
                selector,
                text,
            ),
        )

    def press(self, name: str) -> None:
        self.browser.click(self.find("button:enabled", name))

    def fill(self, field: str, text: str) -> None:
        self.browser.type(self.find(f"#field-{field}"), text)

    def read(self, selector: str) -> str:
        return self.js("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    @property
    def phase(self) -> str:
        return self.js("return document.querySelector('[data-phase]')?.dataset.phase ?? ''")

    @property
    def iteration(self) -> int:
        return int(self.read("[data-readout=iter]").partition(" / ")[0])

    def until(self, what: str, attempt: Callable[[], object], wait: float = WAIT) -> object:
        """What `attempt` returns once that is true."""
        deadline = time.monotonic() + wait
        while not (found := attempt()):
            panels = self.read(".panels")
            assert time.monotonic() < deadline, f"not in {wait} s: {what}. The page says: {panels}"
            time.sleep(0.05)
        return found

    def wait_for(self, phase: str, wait: float = WAIT) -> None:
        self.until(f"the page is {phase}", lambda: self.phase == phase, wait)

    def start_afresh(self, iters: int, batch_size: int = 2) -> None:
        """A run of so many iterations, begun."""
        if self.phase != "ready":
            self.press("Reset")
            self.wait_for("ready")
        self.fill("iters", str(iters))
        self.fill("batchSize", str(batch_size))
        self.press("Start")


@pytest.fixture(scope="module", params=webdriver.ENGINES)
def reader(
    request: pytest.FixtureRequest,
    build: ModuleType,
    site_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Reader]:
    """The page, ready, in a fresh browser that the tests of a module share."""
    find, packages = build.ENGINES[request.param]
    if (path := find()) is None:
        pytest.skip(f"{request.param} is missing: on Debian, {' '.join(packages)}.")
    folder = tmp_path_factory.mktemp(request.param)
    with webdriver.ENGINES[request.param](path, folder) as browser:
        reader = Reader(browser)
        browser.open(site_url)
        reader.wait_for("ready")
        yield reader


@pytest.fixture(autouse=True)
def quiet(reader: Reader) -> Iterator[None]:
    """Whatever a test does, the browser's console has no error of it."""
    yield
    assert reader.browser.complaints() == []


def test_it_trains_on_the_cpu_pauses_and_goes_on(reader: Reader) -> None:
    reader.start_afresh(100_000)
    reader.until("a few steps are made", lambda: reader.iteration >= 3)
    reader.press("Pause")
    reader.wait_for("paused")
    at = reader.iteration
    time.sleep(0.5)
    assert reader.iteration == at
    reader.press("Resume")
    reader.until("it goes on", lambda: reader.iteration > at)
    reader.start_afresh(200)
    reader.wait_for("done")
    assert reader.iteration == 200
    assert float(reader.read("[data-readout=train-nll]")) < 4.17


def test_a_default_run_makes_the_golden_bytes(reader: Reader, cpu_run: tuple[int, str]) -> None:
    """Those of Chromium, and of wasmtime natively."""
    iters, expected = cpu_run
    reader.start_afresh(iters, batch_size=32)
    reader.wait_for("done", WAIT + iters)
    keep_what_is_saved(reader)
    reader.press("Save weights")
    reader.until("a file is offered", lambda: reader.js("return window.saved?.size"))
    reader.js(
        """window.saved.arrayBuffer()
        .then((file) => crypto.subtle.digest("SHA-256", file.slice(512)))
        .then((hash) => (window.hash = new Uint8Array(hash).toHex()));"""
    )
    assert reader.until("it is hashed", lambda: reader.js("return window.hash")) == expected


def keep_what_is_saved(reader: Reader) -> None:
    """Let the next file that is offered be `saved`."""
    reader.js(
        """window.saved = window.hash = null;
        window.make ??= URL.createObjectURL; // globalThis is not the page's in Firefox
        URL.createObjectURL = (blob) => window.make.call(URL, (window.saved = blob));"""
    )


def test_what_is_saved_can_be_loaded(reader: Reader) -> None:
    reader.start_afresh(5)
    reader.wait_for("done")
    keep_what_is_saved(reader)
    reader.press("Save state")
    reader.until("a file is offered", lambda: reader.js("return window.saved?.size"))
    reader.press("Reset")
    reader.wait_for("ready")
    reader.js(
        """const carried = new DataTransfer();
        carried.items.add(new File([window.saved], "mine.state"));
        const picker = document.querySelector('input[aria-label="File to load"]');
        picker.files = carried.files;
        picker.dispatchEvent(new Event("change", { bubbles: true }));"""
    )
    reader.until("it is loaded", lambda: reader.phase in ("paused", "done"))
    assert reader.iteration == 5
    assert "bit for bit" in reader.read(".chip")


@pytest.mark.parametrize("width", [1440, 390])
def test_every_tab_opens_and_explains_its_words_within_the_page(reader: Reader, width: int) -> None:
    """WebKit 2.50 never came back from the layout of a tab."""
    reader.browser.narrow(width, 900)
    for tab in TABS:
        reader.browser.click(reader.find(f"#tab-{tab}"))
        assert reader.find(f"#view-{tab} .body")
        reader.until(
            f"{tab} is no wider than the page",  # the charts follow a frame later
            lambda: reader.js("return document.documentElement.scrollWidth <= innerWidth"),
        )
        outside = reader.js(
            """const found = [];
            for (const word of document.querySelectorAll(`#view-${arguments[0]} .term`)) {
              if (!word.getClientRects().length) continue;
              word.scrollIntoView({ block: "center" });
              word.click();
              const note = document.getElementById(word.getAttribute("aria-describedby"));
              const { left, right, width } = note.getBoundingClientRect();
              if (!width || left < 0 || right > innerWidth) found.push([note.innerText, left]);
              word.click();
            }
            return found;""",
            tab,
        )
        assert outside == [], tab
    reader.browser.narrow(1440, 900)


def test_a_model_writes(reader: Reader) -> None:
    if reader.phase == "training":
        reader.press("Pause")
    reader.browser.click(reader.find("#tab-talk"))
    reader.press("Write")
    reader.until(
        "it has written",
        lambda: reader.js("return document.querySelector('[data-talk]').dataset.talk === 'done'"),
    )
    assert len(reader.read(".talk .written")) > 50


def test_an_edit_is_applied_while_it_trains(reader: Reader) -> None:
    reader.start_afresh(5000)
    reader.until("a step is made", lambda: reader.iteration >= 1)
    inside = "document.querySelector('#code .code').shadowRoot.querySelector('.cm-content')"
    reader.browser.type(
        reader.until("the code is there", lambda: reader.js(f"return {inside}")),
        "0;",  # which is as good at the head of the file as at its end
        clear=False,
    )
    reader.press("Apply")
    reader.until("it is applied", lambda: "Applied" in reader.read("#code"))
    at = reader.iteration
    reader.until("it goes on", lambda: reader.iteration > at)
    reader.press("Pause")
    reader.wait_for("paused")


def test_after_a_reload_a_run_goes_on_where_the_browser_keeps_it(reader: Reader) -> None:
    reader.start_afresh(5000)
    reader.until("a few steps are made", lambda: reader.iteration >= 3)
    reader.press("Pause")
    reader.wait_for("paused")
    at = reader.iteration
    told = re.compile(f"at iteration {at}\\b|no storage")
    reader.until("the page says what is kept", lambda: told.search(reader.read(".note.kept")))
    note = reader.read(".note.kept")
    reader.browser.reload()
    reader.wait_for("ready")
    if "no storage" in note:
        assert "no private files for pages" in note
        return
    reader.press(f"Continue from iteration {at}")
    reader.until("it goes on", lambda: reader.iteration > at)


def test_the_advice_names_the_browser(reader: Reader) -> None:
    words = reader.js("return document.querySelector('.panel.advice').textContent")
    own = {"Firefox": "set dom.webgpu.enabled to true", "WebKit": "WebKit for Linux"}
    assert own[reader.browser.name] in words.partition("Other browsers")[0]
