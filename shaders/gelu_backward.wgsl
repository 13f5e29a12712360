// dx = dy * gelu'(x): with t = tanh(u) and u = sqrt(2/pi) (x + 0.044715 x^3),
//   gelu'(x) = 0.5 (1 + t) + 0.5 x (1 - t^2) sqrt(2/pi) (1 + 3 * 0.044715 x^2)
//   x, dy, dx (size). Added to dx if `accumulate` is 1.
// grid: size / 64

struct Params { size: u32, accumulate: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.size) { return; }
  let v = x[i];
  let t = tanh(clamp(0.7978845608 * (v + 0.044715 * v * v * v), -10.0, 10.0));
  let slope = 0.5 * (1.0 + t) + 0.5 * v * (1.0 - t * t) * 0.7978845608 * (1.0 + 0.134145 * v * v);
  var d = dy[i] * slope;
  if (p.accumulate == 1u) { d += dx[i]; }
  dx[i] = d;
}
