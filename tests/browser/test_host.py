"""The page on hosts that get something wrong: it starts all the same, or says which file it is,
what is wrong with it, and what to do. The faults are the server's own, in a real Chromium.
"""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest
from driving import WAIT_MS, fill, press, wait_for, with_gpu
from playwright.sync_api import Browser, Page, expect

SCRIPTS = ("worker.js", "pyodide/pyodide.js", "pyodide/pyodide.asm.js")
FETCHED = (
    "pyodide/pyodide.asm.wasm",
    "pyodide/pyodide-lock.json",
    "pyodide/python_stdlib.zip",
    "numpy.zip",
    "groundling.zip",
    "data/tinyshakespeare.txt",
    "kernels.json",
)


@dataclass
class Host:
    """A server of the site. `faults` says of a path what is wrong with its file."""

    url: str = ""
    faults: dict[str, str] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def host(build: ModuleType) -> Iterator[Host]:
    here, site = Host(), build.build_site()
    prefix = f"/{build.folder_of(site).name}/"

    class Handler(build.Handler):
        roots = {"/": site}

        def do_GET(self) -> None:
            fault = here.faults.get(self.path.removeprefix(prefix))
            if fault is None:
                super().do_GET()
            elif fault == "missing":
                self.send_error(404)
            else:
                self.spoil(Path(self.translate_path(self.path)).read_bytes(), fault)

        def spoil(self, data: bytes, fault: str) -> None:
            half, page = data[: len(data) // 2], b"<!doctype html><title>Log in</title>"
            sent = {
                "a web page": page,
                "cut off on the server": half,
                "broken off": half,
                "stalled": half,
                "altered": data[:50] + bytes(len(data) - 50),
            }.get(fault, data)
            kind = fault if "/" in fault else self.guess_type(self.path)
            self.send_response(200)
            if fault != "of no type":
                self.send_header("Content-Type", "text/html" if sent is page else kind)
            promised = data if fault in ("broken off", "stalled") else sent
            self.send_header("Content-Length", str(len(promised)))
            self.end_headers()
            self.wfile.write(sent)
            if fault == "stalled":
                here.released.wait(WAIT_MS / 1000)
                self.wfile.write(data[len(sent) :])
            self.close_connection = True

    server = build.Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here.url = f"http://127.0.0.1:{server.server_port}/"
    yield here
    here.released.set()
    server.shutdown()


@pytest.fixture
def visit(chromium: Browser, host: Host) -> Iterator[Callable[[dict[str, str]], Page]]:
    """A function that opens the page where these files have these faults."""
    context = chromium.new_context(service_workers="block")
    context.set_default_timeout(WAIT_MS)

    def open_it(faults: dict[str, str]) -> Page:
        host.faults = faults
        page = context.new_page()
        if "kernels.json" in faults:
            with_gpu(page)  # whose kernels they are
        page.goto(host.url)
        return page

    yield open_it
    context.close()


def said(page: Page) -> str:
    """What the panel says after the boot has failed."""
    wait_for(page, "error")
    return page.locator(".panel.error").inner_text()


@pytest.mark.parametrize("path", [*SCRIPTS, *FETCHED])
def test_a_file_that_is_missing_is_named(visit: Callable, path: str) -> None:
    words = said(visit({path: "missing"}))
    assert f"{path} is missing: the server has no such file (404)." in words
    assert "put the whole of site/dist there anew" in words


@pytest.mark.parametrize(
    "path", ["pyodide/pyodide.asm.js", "pyodide/pyodide.asm.wasm", "numpy.zip"]
)
def test_a_web_page_in_the_place_of_a_file_is_told(visit: Callable, path: str) -> None:
    words = said(visit({path: "a web page"}))
    assert f"{path} did not come: the server sent a web page in its place." in words


@pytest.mark.parametrize("fault", ["cut off on the server", "broken off"])
@pytest.mark.parametrize(
    "path", ["pyodide/pyodide.asm.js", "pyodide/pyodide.asm.wasm", "data/tinyshakespeare.txt"]
)
def test_a_file_that_ends_early_is_told(visit: Callable, path: str, fault: str) -> None:
    words = said(visit({path: fault}))
    assert re.search(rf"{path} ends early: [\d,]+ of [\d,]+ bytes came\.", words)


@pytest.mark.parametrize(
    "path", ["pyodide/pyodide.asm.wasm", "pyodide/python_stdlib.zip", "groundling.zip"]
)
def test_a_file_that_is_altered_is_told(visit: Callable, path: str) -> None:
    words = said(visit({path: "altered"}))
    assert f"{path} is damaged" in words


@pytest.mark.parametrize("path", SCRIPTS)
def test_a_script_of_another_type_is_told(visit: Callable, path: str) -> None:
    words = said(visit({path: "text/plain"}))
    assert (
        f"{path} came as “text/plain”, and browsers run scripts only as “text/javascript”" in words
    )


def test_a_plain_server_knows_the_type_of_every_file(build: ModuleType) -> None:
    """Those that nginx 1.22 has, as Debian 12 ships it; maps are for the browser's tools alone."""
    known = {".html", ".css", ".js", ".json", ".wasm", ".zip", ".txt", ".svg", ".bin", ".map"}
    assert {path.suffix for path in build.files(build.build_site())} <= known


def test_what_needs_no_type_needs_none(visit: Callable) -> None:
    wait_for(visit(dict.fromkeys(FETCHED, "application/octet-stream")), "ready")


@pytest.mark.parametrize("path", ["worker.js", "pyodide/pyodide.asm.js", "numpy.zip"])
def test_a_download_that_stands_still_is_told_and_goes_on(
    visit: Callable, host: Host, path: str
) -> None:
    page = visit({path: "stalled"})
    note = page.get_by_text(f"The download has stalled: no more of {path}")
    expect(note).to_be_visible()
    host.released.set()
    wait_for(page, "ready")


@pytest.mark.parametrize("again", ["Try again", "Reset"])
def test_after_a_boot_that_failed_the_page_begins_anew(
    visit: Callable, host: Host, again: str
) -> None:
    page = visit({"groundling.zip": "missing"})
    said(page)
    host.faults = {}
    press(page, again)
    wait_for(page, "ready")
    assert page.locator(".panel.error").count() == 0
    fill(page, Iterations="1", Batch_size="2")
    press(page, "Start")
    wait_for(page, "done")


def hold_back(page: Page) -> None:
    """Let none of the seconds pass that a style waits for, however long the page took to come."""
    page.evaluate(
        """document.getAnimations().forEach((animation) => {
          animation.pause();
          animation.currentTime = 0;
        })"""
    )


def reveal(page: Page) -> None:
    """Let the seconds pass that a style waits for."""
    page.evaluate("document.getAnimations().forEach((animation) => animation.finish())")


@pytest.mark.parametrize("fault", ["missing", "cut off on the server", "of no type"])
def test_where_the_page_has_no_script_style_alone_says_so(visit: Callable, fault: str) -> None:
    page = visit({"main.js": fault})
    note = page.get_by_text("The page's script has not started.")
    hold_back(page)
    expect(note).not_to_be_visible()
    reveal(page)
    expect(note).to_be_visible()


def test_a_page_that_is_opened_as_a_file_says_what_to_do(
    chromium: Browser, build: ModuleType
) -> None:
    page = chromium.new_page()
    page.goto((build.build_site() / "index.html").as_uri())
    reveal(page)
    expect(page.get_by_text("Browsers run it only from a web server")).to_be_visible()
    page.close()


def test_a_page_in_a_sandboxed_frame_says_what_to_do(chromium: Browser, host: Host) -> None:
    page = chromium.new_page()
    page.set_content(f'<iframe sandbox="allow-scripts" src="{host.url}" width="800"></iframe>')
    frame = page.frames[1]
    frame.wait_for_load_state()
    frame.evaluate("document.getAnimations().forEach((animation) => animation.finish())")
    expect(frame.get_by_text("Open it in a tab of its own")).to_be_visible()
    page.close()


@pytest.mark.parametrize("method", ["getItem", "setItem", "key"])
def test_storage_that_refuses_a_call_costs_nothing_else(
    page: Page, site_url: str, method: str
) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script(
        f"Storage.prototype.{method} = () => {{ throw new DOMException('no', 'SecurityError') }}"
    )
    page.goto(site_url)
    wait_for(page, "ready")
    page.get_by_role("tab", name="Doctor").click()
    page.get_by_role("button", name=re.compile("Colours")).click()
    assert errors == []


def test_a_browser_that_refuses_a_service_worker_is_no_error(page: Page, site_url: str) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script(
        """Object.defineProperty(Navigator.prototype, "serviceWorker", {
          get() { throw new DOMException("no", "SecurityError"); },
        });
        Object.defineProperty(Navigator.prototype, "language", { get: () => "C" });"""
    )
    page.goto(site_url)
    wait_for(page, "ready")
    page.wait_for_timeout(100)
    assert errors == []


def test_before_its_first_point_the_curve_says_what_is_done(page: Page, site_url: str) -> None:
    page.goto(site_url)
    wait_for(page, "ready")
    page.evaluate(
        """() => {
          globalThis.told = [];
          const area = document.querySelector(".chart .area");
          const look = () => told.push(area.querySelector(".empty")?.textContent ?? "");
          const all = { subtree: true, childList: true, characterData: true };
          new MutationObserver(look).observe(area, all);
        }"""
    )
    press(page, "Start")
    expect(page.locator("[data-readout=train-nll]")).to_contain_text(re.compile(r"\d\.\d"))
    told = page.evaluate("told")
    assert "Measuring the first validation loss …" in told
    assert "Resume, and the curve begins here." not in told
