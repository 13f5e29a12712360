"""What is done to the text of kernels before they are compiled.

`join` makes one kernel of two that share a dispatch: some workgroups run the one, the others the
other. Each part's names get a letter before them, and a `main` of its own numbers the workgroups
and tells each its kernel and its place in that kernel's grid. The result is a kernel like any
other, with its parameters in one struct and a `// grid:` line.

`unroll` writes short loops out, so that the arrays that they index can be in registers.
"""

import math
import re
from collections.abc import Sequence

LANES = 64  # invocations in a workgroup of each part
FIELD = r"(\w+)\s*:\s*(u32|f32)"
NUMBER = r"@binding\((\d+)\)"
BINDING = re.compile(NUMBER + r"\s*var<([\w, ]+)>\s*(\w*)\s*:?\s*(?:array<([\w<>, ]+)>)?")
"""A buffer's number, its kind ("storage, read" or "uniform"), its name, and an array's type."""
DECLARATION = re.compile(
    r"(?:@\w+(?: *\([^)]*\))?\s*)*"  # attributes
    r"\b(?:struct|const|fn|override|alias|var(?:<[^>]*>)?)\s+(\w+)[^;{]*[;{]"
)
LOOP = r"for \(var (\w+) = 0u; \1 < ([A-Z_]+); \1\+\+\) {"
CONSTANT = r"^const ([A-Z_]+): u32 = (\d+);"
IN_FOURS = r"^const ([A-Z_]+): u32 = \(([A-Z_]+) \+ 3u\) / 4u;"  # another constant's vectors
LONGEST = 32  # rounds of a loop that is written out
OUTSIDE, INSIDE = re.compile(r"//[^\n]*|/\*"), re.compile(r"/\*|\*/")  # of block comments
NO_BREAK = re.compile(r"[^\n]")
MAIN = r"@compute @workgroup_size\(([\d, ]+)\)\s*fn main\(((?:[^()]|\([^()]*\))*)\) *{"


def declarations(code: str) -> dict[str, str]:
    """The declarations at WGSL's top level, without comments: each one's text by name, in order."""
    plain, found, at = without_comments(code), {}, 0
    while declared := DECLARATION.search(plain, at):
        at = declared.end()
        if plain[at - 1] == "{":
            at = _end_of_block(plain, at) or len(plain)
        text = plain[declared.start() : at]
        found[declared[1]] = re.sub(r"[ \t]*\n\s*\n", "\n", text)
    return found


def join(codes: Sequence[str], grids: Sequence[str], buffers: Sequence[int]) -> str:
    """One kernel of two. `buffers`: a number for each storage buffer; equal ones are bound once."""
    fields, texts, calls, counts = [], [], [], []
    bound: dict[int, str] = {}  # the buffers' names, by number
    numbers = iter(buffers)
    for letter, code, grid in zip("ab", codes, grids, strict=True):
        parts = declarations(code)
        params, main, _ = (parts.pop(name) for name in ("Params", "main", "p"))
        fields += [f"{letter}_{name}: {kind}" for name, kind in re.findall(FIELD, params)]
        names = {name: _own(letter, name) for name in parts}
        for name, text in list(parts.items()):
            buffer = BINDING.search(text)
            if not buffer or buffer[2] == "uniform":
                continue
            number = next(numbers)
            if number in bound:
                names[name] = bound[number]
                del parts[name]
            else:
                parts[name] = re.sub(NUMBER, f"@binding({len(bound)})", text)
                bound[number] = names[name]
        shape, arguments = re.search(MAIN, main).groups()
        plain = re.sub(r"@builtin\(\w+\) *", "", arguments)
        parts["main"] = re.sub(MAIN, f"fn {letter}_main({plain}) {{", main)
        text = re.sub(r"(?<![\w.])p\.(\w+)", rf"p.{letter}_\1", "\n".join(parts.values()))
        texts.append(re.sub(r"(?<![\w.])[A-Za-z_]\w*", lambda m, n=names: n.get(m[0], m[0]), text))
        axes = [re.sub(r"[a-z_]\w*", rf"{letter}_\g<0>", axis).strip() for axis in grid.split(",")]
        counts.append(" * ".join(f"({axis})" for axis in axes))
        calls.append(_call(letter, shape, arguments, axes))
    first, second = calls
    body = "\n\n".join(texts)
    return f"""// grid: {" + ".join(counts)}

struct Params {{ {", ".join(fields)} }}

{body}

@group(0) @binding({len(bound)}) var<uniform> p: Params;

@compute @workgroup_size({LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {{
  let index = group.y * groups.x + group.x;
  let own = {_wgsl(counts[1])};
  if (index < own) {{  // fewer, longer ones: they begin first, so that none is left over at the end
    let at = index;
{second}
  }} else if (index < own + {_wgsl(counts[0])}) {{  // a folded grid may have a few more
    let at = index - own;
{first}
  }}
}}
"""


def unroll(code: str) -> str:
    """The code with its inner loops over a constant of up to LONGEST unrolled, where `_is_simple`.
    An array that is indexed by literals only can be in registers. On emulated adapters this makes
    attention's gradient two to three times as fast.
    """
    plain = without_comments(code)  # has each character where `code` has it
    rounds = {name: int(value) for name, value in re.findall(CONSTANT, plain, re.M)}
    in_fours = [(name, of) for name, of in re.findall(IN_FOURS, plain, re.M) if of in rounds]
    rounds |= {name: -(-rounds[of] // 4) for name, of in in_fours}
    start, outer_end = 0, 0
    while loop := re.compile(r"\bfor \(.*?\) {").search(plain, start):
        start, end = loop.end(), _end_of_block(plain, loop.end())
        if not end:
            break
        short = re.match(LOOP, loop[0])
        n = rounds.get(short[2], 0) if short else 0
        inside = loop.start() < outer_end
        if not inside and not n:
            outer_end = end
        elif inside and 0 < n <= LONGEST and _is_simple(plain, start, end - 1, *short.groups()):
            counter = re.compile(rf"\b{short[1]}\b")
            copies = [counter.sub("0u", code[start : end - 1])]  # lines keep their numbers
            flat = " ".join(plain[start : end - 1].split())
            copies += [counter.sub(f"{i}u", flat) for i in range(1, n)]
            written = "".join(f"{{{copy}}}" for copy in copies)
            code = code[: loop.start()] + written + code[end:]
            plain, start = without_comments(code), loop.start()
            outer_end += len(written) - (end - loop.start())
    return code


def _is_simple(code: str, start: int, end: int, counter: str, length: str) -> bool:
    """Whether a loop can be unrolled: its body has no loop, jump or variable, and uses the counter
    only as an index, alone or added to a variable: `sum[c]`, `qkv[key + c]`. With a literal
    elsewhere a compiler may find an error, as in `0u - 1u` or an index past an array's end.
    """
    text, before = code[start:end], code[:start]
    if re.search(r"\b(for|while|loop|switch|break|continue|return|var|const)\b", text):
        return False
    if len(re.findall(rf"\b(?:const|let|var|override) +{length}\b|\b{length} *:", code)) > 1:
        return False  # the name may mean something else here
    # those of that length, or of a length that is not in the text
    arrays = set(re.findall(rf"\b(\w+) *: *array<\w+(?:, {length})?>", before))
    for name, other in re.findall(r"\b(?:let|var) +(\w+) = (\w+);", before):
        if other in arrays:
            arrays.add(name)
    constants = set(re.findall(r"\bconst +(\w+)", code))
    index = rf"(?<![\w.])(\w+)\[{counter}\]"
    sum_ = rf"(?<![\w.])([a-z]\w*) \+ {counter}(?=[\]),])"
    text = re.sub(index, lambda m: "" if m[1] in arrays else m[0], text)
    text = re.sub(sum_, lambda m: m[0] if m[1] in constants else "", text)
    return not re.search(rf"\b{counter}\b", text)


def without_comments(code: str) -> str:
    """The same code with spaces in place of comments, character by character."""
    found, depth, at = [], 0, 0
    while mark := (INSIDE if depth else OUTSIDE).search(code, at):
        start = at if depth else mark.start()
        found += [code[at:start], NO_BREAK.sub(" ", code[start : mark.end()])]
        depth += {"/*": 1, "*/": -1}.get(mark[0], 0)
        at = mark.end()
    return "".join([*found, NO_BREAK.sub(" ", code[at:]) if depth else code[at:]])


def _end_of_block(code: str, at: int) -> int:
    """The end of the block that begins before `at`, or 0 if it does not end."""
    depth = 1
    while depth and at < len(code):
        depth += {"{": 1, "}": -1}.get(code[at], 0)
        at += 1
    return 0 if depth else at


def _call(letter: str, shape: str, arguments: str, axes: list[str]) -> str:
    """The lines that call a part's main for workgroup `at` of its grid, with its builtins."""
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
    """A part's name in the whole. A constant, A_SIZE, is set by the parameter a_size."""
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
