"""Where the worker enters Python: the session, wired to the page and to this host.

Messages cross between JavaScript and Python as JSON text, with bytes beside it. `advance` waits for
the GPU, so JavaScript enters it through `callPromising`, where it can.
"""

import json
import keyword
import sys
from dataclasses import asdict

import js
import numpy as np
import plans
import second_core
import wgpu
from autosave import Autosave, StoreError, StoreFull
from groundling_js import notes as js_notes
from groundling_js import post as post_text
from groundling_js import sfc32 as js_sfc32
from groundling_js import store as js_store
from groundling_js import wake
from pyodide.ffi import JsBuffer, JsException, to_js
from session import Session
from views import views
from wire import Message, text_of, unsent

import groundling.devices.base
import groundling.devices.open
import groundling.devices.webgpu.memory
import groundling.rng
import groundling.sources
from groundling.data import shakespeare
from groundling.edits.recipes import RECIPES

FIRST = "train", "model", "optim", "sampling", "data", "config", "rng"


def bytes_for_js(data: bytes | memoryview) -> js.Uint8Array:
    """A copy of some bytes; `to_js` is 9 times slower."""
    copy = js.Uint8Array.new(len(data))
    if len(data):
        copy.assign(data)
    return copy


def post(message: Message) -> None:
    """Post a message, or a notice if it is too large. MemoryError for a piece of a file."""
    data = message.get("bytes")
    try:
        post_text(text_of(message), None if data is None else bytes_for_js(data))
    except (JsException, MemoryError) as error:
        if message["type"] == "piece":
            raise MemoryError from error
        post_text(text_of(unsent(message, error)), None)


def open_device(name: str, stage) -> groundling.devices.base.Device:
    """Open a device and compile every kernel, posting the progress."""
    stage("adapter", 0, 1)
    device = groundling.devices.open.open_device(name)
    stage("adapter", 1, 1, device.description)
    if name == "webgpu":
        device.compile_all(lambda done, total, kernel: stage("kernels", done, total, kernel))
        device.wgpu.on_lost = lambda info: lost(device, info.message)
    return device


def lost(device: groundling.devices.base.Device, message: str) -> None:
    """Tell the session that a device is lost."""
    session.receive({"type": "lost", "device": device, "message": message})
    wake()


def sources() -> list[Message]:
    """The library's files, in the order to read them in."""
    first = [groundling.sources.path_of(f"groundling.{name}") for name in FIRST]
    paths = [*first, *(path for path in groundling.sources.paths() if path not in first)]
    return [{"path": path, "text": groundling.sources.text(path)} for path in paths]


class PrivateFiles:
    """site/src/worker/opfs.ts as a Store."""

    def size(self, name: str) -> int:
        return self._do("size", name)

    def read(self, name: str, at: int, n: int) -> bytes:
        return self._do("read", name, at, n).to_bytes()

    def write(self, name: str, at: int, data: bytes | memoryview) -> None:
        if self._do("write", name, at, bytes_for_js(data)) < len(data):
            raise StoreFull("not all of it was written")

    def flush(self, name: str) -> None:
        self._do("flush", name)

    def truncate(self, name: str, size: int) -> None:
        self._do("truncate", name, size)

    def _do(self, method: str, *arguments):
        try:
            return getattr(js_store, method)(*arguments)
        except JsException as error:
            is_full = getattr(error, "name", "") == "QuotaExceededError"
            raise (StoreFull if is_full else StoreError)(str(error)) from error


def autosave() -> Autosave | None:
    """Autosave in the origin's private file system, if there is one here."""
    try:
        return Autosave(PrivateFiles()) if js_store else None
    except StoreError as error:
        post({"type": "keeping", "keeping": "none", "problem": str(error)})
        return None


class Notes:
    """site/src/worker/opfs.ts as a Store of devices/webgpu/memory.py."""

    host = js.navigator.userAgent

    def read(self) -> bytes:
        return js_notes.bytes.to_bytes()

    def write(self, data: bytes) -> None:
        js_notes.bytes = to_js(data)
        js_notes.keep(js_notes.bytes)


def sfc32(state: groundling.rng.State, n: int) -> tuple[np.ndarray, groundling.rng.State]:
    """rng.sfc32, by site/src/worker/sfc32.ts: 10 million draws take Python 13 s here."""
    words = np.frombuffer(js_sfc32(*state, n).to_py(), np.uint32)
    return words[:n], tuple(words[n:].tolist())


groundling.rng.sfc32 = sfc32
groundling.devices.webgpu.memory.store = Notes()
plans.install()
second_core.install()
names = {"keywords": keyword.kwlist, "modules": [*sys.stdlib_module_names, "numpy"]}
post({"type": "sources", "files": sources(), **names})
post({"type": "recipes", "recipes": [asdict(recipe) for recipe in RECIPES]})
session = Session(post, open_device, shakespeare(), views, autosave=autosave())
session.doers["evaluate"].capture()
wgpu.after_wait.append(session.after_wait)


def receive(text: str, data: JsBuffer | None = None) -> None:
    """Take a command from the page."""
    message = json.loads(text)
    if data is not None:
        message["bytes"] = data.to_bytes()
    session.receive(message)


advance, flush = session.advance, session.flush
