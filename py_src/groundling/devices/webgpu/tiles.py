"""The matrix products in larger tiles, for adapters on which those are faster.

A kernel of `shaders/` with a product in it makes a 4 x 4 tile an invocation, from numbers that are
loaded one by one. `text` writes the same kernel in two other forms:

* "8 x 8": a tile of that size an invocation, and loads of four numbers. Where a load costs as much
  as many products, as it does on emulated adapters, that is up to twice as fast; a GPU gets too few
  invocations from a small model to be kept busy.
* "32 x 32": a tile of that size a workgroup of 64, whose invocations make 4 x 4 of it each. They
  fetch both operands together, 16 steps of k at a time, into memory that they share, and the next
  16 while they multiply. A GPU reads each number an eighth as often. Emulated adapters have no such
  memory, and stop at each barrier.

Of the kernel's own text its bindings, its `store` and its way to normalise stay, and every sum
keeps its order, so the results are the same to the bit wherever the compiler leaves that order
alone. products.py chooses between the forms.

A weight's gradient is a small matrix and a long sum: a model of width 64 has 4 to 16 tiles of 32 x
32, too few for a GPU. While there are fewer than FEW, its tiles are "deep": 16 x 16, and 64 steps
of k at a time. To split the sum itself would keep more of a GPU busy, and change its order.
Subgroups are not used: what they gain, and on which GPUs they are right, is yet to be shown.
"""

import re
from collections.abc import Iterator, Mapping

PLAIN, WIDE, SHARED = FORMS = "4 x 4", "8 x 8", "32 x 32"
KINDS = {
    "matmul_nn": "nn",
    "matmul_residual": "nn",
    "matmul_nt": "nt",
    "matmul_nt_gelu_backward": "nt",
    "matmul_tn": "tn",
    "layernorm_matmul": "rows",
    "layernorm_matmul_gelu": "rows",
}
FOURS = {"nn": ("k", "n"), "nt": ("k",), "tn": ("m", "k", "n"), "rows": ("n_embd", "n")}
"""What must be divisible by four, so that four numbers in a row are of one row of an operand."""
BY_ONES = "matmul_nn", "matmul_tn"  # of the unembedding: vocabularies are not of fours
FEW = 64  # tiles
SHARED_BYTES = 16_384  # what two shared forms in one dispatch take at most of a workgroup's memory
OPERANDS = {"rows": "xbh"}  # that are read, or written, four numbers at a time
UNUSED = r"fn (?:row4|a4|b4)\(.*?\n}\n\n|var<private> rows:[^\n]*\n\n|// Rows first to.*?\n}\n\n"
NORMALISE = """
fn stats_of(row: u32) -> vec2f {
  var sum = 0.0;
  for (var c = 0u; c < N_EMBD; c += 4u) {
    let v = four_x(row * N_EMBD + c);
    sum += v.x;
    sum += v.y;
    sum += v.z;
    sum += v.w;
  }
  let mu = sum / f32(N_EMBD);
  var squares = 0.0;
  for (var c = 0u; c < N_EMBD; c += 4u) {
    let d = four_x(row * N_EMBD + c) - mu;
    squares += d.x * d.x;
    squares += d.y * d.y;
    squares += d.z * d.z;
    squares += d.w * d.w;
  }
  return vec2f(mu, 1.0 / sqrt(squares / f32(N_EMBD) + p.eps));
}

fn normalised(row: u32, c: u32, by: vec2f, w: vec4f, d: vec4f) -> vec4f {
  return (four_x(row * N_EMBD + c) - by.x) * by.y * w + d;
}

"""
KEEP = """fn keep(row: u32, by: vec2f) {
  if (row >= p.rows) { return; }
  stats[2u * row] = by.x;
  stats[2u * row + 1u] = by.y;
  for (var c = 0u; c < N_EMBD; c += 4u) {
    let w = vec4f(weight[c], weight[c + 1u], weight[c + 2u], weight[c + 3u]);
    let d = vec4f(bias[c], bias[c + 1u], bias[c + 2u], bias[c + 3u]);
    h[(row * N_EMBD + c) / 4u] = normalised(row, c, by, w, d);
  }
}

"""


def variant(form: str, name: str, params: Mapping[str, float]) -> str:
    """Which text of a form a kernel has for these parameters; "" where only the plain one will do.

    "by ones" is for rows that are not of fours, in the kernels that a vocabulary's size meets.
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
    """All that `variant` may say of a kernel."""
    found = [form]
    if form == SHARED and name in BY_ONES:
        found.append(f"{form} by ones")
    if form == SHARED and KINDS[name] == "tn":
        found += [f"{one} deep" for one in found]
    return found


def trial(
    name: str, buffers: int, rows: int, width: int = 64, columns: int = 256
) -> tuple[dict[str, float], list[int]]:
    """A call of a kernel to try it by: its parameters, and how many numbers each buffer has."""
    if KINDS[name] == "rows":
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


def text(variant: str, name: str, code: str) -> str:
    """The kernel of that name and WGSL in another form, as `variant` has it."""
    kind, edge = KINDS[name], 16 if "deep" in variant else 32
    shared, fours = variant.startswith(SHARED), "by ones" not in variant
    code = re.sub(UNUSED, "", code[: code.index("@compute")], flags=re.S)
    for operand in OPERANDS.get(kind, "ab"):
        read = f"vec4f({', '.join(f'{operand}[i + {j}u]' for j in range(4))})"
        if fours:
            code = code.replace(f" {operand}: array<f32>", f" {operand}: array<vec4f>")
            read = f"{operand}[i / 4u]"
        if operand != "h":
            code += f"fn four_{operand}(i: u32) -> vec4f {{\n  return {read};\n}}\n\n"
    rows = "rows" if kind == "rows" else "m"
    grid = f"n / {edge}, {rows} / {edge}" if shared else f"n / 64, {rows} / 64"
    if kind == "rows":
        code += NORMALISE
        if not shared:  # all columns: an eighth of them from 8 rows, normalised once
            grid, code = "1, rows / 64", code + KEEP
    code = re.sub(r"^// grid: .*$", f"// grid: {grid}", code, flags=re.M)
    lines = _shared(kind, edge, fours) if shared else _wide(kind)
    return code + "\n".join(lines) + "\n"


def _wide(kind: str) -> Iterator[str]:
    """The lines of `main`: a tile's eight rows are r, its columns two halves of four."""
    rows, halves, steps = range(8), range(2), range(4)
    depth = "N_EMBD" if kind == "rows" else "p.k"
    if kind == "rows":
        yield "@compute @workgroup_size(8, 8)"
        yield "fn main(@builtin(global_invocation_id) id: vec3u) {"
        yield "  let row = id.y * 8u;"
        yield "  let width = (p.n + 63u) / 64u * 8u;"
        yield "  if (id.x * width >= p.n || row >= p.rows) { return; }"
        yield "  var by: array<vec2f, 8>;"
        yield "  for (var r = 0u; r < 8u; r++) {"
        yield "    by[r] = stats_of(row + r);"
        yield "    if (id.x == 0u) { keep(row + r, by[r]); }"
        yield "  }"
        yield "  let end = min(p.n, id.x * width + width);"
        yield "  for (var col = id.x * width; col < end; col += 8u) {"
    else:
        yield "@compute @workgroup_size(8, 8)"
        yield "fn main(@builtin(global_invocation_id) id: vec3u) {"
        yield "  let col = id.x * 8u;"
        yield "  let row = id.y * 8u;"
        yield "  if (col >= p.n || row >= p.m) { return; }"
        yield "  {"
    for r in rows:
        for c in halves:
            yield f"    var s{r}{c} = vec4f();"
    yield f"    for (var k = 0u; k < {depth}; k += 4u) {{"
    for c in halves:
        if kind == "nt":  # columns of this matrix are four steps of k for four rows of b
            four = (f"four_b((col + {4 * c + j}u) * p.k + k)" for j in range(4))
            yield f"      let w{c} = transpose(mat4x4f({', '.join(four)}));"
        for q in steps:
            read = f"w{c}[{q}]" if kind == "nt" else f"four_b((k + {q}u) * p.n + col + {4 * c}u)"
            yield f"      let b{q}{c} = {read};"
    if kind == "tn":  # four rows in a vector, for each step of k
        for q in steps:
            for h in range(2):
                yield f"      let a{q}{h} = four_a((k + {q}u) * p.m + row + {4 * h}u);"
    if kind == "rows":
        yield "      let w = vec4f(weight[k], weight[k + 1u], weight[k + 2u], weight[k + 3u]);"
        yield "      let d = vec4f(bias[k], bias[k + 1u], bias[k + 2u], bias[k + 3u]);"
    for r in rows:
        if kind == "tn":
            factors = [f"a{q}{r // 4}.{'xyzw'[r % 4]}" for q in steps]
        else:  # four steps of k in a vector, for each row
            read = f"four_a((row + {r}u) * p.k + k)"
            read = f"normalised(row + {r}u, k, by[{r}], w, d)" if kind == "rows" else read
            yield f"      let a{r} = {read};"
            factors = [f"a{r}.{'xyzw'[q]}" for q in steps]
        for c in halves:
            terms = " + ".join(f"{factors[q]} * b{q}{c}" for q in steps)
            yield f"      s{r}{c} += {terms};"
    yield "    }"
    sums = (f"s{r}{c}" for c in halves for r in rows)
    yield f"    var sums = array<vec4f, 16>({', '.join(sums)});"
    yield "    for (var i = 0u; i < 16u; i++) {"
    yield "      let at = col + i / 8u * 4u;"
    yield "      if (at < p.n) { store(row + i % 8u, at, sums[i]); }"
    yield "    }"
    yield "  }"
    yield "}"


def _shared(kind: str, edge: int, fours: bool) -> Iterator[str]:
    """The lines of what is shared and of `main`: an invocation's rows are r, its four columns a
    vector. Tiles lie in memory as they are fetched, in fours along the operands' rows; but those of
    a transposed b so that eight invocations side by side find theirs side by side.
    """
    fourth = edge // 4  # invocations side by side, and so many fours in a row of a tile
    tall = edge * fourth // 64  # rows an invocation
    step = 16 if edge == 32 else 64  # of k
    rows, steps, loads = range(tall), range(4), range(edge * step // 256)
    depth = "N_EMBD" if kind == "rows" else "p.k"
    along = step // 4  # fours of k in a row of a tile
    by_k = f"i / {fourth}u", f"i % {fourth}u * 4u"
    by_row = f"i / {along}u", f"i % {along}u * 4u"
    gaps = along if kind == "nt" else 0
    yield f"var<workgroup> tile_a: array<vec4f, {64 * len(loads)}>;"
    yield f"var<workgroup> tile_b: array<vec4f, {64 * len(loads) + gaps}>;"
    if kind == "rows":
        yield f"var<workgroup> stats_by_row: array<vec2f, {edge}>;"
    yield ""
    yield "fn fetch_a(i: u32, k: u32, top: u32) -> vec4f {"
    if kind == "rows":
        yield f"  let row = top + {by_row[0]};"
        yield f"  let c = k + {by_row[1]};"
        yield "  let w = vec4f(weight[c], weight[c + 1u], weight[c + 2u], weight[c + 3u]);"
        yield "  let d = vec4f(bias[c], bias[c + 1u], bias[c + 2u], bias[c + 3u]);"
        yield f"  return normalised(row, c, stats_by_row[{by_row[0]}], w, d);"
    elif kind == "tn":
        yield f"  return four_a((k + {by_k[0]}) * p.m + top + {by_k[1]});"
    else:
        yield f"  return four_a((top + {by_row[0]}) * p.k + k + {by_row[1]});"
    yield "}"
    yield ""
    yield "fn fetch_b(i: u32, k: u32, left: u32) -> vec4f {"
    if kind == "nt":
        yield f"  return four_b((left + {by_row[0]}) * p.k + k + {by_row[1]});"
    else:
        yield f"  return four_b((k + {by_k[0]}) * p.n + left + {by_k[1]});"
    yield "}"
    yield ""
    yield "@compute @workgroup_size(64)"
    yield "fn main(@builtin(workgroup_id) group: vec3u,"
    yield "        @builtin(local_invocation_index) lane: u32) {"
    yield f"  let top = group.y * {edge}u;"
    yield f"  let left = group.x * {edge}u;"
    yield f"  let down = lane / {fourth}u;"
    yield f"  let across = lane % {fourth}u;"
    if kind == "rows":
        yield f"  if (lane < {edge}u) {{"
        yield "    let row = top + lane;"
        yield "    let by = stats_of(row);"
        yield "    stats_by_row[lane] = by;"
        yield "    if (group.x == 0u && row < p.rows) {"
        yield "      stats[2u * row] = by.x;"
        yield "      stats[2u * row + 1u] = by.y;"
        yield "    }"
        yield "  }"
        yield "  workgroupBarrier();"
    for r in rows:
        yield f"  var s{r} = vec4f();"
    for j in loads:
        yield f"  var a{j} = fetch_a(lane + {64 * j}u, 0u, top);"
        yield f"  var b{j} = fetch_b(lane + {64 * j}u, 0u, left);"
    yield f"  for (var k = 0u; k < {depth}; k += {step}u) {{"
    yield "    workgroupBarrier();"
    for j in loads:
        place = f"lane + {64 * j}u"
        yield f"    tile_a[{place}] = a{j};"
        if kind == "nt":
            place = f"({place}) / {along}u"
            place = f"lane % {along}u * {edge + 1}u + {place} % 4u * {fourth}u + {place} / 4u"
        yield f"    tile_b[{place}] = b{j};"
        if kind == "rows":
            yield f"    let row{j} = top + (lane + {64 * j}u) / {along}u;"
            yield f"    let c{j} = k + lane % {along}u * 4u;"
            yield f"    if (group.x == 0u && row{j} < p.rows && c{j} < N_EMBD) {{"
            yield f"      h[(row{j} * N_EMBD + c{j}) / 4u] = a{j};"
            yield "    }"
    yield "    workgroupBarrier();"
    yield f"    if (k + {step}u < {depth}) {{"
    for j in loads:
        yield f"      a{j} = fetch_a(lane + {64 * j}u, k + {step}u, top);"
        yield f"      b{j} = fetch_b(lane + {64 * j}u, k + {step}u, left);"
    yield "    }"
    yield f"    let end = min({step}u, {depth} - k);"
    yield "    for (var q = 0u; q + 4u <= end; q += 4u) {"
    if kind == "nt":  # columns of this matrix are four steps of k for four rows of b
        four = (f"tile_b[q / 4u * {edge + 1}u + {fourth * j}u + across]" for j in range(4))
        yield f"      let w = transpose(mat4x4f({', '.join(four)}));"
    for q in steps:
        read = f"w[{q}]" if kind == "nt" else f"tile_b[(q + {q}u) * {fourth}u + across]"
        yield f"      let w{q} = {read};"
        if kind == "tn":
            yield f"      let f{q} = {_of_column(f'(q + {q}u)', fourth, tall)};"
    for r in rows:
        if kind == "tn":
            factors = [f"f{q}" + (f".{'xyzw'[r]}" if tall > 1 else "") for q in steps]
        else:
            yield f"      let f{r} = tile_a[({tall}u * down + {r}u) * {along}u + q / 4u];"
            factors = [f"f{r}.{'xyzw'[q]}" for q in steps]
        yield f"      s{r} += {' + '.join(f'{factors[q]} * w{q}' for q in steps)};"
    yield "    }"
    if not fours:  # the last steps of k, one by one
        yield "    for (var q = end / 4u * 4u; q < end; q++) {"
        yield f"      let w = tile_b[q * {fourth}u + across];"
        for r in rows:
            factor = f"tile_a[({tall}u * down + {r}u) * {along}u + q / 4u][q % 4u]"
            if kind == "tn":
                factor = _of_column("q", fourth, tall) + (f".{'xyzw'[r]}" if tall > 1 else "")
            yield f"      s{r} += {factor} * w;"
        yield "    }"
    yield "  }"
    yield "  let col = left + 4u * across;"
    yield "  if (col < p.n) {"
    for r in rows:
        yield f"    store(top + {tall}u * down + {r}u, col, s{r});"
    yield "  }"
    yield "}"


def _of_column(k: str, fourth: int, tall: int) -> str:
    """What an invocation's rows have at step k in a tile that is stored step by step."""
    if tall > 1:
        return f"tile_a[{k} * {fourth}u + down]"
    return f"tile_a[{k} * {fourth}u + down / 4u][down % 4u]"
