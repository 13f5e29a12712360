"""The forms of the matrix products: which there are, and the text of a kernel in each.

A product's file in `shaders/` makes a 4 x 4 tile of the result an invocation, from numbers that are
loaded one by one: the plain form, "4 x 4". The other forms are templates that say how they work and
what is put into them: `shaders/tiles/wide.wgsl` ("8 x 8") and `shaders/tiles/shared.wgsl`
("32 x 32"). `text` fills one in. What a kernel's own file declares stays, and every sum keeps its
order, so the results are the same to the bit wherever the compiler keeps that order. choice.py
chooses between the forms.

No form uses subgroups: what they gain, and on which GPUs they are right, has not been measured.
"""

import re
from collections.abc import Mapping

from ... import sources
from . import templates

PLAIN, WIDE, SHARED = FORMS = "4 x 4", "8 x 8", "32 x 32"
TEMPLATES = [f"{sources.TEMPLATES}wide.wgsl", f"{sources.TEMPLATES}shared.wgsl"]
KERNELS = {
    "matmul_nn": "nn",
    "matmul_residual": "nn",
    "matmul_nt": "nt",
    "matmul_nt_gelu_backward": "nt",
    "matmul_tn": "tn",
    "layernorm_matmul": "norm",
    "layernorm_matmul_gelu": "norm",
}
FOURS = {"nn": ("k", "n"), "nt": ("k",), "tn": ("m", "k", "n"), "norm": ("n_embd", "n")}
"""The parameters that must be multiples of four for rows of the operands to be read in fours."""
BY_ONES = "matmul_nn", "matmul_tn"  # the unembedding's products: a vocabulary may have any size
FEW = 64  # tiles of 32 x 32, below which they are deep
TIMED = "matmul_nn"  # of the kernels, the one that a trial times
ON_EMULATED = (WIDE,)  # the forms that are tried on an emulated adapter
SIZES = {"timed": (2048, 64, 256), "timed on emulated": (512, 64, 256)}  # batch 32, and about 10 ms
SIZES |= {"fours": (72, 64, 256), "by ones": (71, 63, 101)}
"""Of a trial: rows, width and columns."""
IN_FOURS = {"nn": "a|b", "nt": "a|b", "tn": "a|b", "norm": "x|b|h"}  # buffers, read or written
EVEN = dict(edge="32", fourth="8", step="16", tall="4", rows="0, 1, 2, 3")
EVEN |= dict(fours="128", loads="0 0, 1 64")
DEEP = dict(edge="16", fourth="4", step="64", tall="1", rows="0")
DEEP |= dict(fours="256", loads="0 0, 1 64, 2 128, 3 192")


def variant(form: str, name: str, params: Mapping[str, float]) -> str:
    """The variant of a form that a kernel takes for these parameters, such as "32 x 32 by ones
    deep", or "" for the plain form. "by ones" is for rows that are not multiples of four.
    """
    kind = KERNELS[name]
    fours = not any(params[size] % 4 for size in FOURS[kind])
    if form == PLAIN or (not fours and (form == WIDE or name not in BY_ONES)):
        return ""
    ones = "" if fours else " by ones"
    if form == SHARED and kind == "tn" and -(-params["m"] // 32) * -(-params["n"] // 32) < FEW:
        return f"{form}{ones} deep"
    return form + ones


def variants(form: str, name: str) -> list[str]:
    """All variants of a form that `variant` may name for a kernel."""
    found = [form]
    if form == SHARED and name in BY_ONES:
        found.append(f"{form} by ones")
    if form == SHARED and KERNELS[name] == "tn":
        found += [f"{one} deep" for one in found]
    return found


def trial(
    name: str, buffers: int, rows: int, width: int, columns: int
) -> tuple[dict[str, float], list[int]]:
    """A call to try a kernel with: its parameters, and the size of each of its buffers."""
    if KERNELS[name] == "norm":
        params = dict(rows=rows, n_embd=width, n=columns, eps=1e-5)
        sizes = [rows * width, width, width, width * columns, rows * width, 2 * rows]
    elif KERNELS[name] == "tn":
        params = dict(m=width, k=rows, n=columns)
        sizes = [rows * width, rows * columns]
        rows = width
    else:
        params = dict(m=rows, k=width, n=columns)
        sizes = [rows * width, width * columns]
    if buffers == 3:  # no epilogue, then
        params["accumulate"] = 1
    return params, sizes + [rows * columns] * (buffers - len(sizes))


def template(variant: str, name: str) -> str:
    """The path of the template that a kernel in a variant is made from."""
    return TEMPLATES[variant.startswith(SHARED)]


def text(variant: str, name: str, code: str) -> str:
    """A kernel's WGSL in another form: its template, filled in from `code`. DeviceError."""
    kind = KERNELS[name]
    words = {kind, *re.findall("deep|ones", variant)}
    in_fours = "" if "ones" in words else IN_FOURS[kind]
    kernel = templates.declared(code, r"struct|const|@group|fn store\b", in_fours)
    m, depth = ("rows", "N_EMBD") if kind == "norm" else ("m", "p.k")
    values = dict(kernel=kernel, m=m, depth=depth, **DEEP if "deep" in words else EVEN)
    return templates.fill(template(variant, name), words, values)
