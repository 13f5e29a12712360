"""What the tests of py_src/browser share: the page's part, played with no browser."""

import json
import time
from collections.abc import Callable

import session
import typed
import views
import wire

import groundling.devices.base
import groundling.devices.open
from groundling.data import Corpus

TEXT = "To be, or not to be, that is the question:\n" * 20
CORPUS = Corpus(TEXT)
wrong: list[str] = []  # what was posted and is not of its type; see conftest.py


def file_of(messages: list[dict], type: str = "file") -> bytes:
    """The bytes of the last message of a type: its own, or those of the pieces before it."""
    last = max(i for i, message in enumerate(messages) if message["type"] == type)
    if "bytes" in messages[last]:
        return messages[last]["bytes"]
    pieces = [message for message in messages[:last] if message["type"] == "piece"]
    first = max(i for i, piece in enumerate(pieces) if piece["first"])
    return b"".join(piece["bytes"] for piece in sorted(pieces[first:], key=lambda one: one["at"]))


class Posted(list):
    """The messages that were posted, as the page gets them."""

    def append(self, message: dict) -> None:
        crossed = json.loads(wire.text_of(message))
        assert crossed["type"] == message["type"], crossed
        crossed |= {name: value for name, value in message.items() if name == "bytes"}
        wrong.extend(typed.faults(crossed, typed.REPORTS[crossed["type"]], crossed["type"]))
        super().append(crossed)

    def of(self, type: str) -> list[dict]:
        return [message for message in self if message["type"] == type]


class Page:
    """A session on NumPy, what it posted, and ways to tell it things."""

    def __init__(self, corpus: Corpus = CORPUS, clock: Callable[[], float] = time.perf_counter):
        self.posted = Posted()
        self.session = session.Session(
            self.posted.append, self.open_device, corpus, views.views, clock
        )
        self.tell("device", name="numpy")

    def open_device(self, name: str, stage: Callable) -> groundling.devices.base.Device:
        return groundling.devices.open.open_device(name)

    def tell(self, type: str, **values: object) -> dict | None:
        """Send a command and let the session work once; the last message that it posted."""
        self.session.receive({"type": type, **values})
        self.session.advance()
        return self.posted[-1] if self.posted else None

    def finish(self) -> None:
        """Let the session work until it has nothing to do."""
        while self.session.advance():
            pass

    def of(self, type: str) -> list[dict]:
        return self.posted.of(type)

    def last(self, type: str) -> dict:
        return self.of(type)[-1]
