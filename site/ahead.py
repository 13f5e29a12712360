"""What can be done ahead of the page's start, in the Pyodide that will run it: see ahead.mjs.

Neither Pyodide's standard library nor NumPy's wheel has bytecode, so every start would compile
their modules and ours anew, before the interpreter itself is optimized. `packed` is a zip of what
is to stand beside their text: stdlib/json/decoder.pyc, numpy/numpy/__pycache__/... and so on. It is
bytecode that is never compared with the text (PEP 552): they come in one file.

`kernels` is what the device will ask of WebGPU as it compiles all kernels, for src/worker/ahead.ts.
"""

import importlib.util
import io
import json
import marshal
import sys
import zipfile
from importlib.machinery import SourceFileLoader
from pathlib import Path

STDLIB, NUMPY, LIBRARY = "/lib/python314.zip/", "/app/lib/", "/app/"
HEADER = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8)

sys.path[:0] = ["/app/py_src/browser", "/app/py_src", "/app/lib"]
import session  # noqa: E402, F401  with these all that main.py imports
import views  # noqa: E402, F401

from groundling import sources  # noqa: E402
from groundling.devices.webgpu import device as webgpu  # noqa: E402

codes = {}
for name, module in sorted(sys.modules.items()):
    origin = getattr(module.__spec__, "origin", None) or ""
    if origin.endswith(".py") and origin.startswith((STDLIB, NUMPY)):
        codes[origin] = module.__spec__.loader.get_code(name)
for path in sorted(Path("/app/py_src").rglob("*.py")):
    codes[str(path)] = SourceFileLoader(path.stem, str(path)).get_code(path.stem)

out = io.BytesIO()
with zipfile.ZipFile(out, "w") as archive:
    for path, code in codes.items():
        if path.startswith(STDLIB):
            name = "stdlib/" + path.removeprefix(STDLIB) + "c"
        else:
            cached = importlib.util.cache_from_source(path)
            group, base = ("numpy", NUMPY) if path.startswith(NUMPY) else ("library", LIBRARY)
            name = f"{group}/{cached.removeprefix(base)}"
        archive.writestr(zipfile.ZipInfo(name), HEADER + marshal.dumps(code))
packed = out.getvalue()


class Recorder:
    """In the place of a device: of each pipeline, what it is made of."""

    def __init__(self):
        self.pipelines: list[dict] = []

    def create_bind_group_layout(self, entries: list[dict]) -> list[dict]:
        return entries

    def create_pipeline_layout(self, bind_group_layouts: list) -> list:
        return bind_group_layouts

    def create_shader_module(self, label: str, code: str) -> dict:
        return {"label": label, "code": code}

    def create_compute_pipeline_async(self, layout: list, compute: dict) -> None:
        self.pipelines.append(compute["module"] | {"entries": layout[0]})


recorder = Recorder()
for name in webgpu.ahead():
    webgpu.Kernel(recorder, name, sources.text(f"{sources.SHADERS}{name}.wgsl")).begin({})
kernels = json.dumps(recorder.pipelines)
