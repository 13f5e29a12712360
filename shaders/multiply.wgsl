// z = x y, element by element; so are its gradients, dx = dz y and dy = dz x.
//   x, y, z (size). Added to z if `accumulate` is 1.
// grid: size / 64

struct Params { size: u32, accumulate: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> z: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.size) { return; }
  var product = x[i] * y[i];
  if (p.accumulate == 1u) { product += z[i]; }
  z[i] = product;
}
