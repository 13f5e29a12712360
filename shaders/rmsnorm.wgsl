// y = x / sqrt(mean(x^2) + eps), row by row, for the first `normed` of every `period` rows; the other
// rows are copied.
//   x, y (rows, size)
// One row an invocation. (Zhang and Sennrich 2019, "Root Mean Square Layer Normalization",
// without their gain.)
// grid: rows / 64

struct Params { rows: u32, size: u32, period: u32, normed: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let row = (group.y * groups.x + group.x) * 64u + lane;
  if (row >= p.rows) { return; }
  let start = row * p.size;
  var squares = 0.0;
  for (var c = 0u; c < p.size; c++) { squares += x[start + c] * x[start + c]; }
  let r = select(1.0, 1.0 / sqrt(squares / f32(p.size) + p.eps), row % p.period < p.normed);
  for (var c = 0u; c < p.size; c++) { y[start + c] = x[start + c] * r; }
}
