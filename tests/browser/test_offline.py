"""After one visit the page opens without a network; a build is one whole, and so is what is kept.

Each test has a server of its own, to be taken away, to change, or to answer as it likes.
"""

import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from driving import (
    fill,
    in_holding_worker,
    iteration,
    press,
    tell_worker,
    wait_for,
    wait_for_iteration,
)
from playwright.sync_api import Browser, BrowserContext, Page, expect

READY_MS = 120_000
LOGIN = "<!doctype html><title>Log in</title><p>Welcome to the station's network."


class Host:
    """A static host as many are: what it sends is fresh for ten minutes."""

    def __init__(self, build: ModuleType, folder: Path):
        host = self
        self.folder = folder
        self.answers = "files"  # or "login", or "never"

        class Handler(build.Handler):
            roots = {"/pit/": folder}

            def do_GET(self) -> None:
                if host.answers == "never":
                    host.closed.wait()
                elif host.answers == "login":
                    self.send_response(200)
                    self.send_header("Content-Type", "text/html")
                    self.send_header("Content-Length", str(len(LOGIN)))
                    self.end_headers()
                    self.wfile.write(LOGIN.encode())
                else:
                    super().do_GET()

            def end_headers(self) -> None:
                self.send_header("Cache-Control", "max-age=600")
                http.server.SimpleHTTPRequestHandler.end_headers(self)

        self.closed = threading.Event()
        self.server = build.Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/pit/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def host(build: ModuleType, tmp_path: Path) -> Iterator[Host]:
    folder = tmp_path / "site"
    shutil.copytree(build.build_site(), folder)
    host = Host(build, folder)
    yield host
    host.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context()
    yield context
    context.close()


def visit(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("[data-phase=ready]")).to_be_visible(timeout=READY_MS)


def visit_and_keep(page: Page, url: str) -> None:
    visit(page, url)
    expect(page.get_by_text("it opens without a network")).to_be_visible(timeout=READY_MS)


def deploy_another(build: ModuleType, host: Host) -> str:
    """Put another build in the place of the first; returns its folder's name."""
    old = build.folder_of(host.folder)
    new = host.folder / f"build-{'0123456789abcdef'}"
    old.rename(new)
    with (new / "main.js").open("a") as file:
        file.write("document.documentElement.dataset.build = 'second';\n")
    for name in build.PAGES:
        page = host.folder / name
        page.write_text(page.read_text().replace(old.name, new.name))
    worker = host.folder / "sw.js"
    _, _, code = worker.read_text().partition("};\n")
    worker.write_text(build.manifest(host.folder) + code)
    return new.name


def test_all_that_the_pages_load_is_in_the_folder_that_is_named_by_its_content(
    build: ModuleType, host: Host
):
    pages = [(host.folder / name).read_text() for name in build.PAGES]
    loaded = re.findall(r'(?:href|src)="([^"#]+)"', "".join(pages).replace('href="./"', ""))
    folder = build.folder_of(host.folder)
    assert loaded and all((folder / path.partition("/")[2]).exists() for path in loaded)
    assert {path.partition("/")[0] for path in loaded} == {folder.name}
    assert sorted(path.name for path in host.folder.iterdir() if path.suffix != ".map") == [
        folder.name,
        "embed.html",
        "index.html",
        "sw.js",
    ]
    sources = [page.replace(f"{folder.name}/", "BUILD/") for page in pages]
    digest = build.digest_of(*sources, build.manifest(folder))
    assert folder.name == f"build-{digest[:16]}"  # wherever it was built


def test_after_one_visit_the_page_opens_without_a_network(context: BrowserContext, host: Host):
    """Nor does it wait for one that never answers, or take what a captive portal sends."""
    page = context.new_page()
    visit_and_keep(page, host.url)
    for answers in ("login", "never"):
        host.answers = answers
        visit(page, host.url)
        assert page.title() == "Groundling"
    host.close()
    visit(page, host.url)
    page.goto(f"{host.url}embed.html#panel=twin")
    page.get_by_role("button", name="Load").click()
    expect(page.locator("[data-phase=ready]")).to_be_visible(timeout=READY_MS)


def test_what_is_kept_is_checked_each_time_it_is_served(context: BrowserContext, host: Host):
    """For code in the worker can write there."""
    page = context.new_page()
    visit_and_keep(page, host.url)
    spoiled = page.evaluate(
        """async () => {
          let spoiled = 0;
          for (const name of await caches.keys()) {
            const cache = await caches.open(name);
            for (const request of await cache.keys()) {
              const type = (await cache.match(request)).headers.get("content-type");
              if (!/javascript|html/.test(type)) continue;
              await cache.put(request, new Response("stolen = true;", {
                headers: { "content-type": type },
              }));
              spoiled++;
            }
          }
          return spoiled;
        }"""
    )
    assert spoiled >= 4  # index.html, main.js, worker.js, Pyodide's
    visit(page, host.url)
    assert page.evaluate("'stolen' in globalThis") is False
    host.close()
    visit(page, host.url)  # and what was spoiled is kept anew
    page.evaluate(
        """async () => {
          const [name] = await caches.keys();
          const cache = await caches.open(name);
          for (const request of await cache.keys()) {
            const bytes = await (await cache.match(request)).arrayBuffer();
            const headers = { "content-type": "no/type" };
            await cache.put(request, new Response(bytes, { headers }));
          }
        }"""
    )
    visit(page, host.url)  # nor are other headers served


def test_a_file_that_is_not_of_the_build_is_not_kept(
    build: ModuleType, context: BrowserContext, host: Host
):
    page = context.new_page()
    (build.folder_of(host.folder) / "icon.svg").write_text("<svg/>")
    visit(page, host.url)
    state = page.evaluate(
        """async () => {
          const found = await navigator.serviceWorker.register("sw.js");
          const worker = found.installing ?? found.waiting ?? found.active;
          while (worker?.state === "installing") {
            await new Promise((done) => (worker.onstatechange = done));
          }
          return worker?.state ?? "redundant";
        }"""
    )
    assert state == "redundant"
    assert page.evaluate("navigator.serviceWorker.controller") is None
    expect(page.get_by_text("it opens without a network")).to_be_hidden()


@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "not kept"])
def test_two_builds_never_meet_and_the_run_survives_the_second(
    build: ModuleType, chromium: Browser, host: Host, keeps: bool
):
    """Under an open tab another build is deployed, with the old one's files gone."""
    context = chromium.new_context(service_workers="allow" if keeps else "block")
    page, asked = context.new_page(), []
    context.on("response", lambda answer: asked.append((answer.status, answer.url)))
    visit_and_keep(page, host.url) if keeps else visit(page, host.url)
    first = build.folder_of(host.folder).name
    fill(page, Iterations="100000", Batch_size="1")
    press(page, "Start")
    wait_for_iteration(page, 3)
    second = deploy_another(build, host)
    del asked[:]
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # the reader is back
    offer = page.get_by_role("region", name="A new version of this page is there")
    expect(offer).to_contain_text("The run is kept in this browser")
    assert not [url for _, url in asked if second in url]
    offer.get_by_role("button", name="Reload").click()
    expect(page.locator("html")).to_have_attribute("data-build", "second", timeout=READY_MS)
    wait_for(page, "ready", READY_MS)
    loaded = [url for status, url in asked if status == 200]
    assert any(second in url for url in loaded)
    after = loaded[next(i for i, url in enumerate(loaded) if second in url) :]
    assert not [url for url in after if first in url]
    kept = page.get_by_role("region", name="A run can go on")
    on = kept.get_by_role("button", name=re.compile("Continue from iteration"))
    at = int(re.sub(r"\D", "", on.inner_text()))
    on.click()
    wait_for_iteration(page, at)
    assert at >= 3
    context.close()


def test_a_reload_to_another_build_waits_until_the_run_is_kept(
    build: ModuleType, chromium: Browser, host: Host
):
    context = chromium.new_context(service_workers="block")
    page = context.new_page()
    held = in_holding_worker(
        page,
        """on.push(() => {
          const flush = FileSystemSyncAccessHandle.prototype.flush;
          FileSystemSyncAccessHandle.prototype.flush = function () {
            FileSystemSyncAccessHandle.prototype.flush = flush;
            hold();
            flush.call(this);
          };
        })""",
    )
    visit(page, host.url)
    fill(page, Iterations="100000", Batch_size="1")
    press(page, "Start")
    wait_for_iteration(page, 3)
    deploy_another(build, host)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    tell_worker(page)
    offer = page.get_by_role("region", name="A new version of this page is there")
    with page.expect_request("**/held", timeout=READY_MS):
        offer.get_by_role("button", name="Reload").click()
    expect(offer).to_contain_text("waits until the whole run is kept")
    expect(offer.get_by_role("button", name="Reload all the same")).to_be_visible()
    page.wait_for_timeout(6000)  # nothing reloads it meanwhile
    at = iteration(page)
    held[0].fulfill()
    expect(page.locator("html")).to_have_attribute("data-build", "second", timeout=READY_MS)
    wait_for(page, "ready", READY_MS)
    on = page.get_by_role("button", name=re.compile("Continue from iteration"))
    assert int(re.sub(r"\D", "", on.inner_text())) >= at
    context.close()
