// y = transpose(a) @ b, or y += ... if `accumulate` is 1. Row-major.
//   a (k, m)   b (k, n)   y (m, n)
// Weight gradient of a linear layer (a = x, b = dy) and of the tied unembedding (a = dlogits, b =
// x): the sum over k runs over every token of the batch, in order. A 4 x 4 tile of y an invocation,
// as in matmul_nn.wgsl; here both operands are read down their columns.
// grid: n / 32, m / 32

struct Params { m: u32, k: u32, n: u32, accumulate: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

fn a4(i: u32) -> vec4f {
  return vec4f(a[i], a[i + 1u], a[i + 2u], a[i + 3u]);
}

fn b4(i: u32) -> vec4f {
  return vec4f(b[i], b[i + 1u], b[i + 2u], b[i + 3u]);
}

fn store(row: u32, col: u32, sum: vec4f) {
  if (row >= p.m) { return; }
  let i = row * p.n + col;
  var v = sum;
  if (p.accumulate == 1u) { v += vec4f(y[i], y[i + 1u], y[i + 2u], y[i + 3u]); }
  y[i] = v.x;
  if (col + 1u < p.n) { y[i + 1u] = v.y; }
  if (col + 2u < p.n) { y[i + 2u] = v.z; }
  if (col + 3u < p.n) { y[i + 3u] = v.w; }
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let col = id.x * 4u;
  let row = id.y * 4u;
  if (col >= p.n || row >= p.m) { return; }
  var s0 = vec4f();
  var s1 = vec4f();
  var s2 = vec4f();
  var s3 = vec4f();
  var i = row;
  var j = col;
  var k = 0u;
  for (; k + 4u <= p.k; k += 4u) {
    let x0 = a4(i);
    let x1 = a4(i + p.m);
    let x2 = a4(i + 2u * p.m);
    let x3 = a4(i + 3u * p.m);
    let b0 = b4(j);
    let b1 = b4(j + p.n);
    let b2 = b4(j + 2u * p.n);
    let b3 = b4(j + 3u * p.n);
    s0 += x0.x * b0 + x1.x * b1 + x2.x * b2 + x3.x * b3;
    s1 += x0.y * b0 + x1.y * b1 + x2.y * b2 + x3.y * b3;
    s2 += x0.z * b0 + x1.z * b1 + x2.z * b2 + x3.z * b3;
    s3 += x0.w * b0 + x1.w * b1 + x2.w * b2 + x3.w * b3;
    i += 4u * p.m;
    j += 4u * p.n;
  }
  for (; k < p.k; k++) {
    let x0 = a4(i);
    let b0 = b4(j);
    s0 += x0.x * b0;
    s1 += x0.y * b0;
    s2 += x0.z * b0;
    s3 += x0.w * b0;
    i += p.m;
    j += p.n;
  }
  store(row, col, s0);
  store(row + 1u, col, s1);
  store(row + 2u, col, s2);
  store(row + 3u, col, s3);
}
