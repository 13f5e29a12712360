// A matrix product in tiles of 32 x 32 a workgroup: the form "32 x 32" of each product in shaders/.
// The 64 invocations make 4 x 4 numbers each. Together they fetch 16 steps of k of both operands
// into memory that they share, and the next 16 while they multiply, so that a GPU reads each number
// an eighth as often. Emulated adapters have no such memory, and stop at each barrier. Every sum
// keeps its order.
//
// A weight's gradient is a small matrix and a long sum: in a model of width 64 it has 4 to 16 tiles
// of 32 x 32, too few for a GPU. Its tiles are then "deep": 16 x 16, and 64 steps of k at a time.
// To split the sum itself would keep more of a GPU busy, and change its order.
//
// This is a template: devices/webgpu/tiles.py makes a kernel's text from it and from the kernel's
// own file. It puts in
//   {kernel}   what that file declares besides `main`: `struct Params`, the bindings, `store`. The
//              operands are arrays of vec4f, except in "ones"
//   {m}        the name of the parameter that counts the result's rows: m, or rows
//   {depth}    the steps of k: p.k, or N_EMBD
//   {edge}     of a tile: 32, or 16 where it is deep. A quarter of that is {fourth}
//   {step}     steps of k at a time: 16, or 64
//   {tall}     rows of the result an invocation, numbered {rows}: 4, or 1
//   {loads}    what an invocation fetches of each operand: pairs of a number j and a place 64 j
//   {fours}    vectors in a tile
// It keeps the lines between `#if nn` and `#else` or `#end` if the kernel is one of that kind:
//   nn   a @ b      nt   a @ transpose(b)      tn   transpose(a) @ b      norm   layernorm(x) @ b
//   deep   see above      ones   rows of an operand are not of a multiple of four numbers
// and repeats those between `#for r in 0, 1` and `#end`, with each value in the place of {r}.
//
// An invocation's rows are r, its four columns a vec4f. Tiles are stored as they are fetched, in
// fours along the operands' rows; but those of a transposed b in such an order that eight
// neighbouring invocations read eight neighbouring vectors.
// grid: n / {edge}, {m} / {edge}

{kernel}

#if norm
fn four_x(i: u32) -> vec4f {
  return x[i / 4u];
}
#else
#if ones
fn four_a(i: u32) -> vec4f {
  return vec4f(a[i + 0u], a[i + 1u], a[i + 2u], a[i + 3u]);
}
#else
fn four_a(i: u32) -> vec4f {
  return a[i / 4u];
}
#end
#end

#if ones
fn four_b(i: u32) -> vec4f {
  return vec4f(b[i + 0u], b[i + 1u], b[i + 2u], b[i + 3u]);
}
#else
fn four_b(i: u32) -> vec4f {
  return b[i / 4u];
}
#end

#if norm
// A row's mean and rstd.
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
#end

var<workgroup> tile_a: array<vec4f, {fours}>;
#if nt
var<workgroup> tile_b: array<vec4f, 132>;  // with a gap after each 32: see above
#else
var<workgroup> tile_b: array<vec4f, {fours}>;
#end
#if norm
var<workgroup> stats_by_row: array<vec2f, 32>;
#end

fn fetch_a(i: u32, k: u32, top: u32) -> vec4f {
#if norm
  let row = top + i / 4u;
  let c = k + i % 4u * 4u;
  let w = vec4f(weight[c], weight[c + 1u], weight[c + 2u], weight[c + 3u]);
  let d = vec4f(bias[c], bias[c + 1u], bias[c + 2u], bias[c + 3u]);
  return normalised(row, c, stats_by_row[i / 4u], w, d);
#end
#if tn
  return four_a((k + i / {fourth}u) * p.m + top + i % {fourth}u * 4u);
#end
#if nn nt
  return four_a((top + i / 4u) * p.k + k + i % 4u * 4u);
#end
}

fn fetch_b(i: u32, k: u32, left: u32) -> vec4f {
#if nt
  return four_b((left + i / 4u) * p.k + k + i % 4u * 4u);
#else
  return four_b((k + i / {fourth}u) * p.n + left + i % {fourth}u * 4u);
#end
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let top = group.y * {edge}u;
  let left = group.x * {edge}u;
  let down = lane / {fourth}u;
  let across = lane % {fourth}u;
#if norm
  if (lane < 32u) {
    let row = top + lane;
    let by = stats_of(row);
    stats_by_row[lane] = by;
    if (group.x == 0u && row < p.rows) {
      stats[2u * row] = by.x;
      stats[2u * row + 1u] = by.y;
    }
  }
  workgroupBarrier();
#end
#for r in {rows}
  var s{r} = vec4f();
#end
#for j at in {loads}
  var a{j} = fetch_a(lane + {at}u, 0u, top);
  var b{j} = fetch_b(lane + {at}u, 0u, left);
#end
  for (var k = 0u; k < {depth}; k += {step}u) {
    workgroupBarrier();
#for j at in {loads}
    tile_a[lane + {at}u] = a{j};
#if nt
    tile_b[lane % 4u * 33u + (lane + {at}u) / 4u % 4u * 8u + (lane + {at}u) / 4u / 4u] = b{j};
#else
    tile_b[lane + {at}u] = b{j};
#end
#if norm
    let row{j} = top + (lane + {at}u) / 4u;
    let c{j} = k + lane % 4u * 4u;
    if (group.x == 0u && row{j} < p.rows && c{j} < N_EMBD) {
      h[(row{j} * N_EMBD + c{j}) / 4u] = a{j};
    }
#end
#end
    workgroupBarrier();
    if (k + {step}u < {depth}) {
#for j at in {loads}
      a{j} = fetch_a(lane + {at}u, k + {step}u, top);
      b{j} = fetch_b(lane + {at}u, k + {step}u, left);
#end
    }
    let end = min({step}u, {depth} - k);
    for (var q = 0u; q + 4u <= end; q += 4u) {
#if nt
      // Columns of this matrix are four steps of k for four rows of b.
      let w = transpose(mat4x4f(
        tile_b[q / 4u * 33u + 0u + across], tile_b[q / 4u * 33u + 8u + across],
        tile_b[q / 4u * 33u + 16u + across], tile_b[q / 4u * 33u + 24u + across]));
      let w0 = w[0];
      let w1 = w[1];
      let w2 = w[2];
      let w3 = w[3];
#else
#for q in 0, 1, 2, 3
      let w{q} = tile_b[(q + {q}u) * {fourth}u + across];
#if deep
      let f{q} = tile_a[(q + {q}u) * 4u + down / 4u][down % 4u];
#else
#if tn
      let f{q} = tile_a[(q + {q}u) * 8u + down];
#end
#end
#end
#end
#if deep
      s0 += f0 * w0 + f1 * w1 + f2 * w2 + f3 * w3;
#else
#for r x in 0 x, 1 y, 2 z, 3 w
#if tn
      s{r} += f0.{x} * w0 + f1.{x} * w1 + f2.{x} * w2 + f3.{x} * w3;
#else
      let f{r} = tile_a[(4u * down + {r}u) * 4u + q / 4u];
      s{r} += f{r}.x * w0 + f{r}.y * w1 + f{r}.z * w2 + f{r}.w * w3;
#end
#end
#end
    }
#if ones
    // The last steps of k, one by one.
    for (var q = end / 4u * 4u; q < end; q++) {
      let w = tile_b[q * {fourth}u + across];
#if deep
      s0 += tile_a[q * 4u + down / 4u][down % 4u] * w;
#else
#for r x in 0 x, 1 y, 2 z, 3 w
#if tn
      s{r} += tile_a[q * 8u + down].{x} * w;
#else
      s{r} += tile_a[(4u * down + {r}u) * 4u + q / 4u][q % 4u] * w;
#end
#end
#end
    }
#end
  }
  let col = left + 4u * across;
  if (col < p.n) {
#for r in {rows}
    store(top + {tall}u * down + {r}u, col, s{r});
#end
  }
}
