// y = (x - mean) * rstd * weight + bias, row by row, with rstd = 1 / sqrt(variance + eps).
//   x, y (rows, n_embd)   weight, bias (n_embd)   stats (rows, 2): mean and rstd of rows, for the
//   backward pass
// The variance is the mean of (x - mean)^2, in a second pass over the row, as E[x^2] - mean^2 loses
// digits. One row an invocation. (Ba, Kiros and Hinton 2016, "Layer Normalization".)
// grid: rows / 64

struct Params { rows: u32, n_embd: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> stats: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let row = (group.y * groups.x + group.x) * 64u + lane;
  if (row >= p.rows) { return; }
  let start = row * p.n_embd;
  var sum = 0.0;
  for (var c = 0u; c < p.n_embd; c++) { sum += x[start + c]; }
  let mu = sum / f32(p.n_embd);
  var squares = 0.0;
  for (var c = 0u; c < p.n_embd; c++) {
    let d = x[start + c] - mu;
    squares += d * d;
  }
  let r = 1.0 / sqrt(squares / f32(p.n_embd) + p.eps);
  for (var c = 0u; c < p.n_embd; c++) {
    y[start + c] = (x[start + c] - mu) * r * weight[c] + bias[c];
  }
  stats[2u * row] = mu;
  stats[2u * row + 1u] = r;
}
