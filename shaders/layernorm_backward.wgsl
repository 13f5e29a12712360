// The input gradient of layernorm: with xhat = (x - mean) * rstd and g = dy * weight,
//   dx = rstd * (g - mean(g) - xhat * mean(g * xhat))
//   x, dy, dx (rows, n_embd)   weight (n_embd)   stats (rows, 2): mean and rstd, from layernorm
// Added to dx if `accumulate` is 1 (usually the residual stream's gradient). One row an invocation.
// grid: rows / 64

struct Params { rows: u32, n_embd: u32, accumulate: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> stats: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let row = (group.y * groups.x + group.x) * 64u + lane;
  if (row >= p.rows) { return; }
  let start = row * p.n_embd;
  let mu = stats[2u * row];
  let r = stats[2u * row + 1u];
  var sum_g = 0.0;
  var sum_gx = 0.0;
  for (var c = 0u; c < p.n_embd; c++) {
    let g = dy[start + c] * weight[c];
    sum_g += g;
    sum_gx += g * (x[start + c] - mu) * r;
  }
  let mean_g = sum_g / f32(p.n_embd);
  let mean_gx = sum_gx / f32(p.n_embd);
  for (var c = 0u; c < p.n_embd; c++) {
    let xhat = (x[start + c] - mu) * r;
    var d = r * (dy[start + c] * weight[c] - mean_g - xhat * mean_gx);
    if (p.accumulate == 1u) { d += dx[start + c]; }
    dx[start + c] = d;
  }
}
