"""Debian's Firefox and WebKitGTK, driven by WebDriver: what Playwright, which brings engines of its
own, cannot do. Firefox has WebDriver's commands behind a socket (Marionette), WebKitGTK behind a
program that speaks HTTP.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

START = 60  # seconds for a browser to start, on two cores that other work may share
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # how WebDriver names a reference to an element


LISTEN = """
const said = (window.complaints = []);
addEventListener("error", (event) => said.push(String(event.message)));
addEventListener("unhandledrejection", (event) => said.push(String(event.reason)));
const { error } = console;
console.error = (...all) => (said.push(all.join(" ")), error.apply(console, all));
"""


class WebDriverError(Exception):
    """What the browser says of a command that failed."""


class Browser:
    """A browser with one page. `send` is the engine's; the rest is the same in each."""

    name: str
    version: str

    def send(self, command: str, **parameters: object) -> object:
        raise NotImplementedError

    def narrow(self, width: int, height: int) -> None:
        """Make the page so large, in CSS pixels."""
        raise NotImplementedError

    def complaints(self) -> list[str]:
        """The errors that the page, once it had loaded, did not catch or told the console of, since
        the last call.
        """
        return self.js("return window.complaints.splice(0)")

    def open(self, url: str) -> None:
        self.send("Navigate", url=url)
        self.js(LISTEN)

    def reload(self) -> None:
        self.send("Refresh")
        self.js(LISTEN)

    def js(self, script: str, *arguments: object) -> object:
        """What the body of a function returns, called with these arguments."""
        return self.send("ExecuteScript", script=script, args=list(arguments))

    def click(self, element: dict) -> None:
        """A real click, where the browser finds the element: not one that a script makes."""
        self.send("ElementClick", id=element[ELEMENT])

    def type(self, element: dict, text: str, clear: bool = True) -> None:
        if clear:
            self.send("ElementClear", id=element[ELEMENT])
        self.send("ElementSendKeys", id=element[ELEMENT], text=text)

    def screenshot(self) -> bytes:
        return base64.b64decode(self.send("TakeScreenshot", full=False))


@contextlib.contextmanager
def running(*command: str | Path, log: Path, env: dict[str, str] | None = None) -> Iterator[None]:
    """A program that runs meanwhile, in a process group of its own that ends with it."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
        )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def eventually(what: str, attempt, log: Path):  # noqa: ANN001, ANN201
    """What `attempt` returns once it neither fails nor returns None."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if (found := attempt()) is not None:
                return found
        time.sleep(0.05)
    raise TimeoutError(f"{what} did not start in {START} s:\n{log.read_text(errors='replace')}")


# ---- Firefox -------------------------------------------------------------------------------------

PREFERENCES = {
    "browser.shell.checkDefaultBrowser": False,
    "browser.aboutwelcome.enabled": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "browser.safebrowsing.update.enabled": False,
    "marionette.port": 0,  # a free one, which it writes into its profile
}


class Firefox(Browser):
    name = "Firefox"

    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.stream = self.socket.makefile("rb")
        self.count = 0
        self.receive()  # it says hello
        self.version = self.send("NewSession")["capabilities"]["browserVersion"]

    def receive(self) -> list:
        size = b""
        while (byte := self.stream.read(1)) != b":":
            if not byte:
                raise WebDriverError("Firefox has ended.")
            size += byte
        return json.loads(self.stream.read(int(size)))

    def send(self, command: str, *, prefix: str = "WebDriver", **parameters: object) -> object:
        self.count += 1
        request = json.dumps([0, self.count, f"{prefix}:{command}", parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(request), request))
        _, _, error, result = self.receive()
        if error:
            raise WebDriverError(f"{command}: {error['error']}: {error['message']}")
        return result.get("value", result) if isinstance(result, dict) else result

    def in_chrome(self, script: str, *arguments: object) -> object:
        """A script in the browser's own window."""
        self.send("SetContext", prefix="Marionette", value="chrome")
        try:
            return self.js(script, *arguments)
        finally:
            self.send("SetContext", prefix="Marionette", value="content")

    def narrow(self, width: int, height: int) -> None:
        # Firefox's window has a least width; its content has not.
        self.in_chrome(
            """const { style } = gBrowser.selectedBrowser;
            style.minWidth = style.maxWidth = `${arguments[0]}px`;
            style.minHeight = style.maxHeight = `${arguments[1]}px`;""",
            width,
            height,
        )

    def complaints(self) -> list[str]:
        """All that the browser's console has, then: also the worker's, and from before."""
        return self.in_chrome(
            """const found = [];
            for (const message of Services.console.getMessageArray()) {
              if (!(message instanceof Ci.nsIScriptError)) continue;
              if (message.flags & Ci.nsIScriptError.warningFlag) continue;
              if (message.sourceName.startsWith("http")) found.push(String(message));
            }
            Services.console.reset();
            const storage = Cc["@mozilla.org/consoleAPI-storage;1"].getService(
              Ci.nsIConsoleAPIStorage);
            for (const { level, filename, arguments: said } of storage.getEvents()) {
              if (level === "error" && filename.startsWith("http")) found.push(String(said[0]));
            }
            storage.clearEvents();
            return found;"""
        )


@contextlib.contextmanager
def firefox(path: str, folder: Path) -> Iterator[Firefox]:
    """A headless Firefox whose profile is in the folder."""
    profile = folder / "profile"
    profile.mkdir(parents=True)
    lines = (f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in PREFERENCES.items())
    (profile / "user.js").write_text("".join(lines))
    log = folder / "firefox.log"
    options = ("--headless", "--marionette", "--remote-allow-system-access", "--no-remote")
    environment = {**os.environ, "HOME": str(folder)}
    with running(path, *options, "--profile", profile, log=log, env=environment):
        written = profile / "MarionetteActivePort"
        port = eventually("Firefox", lambda: int(written.read_text() or 0) or None, log)
        browser = eventually("Firefox", lambda: Firefox(port), log)
        yield browser
        with contextlib.suppress(WebDriverError, OSError):
            browser.send("Quit", prefix="Marionette", flags=["eForceQuit"])


# ---- WebKitGTK -----------------------------------------------------------------------------------

ROUTES = {
    "Navigate": ("POST", "url"),
    "Refresh": ("POST", "refresh"),
    "ExecuteScript": ("POST", "execute/sync"),
    "ElementClick": ("POST", "element/{id}/click"),
    "ElementClear": ("POST", "element/{id}/clear"),
    "ElementSendKeys": ("POST", "element/{id}/value"),
    "TakeScreenshot": ("GET", "screenshot"),
    "SetWindowRect": ("POST", "window/rect"),
    "SetTimeouts": ("POST", "timeouts"),
}


class WebKit(Browser):
    name = "WebKit"

    def __init__(self, address: str):
        self.address = f"{address}/session"
        capabilities = {
            "webkitgtk:browserOptions": {
                "binary": str(find_minibrowser()),
                "args": ["--automation"],
            }
        }
        answer = self.request("POST", "", {"capabilities": {"alwaysMatch": capabilities}})
        self.address += f"/{answer['sessionId']}/"
        self.version = answer["capabilities"]["browserVersion"]

    def request(self, method: str, path: str, body: dict) -> object:
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(self.address + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            said = json.load(error)["value"]
            raise WebDriverError(f"{path}: {said['error']}: {said['message']}") from None

    def send(self, command: str, **parameters: object) -> object:
        method, path = ROUTES[command]
        return self.request(method, path.format(id=parameters.pop("id", "")), parameters)

    def narrow(self, width: int, height: int) -> None:
        self.send("SetWindowRect", width=width, height=height)
        missing = "return [arguments[0] - innerWidth, arguments[1] - innerHeight]"
        wide, high = self.js(missing, width, height)  # for what the window has around the page
        self.send("SetWindowRect", width=width + wide, height=height + high)


def find_minibrowser() -> Path | None:
    """WebKitGTK's small browser, which is not on the path."""
    return next(Path("/usr").glob("lib*/**/webkit2gtk-4.*/MiniBrowser"), None)


@contextlib.contextmanager
def webkit(path: str, folder: Path) -> Iterator[WebKit]:
    """WebKitGTK on a screen that nobody sees; its profile is in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    # The window's own bar would make it wider than a telephone.
    (folder / "config/gtk-3.0").mkdir(parents=True)
    narrow = "* { min-width: 0; padding: 0; margin: 0; border: none; font-size: 4px }"
    (folder / "config/gtk-3.0/gtk.css").write_text(narrow)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    screen, log = folder / "screen", folder / "webkit.log"
    with running(
        "Xvfb", "-displayfd", "1", "-screen", "0", "1600x1200x24", "-nolisten", "tcp", log=screen
    ):
        display = eventually("Xvfb", lambda: screen.read_text().strip() or None, screen)
        environment = {
            **os.environ,
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "DISPLAY": f":{display}",
            "GDK_BACKEND": "x11",
            "LANG": "C.UTF-8",  # of which WebKit makes "C", which is no language's tag
            "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",
        }
        with running(path, f"--port={port}", log=log, env=environment):
            address = f"http://127.0.0.1:{port}"
            ask = f"{address}/status"
            eventually("WebKitGTK", lambda: urllib.request.urlopen(ask, timeout=5).read(), log)
            yield WebKit(address)


ENGINES = {"Firefox": firefox, "WebKit": webkit}
