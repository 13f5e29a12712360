"""The same tests, in the other host: Pyodide in Chromium, with WebGPU behind the wgpu shim."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from groundling import sources
from groundling.devices.webgpu import device as webgpu
from groundling.devices.webgpu import wgsl


def assert_all_passed(outcomes: list, at_least: int) -> None:
    """Every test ran and passed; `at_least` guards against a run that silently lost its tests."""
    troubles = [f"{o.test} {o.outcome}\n{o.said}" for o in outcomes if o.outcome != "passed"]
    assert not troubles, "\n\n".join([f"{len(troubles)} of {len(outcomes)} tests:", *troubles])
    assert len(outcomes) >= at_least


def test_the_library_passes_its_unit_tests_inside_pyodide(run_pytest_in_pyodide: Callable):
    assert_all_passed(run_pytest_in_pyodide(["tests/unit"]), at_least=10)


def test_the_kernels_for_the_cpu_do_what_they_do_in_wasmtime(run_pytest_in_pyodide: Callable):
    files = ["tests/wasm/test_device.py", "tests/wasm/test_kernels.py"]
    assert_all_passed(run_pytest_in_pyodide(files), at_least=10)


def test_the_wgpu_shim_conforms_to_wgpu_py(run_pytest_in_pyodide: Callable):
    assert_all_passed(run_pytest_in_pyodide(["tests/wgpu"]), at_least=10)


def test_what_the_page_imports_as_it_starts_has_its_bytecode_beside_it(build: ModuleType):
    """Pyodide's own importer takes it (PEP 552: never compared with the text, so from one file)."""
    site = build.folder_of(build.build_site())
    for archive, modules in {
        "pyodide/python_stdlib.zip": (
            "ast",
            "json/decoder",
            "asyncio/events",
            "pyodide/ffi/__init__",
        ),
        "numpy.zip": ("numpy/__init__", "numpy/_core/numeric", "numpy/linalg/_linalg"),
        "groundling.zip": [
            path.relative_to(build.ROOT).as_posix().removesuffix(".py")
            for path in (build.ROOT / "py_src").rglob("*.py")
        ],
    }.items():
        with zipfile.ZipFile(site / archive) as zipped:
            for module in map(Path, modules):
                cached = module.parent / "__pycache__" / f"{module.name}.cpython-314.pyc"
                name = f"{module}.pyc" if "stdlib" in archive else cached.as_posix()
                magic, flags = zipped.read(name)[:4], zipped.read(name)[4:8]
                assert (magic[2:], flags) == (b"\r\n", b"\1\0\0\0"), name
                assert f"{module}.py" in zipped.namelist()


def test_what_is_compiled_while_python_boots_is_what_python_will_ask_for(build: ModuleType):
    """And of the same device, as test_a_lost_gpu_leaves_the_run_to_be_saved shows."""
    kernels = json.loads(
        (build.folder_of(build.build_site()) / "kernels.json").read_text(encoding="utf-8")
    )
    asked = {name: sources.text(f"{sources.SHADERS}{name}.wgsl") for name in webgpu.ahead()}
    assert {kernel["label"]: kernel["code"] for kernel in kernels} == {
        name: wgsl.unroll(text) for name, text in asked.items()
    }
    assert all(kernel["entries"][-1]["buffer"] == {"type": "uniform"} for kernel in kernels)
