"""Fused kernels, which do the work of two: see engine/fuse.py.

Such a kernel names at its head the kernels that it was made from, each with a digest of its code:
`// stands for: matmul_nn 1dcab869, add 367a65ca`. If one of them has been edited, the two run by
themselves. After the same change in the kernel that stands for it, this writes the new digests:

    python -m groundling.devices.fused
"""

import hashlib
import re
from functools import lru_cache

from .. import sources
from .webgpu.wgsl import without_comments

LINE = re.compile(r"^// stands for: (.+)$", re.M)


@lru_cache(256)
def digest(code: str) -> str:
    """Eight hexadecimal digits of a kernel's code, which do not depend on comments and spaces."""
    words = " ".join(without_comments(code).split())
    return hashlib.sha256(words.encode()).hexdigest()[:8]


def parts(code: str) -> dict[str, str]:
    """The kernels that a kernel stands for, and the digest that it names of each."""
    line = LINE.search(code)
    return dict(part.split() for part in line[1].split(",")) if line else {}


def stamped(code: str) -> str:
    """A kernel's WGSL with the digests of its parts as they are now."""
    names = parts(code)
    codes = {name: stamped(sources.text(sources.kernel_path(name))) for name in names}
    listed = ", ".join(f"{name} {digest(text)}" for name, text in codes.items())
    return LINE.sub(f"// stands for: {listed}", code)


if __name__ == "__main__":
    for path in filter(sources.is_kernel, sources.paths()):
        sources.on_disk(path).write_text(stamped(sources.text(path)), encoding="utf-8")
