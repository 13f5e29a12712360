"""The matrix products in larger tiles, for adapters on which those are faster.

A kernel of `shaders/` with a product in it makes a 4 x 4 tile an invocation, from numbers that are
loaded one by one. `widen` writes the same kernel with 8 x 8 tiles and loads of four numbers. Of the
kernel's own text its bindings, its `store` and its `normalise` stay, and every sum keeps its order,
so the results are the same to the bit. Where a load costs as much as many products, as it does on
emulated adapters, that is up to twice as fast; on a GPU a small model has too few such tiles to
keep it busy. So webgpu.py tries both, and takes the faster.
"""

import re
from collections.abc import Iterator

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
GRIDS = {"rows": "1, rows / 64"}  # all columns: an eighth of them from 8 rows, normalised once
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

fn keep(row: u32, by: vec2f) {
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


def fits(name: str, params: dict[str, float]) -> bool:
    """Whether there is a wide form of a kernel for these parameters."""
    return name in KINDS and not any(params[size] % 4 for size in FOURS[KINDS[name]])


def trial(name: str, buffers: int, rows: int) -> tuple[dict[str, float], list[int]]:
    """A call of a kernel to try it by: its parameters, and how many numbers each buffer has."""
    width, columns = 64, 256
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


def widen(name: str, code: str) -> str:
    """The kernel of that name and WGSL in 8 x 8 tiles."""
    kind = KINDS[name]
    code = re.sub(UNUSED, "", code[: code.index("@compute")], flags=re.S)
    for operand in OPERANDS.get(kind, "ab"):
        code = code.replace(f" {operand}: array<f32>", f" {operand}: array<vec4f>")
        if operand != "h":
            code += f"fn four_{operand}(i: u32) -> vec4f {{\n  return {operand}[i / 4u];\n}}\n\n"
    grid = GRIDS.get(kind, "n / 64, m / 64")
    code = re.sub(r"^// grid: .*$", f"// grid: {grid}", code, flags=re.M)
    if kind == "rows":
        code += NORMALISE
    return code + "\n".join(_main(kind)) + "\n"


def _main(kind: str) -> Iterator[str]:
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
