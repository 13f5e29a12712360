"""After one visit the page opens without a network, and checks what it keeps."""

import threading
from types import ModuleType

import pytest
from playwright.sync_api import Browser, Page, expect

READY_MS = 120_000


@pytest.fixture
def host(build: ModuleType):
    """A server of its own, so that it can be taken away."""
    server = build.server({"/pit/": build.build_site()})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.server_close()


def visit(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("[data-phase=ready]")).to_be_visible(timeout=READY_MS)


def test_after_one_visit_the_page_opens_without_a_network(chromium: Browser, host):
    context = chromium.new_context()
    page = context.new_page()
    url = f"http://127.0.0.1:{host.server_port}/pit/"
    visit(page, url)
    expect(page.get_by_text("it opens without a network")).to_be_visible(timeout=READY_MS)
    host.shutdown()
    host.server_close()
    visit(page, url)
    context.close()


def test_a_file_that_is_not_of_the_build_is_not_kept(chromium: Browser, host):
    context = chromium.new_context()
    page = context.new_page()
    context.route("**/icon.svg", lambda route: route.fulfill(body="<svg/>"))
    visit(page, f"http://127.0.0.1:{host.server_port}/pit/")
    state = page.evaluate(
        "navigator.serviceWorker.register('sw.js').then(({ installing }) =>"
        " new Promise((done) => { installing.onstatechange = () => done(installing.state); }))"
    )
    assert state == "redundant"
    assert page.evaluate("navigator.serviceWorker.controller") is None
    expect(page.get_by_text("it opens without a network")).to_be_hidden()
    context.close()
