"""The folders of the page's TypeScript: who may import whom, and that nothing happens on import."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.native

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "site"
FEATURES = ["talk", "inside", "doctor", "twin", "inspector", "speed", "credits", "text", "share"]
FEATURES += ["guide", "course", "shelf", "step"]
# A folder imports those of the rows above its own, and nothing beside itself.
ROWS = [["base"], ["ui"], ["run"], ["code"], FEATURES, ["page"]]
ALONE = {"worker": ["base"], "offline": [], "embed": ["base"]}
MAY = ALONE | {
    folder: [lower for below in ROWS[:at] for lower in below]
    for at, row in enumerate(ROWS)
    for folder in row
}
# `import type` counts, and so do `export ... from` and `import()`.
IMPORTS = re.compile(r"""\b(?:from|import)\s*\(?\s*["'](\.[^"']*)["']""")


def imports(source: Path) -> Iterator[Path]:
    """The files of ours that a file imports."""
    for name in IMPORTS.findall(source.read_text(encoding="utf-8")):
        path = Path(os.path.normpath(source.parent / name))
        found = (path, *(path.with_name(path.name + end) for end in (".ts", ".tsx")))
        yield next(one for one in found if one.is_file())


def faults(root: Path) -> list[str]:
    """What is wrong in a tree of sources: arrows that may not be, and circles of files."""
    files = sorted(path for path in root.rglob("*.ts*") if path.suffix in (".ts", ".tsx"))
    arrows = {path: list(imports(path)) for path in files}
    said = []
    for source, targets in arrows.items():
        folder = source.relative_to(root).parts[0]
        for target in targets:
            to = target.relative_to(root).parts[0]
            if to != folder and to not in MAY[folder]:
                said.append(f"{source.relative_to(root)} may not import {target.relative_to(root)}")
    done: set[Path] = set()

    def follow(path: Path, trail: list[Path]) -> None:
        if path in trail:
            circle = [one.relative_to(root).as_posix() for one in trail[trail.index(path) :]]
            said.append(f"a circle: {' → '.join(circle)}")
        elif path not in done:
            for target in arrows.get(path, ()):
                follow(target, [*trail, path])
            done.add(path)

    for path in files:
        follow(path, [])
    return said


def test_imports_run_downwards_and_in_no_circle():
    assert faults(SITE / "src") == []


@pytest.mark.parametrize(
    "source, line, fault",
    [
        ("base/low.ts", 'import { send } from "../run/state";', "base/low.ts may not import"),
        ("run/low.ts", 'import type { A } from "../talk/state";', "run/low.ts may not import"),
        ("talk/side.ts", 'export { a } from "../doctor/state";', "talk/side.ts may not import"),
        ("worker/a.ts", 'const a = await import("../run/state");', "worker/a.ts may not import"),
        (
            "run/state.ts",
            'import {\n  a,\n} from "./other";',
            "a circle: run/other.ts → run/state.ts",
        ),
        ("talk/fine.ts", 'import { a } from "../run/state";', ""),
    ],
)
def test_an_arrow_that_may_not_be_is_found(tmp_path, source, line, fault):
    texts = {f"{folder}/state.ts": "" for folder in ("run", "talk", "doctor")}
    texts |= {"run/other.ts": 'import { b } from "./state";', source: line}
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = faults(tmp_path)
    assert bool(found) == bool(fault)
    assert fault in "".join(found)


def test_importing_a_module_of_the_page_starts_nothing(tmp_path):
    """All but main.tsx and language.ts, which it imports first: in Node, where there is neither
    document nor storage.
    """
    modules = [
        path
        for folder in MAY.keys() - ALONE.keys()
        for path in (SITE / "src" / folder).glob("*.ts*")
        if path.name not in ("main.tsx", "language.ts", "css.d.ts")
    ]
    entry, bundle = tmp_path / "every.ts", tmp_path / "every.mjs"
    lines = [f'import "site/{path.relative_to(SITE / "src").as_posix()}";' for path in modules]
    options = "--bundle --platform=node --format=esm --loader:.css=empty --define:SIZES={}"
    stop = "{ get() { console.error('localStorage was asked'); process.exit(1); } }"
    stop = f"--banner:js=Object.defineProperty(globalThis, 'localStorage', {stop});"
    where = (stop, f"--alias:site={SITE / 'src'}", f"--outfile={bundle}")
    spec = importlib.util.spec_from_file_location("build_of_layers", ROOT / "build.py")
    build = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    environment = build.node_environment()
    entry.write_text("\n".join(lines), encoding="utf-8")
    subprocess.run(
        [build.node_tool("esbuild"), entry, *options.split(), *where], env=environment, check=True
    )
    ran = subprocess.run(
        ["node", bundle], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr[-2000:]


def test_a_frame_has_the_policy_of_the_page():
    policies = [
        re.findall(
            r'Content-Security-Policy"\s+content="([^"]+)"', (SITE / page).read_text("utf-8")
        )
        for page in ("index.html", "embed.html")
    ]
    assert len(policies[0]) == 1 and policies[0] == policies[1]


def test_preact_is_used_without_its_imitation_of_react():
    """preact/compat would make each `onChange` of a text field an `onInput`, also elsewhere."""
    sources = [*SITE.glob("src/**/*.ts"), *SITE.glob("src/**/*.tsx")]
    assert sources
    assert not [path for path in sources if "preact/compat" in path.read_text(encoding="utf-8")]
