"""Which code this is: one hash of all that decides the numbers of a run besides its seed, its
configuration and its text.
"""

import hashlib
from functools import cache
from pathlib import Path

# The rest of the library reads, writes and shows what these compute.
MODULES = "config", "corpus", "jit", "model", "ops", "optim", "rng", "tensor", "train"


@cache
def code_hash() -> str:
    """SHA-256 of the modules and kernels that decide the numbers, the same in the page as natively.

    It is taken once, so that it stays that of the code that runs when a file is edited meanwhile.
    """
    here = Path(__file__).resolve().parent
    files = {f"{name}.py": here / f"{name}.py" for name in MODULES}
    files |= {f"devices/{path.name}": path for path in (here / "devices").glob("*.py")}
    files |= {f"shaders/{path.name}": path for path in shader_folder().glob("*.wgsl")}
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def shader_folder() -> Path:
    """Where the WGSL is: in the repository, or within the installed package."""
    here = Path(__file__).resolve()
    inside = here.parent / "shaders"
    return inside if inside.is_dir() else here.parents[2] / "shaders"
