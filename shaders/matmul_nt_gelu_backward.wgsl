// dx = (a @ transpose(b)) * gelu'(x): the gradient of a linear layer's input, and through the GELU
// before it. Row-major.
//   a (m, k), the gradient of the layer's result   b (n, k), its weight   x, dx (m, n)
// The product is computed as in matmul_nt.wgsl, gelu'(x) as in gelu_backward.wgsl.
// stands for: matmul_nt 9f352a58, gelu_backward a278cadc
// grid: n / 32, m / 32

struct Params { m: u32, k: u32, n: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

fn a4(i: u32) -> vec4f {
  return vec4f(a[i], a[i + 1u], a[i + 2u], a[i + 3u]);
}

fn b4(i: u32) -> vec4f {
  return vec4f(b[i], b[i + 1u], b[i + 2u], b[i + 3u]);
}

fn store(row: u32, col: u32, sum: vec4f) {
  if (row >= p.m) { return; }
  let i = row * p.n + col;
  let v = vec4f(x[i], x[i + 1u], x[i + 2u], x[i + 3u]);
  let t = tanh(clamp(0.7978845608 * (v + 0.044715 * v * v * v), vec4f(-10.0), vec4f(10.0)));
  let slope = 0.5 * (1.0 + t) + 0.5 * v * (1.0 - t * t) * 0.7978845608 * (1.0 + 0.134145 * v * v);
  let d = sum * slope;
  dx[i] = d.x;
  if (col + 1u < p.n) { dx[i + 1u] = d.y; }
  if (col + 2u < p.n) { dx[i + 2u] = d.z; }
  if (col + 3u < p.n) { dx[i + 3u] = d.w; }
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let col = id.x * 4u;
  let row = id.y * 4u;
  if (col >= p.n || row >= p.m) { return; }
  let a0 = row * p.k;
  let a1 = a0 + p.k;
  let a2 = a1 + p.k;
  let a3 = a2 + p.k;
  let b0 = col * p.k;
  let b1 = b0 + p.k;
  let b2 = b1 + p.k;
  let b3 = b2 + p.k;
  var s0 = vec4f();
  var s1 = vec4f();
  var s2 = vec4f();
  var s3 = vec4f();
  var k = 0u;
  for (; k + 4u <= p.k; k += 4u) {
    // Columns of this matrix are four steps of k for the tile's four rows of b.
    let w = transpose(mat4x4f(b4(b0 + k), b4(b1 + k), b4(b2 + k), b4(b3 + k)));
    let x0 = a4(a0 + k);
    let x1 = a4(a1 + k);
    let x2 = a4(a2 + k);
    let x3 = a4(a3 + k);
    s0 += x0.x * w[0] + x0.y * w[1] + x0.z * w[2] + x0.w * w[3];
    s1 += x1.x * w[0] + x1.y * w[1] + x1.z * w[2] + x1.w * w[3];
    s2 += x2.x * w[0] + x2.y * w[1] + x2.z * w[2] + x2.w * w[3];
    s3 += x3.x * w[0] + x3.y * w[1] + x3.z * w[2] + x3.w * w[3];
  }
  for (; k < p.k; k++) {
    let w = vec4f(b[b0 + k], b[b1 + k], b[b2 + k], b[b3 + k]);
    s0 += a[a0 + k] * w;
    s1 += a[a1 + k] * w;
    s2 += a[a2 + k] * w;
    s3 += a[a3 + k] * w;
  }
  store(row, col, s0);
  store(row + 1u, col, s1);
  store(row + 2u, col, s2);
  store(row + 3u, col, s3);
}
