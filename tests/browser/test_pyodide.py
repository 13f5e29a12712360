"""The same tests, in the other host: Pyodide in Chromium, with WebGPU behind the wgpu shim."""

from collections.abc import Callable


def assert_all_passed(outcomes: list, at_least: int) -> None:
    """Every test ran and passed; `at_least` guards against a run that silently lost its tests."""
    troubles = [f"{o.test} {o.outcome}\n{o.said}" for o in outcomes if o.outcome != "passed"]
    assert not troubles, "\n\n".join([f"{len(troubles)} of {len(outcomes)} tests:", *troubles])
    assert len(outcomes) >= at_least


def test_the_library_passes_its_unit_tests_inside_pyodide(run_pytest_in_pyodide: Callable):
    assert_all_passed(run_pytest_in_pyodide(["tests/unit"]), at_least=10)


def test_the_wgpu_shim_conforms_to_wgpu_py(run_pytest_in_pyodide: Callable):
    assert_all_passed(run_pytest_in_pyodide(["tests/wgpu"]), at_least=10)
