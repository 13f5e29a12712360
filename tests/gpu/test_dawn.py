"""Every kernel and form on Dawn, which is Chrome's WebGPU, without a browser: test_parity.py once
more, in a process of its own. With Debian's Chromium that is on its SwiftShader, else on whatever
the system has.

tests/wgpu is not run so: in wgpudawn 0.32.0.4 a `queue.write_buffer` that is refused ends the
process once its error is collected as garbage, and its devices list features that have no name in
WebGPU. In Chrome itself tests/browser/test_pyodide.py runs it.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SWIFTSHADER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")
TESTS = "does_what_its_reference_does or the_same_bytes or the_same_to_the_bit or the_same_twice"


@pytest.mark.skipif(not find_spec("wgpudawn"), reason="there is no wgpudawn for this machine")
def test_the_kernels_are_right_on_dawn():
    environment = os.environ | {"GROUNDLING_DAWN": "1", "XDG_RUNTIME_DIR": os.devnull}
    if SWIFTSHADER.exists():
        environment["VK_DRIVER_FILES"] = str(SWIFTSHADER)
    tests = Path(__file__).with_name("test_parity.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", tests, "-k", TESTS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
