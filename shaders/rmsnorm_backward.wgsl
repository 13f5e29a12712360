// The gradient of rmsnorm: with r = 1 / sqrt(mean(x^2) + eps),
//   dx = r (dy - r^2 x mean(x dy))   for the first `normed` of every `period` rows, else dx = dy
//   x, dy, dx (rows, size)
// r is computed again, which is cheaper than to store it. Added to dx if `accumulate` is 1. One row
// an invocation.
// grid: rows / 64

struct Params { rows: u32, size: u32, period: u32, normed: u32, eps: f32, accumulate: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let row = (group.y * groups.x + group.x) * 64u + lane;
  if (row >= p.rows) { return; }
  let start = row * p.size;
  var r = 1.0;
  var along = 0.0;  // the component of dy along x, which has no effect as the norm is fixed
  if (row % p.period < p.normed) {
    var squares = 0.0;
    var product = 0.0;
    for (var c = 0u; c < p.size; c++) {
      squares += x[start + c] * x[start + c];
      product += x[start + c] * dy[start + c];
    }
    r = 1.0 / sqrt(squares / f32(p.size) + p.eps);
    along = r * r * product / f32(p.size);
  }
  for (var c = 0u; c < p.size; c++) {
    var d = r * (dy[start + c] - along * x[start + c]);
    if (p.accumulate == 1u) { d += dx[start + c]; }
    dx[start + c] = d;
  }
}
