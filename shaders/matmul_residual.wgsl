// z = x + a @ b: a linear layer at the end of a branch, added to the residual stream. Row-major.
//   a (m, k)   b (k, n)   x, z (m, n)
// The product is computed as in matmul_nn.wgsl, and not stored by itself.
// stands for: matmul_nn 5ad177fe, add 6c31c11a
// grid: n / 32, m / 32

struct Params { m: u32, k: u32, n: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> z: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

fn row4(i: u32) -> vec4f {
  return vec4f(b[i], b[i + 1u], b[i + 2u], b[i + 3u]);
}

fn store(row: u32, col: u32, sum: vec4f) {
  if (row >= p.m) { return; }
  let i = row * p.n + col;
  let v = vec4f(x[i], x[i + 1u], x[i + 2u], x[i + 3u]) + sum;
  z[i] = v.x;
  if (col + 1u < p.n) { z[i + 1u] = v.y; }
  if (col + 2u < p.n) { z[i + 2u] = v.z; }
  if (col + 3u < p.n) { z[i + 3u] = v.w; }
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let col = id.x * 4u;
  let row = id.y * 4u;
  if (col >= p.n || row >= p.m) { return; }
  let n = p.n;
  let a0 = row * p.k;
  let a1 = a0 + p.k;
  let a2 = a1 + p.k;
  let a3 = a2 + p.k;
  var s0 = vec4f();
  var s1 = vec4f();
  var s2 = vec4f();
  var s3 = vec4f();
  var k = 0u;
  for (; k + 4u <= p.k; k += 4u) {
    let i = k * n + col;
    let b0 = row4(i);
    let b1 = row4(i + n);
    let b2 = row4(i + 2u * n);
    let b3 = row4(i + 3u * n);
    s0 += a[a0 + k] * b0 + a[a0 + k + 1u] * b1 + a[a0 + k + 2u] * b2 + a[a0 + k + 3u] * b3;
    s1 += a[a1 + k] * b0 + a[a1 + k + 1u] * b1 + a[a1 + k + 2u] * b2 + a[a1 + k + 3u] * b3;
    s2 += a[a2 + k] * b0 + a[a2 + k + 1u] * b1 + a[a2 + k + 2u] * b2 + a[a2 + k + 3u] * b3;
    s3 += a[a3 + k] * b0 + a[a3 + k + 1u] * b1 + a[a3 + k + 2u] * b2 + a[a3 + k + 3u] * b3;
  }
  for (; k < p.k; k++) {
    let b0 = row4(k * n + col);
    s0 += a[a0 + k] * b0;
    s1 += a[a1 + k] * b0;
    s2 += a[a2 + k] * b0;
    s3 += a[a3 + k] * b0;
  }
  store(row, col, s0);
  store(row + 1u, col, s1);
  store(row + 2u, col, s2);
  store(row + 3u, col, s3);
}
