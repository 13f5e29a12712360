// y = x / (1 - rate) where kept, 0 where dropped; each element is dropped with probability `rate`.
//   x, y (size)   key (2): the seed's key and the step's number
// Whether element i is kept is a pure function of (i, layer, key), so the backward pass is this
// same kernel on dy, and the same seed drops the same elements. The function is pcg4d (Jarzynski
// and Olano 2020, "Hash Functions for GPU Rendering"), whose top 24 bits are a uniform number in
// [0, 1). Added to y if `accumulate` is 1.
// grid: size / 64

struct Params { size: u32, layer: u32, accumulate: u32, rate: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> key: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

fn pcg4d(input: vec4u) -> vec4u {
  var v = input * 1664525u + 1013904223u;
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  v ^= v >> vec4u(16u);
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  return v;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.size) { return; }
  let u = f32(pcg4d(vec4u(i, p.layer, key[0], key[1])).x >> 8u) / 16777216.0;
  var v = 0.0;
  if (u >= p.rate) { v = x[i] / (1.0 - p.rate); }
  if (p.accumulate == 1u) { v += y[i]; }
  y[i] = v;
}
