// dx = dy where x > 0, else 0.
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
  var d = select(0.0, dy[i], x[i] > 0.0);
  if (p.accumulate == 1u) { d += dx[i]; }
  dx[i] = d;
}
