"""What is done to the text of kernels before they are compiled.

`join` makes one kernel of two, side by side: some workgroups run the one, the others the other. The
text of both goes into one module, each part's names with a letter before them, and a `main` of its
own numbers the workgroups and says to each which kernel and which place in its grid it has. It is a
kernel like any other, with its parameters in one struct and a `// grid:` line.

`unroll` writes short loops out, so that what they index can be in registers.
"""

import math
import re
from collections.abc import Sequence

LANES = 64  # invocations in a workgroup of each part
PARAMS = r"struct Params\s*{([^}]*)}"
FIELD = r"(\w+)\s*:\s*(u32|f32)"
UNIFORM = r"@group\(0\) @binding\(\d+\) var<uniform>[^;]*;"
STORAGE = r"(@group\(0\) @binding\(\d+\) var<storage, (\w+)> (\w+): array<(\w+)>;)"
DECLARED = r"^(?:@group\S* *@binding\S* *)?(?:var<[^>]*>|fn|const|struct) *(\w+)"
LOOP = r"for \(var (\w+) = 0u; \1 < ([A-Z_]+); \1\+\+\) {"
CONSTANT = r"^const ([A-Z_]+): u32 = (\d+);"
LONGEST = 32  # rounds of a loop that is written out
MAIN = r"@compute @workgroup_size\(([\d, ]+)\)\s*fn main\(((?:[^()]|\([^()]*\))*)\) *{"


def join(codes: Sequence[str], grids: Sequence[str], buffers: Sequence[int]) -> str:
    """One kernel of two. `buffers` has a number for each of their buffers, in order: the first with
    that number is bound, and one after it is the same one.
    """
    fields, texts, calls, counts = [], [], [], []
    bound: dict[int, str] = {}  # the buffers' names, by number
    numbers = iter(buffers)
    for letter, code, grid in zip("ab", codes, grids, strict=True):
        code = re.sub(r"//.*", "", code)
        params = re.search(PARAMS, code)
        fields += [f"{letter}_{name}: {kind}" for name, kind in re.findall(FIELD, params[1])]
        code = re.sub(UNIFORM, "", code.replace(params[0], ""))
        code = re.sub(r"\bp\.(\w+)", rf"p.{letter}_\1", code)
        for name in sorted(set(re.findall(DECLARED, code, re.M)) - {"main"}):
            code = re.sub(rf"(?<![\w.]){name}\b", _own(letter, name), code)
        for declared, access, name, kind in re.findall(STORAGE, code):
            number = next(numbers)
            if number in bound:
                code = re.sub(rf"(?<![\w.]){name}\b", bound[number], code.replace(declared, ""))
            else:
                place = f"@group(0) @binding({len(bound)}) var<storage, {access}>"
                code = code.replace(declared, f"{place} {name}: array<{kind}>;")
                bound[number] = name
        shape, arguments = re.search(MAIN, code).groups()
        plain = re.sub(r"@builtin\(\w+\) *", "", arguments)
        texts.append(re.sub(MAIN, f"fn {letter}_main({plain}) {{", code))
        axes = [re.sub(r"[a-z_]\w*", rf"{letter}_\g<0>", axis).strip() for axis in grid.split(",")]
        counts.append(" * ".join(f"({axis})" for axis in axes))
        calls.append(_call(letter, shape, arguments, axes))
    first, second = calls
    return f"""// grid: {" + ".join(counts)}

struct Params {{ {", ".join(fields)} }}

{"".join(texts)}
@group(0) @binding({len(bound)}) var<uniform> p: Params;

@compute @workgroup_size({LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {{
  let index = group.y * groups.x + group.x;
  let own = {_wgsl(counts[1])};
  if (index < own) {{  // fewer, longer ones: they begin first, so that none is left over at the end
    let at = index;
{second}
  }} else {{
    let at = index - own;
{first}
  }}
}}
"""


def unroll(code: str) -> str:
    """The same with each loop over a constant of up to LONGEST written out, if it is in a loop.

    An array that is indexed by a loop lies in memory; one that is indexed by numbers alone is a row
    of variables. On emulated adapters attention's gradient takes a third to a half as long so.
    """
    rounds = {name: int(value) for name, value in re.findall(CONSTANT, code, re.M)}
    start, outer_end = 0, 0
    while loop := re.compile(r"\bfor \(.*?\) {").search(code, start):
        start, end = loop.end(), _end_of_block(code, loop.end())
        short = re.match(LOOP, loop[0])
        n = rounds.get(short[2], 0) if short else 0
        if loop.start() > outer_end:
            if not n:
                outer_end = end
        elif 0 < n <= LONGEST:
            body = code[start : end - 1]
            flat = " ".join(re.sub(r"//.*", "", body).split())  # so that lines keep their numbers
            counter = re.compile(rf"\b{short[1]}\b")
            copies = (counter.sub(f"{i}u", flat if i else body) for i in range(n))
            written = "".join(f"{{{copy}}}" for copy in copies)
            code, start = code[: loop.start()] + written + code[end:], loop.start()
            outer_end += len(written) - (end - loop.start())
    return code


def _end_of_block(code: str, at: int) -> int:
    """Where the block ends whose brace has just been opened."""
    depth = 1
    while depth:
        depth += {"{": 1, "}": -1}.get(code[at], 0)
        at += 1
    return at


def _call(letter: str, shape: str, arguments: str, axes: list[str]) -> str:
    """The lines that call a part's main with what its builtins would be in a dispatch of its own,
    for workgroup `at` of its grid.
    """
    x, y, _ = (*(int(n) for n in shape.split(",")), 1, 1)[:3]
    gx, gy, gz = (*(_wgsl(axis) for axis in axes), "1u", "1u")[:3]
    builtins = {
        "workgroup_id": "group_of",
        "num_workgroups": "grid",
        "local_invocation_index": "lane",
        "local_invocation_id": "local",
        "global_invocation_id": f"group_of * vec3u({x}u, {y}u, {LANES // (x * y)}u) + local",
    }
    values = ", ".join(builtins[name] for name in re.findall(r"@builtin\((\w+)\)", arguments))
    return f"""    let grid = vec3u({gx}, {gy}, {gz});
    let group_of = vec3u(at % grid.x, at / grid.x % grid.y, at / (grid.x * grid.y));
    let local = vec3u(lane % {x}u, lane / {x}u % {y}u, lane / {x * y}u);
    {letter}_main({values});"""


def _own(letter: str, name: str) -> str:
    """A part's name in the whole. A constant is set by the parameter of its name in lower case:
    A_HEAD_SIZE by a_head_size.
    """
    return f"{letter.upper() if name.isupper() else letter}_{name}"


def _wgsl(axis: str) -> str:
    """A grid's axis, or a product of such in brackets, as WGSL works it out: rounding up."""
    axis = axis.strip()
    if axis.startswith("("):
        return " * ".join(f"({_wgsl(part)})" for part in re.findall(r"\(([^)]*)\)", axis))
    size, *by = axis.split("/")
    size = " * ".join(f"{f}u" if f.isdigit() else f"p.{f}" for f in re.findall(r"\w+", size))
    divisor = math.prod(int(number) for number in by)
    return f"({size} + {divisor - 1}u) / {divisor}u" if by else size
