"""A project: edits of the library's files, and the settings to train them with, kept and shared.

    project.json             {"format":"groundling-project-v1","version":"0.1.0","code":"…",
                             "name":"…","settings":{"seed":"…","iters":…,"batch_size":…,"lr":…}}
    README.txt               how to run it
    py_src/groundling/…/*.py the changed and the new files, whole
    shaders/*.wgsl

It is a folder of these, a `.zip` of them (the same project gives the same bytes), or a link, when
that is short enough: `code=` and base64url of the deflated JSON of it all, after an address's #.
`version` and `code` are those of the library that it changes.

    project = read(Path("folder or file.zip"))      what `groundling run` trains
    data, text = to_zip(project), to_link(project)
    project == from_zip(data) == from_link(text)

A project was written by anyone. What is not exactly one is refused by a ProjectError, which says
why; nothing of it is ever run here.
"""

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .. import __version__
from ..config import TrainConfig, shown
from ..runs import strict
from ..runs.decoding import decode
from ..runs.strict import HASH, NotJSON, check_keys, check_text
from ..sources import hash_of
from . import live
from .fragment import MAX_LINK, fragment_of, pack, unpack
from .moved import MOVED, carried

FORMAT = "groundling-project-v1"
MAX_FILE = 500_000  # bytes of UTF-8
MAX_TOTAL = 2_000_000
MAX_ZIP = 4_000_000
PREFIX = "code="
MAX_NAME = 60  # characters
LITTER = re.compile(r"__MACOSX/.*|(.*/)?\.DS_Store")  # what macOS packs beside a folder's files
NAME = rf"[^\x00-\x1f\x7f]{{1,{MAX_NAME}}}"
SETTINGS = "seed", "iters", "batch_size", "lr"
KEYS = "format", "version", "code", "name", "settings"
PROBLEMS = (  # what zipfile raises of a damaged file
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError),
    *(OSError, OverflowError, IndexError, ValueError),
)
README = """{name}

A Groundling project: the files here take the place of those of the same name in the library
(Groundling {version}, code {code}), or are new beside them.

To train it with Groundling installed (`python build.py setup` in a copy of its repository makes
the command .venv/bin/groundling):

    groundling run FOLDER

where FOLDER is this folder, or the .zip that it came in. The settings are in project.json; options
such as --iters 100 or --device numpy stand above them.

To go on in the page: Code, Open project, and choose the .zip.

It is code: read it before you run it, if it is not yours.
"""


class ProjectError(ValueError):
    """What is not a project, or cannot be one; the message says why."""


@dataclass(frozen=True)
class Project:
    """Edits of the library, and the settings to train them with. files: the whole text of each that
    differs, by path. version and code are those of the library that they edit. ProjectError.
    """

    name: str
    files: dict[str, str]
    config: TrainConfig = field(default_factory=TrainConfig)  # the SETTINGS of it are kept
    version: str = __version__
    code: str = field(default_factory=lambda: hash_of({}))

    def __post_init__(self):
        try:
            check_text("name", self.name, NAME, "a short line")
            check_text("version", self.version, r"[0-9A-Za-z.+-]{1,40}", "a version like 0.1.0")
            check_text("code", self.code, *HASH)
            self.name.encode()
        except ValueError as error:
            raise ProjectError(f"The project is wrong: {_sentence(error)}") from None
        check_files(self.files)


def check_files(files: object) -> None:
    """ProjectError unless these are edits of the library: path to text, within the limits."""
    if not isinstance(files, dict):
        raise ProjectError("The project's files are not an object of paths and texts.")
    if len(files) > live.MAX_FILES:
        raise ProjectError(f"The project has {len(files):,} files; it may have {live.MAX_FILES}.")
    total = 0
    for path, text in files.items():
        check_path(path)
        if not isinstance(text, str):
            raise ProjectError(f"The project's {path} is {shown(text)}, which is no text.")
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            raise ProjectError(
                f"The project's {path} has half a character at {error.start:,}."
            ) from None
        if "\0" in text:
            raise ProjectError(f"The project's {path} has a NUL in it, which no source has.")
        total += size
        _check_size(path, size, total)


def check_path(path: str) -> None:
    """ProjectError unless it is a file that can be edited."""
    try:
        live.check({path: ""})
    except ValueError as error:
        raise ProjectError(f"The project cannot be used: {error}") from None


def _check_size(path: str, size: int, total: int) -> None:
    if size > MAX_FILE:
        raise ProjectError(f"The project's {path} has {size:,} bytes; it may have {MAX_FILE:,}.")
    if total > MAX_TOTAL:
        raise ProjectError(f"The project has more than the {MAX_TOTAL:,} bytes that it may have.")


def file_name(name: str) -> str:
    """A project's name as that of a file."""
    return (re.sub("[^A-Za-z0-9_-]+", "-", name).strip("-")[:40] or "project") + ".zip"


# ---- a zip ---------------------------------------------------------------------------------------


def to_zip(project: Project) -> bytes:
    """The project as a `.zip`; stored, not packed, so that every host writes the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        for path, data in _parts(project).items():
            entry = zipfile.ZipInfo(path)  # of 1980, when a zip's time begins
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            packed.writestr(entry, data)
    return out.getvalue()


def from_zip(data: bytes) -> Project:
    """The project in a `.zip`, also one made of its folder by other programs. ProjectError."""
    if len(data) > MAX_ZIP:
        raise ProjectError(
            f"The file has {len(data):,} bytes; no project's has more than {MAX_ZIP:,}."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            parts = _unzip(packed)
    except ProjectError:
        raise
    except PROBLEMS as error:
        raise ProjectError(f"The file is not a whole .zip: {_sentence(error)}") from None
    return _from_parts(parts)


def _unzip(packed: zipfile.ZipFile) -> dict[str, bytes]:
    """The entries, none larger than it may be, whatever it says of itself."""
    entries = [
        entry
        for entry in packed.infolist()
        if not entry.is_dir() and not LITTER.fullmatch(entry.orig_filename)
    ]
    if len(entries) > live.MAX_FILES + 2:
        raise ProjectError(
            f"The .zip has {len(entries):,} files; a project's has {live.MAX_FILES + 2} at most."
        )
    names = [entry.orig_filename for entry in entries]
    top = names[0].partition("/")[0] + "/" if names else ""
    if f"{top}project.json" in names and "project.json" not in names:
        if strange := next((name for name in names if not name.startswith(top)), None):
            raise ProjectError(f"The .zip has {shown(strange)} beside its folder {top!r}.")
    else:
        top = ""
    parts, total = {}, 0
    for entry, whole in zip(entries, names, strict=True):
        name = whole.removeprefix(top)
        if name in parts:
            raise ProjectError(f"The .zip has {shown(name)} twice.")
        if name not in ("project.json", "README.txt"):
            check_path(MOVED.get(name, name))
        if entry.flag_bits & 1:
            raise ProjectError("The .zip is locked with a password; a project's is not.")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ProjectError(f"The .zip has packed {name} in a way that a project's is not.")
        _check_size(name, entry.file_size, total + entry.file_size)
        with packed.open(entry) as file:
            parts[name] = file.read(MAX_FILE + 1)
        total += len(parts[name])
        _check_size(name, len(parts[name]), total)
    return parts


# ---- a folder ------------------------------------------------------------------------------------


def write_folder(project: Project, folder: Path) -> None:
    """The project as a folder, which must be new or empty. ProjectError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ProjectError(f"{folder} is there already, and not an empty folder.")
    for name, data in _parts(project).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def read(path: Path) -> Project:
    """The project in a folder, of which only project.json, py_src/groundling and shaders are read,
    or in a `.zip`. ProjectError, OSError.
    """
    if not path.is_dir():
        if path.stat().st_size > MAX_ZIP:
            raise ProjectError(
                f"The file has {path.stat().st_size:,} bytes; no project's has more than "
                f"{MAX_ZIP:,}."
            )
        return from_zip(path.read_bytes())
    names = {"project.json": path / "project.json"}
    for folder, pattern in (("py_src/groundling", "*.py"), ("shaders", "*.wgsl")):
        for file in sorted((path / folder).rglob(pattern)):
            names[file.relative_to(path).as_posix()] = file
            if len(names) > live.MAX_FILES + 1:
                raise ProjectError(f"The folder has more than {live.MAX_FILES} files.")
    parts, total = {}, 0
    for name, file in names.items():
        if not file.is_file():
            raise ProjectError(f"The folder has no {name}: it is not a project.")
        if file.is_symlink() or not file.resolve().is_relative_to(path.resolve()):
            raise ProjectError(f"The folder's {name} is a link to another place; it must be here.")
        total += file.stat().st_size
        _check_size(name, file.stat().st_size, total)
        parts[name] = file.read_bytes()
    return _from_parts(parts)


# ---- a link --------------------------------------------------------------------------------------


def to_link(project: Project) -> str:
    """The fragment of an address. ProjectError when it would be too long: a zip has room."""
    value = {**_header(project), "files": dict(sorted(project.files.items()))}
    fragment = PREFIX + pack(strict.dumps(value).encode("ascii"))
    if len(fragment) > MAX_LINK:
        raise ProjectError(
            f"As a link these edits would take {len(fragment):,} characters, and a link has room "
            f"for {MAX_LINK:,}. Share the .zip instead."
        )
    return fragment


def from_link(text: str) -> Project:
    """The project in a link's fragment, or in a whole address with one. ProjectError."""
    try:
        fragment = fragment_of(text)
        if not fragment.startswith(PREFIX):
            raise ValueError(f"holds no edits: after its # comes no {PREFIX}.")
        raw = unpack(fragment.removeprefix(PREFIX), MAX_TOTAL)
    except ValueError as error:
        raise ProjectError(f"The link {error}") from None
    value = _parse(raw, "link", (*KEYS, "files"))
    return _project(value, value["files"])


# ---- what they share -----------------------------------------------------------------------------


def _header(project: Project) -> dict:
    settings = {name: getattr(project.config, name) for name in SETTINGS}
    facts = dict(version=project.version, code=project.code, name=project.name)
    return {"format": FORMAT, **facts, "settings": settings}


def _parts(project: Project) -> dict[str, bytes]:
    """Every file of the project, by its path."""
    header = json.dumps(_header(project), indent=2) + "\n"
    facts = dict(name=project.name, version=project.version, code=project.code[:12])
    parts = {"project.json": header.encode("ascii"), "README.txt": README.format(**facts).encode()}
    return parts | {path: text.encode() for path, text in sorted(project.files.items())}


def _from_parts(parts: dict[str, bytes]) -> Project:
    if "project.json" not in parts:
        raise ProjectError("There is no project.json in it: it is not a project.")
    value = _parse(parts["project.json"], "project.json", KEYS)
    files = {}
    for path, data in parts.items():
        if path not in ("project.json", "README.txt"):
            files[path] = _decode(data, f"project's {path}")
    return _project(value, files)


def _decode(data: bytes, what: str) -> str:
    try:
        return decode(data, f"The {what}")
    except ValueError as error:
        raise ProjectError(str(error)) from None


def _parse(raw: bytes, what: str, keys: Iterable[str]) -> dict:
    """The JSON of a project of our version."""
    try:
        value = strict.parse_text(_decode(raw, what))
    except NotJSON as error:
        raise ProjectError(f"The {what} is damaged: {error}") from None
    except ValueError as error:
        raise ProjectError(f"The {what} is wrong: {_sentence(error)}") from None
    if not isinstance(value, dict) or "format" not in value:
        raise ProjectError(f"The {what} does not say that it is a project.")
    if value["format"] != FORMAT:
        raise ProjectError(
            f"The {what} says it is {shown(value['format'])}; this can read {FORMAT}."
        )
    try:
        check_keys("it", value, keys)
    except ValueError as error:
        raise ProjectError(f"The {what} is wrong: {_sentence(error)}") from None
    return value


def _project(value: dict, files: object) -> Project:
    settings = value["settings"]
    try:
        check_keys("settings", settings, SETTINGS)
        config = TrainConfig(**settings)
    except ValueError as error:
        raise ProjectError(f"The project's settings are wrong: {_sentence(error)}") from None
    return Project(value["name"], carried(files), config, value["version"], value["code"])


def _sentence(error: Exception) -> str:
    said = str(error).strip() or type(error).__name__
    if len(said) > 200:  # zipfile repeats what it has read
        said = f"{said[:200]}…"
    return said if said.endswith(".") else f"{said}."
