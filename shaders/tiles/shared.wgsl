// A matrix product in tiles that a workgroup makes together: the forms "32 x 32", "64 x 64" and
// "128 x 64" (rows, columns) of each product in shaders/. Each invocation makes 4 x 4 numbers, or
// 8 x 8 of the larger tiles. Together they fetch some steps of k of both operands into memory that
// they share, and the next ones while they multiply, so that a GPU reads each number as rarely as a
// tile is large. Emulated adapters have no such memory, and stop at each barrier. Every sum keeps
// its order.
//
// A weight's gradient is a small matrix and a long sum: in a model of width 64 it has 4 to 16 tiles
// of 32 x 32, too few for a GPU. Its tiles are then "deep": 16 x 16, and 64 steps of k at a time.
// Where these are too few too, the sum is "split": workgroups of their own sum each {stretch} steps
// of k into a y of their own, and these are added up afterwards, in order. That is another order
// than the sum's own, but always the same.
//
// This is a template: devices/webgpu/tiles.py makes a kernel's text from it and from the kernel's
// own file. It puts in
//   {kernel}   what that file declares besides `main`: `struct Params`, the bindings, `store`. The
//              operands are arrays of vec4f, except in "ones"
//   {m}        the name of the parameter that counts the result's rows: m, or rows
//   {depth}    the steps of k: p.k, or N_EMBD
//   {lanes}    invocations of a workgroup, {across} of them beside each other
//   {high} {wide}   of a tile: its rows and columns. {high4} and {wide4}: a quarter of these
//   {step}     steps of k at a time. {step4}: a quarter of these
//   {rows}     the result's rows of an invocation: number, row, and the four h that it is in, and where
//   {tall}     how many of these rows follow each other: 4, or 1
//   {halves}   these fours h, and {columns}, the fours c of its columns: number, place in vectors
//   {loads_a} {loads_b}   what an invocation fetches of each operand: a number j, and a place
//   {fours_a} {fours_b}   vectors in a tile of each; a transposed b has gaps
// It keeps the lines between `#if nn` and `#else` or `#end` if the kernel is one of that kind:
//   nn   a @ b      nt   a @ transpose(b)      tn   transpose(a) @ b      norm   layernorm(x) @ b
//   deep, split   see above      ones   rows of an operand are not of a multiple of four numbers
// and repeats those between `#for r in 0, 1` and `#end`, with each value in the place of {r}.
//
// Tiles are stored as they are fetched, in fours along the operands' rows; but that of a transposed b
// in such an order that neighbouring invocations read neighbouring vectors.
#if split
// grid: n / {wide}, {m} / {high}, k / {stretch}
#else
// grid: n / {wide}, {m} / {high}
#end


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

var<workgroup> tile_a: array<vec4f, {fours_a}>;
var<workgroup> tile_b: array<vec4f, {fours_b}>;
#if norm
var<workgroup> stats_by_row: array<vec2f, {high}>;
#end

fn fetch_a(i: u32, k: u32, top: u32) -> vec4f {
#if norm
  let row = top + i / {step4}u;
  let c = k + i % {step4}u * 4u;
  let w = vec4f(weight[c], weight[c + 1u], weight[c + 2u], weight[c + 3u]);
  let d = vec4f(bias[c], bias[c + 1u], bias[c + 2u], bias[c + 3u]);
  return normalised(row, c, stats_by_row[i / {step4}u], w, d);
#end
#if tn
  return four_a((k + i / {high4}u) * p.m + top + i % {high4}u * 4u);
#end
#if nn nt
  return four_a((top + i / {step4}u) * p.k + k + i % {step4}u * 4u);
#end
}

fn fetch_b(i: u32, k: u32, left: u32) -> vec4f {
#if nt
  return four_b((left + i / {step4}u) * p.k + k + i % {step4}u * 4u);
#else
  return four_b((k + i / {wide4}u) * p.n + left + i % {wide4}u * 4u);
#end
}

#if split
// As the kernel's own `store`, into the y of a part of k.
fn store_part(part: u32, row: u32, col: u32, sum: vec4f) {
  if (row >= p.m) { return; }
  let i = (part * p.m + row) * p.n + col;
  y[i] = sum.x;
  if (col + 1u < p.n) { y[i + 1u] = sum.y; }
  if (col + 2u < p.n) { y[i + 2u] = sum.z; }
  if (col + 3u < p.n) { y[i + 3u] = sum.w; }
}
#end

@compute @workgroup_size({lanes})
fn main(@builtin(workgroup_id) group: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let top = group.y * {high}u;
  let left = group.x * {wide}u;
  let down = lane / {across}u;
  let across = lane % {across}u;
#if split
  let begin = group.z * {stretch}u;
  let depth = min({depth}, begin + {stretch}u);
#else
  let begin = 0u;
  let depth = {depth};
#end
#if norm
  if (lane < {high}u) {
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
#for r of h x in {rows}
#for c at in {columns}
  var s{r}{c} = vec4f();
#end
#end
#for j at in {loads_a}
  var a{j} = fetch_a(lane + {at}u, begin, top);
#end
#for j at in {loads_b}
  var b{j} = fetch_b(lane + {at}u, begin, left);
#end
  for (var k = begin; k < depth; k += {step}u) {
    workgroupBarrier();
#for j at in {loads_b}
#if nt
    let row{j} = (lane + {at}u) / {step4}u;
    tile_b[lane % {step4}u * ({wide}u + 1u) + row{j} % 4u * {wide4}u + row{j} / 4u] = b{j};
#else
    tile_b[lane + {at}u] = b{j};
#end
#end
#for j at in {loads_a}
    tile_a[lane + {at}u] = a{j};
#if norm
    let row{j} = top + (lane + {at}u) / {step4}u;
    let c{j} = k + lane % {step4}u * 4u;
    if (group.x == 0u && row{j} < p.rows && c{j} < N_EMBD) {
      h[(row{j} * N_EMBD + c{j}) / 4u] = a{j};
    }
#end
#end
    workgroupBarrier();
    if (k + {step}u < depth) {
#for j at in {loads_a}
      a{j} = fetch_a(lane + {at}u, k + {step}u, top);
#end
#for j at in {loads_b}
      b{j} = fetch_b(lane + {at}u, k + {step}u, left);
#end
    }
    let end = min({step}u, depth - k);
    for (var q = 0u; q + 4u <= end; q += 4u) {
#for c at in {columns}
#if nt
      // Columns of this matrix are four steps of k for four rows of b.
      let from{c} = q / 4u * ({wide}u + 1u) + across + {at}u;
      let w{c} = transpose(mat4x4f(
        tile_b[from{c}], tile_b[from{c} + {wide4}u],
        tile_b[from{c} + 2u * {wide4}u], tile_b[from{c} + 3u * {wide4}u]));
      let w0{c} = w{c}[0];
      let w1{c} = w{c}[1];
      let w2{c} = w{c}[2];
      let w3{c} = w{c}[3];
#else
#for q in 0, 1, 2, 3
      let w{q}{c} = tile_b[(q + {q}u) * {wide4}u + across + {at}u];
#end
#end
#end
#if deep
#for q in 0, 1, 2, 3
      let f{q} = tile_a[(q + {q}u) * {high4}u + down / 4u][down % 4u];
#end
      s00 += f0 * w00 + f1 * w10 + f2 * w20 + f3 * w30;
#else
#if tn
#for h at in {halves}
#for q in 0, 1, 2, 3
      let f{q}{h} = tile_a[(q + {q}u) * {high4}u + down + {at}u];
#end
#end
#for r of h x in {rows}
#for c at in {columns}
      s{r}{c} += f0{h}.{x} * w0{c} + f1{h}.{x} * w1{c} + f2{h}.{x} * w2{c} + f3{h}.{x} * w3{c};
#end
#end
#else
#for r of h x in {rows}
      let f{r} = tile_a[({tall}u * down + {of}u) * {step4}u + q / 4u];
#for c at in {columns}
      s{r}{c} += f{r}.x * w0{c} + f{r}.y * w1{c} + f{r}.z * w2{c} + f{r}.w * w3{c};
#end
#end
#end
#end
    }
#if ones
    // The last steps of k, one by one.
    for (var q = end / 4u * 4u; q < end; q++) {
#for c at in {columns}
      let w{c} = tile_b[q * {wide4}u + across + {at}u];
#if deep
      s00 += tile_a[q * {high4}u + down / 4u][down % 4u] * w{c};
#else
#if tn
#for r of h x in {rows}
      s{r}{c} += tile_a[q * {high4}u + down + {h}u * {high4}u / 2u].{x} * w{c};
#end
#else
#for r of h x in {rows}
      s{r}{c} += tile_a[({tall}u * down + {of}u) * {step4}u + q / 4u][q % 4u] * w{c};
#end
#end
#end
#end
    }
#end
  }
#for c at in {columns}
  let col{c} = left + 4u * (across + {at}u);
  if (col{c} < p.n) {
#for r of h x in {rows}
#if split
    store_part(group.z, top + {tall}u * down + {of}u, col{c}, s{r}{c});
#else
    store(top + {tall}u * down + {of}u, col{c}, s{r}{c});
#end
#end
  }
#end
}
