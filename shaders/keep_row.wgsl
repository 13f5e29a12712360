// y[count] = x, in a row of `stride` numbers: records what each token was drawn from.
//   x (size)   count (1): which row   y (rows, stride)
// grid: size / 64

struct Params { size: u32, stride: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> count: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < p.size) { y[count[0] * p.stride + id.x] = x[id.x]; }
}
