// y[y_start + i] = x[x_start + i], bit for bit: copies what a device cannot bind in place.
//   x (x_start + size or more)   y (y_start + size or more)
// grid: size / 64

struct Params { size: u32, x_start: u32, y_start: u32 }

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.size) { return; }
  y[p.y_start + i] = x[p.x_start + i];
}
