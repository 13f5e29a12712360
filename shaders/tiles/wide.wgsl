// A matrix product in tiles of 8 x 8 an invocation: the form "8 x 8" of each product in shaders/.
// Loads are of four numbers. Where a load costs as much as many products, as it does on emulated
// adapters, this is up to twice as fast as a kernel's own tiles of 4 x 4; a GPU gets too few
// invocations from a small model to be kept busy. Every sum keeps its order.
//
// This is a template: devices/webgpu/tiles.py makes a kernel's text from it and from the kernel's
// own file. It puts in
//   {kernel}   what that file declares besides `main`: `struct Params`, the bindings, `store`. The
//              operands are arrays of vec4f
//   {depth}    the steps of k: p.k, or N_EMBD
// It keeps the lines between `#if nn` and `#else` or `#end` if the kernel is of that kind:
//   nn   a @ b      nt   a @ transpose(b)      tn   transpose(a) @ b      norm   layernorm(x) @ b
// and repeats those between `#for r in 0, 1` and `#end`, with each value in the place of {r}.
//
// An invocation's eight rows are r. Its eight columns are two halves c of four, in a vec4f.
#if norm
// grid: 1, rows / 64
#else
// grid: n / 64, m / 64
#end

{kernel}

#if norm
fn four_x(i: u32) -> vec4f {
  return x[i / 4u];
}
#else
fn four_a(i: u32) -> vec4f {
  return a[i / 4u];
}
#end

fn four_b(i: u32) -> vec4f {
  return b[i / 4u];
}

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

// Stores a row's stats and its normalised numbers, for the backward pass.
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
#end

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
#if norm
  // An eighth of all columns from 8 rows, which are so normalised once for many tiles.
  let row = id.y * 8u;
  let width = (p.n + 63u) / 64u * 8u;
  if (id.x * width >= p.n || row >= p.rows) { return; }
  var by: array<vec2f, 8>;
  for (var r = 0u; r < 8u; r++) {
    by[r] = stats_of(row + r);
    if (id.x == 0u) { keep(row + r, by[r]); }
  }
  let end = min(p.n, id.x * width + width);
  for (var col = id.x * width; col < end; col += 8u)
#else
  let col = id.x * 8u;
  let row = id.y * 8u;
  if (col >= p.n || row >= p.m) { return; }
#end
  {
#for r in 0, 1, 2, 3, 4, 5, 6, 7
    var s{r}0 = vec4f();
    var s{r}1 = vec4f();
#end
    for (var k = 0u; k < {depth}; k += 4u) {
#if nt
#for c e f g h in 0 0 1 2 3, 1 4 5 6 7
      // Columns of this matrix are four steps of k for four rows of b.
      let w{c} = transpose(mat4x4f(
        four_b((col + {e}u) * p.k + k), four_b((col + {f}u) * p.k + k),
        four_b((col + {g}u) * p.k + k), four_b((col + {h}u) * p.k + k)));
      let b0{c} = w{c}[0];
      let b1{c} = w{c}[1];
      let b2{c} = w{c}[2];
      let b3{c} = w{c}[3];
#end
#else
#for c at in 0 0, 1 4
      let b0{c} = four_b((k + 0u) * p.n + col + {at}u);
      let b1{c} = four_b((k + 1u) * p.n + col + {at}u);
      let b2{c} = four_b((k + 2u) * p.n + col + {at}u);
      let b3{c} = four_b((k + 3u) * p.n + col + {at}u);
#end
#end
#if tn
#for q in 0, 1, 2, 3
      let a{q}0 = four_a((k + {q}u) * p.m + row + 0u);
      let a{q}1 = four_a((k + {q}u) * p.m + row + 4u);
#end
#for r h x in 0 0 x, 1 0 y, 2 0 z, 3 0 w, 4 1 x, 5 1 y, 6 1 z, 7 1 w
      s{r}0 += a0{h}.{x} * b00 + a1{h}.{x} * b10 + a2{h}.{x} * b20 + a3{h}.{x} * b30;
      s{r}1 += a0{h}.{x} * b01 + a1{h}.{x} * b11 + a2{h}.{x} * b21 + a3{h}.{x} * b31;
#end
#else
#if norm
      let w = vec4f(weight[k], weight[k + 1u], weight[k + 2u], weight[k + 3u]);
      let d = vec4f(bias[k], bias[k + 1u], bias[k + 2u], bias[k + 3u]);
#end
#for r in 0, 1, 2, 3, 4, 5, 6, 7
#if norm
      let a{r} = normalised(row + {r}u, k, by[{r}], w, d);
#else
      let a{r} = four_a((row + {r}u) * p.k + k);
#end
      s{r}0 += a{r}.x * b00 + a{r}.y * b10 + a{r}.z * b20 + a{r}.w * b30;
      s{r}1 += a{r}.x * b01 + a{r}.y * b11 + a{r}.z * b21 + a{r}.w * b31;
#end
#end
    }
    var sums = array<vec4f, 16>(
      s00, s10, s20, s30, s40, s50, s60, s70, s01, s11, s21, s31, s41, s51, s61, s71);
    for (var i = 0u; i < 16u; i++) {
      let at = col + i / 8u * 4u;
      if (at < p.n) { store(row + i % 8u, at, sums[i]); }
    }
  }
}
