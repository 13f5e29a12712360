"""The forms of the matrix products: which there are, and the text of a kernel in each.

A product's file in `shaders/` makes a 4 x 4 tile of the result an invocation, from numbers that are
loaded one by one: the plain form, "4 x 4". The other forms are templates that say how they work and
what is put into them: `shaders/tiles/wide.wgsl` ("8 x 8") and `shaders/tiles/shared.wgsl`
("32 x 32" and larger). `text` fills one in. What a kernel's own file declares stays, and every sum
keeps its order, so the results are the same to the bit wherever the compiler keeps that order.
autotune.py chooses between the forms.

Only a "split" sum has another order, so no time decides on it: `parts` is a rule of sizes alone.

No form uses subgroups: what they gain, and on which GPUs they are right, has not been measured.
"""

import re
from collections.abc import Mapping

from ... import sources
from . import templates

PLAIN, WIDE, SHARED, LARGE, TALL = FORMS = "4 x 4", "8 x 8", "32 x 32", "64 x 64", "128 x 64"
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
ALONE = "matmul_residual", "layernorm_matmul", "layernorm_matmul_gelu"
"""Kernels that fuse.py puts beside no other, and so may have more invocations than wgsl.LANES."""
FEW = 64  # workgroups: fewer do not keep a GPU busy
STRETCH = 512  # steps of k that a part of a split sum has
SPLITS = ("matmul_tn", "split"), ("matmul_tn", "split by ones")  # which are in no form
TIMED = "matmul_nn"  # of the kernels, the one that a trial times
ON_EMULATED = (WIDE,)  # the forms that are tried on an emulated adapter
SIZES = {"timed": (2048, 64, 256), "timed on emulated": (512, 64, 256)}  # batch 32, and about 10 ms
SIZES |= {"fours": (72, 64, 256), "by ones": (71, 63, 101)}
"""Of a trial: rows, width and columns."""
SPLIT_SIZES = {"fours": (2 * STRETCH + 20, 64, 64), "by ones": (2 * STRETCH + 21, 65, 63)}
TILES = {SHARED: (64, 32, 32, 16), LARGE: (64, 64, 64, 8), TALL: (128, 128, 64, 8)}
DEEP = (64, 16, 16, 64)
"""Of shared.wgsl: invocations, a tile's rows and columns, and steps of k at a time."""
IN_FOURS = {"nn": "a|b", "nt": "a|b", "tn": "a|b", "norm": "x|b|h"}  # buffers, read or written


def variant(form: str, name: str, params: Mapping[str, float]) -> str:
    """The variant of a form that a kernel takes for these parameters, such as "32 x 32 by ones
    deep", or "" for the plain form. "by ones" is for rows that are not multiples of four. Where a
    form has too few tiles, it is the next smaller one.
    """
    kind = KERNELS[name]
    ones = " by ones" * any(params[size] % 4 for size in FOURS[kind])
    if "split" in params:
        return f"split{ones}"
    if form == PLAIN or (ones and (form == WIDE or name not in BY_ONES)):
        return ""
    if form == TALL and (name not in ALONE or _tiles(params, 128, 64) < FEW):
        form = LARGE
    if form == LARGE and _tiles(params, 64, 64) < FEW:
        form = SHARED
    if form == SHARED and kind == "tn" and _tiles(params, 32, 32) < FEW:
        return f"{form}{ones} deep"
    return form + ones


def _tiles(params: Mapping[str, float], high: int, wide: int) -> int:
    """How many tiles of that size a product has."""
    return -(-params.get("m", params.get("rows")) // high) * -(-params["n"] // wide)


def parts(name: str, params: Mapping[str, float]) -> int:
    """In how many parts a GPU sums a product: more than 1 for a long sum with few tiles."""
    if KERNELS.get(name) != "tn" or "split" in params or _tiles(params, 16, 16) >= FEW:
        return 1
    return -(-params["k"] // STRETCH)


def variants(form: str, name: str) -> list[str]:
    """All variants of a form that `variant` may name for a kernel, without the split ones."""
    if form == WIDE:
        return [form]
    forms = FORMS[FORMS.index(SHARED) : FORMS.index(form) + 1]
    if form == TALL and name not in ALONE:
        forms = forms[:-1]
    found = [f"{one}{ones}" for one in forms for ones in ("", " by ones")[: 1 + (name in BY_ONES)]]
    deep = [f"{one} deep" for one in found if one.startswith(SHARED) and KERNELS[name] == "tn"]
    return found + deep


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
    return TEMPLATES[variant != WIDE]


def text(variant: str, name: str, code: str) -> str:
    """A kernel's WGSL in another form: its template, filled in from `code`. DeviceError."""
    kind = KERNELS[name]
    words = {kind, *re.findall("deep|ones|split", variant)}
    if "split" in words:
        words.add("deep")
    in_fours = "" if "ones" in words else IN_FOURS[kind]
    kernel = templates.declared(code, r"struct|const|@group|fn store\b", in_fours)
    m, depth = ("rows", "N_EMBD") if kind == "norm" else ("m", "p.k")
    values = dict(kernel=kernel, m=m, depth=depth, stretch=str(STRETCH))
    values |= _places(*TILES.get(variant.removesuffix(" by ones"), DEEP))
    return templates.fill(template(variant, name), words, values)


def _places(lanes: int, high: int, wide: int, step: int) -> dict[str, str]:
    """What is put into shared.wgsl for tiles of that size: see there."""
    halves = -(-wide // 32)  # vectors of columns that an invocation has
    across = wide // 4 // halves
    rows = high * across // lanes
    places = dict(lanes=lanes, high=high, wide=wide, step=step, across=across, tall=min(rows, 4))
    places |= dict(high4=high // 4, wide4=wide // 4, step4=step // 4)
    places |= dict(fours_a=high * step // 4, fours_b=(wide + 1) * step // 4)
    lists = dict(
        rows=[f"{r} {r % 4 + r // 4 * high // 2} {r // 4} {'xyzw'[r % 4]}" for r in range(rows)],
        halves=[f"{h} {h * high // 8}" for h in range(-(-rows // 4))],
        columns=[f"{c} {c * across}" for c in range(halves)],
        loads_a=[f"{j} {lanes * j}" for j in range(high * step // 4 // lanes)],
        loads_b=[f"{j} {lanes * j}" for j in range(wide * step // 4 // lanes)],
    )
    return {k: str(v) for k, v in places.items()} | {k: ", ".join(v) for k, v in lists.items()}
