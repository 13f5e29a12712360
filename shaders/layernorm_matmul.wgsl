// h = layernorm(x), y = h @ b: the way into attention.
//   x, h (rows, n_embd)   weight, bias (n_embd)   b (n_embd, n)   stats (rows, 2): each row's mean
//   and rstd   y (rows, n)
// h and stats are for the backward pass. An invocation normalises four rows as layernorm.wgsl does,
// and computes 16 columns of y from them, 4 at a time, in the order of matmul_nn.wgsl. To normalise
// the rows again for each 16 columns costs less than to read h back.
// stands for: layernorm d80dd64e, matmul_nn 5ad177fe
// grid: n / 64, rows / 64

struct Params { rows: u32, n: u32, eps: f32 }

const N_EMBD: u32 = 64;  // set by the device from the call's n_embd

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> h: array<f32>;
@group(0) @binding(5) var<storage, read_write> stats: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<uniform> p: Params;

var<private> rows: array<vec4f, N_EMBD>;  // channel by channel, a row in each lane

fn b4(i: u32) -> vec4f {
  return vec4f(b[i], b[i + 1u], b[i + 2u], b[i + 3u]);
}

fn store(row: u32, col: u32, sum: vec4f) {
  if (row >= p.rows) { return; }
  let i = row * p.n + col;
  y[i] = sum.x;
  if (col + 1u < p.n) { y[i + 1u] = sum.y; }
  if (col + 2u < p.n) { y[i + 2u] = sum.z; }
  if (col + 3u < p.n) { y[i + 3u] = sum.w; }
}

// Rows first to first + 3 of x, normalised, into `rows`; and into h and stats if `keep`.
fn normalise(first: u32, keep: bool) {
  let at = min(first + vec4u(0u, 1u, 2u, 3u), vec4u(p.rows - 1u));  // past the end: the last again
  let start = at * N_EMBD;
  var sum = vec4f();
  for (var c = 0u; c < N_EMBD; c++) {
    let i = start + c;
    let v = vec4f(x[i.x], x[i.y], x[i.z], x[i.w]);
    rows[c] = v;
    sum += v;
  }
  let mu = sum / f32(N_EMBD);
  var squares = vec4f();
  for (var c = 0u; c < N_EMBD; c++) {
    let d = rows[c] - mu;
    squares += d * d;
  }
  let r = 1.0 / sqrt(squares / f32(N_EMBD) + p.eps);
  for (var c = 0u; c < N_EMBD; c++) {
    let v = (rows[c] - mu) * r * weight[c] + bias[c];
    rows[c] = v;
    if (keep) {
      let i = start + c;
      h[i.x] = v.x;
      h[i.y] = v.y;
      h[i.z] = v.z;
      h[i.w] = v.w;
    }
  }
  if (keep) {
    let i = 2u * at;
    stats[i.x] = mu.x;
    stats[i.y] = mu.y;
    stats[i.z] = mu.z;
    stats[i.w] = mu.w;
    stats[i.x + 1u] = r.x;
    stats[i.y + 1u] = r.y;
    stats[i.z + 1u] = r.z;
    stats[i.w + 1u] = r.w;
  }
}

@compute @workgroup_size(4, 16)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y * 4u;
  if (id.x * 16u >= p.n || row >= p.rows) { return; }
  normalise(row, id.x == 0u);
  let n = p.n;
  for (var col = id.x * 16u; col < min(n, id.x * 16u + 16u); col += 4u) {
    var s0 = vec4f();
    var s1 = vec4f();
    var s2 = vec4f();
    var s3 = vec4f();
    var k = 0u;
    for (; k + 4u <= N_EMBD; k += 4u) {
      let i = k * n + col;
      let b0 = b4(i);
      let b1 = b4(i + n);
      let b2 = b4(i + 2u * n);
      let b3 = b4(i + 3u * n);
      let a0 = rows[k];
      let a1 = rows[k + 1u];
      let a2 = rows[k + 2u];
      let a3 = rows[k + 3u];
      s0 += a0.x * b0 + a1.x * b1 + a2.x * b2 + a3.x * b3;
      s1 += a0.y * b0 + a1.y * b1 + a2.y * b2 + a3.y * b3;
      s2 += a0.z * b0 + a1.z * b1 + a2.z * b2 + a3.z * b3;
      s3 += a0.w * b0 + a1.w * b1 + a2.w * b2 + a3.w * b3;
    }
    for (; k < N_EMBD; k++) {
      let b0 = b4(k * n + col);
      let a0 = rows[k];
      s0 += a0.x * b0;
      s1 += a0.y * b0;
      s2 += a0.z * b0;
      s3 += a0.w * b0;
    }
    store(row, col, s0);
    store(row + 1u, col, s1);
    store(row + 2u, col, s2);
    store(row + 3u, col, s3);
  }
}
