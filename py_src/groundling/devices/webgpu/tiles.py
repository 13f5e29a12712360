"""The forms of the matrix products: which there are, and the text of a kernel in each.

A product's file in `shaders/` makes a 4 x 4 tile of the result an invocation, from numbers that are
loaded one by one: the plain form, "4 x 4". The other forms are templates that say how they work and
what is put into them: `shaders/tiles/wide.wgsl` ("8 x 8") and `shaders/tiles/shared.wgsl`
("32 x 32"). `text` fills one in. What a kernel's own file declares stays, and every sum keeps its
order, so the results are the same to the bit wherever the compiler keeps that order. products.py
chooses between the forms.

No form uses subgroups: what they gain, and on which GPUs they are right, has not been measured.
"""

import re
from collections.abc import Iterator, Mapping

from ... import sources
from ..base import DeviceError
from . import wgsl

PLAIN, WIDE, SHARED = FORMS = "4 x 4", "8 x 8", "32 x 32"
TEMPLATES = {WIDE: f"{sources.TEMPLATES}wide.wgsl", SHARED: f"{sources.TEMPLATES}shared.wgsl"}
KINDS = {
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
SHARED_BYTES = 16_384  # of workgroup memory, for two shared forms in one dispatch
IN_FOURS = {"nn": "ab", "nt": "ab", "tn": "ab", "norm": "xbh"}  # buffers, read or written
EVEN = dict(edge="32", fourth="8", step="16", tall="4", rows="0, 1, 2, 3")
EVEN |= dict(fours="128", loads="0 0, 1 64")
DEEP = dict(edge="16", fourth="4", step="64", tall="1", rows="0")
DEEP |= dict(fours="256", loads="0 0, 1 64, 2 128, 3 192")


def variant(form: str, name: str, params: Mapping[str, float]) -> str:
    """The variant of a form that a kernel takes for these parameters, such as "32 x 32 by ones
    deep", or "" for the plain form. "by ones" is for rows that are not multiples of four.
    """
    kind = KINDS[name]
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
    if form == SHARED and KINDS[name] == "tn":
        found += [f"{one} deep" for one in found]
    return found


def trial(
    name: str, buffers: int, rows: int, width: int = 64, columns: int = 256
) -> tuple[dict[str, float], list[int]]:
    """A call to try a kernel with: its parameters, and the size of each of its buffers."""
    if KINDS[name] == "norm":
        params = dict(rows=rows, n_embd=width, n=columns, eps=1e-5)
        sizes = [rows * width, width, width, width * columns, rows * width, 2 * rows]
    elif KINDS[name] == "tn":
        params = dict(m=width, k=rows, n=columns)
        sizes = [rows * width, rows * columns]
        rows = width
    else:
        params = dict(m=rows, k=width, n=columns)
        sizes = [rows * width, width * columns]
    if buffers == 3:  # no epilogue, then
        params["accumulate"] = 1
    return params, sizes + [rows * columns] * (buffers - len(sizes))


def templates() -> list[str]:
    """The text of each template, as it is now."""
    return [sources.text(path) for path in TEMPLATES.values()]


def text(variant: str, name: str, code: str) -> str:
    """A kernel's WGSL in another form: its template, filled in from `code`. DeviceError."""
    kind, path = KINDS[name], TEMPLATES[SHARED if variant.startswith(SHARED) else WIDE]
    words = {kind, *re.findall("deep|ones", variant)}
    parts = wgsl.declarations(code).values()
    kernel = "\n".join(part for part in parts if re.match(r"struct|const|@group|fn store\b", part))
    for buffer in IN_FOURS[kind] if "ones" not in words else "":
        kernel = kernel.replace(f" {buffer}: array<f32>", f" {buffer}: array<vec4f>")
    m, depth = ("rows", "N_EMBD") if kind == "norm" else ("m", "p.k")
    values = dict(kernel=kernel, m=m, depth=depth, **DEEP if "deep" in words else EVEN)
    try:
        return "\n".join(_filled(iter(sources.text(path).split("\n")), words, values))
    except ValueError as error:
        raise DeviceError(f"{path}: {error}.") from error


def _filled(lines: Iterator[str], words: set[str], values: Mapping[str, str]) -> Iterator[str]:
    """The lines of a template with the values put in: see the templates. ValueError."""
    for line in lines:
        if line.startswith("//") and not line.startswith("// grid: "):
            continue
        line = re.sub(r"{(\w+)}", lambda found: values.get(found[1], found[0]), line)
        directive, _, rest = line.partition(" ")
        if directive == "#if":
            then, otherwise = _block(lines)
            yield from _filled(iter(then if words & {*rest.split()} else otherwise), words, values)
        elif directive == "#for":
            names, _, rounds = rest.partition(" in ")
            repeated, _ = _block(lines)
            for row in rounds.split(","):
                if len(row.split()) != len(names.split()):
                    raise ValueError(f"{line!r} needs a value for each of {names!r} at {row!r}")
                own = dict(zip(names.split(), row.split(), strict=True))
                yield from _filled(iter(repeated), words, {**values, **own})
        elif line.startswith("#"):
            raise ValueError(f"{line!r} is not a directive, or has no #if or #for before it")
        else:
            yield line


def _block(lines: Iterator[str]) -> tuple[list[str], list[str]]:
    """The lines up to a directive's `#end`: those before its `#else`, and those after."""
    parts, part, depth = ([], []), 0, 1
    for line in lines:
        depth += line.startswith(("#if ", "#for ")) - (line == "#end")
        if not depth:
            return parts
        if line == "#else" and depth == 1:
            part = 1
        else:
            parts[part].append(line)
    raise ValueError("an #if or #for has no #end")
