"""The forms of attention: which there are, and the text of a kernel in each.

A kernel's file in `shaders/` computes four queries (or keys) of a head an invocation, from numbers
that are loaded one by one: the plain form, "4 rows". In the other, "64 rows", a workgroup computes
64 and keeps the rows that they all need in shared memory: `shaders/tiles/attention.wgsl` and
`attention_backward.wgsl`. Every sum keeps its order, so the results are the same to the bit
wherever the compiler keeps that order. autotune.py chooses between the forms. What this module has
for it, tiles.py has for the products.
"""

import re
from collections.abc import Mapping

from ... import sources
from . import templates

PLAIN, SHARED = FORMS = "4 rows", "64 rows"
KERNELS = TIMED, _ = "attention_backward", "attention"
ON_EMULATED = ()  # the forms that are tried on an emulated adapter
SPLITS = ()  # see tiles.py
SIZES = {"timed": (32, 64, 4, 16), "fours": (2, 76, 3, 16), "by ones": (2, 76, 3, 13)}
"""Of a trial: batch, time, n_head and head_size."""
TEMPLATES = [f"{sources.TEMPLATES}{name}.wgsl" for name in KERNELS]
MOST_HEAD_SIZE = 64  # an invocation keeps four rows of a head in registers: 256 of these
MOST_HEADS = 65_535  # of all sequences: workgroups along one axis, on every adapter


def variant(form: str, name: str, params: Mapping[str, float]) -> str:
    """The variant of a form that a kernel takes for these parameters, or "" for the plain form. "by
    ones" is for heads whose size is not a multiple of four.
    """
    size, heads = params["head_size"], params["batch"] * params["n_head"]
    if form == PLAIN or size > MOST_HEAD_SIZE or heads > MOST_HEADS:
        return ""
    return f"{form} by ones" if size % 4 else form


def variants(form: str, name: str) -> list[str]:
    """All variants of a form that `variant` may name for a kernel."""
    return [form, f"{form} by ones"]


def trial(
    name: str, buffers: int, batch: int, time: int, n_head: int, head_size: int
) -> tuple[dict[str, float], list[int]]:
    """A call to try a kernel with: its parameters, and the size of each of its buffers."""
    params = dict(batch=batch, time=time, n_head=n_head, head_size=head_size)
    rows = batch * time * n_head
    y = rows * head_size
    if name == "attention":
        return params, [3 * y, y, rows]
    return params | {"accumulate": 1}, [3 * y, y, rows, y, 3 * y]


def template(variant: str, name: str) -> str:
    """The path of the template that a kernel in a variant is made from."""
    return f"{sources.TEMPLATES}{name}.wgsl"


def text(variant: str, name: str, code: str) -> str:
    """A kernel's WGSL in another form: its template, filled in from `code`. DeviceError."""
    words = {*re.findall("ones", variant)}
    kernel = templates.declared(code, "struct|const|@group", "" if words else "qkv|y|dy|dqkv")
    return templates.fill(template(variant, name), words, {"kernel": kernel})
