"""What is remembered of an adapter: kept, found again, and never trusted."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from groundling import sources
from groundling.devices import memory, tiles
from groundling.devices.memory import File


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


def device(name: str = "a GPU", driver: str = "1"):
    """What memory.py asks of a device."""
    info = {"device": name, "description": f"driver {driver}"}
    return SimpleNamespace(description=name, wgpu=SimpleNamespace(adapter_info=info))


def test_a_choice_is_found_again_for_the_same_adapter_and_driver(store):
    memory.keep(device(), tiles.WIDE)
    memory.keep(device("another"), tiles.PLAIN)
    assert memory.recall(device()) == tiles.WIDE
    assert memory.recall(device("another")) == tiles.PLAIN
    assert memory.recall(device(driver="2")) == ""


def test_another_browser_or_another_kernel_has_its_own_trial(store, monkeypatch):
    memory.keep(device(), tiles.WIDE)
    store.host = "a browser 2.0"
    assert memory.recall(device()) == ""
    store.host = "a browser 1.0"
    path = f"{sources.SHADERS}matmul_nn.wgsl"
    monkeypatch.setattr(sources, "overlay", {path: sources.text(path) + "\n"})
    assert memory.recall(device()) == ""


def test_a_newer_choice_takes_the_place_of_the_old(store):
    memory.keep(device(), tiles.WIDE)
    memory.keep(device(), tiles.PLAIN)
    assert memory.recall(device()) == tiles.PLAIN
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
        b'{"KEY": "64 x 64"}',
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
    store.data = data.replace(b"KEY", memory._key(device()).encode())
    assert memory.recall(device()) == ""
    memory.keep(device(), tiles.WIDE)
    assert memory.recall(device()) == tiles.WIDE


def test_so_many_adapters_are_remembered_the_newest_of_them(store):
    for i in range(memory.MOST + 5):
        memory.keep(device(f"GPU {i}"), tiles.WIDE)
    assert memory.recall(device("GPU 4")) == ""
    assert memory.recall(device("GPU 5")) == tiles.WIDE
    assert len(store.data) <= memory.LONGEST


def test_without_a_store_or_with_one_that_fails_there_is_only_the_trial(store, monkeypatch):
    def fail(*_: object) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(store, "read", fail)
    monkeypatch.setattr(store, "write", fail)
    memory.keep(device(), tiles.WIDE)
    assert memory.recall(device()) == ""
    monkeypatch.setattr(memory, "store", None)
    memory.keep(device(), tiles.WIDE)
    assert memory.recall(device()) == ""


def test_a_file_is_made_with_its_folder_and_read_no_further_than_it_may_be(tmp_path: Path):
    file = File(tmp_path / "new" / "adapters.json")
    with pytest.raises(FileNotFoundError):
        file.read()
    file.write(b"x" * 9999)
    assert file.read() == b"x" * (memory.LONGEST + 1)
    assert [path.name for path in file.path.parent.iterdir()] == ["adapters.json"]
