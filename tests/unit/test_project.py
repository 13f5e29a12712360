"""Projects as zip, folder and link: the same out as in, and hostile ones refused in words."""

import base64
import io
import json
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest

from groundling.config import TrainConfig
from groundling.edits import project
from groundling.edits.fragment import MAX_LINK, pack
from groundling.edits.project import MAX_FILE, MAX_TOTAL, Project, ProjectError

FILES = {
    "py_src/groundling/train.py": "print('<script>alert(1)</script>')\n",
    "py_src/groundling/devices/mine.py": "x = 'é 𝄞'\r\n",
    "shaders/relu2.wgsl": "// grid: size / 64\n",
}
CONFIG = TrainConfig(seed="Ophelia’s", iters=12, batch_size=4, lr=1e-3)
MINE = Project("Squares & <b>rain</b>", FILES, CONFIG, code="a" * 64)


def test_a_zip_holds_the_project_and_always_the_same_bytes():
    data = project.to_zip(MINE)
    assert project.from_zip(data) == MINE
    assert project.to_zip(project.from_zip(data)) == data
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        names = packed.namelist()
        assert names == ["project.json", "README.txt", *sorted(FILES)]
        assert "groundling run FOLDER" in packed.read("README.txt").decode()
        header = json.loads(packed.read("project.json"))
    assert header["settings"] == {"seed": "Ophelia’s", "iters": 12, "batch_size": 4, "lr": 1e-3}
    assert header["version"] == "0.1.0" and header["code"] == "a" * 64


def test_a_folder_holds_the_project_beside_what_else_is_there(tmp_path: Path):
    folder = tmp_path / "mine"
    project.write_folder(MINE, folder)
    (folder / "tinker-shakespeare-hamlet-iter12.bin").write_bytes(b"weights")
    (folder / "py_src/groundling/__pycache__").mkdir()
    (folder / "py_src/groundling/__pycache__/train.cpython-314.pyc").write_bytes(b"\0")
    assert project.read(folder) == MINE
    with pytest.raises(ProjectError, match="is there already"):
        project.write_folder(MINE, folder)
    (tmp_path / "mine.zip").write_bytes(project.to_zip(MINE))
    assert project.read(tmp_path / "mine.zip") == MINE


def test_a_zip_that_another_program_made_of_the_folder_is_read():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.mkdir("mine") if hasattr(packed, "mkdir") else None
        with zipfile.ZipFile(io.BytesIO(project.to_zip(MINE))) as good:
            for name in good.namelist():
                packed.writestr(f"mine/{name}", good.read(name))
                packed.writestr(f"__MACOSX/mine/._{name}", b"\0\5\x16\7")  # as macOS has it
        packed.writestr("mine/.DS_Store", b"\0\0\0\1Bud1")
    assert project.from_zip(out.getvalue()) == MINE


def test_a_link_holds_the_project():
    text = project.to_link(MINE)
    assert text.startswith("code=") and len(text) < MAX_LINK
    assert project.from_link(text) == MINE
    assert project.from_link(f" https://example.org/g/#{text}\n") == MINE


def test_edits_too_long_for_a_link_are_sent_to_the_zip():
    text = base64.b64encode(bytes(i * i * i % 251 for i in range(9000))).decode()
    noise = "".join(f"# {zlib.crc32(str(i).encode())}\n" for i in range(2000))
    with pytest.raises(ProjectError, match=r"would take .* Share the \.zip instead"):
        project.to_link(Project("long", {"shaders/a.wgsl": text + noise}))


# ---- what anyone may have written ----------------------------------------------------------------


def header(**facts) -> dict:
    settings = {"seed": "hamlet", "iters": 2, "batch_size": 1, "lr": 1e-3}
    good = dict(format=project.FORMAT, version="0.1.0", code="a" * 64, name="x", settings=settings)
    return good | facts


def zipped(files: dict, mode: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", mode) as packed:
        for name, data in files.items():
            packed.writestr(zipfile.ZipInfo(name), data, mode)
    return out.getvalue()


def linked(value: object) -> str:
    return "code=" + pack(json.dumps(value).encode())


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "py_src/groundling/../../x.py",
        "py_src/browser/session.py",
        "py_src\\groundling\\train.py",
        "C:/x.py",
        "shaders/.hidden.wgsl",
        "shaders/a b.wgsl",
        "shaders/é.wgsl",
        "shaders/x.wgsl/y.wgsl",
        "py_src/groundling/x.pyc",
        "py_src/groundling/x.py\n",
        "py_src/groundling/edits/live.py",
        "py_src/groundling/__init__.py",
        "shaders/X.wgsl",
        "py_src/groundling/" + "d/" * 9 + "x.py",
        "shaders/" + "x" * 300 + ".wgsl",
        "setup.py",
        "",
    ],
)
def test_a_file_at_any_other_place_is_refused(path: str, tmp_path: Path):
    with pytest.raises(ProjectError, match="cannot be edited"):
        project.from_link(linked(header(files={path: "x"})))
    if path:
        data = zipped({"project.json": json.dumps(header()), path: "x"})
        with pytest.raises(ProjectError):
            project.from_zip(data)


GOOD = "shaders/x.wgsl"
WRONG_LINKS = {
    "no edits": ("hello", "holds no edits"),
    "empty": ("code=", "cut short or damaged"),
    "strange": ("code=<script>", "has '<' at character 0"),
    "not packed": ("code=aGVsbG8", "cut short or damaged"),
    "too long": ("code=" + "A" * 17_000, "none has more than 16,384"),
    "a bomb": ("code=" + pack(b" " * (MAX_TOTAL + 1)), "unpacks to more than"),
    "truncated": (project.to_link(MINE)[:-9], "cut short or damaged"),
    "tail": (
        "code=" + base64.urlsafe_b64encode(zlib.compress(b"{}") + b"x").decode().rstrip("="),
        "does not end where it should",
    ),
    "not JSON": ("code=" + pack(b"print(1)"), "damaged: line 1, character 1"),
    "deep": ("code=" + pack(b"[" * 10**6), "20 levels"),
    "a list": (linked([]), "does not say that it is a project"),
    "other version": (linked(header(format="groundling-project-v2", files={})), "this can read"),
    "no name": (linked({k: v for k, v in header(files={}).items() if k != "name"}), "has no name"),
    "more": (linked(header(files={}, run=True)), "'run'"),
    "files a list": (linked(header(files=[])), "not an object"),
    "text a number": (linked(header(files={GOOD: 3})), "is 3, which is no text"),
    "half a character": (linked(header(files={GOOD: "\ud800"})), "half a character"),
    "a NUL": (linked(header(files={GOOD: "\0"})), "a NUL"),
    "many": (linked(header(files={f"shaders/x{i}.wgsl": "" for i in range(101)})), "101 files"),
    "name of lines": (linked(header(files={}, name="a\nb")), "a short line"),
    "name a number": (linked(header(files={}, name=3)), "a short line"),
    "long name": (linked(header(files={}, name="x" * 61)), "a short line"),
    "code": (linked(header(files={}, code="x")), "hexadecimal"),
    "version": (linked(header(files={}, version="<b>")), "a version like"),
    "settings": (linked(header(files={}, settings=[])), "must be an object"),
    "iters": (
        linked(header(files={}, settings=header()["settings"] | {"iters": 1e99})),
        "iters is 1e\\+99; it must be a whole number",
    ),
    "seed": (linked(header(files={}, settings=header()["settings"] | {"seed": 1})), "must be text"),
}


@pytest.mark.parametrize(("text", "why"), WRONG_LINKS.values(), ids=WRONG_LINKS.keys())
def test_a_wrong_link_is_refused_with_a_sentence(text: str, why: str):
    with pytest.raises(ProjectError, match=why) as raised:
        project.from_link(text)
    assert len(str(raised.value)) < 400
    assert str(raised.value).endswith((".", "?", "else?"))


def lying_zip() -> bytes:
    """A zip whose entry says it has 5 bytes, and unpacks to 100 million."""
    data = bytearray(zipped({"project.json": json.dumps(header()), GOOD: b"\0" * 10**8}))
    for at in (data.find(b"PK\3\4", 4) + 22, data.rfind(b"PK\1\2") + 24):
        data[at : at + 4] = struct.pack("<I", 5)
    return bytes(data)


def locked_zip() -> bytes:
    data = bytearray(zipped({"project.json": json.dumps(header()), GOOD: b"x"}))
    data[data.rfind(b"PK\1\2") + 8] |= 1
    return bytes(data)


def double_zip() -> bytes:
    data = zipped({"project.json": json.dumps(header()), GOOD: "a", "shaders/y.wgsl": "b"})
    return data.replace(b"shaders/y.wgsl", GOOD.encode())


WRONG_ZIPS = {
    "empty": (b"", "not a whole .zip"),
    "text": (b"hello" * 99, "not a whole .zip"),
    "cut": (project.to_zip(MINE)[:-30], "not a whole .zip"),
    "large": (b"PK" + bytes(project.MAX_ZIP), "no project's has more"),
    "no project.json": (zipped({GOOD: ""}), "no project.json"),
    "nothing": (zipped({}), "no project.json"),
    "declared size": (
        zipped({"project.json": json.dumps(header()), GOOD: b" " * (MAX_FILE + 1)}),
        "it may have 500,000",
    ),
    "total size": (
        zipped(
            {"project.json": json.dumps(header())}
            | {f"shaders/x{i}.wgsl": b" " * MAX_FILE for i in range(5)}
        ),
        "more than the 2,000,000 bytes",
    ),
    "a bomb that lies": (lying_zip(), "not a whole .zip"),
    "locked": (locked_zip(), "password"),
    "twice": (double_zip(), "twice"),
    "many": (zipped({f"shaders/x{i}.wgsl": "" for i in range(103)}), "103 files"),
    "packed strangely": (
        zipped({"project.json": json.dumps(header()), GOOD: "x"}, zipfile.ZIP_BZIP2),
        "in a way",
    ),
    "not UTF-8": (zipped({"project.json": json.dumps(header()), GOOD: b"\xff"}), "byte 0"),
    "beside": (zipped({"a/project.json": json.dumps(header()), "b.txt": ""}), "beside its folder"),
    "other version": (
        zipped({"project.json": json.dumps(header(format="groundling-project-v9"))}),
        "this can read groundling-project-v1",
    ),
}


@pytest.mark.parametrize(("data", "why"), WRONG_ZIPS.values(), ids=WRONG_ZIPS.keys())
def test_a_wrong_zip_is_refused_with_a_sentence_and_little_memory(data: bytes, why: str):
    tracemalloc.start()
    try:
        with pytest.raises(ProjectError, match=why) as raised:
            project.from_zip(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(str(raised.value)) < 400 and str(raised.value).endswith(".")
    assert peak < 2 * len(data) + 8_000_000


@pytest.mark.native
def test_a_folder_with_a_link_out_of_it_is_refused(tmp_path: Path):
    folder = tmp_path / "mine"
    project.write_folder(MINE, folder)
    (tmp_path / "secret.wgsl").write_text("secret")
    (folder / "shaders/secret.wgsl").symlink_to(tmp_path / "secret.wgsl")
    with pytest.raises(ProjectError, match="is a link to another place"):
        project.read(folder)


def test_a_folder_that_is_no_project_says_what_is_missing(tmp_path: Path):
    with pytest.raises(ProjectError, match=r"no project\.json"):
        project.read(tmp_path)
    (tmp_path / "project.json").write_bytes(b"x" * (MAX_FILE + 1))
    with pytest.raises(ProjectError, match="it may have 500,000"):
        project.read(tmp_path)


def test_an_edit_of_a_file_that_has_moved_is_one_of_where_it_is_now(tmp_path: Path):
    old = {"py_src/groundling/ops.py": "x = 1\n", "py_src/groundling/devices/webgpu.py": "y = 1\n"}
    now = ["py_src/groundling/engine/ops.py", "py_src/groundling/devices/webgpu/device.py"]
    packed = zipped({"project.json": json.dumps(header())} | old)
    assert list(project.from_zip(packed).files) == now
    assert list(project.from_link(linked(header(files=old))).files) == now
    with zipfile.ZipFile(io.BytesIO(packed)) as folder:
        folder.extractall(tmp_path)
    assert sorted(project.read(tmp_path).files) == sorted(now)
