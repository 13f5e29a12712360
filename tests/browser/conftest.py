"""A real Chromium on the built site, and pytest inside its Pyodide.

The site is served under a sub-path and with no special headers, as a plain static host would.
Chromium has no GPU here but its own software one; the suite fails, and never skips, without it.
"""

import importlib.metadata
import importlib.util
import re
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from driving import WAIT_MS, with_gpu
from playwright.sync_api import Browser, Page, Request, TimeoutError, sync_playwright

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SUB_PATH = "/the/pit/"
FLAGS = [
    "--no-sandbox",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--process-per-site",  # see `profile`
]
PYTEST = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")
STUCK = 120  # seconds; no test inside Pyodide takes a quarter of that, on two cores


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that fails is tried once more, on a page that is new, as Playwright's own runner does:
    a browser has many clocks and shares the machine. `build.py test` prints how the first failed.
    """
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Where tests run in several processes (`build.py test`), a file of the browser's is one piece
    of work, and any other test is.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.partition("::")[0] if nodeid.startswith("tests/browser/") else nodeid

    return Files(config, log)


@pytest.fixture(scope="session")
def build() -> ModuleType:
    """build.py as a module."""
    spec = importlib.util.spec_from_file_location("build", ROOT / "build.py")
    module = sys.modules["build"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def runner(build: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to serve: the tests, pytest as it is installed here, and a page that runs them."""
    folder = tmp_path_factory.mktemp("runner")
    for name in ("pyodide_runner.html", "pyodide_runner.js"):
        shutil.copyfile(HERE / name, folder / name)
    tests = [path for path in build.files(ROOT / "tests") if not path.is_relative_to(HERE)]
    tests += [HERE / "pyodide_runner.py", ROOT / "pyproject.toml"]
    (folder / "tests.zip").write_bytes(build.archive(build.named(tests)))
    site_packages = Path(pytest.__file__).parents[1]
    installed = [
        Path(file.locate())
        for name in PYTEST
        for file in importlib.metadata.files(name) or ()
        if file.suffix != ".pyc" and ".." not in file.parts
    ]
    (folder / "pytest.zip").write_bytes(build.archive(build.named(installed, site_packages)))
    entries = (
        "worker/plan",
        "worker/secondCore",
        "worker/secondCoreWorker",
        "worker/opfs",
        "run/curve",
    )
    build.bundle(folder, *(ROOT / f"site/src/{name}.ts" for name in entries))
    return folder


@pytest.fixture(scope="session")
def site_url(build: ModuleType, runner: Path) -> Iterator[str]:
    """The address of the site, built if it is stale. `runner/` under it is the folder above, and
    `build/` is that of the build, whose own name changes.
    """
    site = build.build_site()
    roots = {"runner/": runner, "build/": build.folder_of(site), "": site}
    server = build.server({f"{SUB_PATH}{path}": folder for path, folder in roots.items()})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{SUB_PATH}"
    server.shutdown()


@pytest.fixture(scope="session")
def chromium(build: ModuleType, site_url: str) -> Iterator[Browser]:
    """A headless Chromium that has a WebGPU adapter."""
    path = build.find_chromium()
    if path is None:
        pytest.fail("There is no Chromium here: `python build.py test` installs it.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        page = browser.new_page()
        page.goto(f"{site_url}runner/pyodide_runner.html")
        if not page.evaluate("navigator.gpu?.requestAdapter().then((adapter) => adapter !== null)"):
            pytest.fail(
                f"Chromium {browser.version} ({path}) has lost its software WebGPU adapter."
            )
        page.close()
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def profile(build: ModuleType, chromium: Browser, site_url: str) -> Iterator[Page]:
    """A page that does nothing but hold Python's WebAssembly, compiled. The pages of its context
    share its process, and compile nothing again: they are ready with half the work.
    """
    context = chromium.new_context(service_workers="block")  # test_offline.py has one
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    page.goto(f"{site_url}runner/pyodide_runner.html")
    [python] = build.folder_of(build.DIST).glob("pyodide/pyodide.asm*.wasm")
    page.evaluate(
        "async (url) => { globalThis.python = await WebAssembly.compileStreaming(fetch(url)) }",
        f"{site_url}build/pyodide/{python.name}",
    )
    yield page
    context.close()


FORGET = """async () => {
  localStorage.clear();
  const root = await navigator.storage.getDirectory();
  const empty = async () => {
    for await (const name of root.keys()) await root.removeEntry(name, { recursive: true });
  };
  for (let tries = 1; ; tries++) { // a worker that was just ended may still hold a file
    try {
      return await empty();
    } catch (error) {
      if (tries === 200) throw error;
      await new Promise((done) => setTimeout(done, 50));
    }
  }
}"""


@pytest.fixture
def page(request: pytest.FixtureRequest, profile: Page, site_url: str) -> Iterator[Page]:
    """A page in a browser that remembers nothing, which trains on the GPU only if the test is
    marked `gpu`: a run begins slowly on the software one. Whatever it does, nothing is fetched from
    another origin.
    """
    origin, strangers = site_url.removesuffix(SUB_PATH), []

    def look(request: Request) -> None:
        if re.match("https?:|wss?:", request.url) and not request.url.startswith(origin):
            strangers.append(request.url)

    context = profile.context
    context.on("request", look)
    page = context.new_page()
    if request.node.get_closest_marker("gpu"):
        with_gpu(page)
    yield page
    for opened in context.pages:
        if opened != profile:
            opened.close()
    context.remove_listener("request", look)
    profile.evaluate(FORGET)
    assert strangers == [], "the page asked another origin for something"


FRAMES = """async () => {
  for (let n = 0; n < 3; n++) await new Promise(requestAnimationFrame);
}"""


@pytest.fixture
def axe(page: Page) -> Callable[..., None]:
    """A function that fails where axe-core finds a fault, or where the page scrolls sideways: wide
    in light colours, then narrow in dark ones. axe("what is there", "where": a selector).
    """
    script = (ROOT / "site/node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
    faults = """(place) => axe.run(place).then((result) =>
      result.violations.map((fault) => [fault.id, fault.nodes.map((node) => node.target)]))"""

    def check(when: str, place: str = "html") -> None:
        page.evaluate(f"() => {{ if (!window.axe) {{ {script} }} }}")
        before = page.viewport_size
        for scheme, width in (("light", 1440), ("dark", 390)):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            found = page.evaluate(faults, place)
            assert found == [], f"{when}, {scheme}, {width} wide"
            page.evaluate(FRAMES)  # the charts follow the width a frame later
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{when}: the page scrolls sideways, {wide} > {width}"
        page.set_viewport_size(before)

    return check


class Worker:
    """The site's own worker, without its page: commands in, messages out, as
    py_src/browser/messages has them.

    `messages` are all that have come. One that has bytes comes with their number; see `file`.
    """

    START = """(url) => {
      globalThis.seen = [];
      globalThis.files = [];
      let pieces = [];
      globalThis.worker = new Worker(url, { type: "module", name: "webgpu" });
      worker.onmessage = ({ data: { bytes, ...message } }) => {
        if (message.type === "piece") {
          if (message.first) pieces = [];
          return void pieces.push({ at: message.at, bytes });
        }
        if (message.type === "file" && !bytes) {
          pieces.sort((a, b) => a.at - b.at);
          const whole = new Uint8Array(pieces.reduce((n, piece) => n + piece.bytes.length, 0));
          for (const { at, bytes } of pieces) whole.set(bytes, at);
          bytes = whole;
        }
        const end = globalThis.ending;
        if (end?.type === message.type) {
          setTimeout(() => end.done(worker.terminate()), end.ms);
        }
        if (globalThis.next && message.type === "steps" && message.records.length) {
          worker.postMessage(next);
          globalThis.next = null;
        }
        if (message.type !== "heard" && message.type !== "stage") {
          seen.push(bytes ? { ...message, bytes: files.push(bytes) - 1 } : message);
        }
      };
      worker.onerror = (event) => seen.push({ type: "crash", message: event.message });
    }"""

    def __init__(self, page: Page, site_url: str):
        self.page, self.site_url, self.messages = page, site_url, []
        self.pending: deque[dict] = deque()  # that have come and were not looked at
        page.goto(f"{site_url}runner/pyodide_runner.html")
        self.start()

    def start(self) -> None:
        """Start a worker, in the place of one that has ended, and wait until it is ready."""
        self.page.evaluate(self.START, f"{self.site_url}build/worker.js")
        self.wait("ready")

    def end_after(self, type: str, ms: float) -> Callable[[], None]:
        """End it so long after the next message of that type, whatever it is doing then. The
        function that comes back waits for that.
        """
        self.page.evaluate(
            """([type, ms]) => {
              globalThis.ended = new Promise((done) => (globalThis.ending = { type, ms, done }));
            }""",
            [type, ms],
        )

        def wait() -> None:
            self.page.evaluate("ended.then(() => { globalThis.ending = null; })")

        return wait

    def reload(self) -> None:
        """Load the page anew, and with it a new worker."""
        self.page.reload()
        self.start()

    def tell(self, type: str, bytes: bytes | None = None, **values: object) -> None:
        """Send a command."""
        self.page.evaluate(
            """([command, text]) => {
              if (text !== null) command.bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
              worker.postMessage(command);
            }""",
            [{"type": type, **values}, None if bytes is None else bytes.decode("latin-1")],
        )

    def tell_as_it_trains(self, type: str, **values: object) -> None:
        """Send a command as soon as the run has trained an iteration more. From here one would look
        too late: by then a fast run may be done.
        """
        self.page.evaluate("(command) => (globalThis.next = command)", {"type": type, **values})

    def take(self) -> list[dict]:
        """The messages that are new."""
        new = [*self.pending, *self.page.evaluate("seen.splice(0)")]
        self.pending.clear()
        self.messages += new
        return new

    def wait(
        self, *types: str, timeout: float = STUCK, where: Callable[[dict], bool] = lambda _: True
    ) -> dict:
        """The next message of one of these types; fails at an error that was not waited for."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.pending.extend(self.page.evaluate("seen.splice(0)"))
            while self.pending:
                self.messages.append(message := self.pending.popleft())
                if message["type"] in types and where(message):
                    return message
                if message["type"] in ("crash", "error", "refused"):
                    pytest.fail(f"the worker says {message}")
            self.page.wait_for_timeout(10)
        pytest.fail(f"no {types} in {timeout:g} s; the last messages: {self.messages[-5:]}")

    def file(self, message: dict) -> bytes:
        """The bytes of a message."""
        text = self.page.evaluate(
            """(at) => {
              let text = "";
              for (let i = 0; i < files[at].length; i += 8192) {
                text += String.fromCharCode(...files[at].subarray(i, i + 8192));
              }
              return text;
            }""",
            message["bytes"],
        )
        return text.encode("latin-1")


@pytest.fixture(scope="module")
def worker(chromium: Browser, site_url: str) -> Iterator[Worker]:
    """The site's worker, ready, for the tests of a file to share."""
    context = chromium.new_context(service_workers="block")
    context.set_default_timeout(WAIT_MS)
    yield Worker(context.new_page(), site_url)
    context.close()


@dataclass(frozen=True)
class Outcome:
    """How one test ended inside Pyodide: passed, failed or skipped, and what pytest says of it."""

    test: str
    outcome: str
    said: str


@pytest.fixture(scope="session")
def run_pytest_in_pyodide(chromium: Browser, site_url: str) -> Callable[[list[str]], list[Outcome]]:
    """A function that runs pytest on the given folders in a worker's Pyodide, with its WebGPU."""

    def run(arguments: list[str]) -> list[Outcome]:
        page = chromium.new_page()
        page.goto(f"{site_url}runner/pyodide_runner.html")
        page.evaluate("(arguments) => start(arguments)", arguments)
        try:
            while (report := page.evaluate("report"))["ended"] is None:
                page.wait_for_function(
                    "(n) => report.ended !== null || report.outcomes.length > n",
                    arg=len(report["outcomes"]),
                    timeout=STUCK * 1000,
                )
        except TimeoutError:
            report = page.evaluate("report")
            stuck = f"{report['running']} took over {STUCK} s in Pyodide\n{report['log']}"
            pytest.fail(stuck, pytrace=False)
        finally:
            page.close()
        if report["ended"] not in (0, 1):  # pytest's own exit codes: passed, failed
            pytest.fail(f"pytest inside Pyodide ended with {report['ended']}\n{report['log']}")
        return [Outcome(**outcome) for outcome in report["outcomes"]]

    return run
