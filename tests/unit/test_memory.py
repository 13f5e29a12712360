"""What is remembered of an adapter: kept, found again, and never trusted."""

import json
from pathlib import Path

import pytest

from groundling import sources
from groundling.devices.webgpu import memory, tiles
from groundling.devices.webgpu.memory import File


class Kept:
    """A store in memory; `data` is what it has."""

    host = "a browser 1.0"

    def __init__(self, data: bytes = b""):
        self.data = data

    def read(self) -> bytes:
        return self.data

    def write(self, data: bytes) -> None:
        self.data = data


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Kept:
    kept = Kept()
    monkeypatch.setattr(memory, "store", kept)
    return kept


def key(name: str = "a GPU", driver: str = "1") -> str:
    """That of an adapter."""
    return memory.key(name, {"device": name, "description": f"driver {driver}"}, tiles)


def test_a_choice_is_found_again_for_the_same_adapter_and_driver(store):
    memory.keep(key(), tiles.WIDE)
    memory.keep(key("another"), tiles.PLAIN)
    assert memory.recall(key()) == tiles.WIDE
    assert memory.recall(key("another")) == tiles.PLAIN
    assert memory.recall(key(driver="2")) == ""


def test_another_browser_or_another_kernel_has_its_own_trial(store, monkeypatch):
    memory.keep(key(), tiles.WIDE)
    store.host = "a browser 2.0"
    assert memory.recall(key()) == ""
    store.host = "a browser 1.0"
    path = f"{sources.SHADERS}matmul_nn.wgsl"
    monkeypatch.setattr(sources, "overlay", {path: sources.text(path) + "\n"})
    assert memory.recall(key()) == ""


def test_a_newer_choice_takes_the_place_of_the_old(store):
    memory.keep(key(), tiles.WIDE)
    memory.keep(key(), tiles.PLAIN)
    assert memory.recall(key()) == tiles.PLAIN
    assert len(json.loads(store.data)) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no JSON",
        b"[1, 2]",
        b"\xff\xfe",
        b"[" * 5000,
        b"[" * 4000,
        b'{"KEY": "99 x 99"}',
        b'{"KEY": ["8 x 8"]}',
        b'{"KEY": "8 x 8"}' + b" " * memory.LONGEST,
    ],
    ids=[
        "nothing",
        "text",
        "a list",
        "no text",
        "too long",
        "too deep",
        "unknown",
        "odd",
        "padded",
    ],
)
def test_what_cannot_be_counts_for_nothing_and_is_written_anew(store, data: bytes):
    store.data = data.replace(b"KEY", key().encode())
    assert memory.recall(key()) == ""
    memory.keep(key(), tiles.WIDE)
    assert memory.recall(key()) == tiles.WIDE


def test_so_many_adapters_are_remembered_the_newest_of_them(store):
    for i in range(memory.MOST + 5):
        memory.keep(key(f"GPU {i}"), tiles.WIDE)
    assert memory.recall(key("GPU 4")) == ""
    assert memory.recall(key("GPU 5")) == tiles.WIDE
    assert len(store.data) <= memory.LONGEST


def test_without_a_store_or_with_one_that_fails_there_is_only_the_trial(store, monkeypatch):
    def fail(*_: object) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(store, "read", fail)
    monkeypatch.setattr(store, "write", fail)
    memory.keep(key(), tiles.WIDE)
    assert memory.recall(key()) == ""
    monkeypatch.setattr(memory, "store", None)
    memory.keep(key(), tiles.WIDE)
    assert memory.recall(key()) == ""


def test_a_file_is_made_with_its_folder_and_read_no_further_than_it_may_be(tmp_path: Path):
    file = File(tmp_path / "new" / "adapters.json")
    with pytest.raises(FileNotFoundError):
        file.read()
    file.write(b"x" * 9999)
    assert file.read() == b"x" * (memory.LONGEST + 1)
    assert [path.name for path in file.path.parent.iterdir()] == ["adapters.json"]
