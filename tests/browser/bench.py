"""tests/bench.py inside Pyodide in Chromium, on its software adapter."""

from collections.abc import Callable


def bench_chromium(run_pytest_in_pyodide: Callable):
    """Prints what the bench printed there."""
    for outcome in run_pytest_in_pyodide(["-o", "python_functions=bench_*", "tests/bench.py"]):
        print(f"\nIn Chromium\n{outcome.said}")
