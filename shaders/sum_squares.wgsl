// partial[g] = the sum of x[i]^2 over the g-th of 256 equal parts of x: the first half of a norm
// (see clip).
//   x (size)   partial (256)
// One part a workgroup: 64 lanes each sum every 64th element of it, then lane 0 adds the 64 sums in
// order.
// grid: 256

struct Params { size: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let stretch = (p.size + 255u) / 256u;
  let end = min(p.size, (group.x + 1u) * stretch);
  var sum = 0.0;
  for (var i = group.x * stretch + lane; i < end; i += 64u) { sum += x[i] * x[i]; }
  sums[lane] = sum;
  workgroupBarrier();
  if (lane != 0u) { return; }
  sum = 0.0;
  for (var j = 0u; j < 64u; j++) { sum += sums[j]; }
  partial[group.x] = sum;
}
