// y[0] = the mean of x.
//   x (size)   y (1)
// One workgroup: 256 lanes each sum every 256th element, then lane 0 adds the 256 partial sums in
// order.
// grid: 1

struct Params { size: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

var<workgroup> partial: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var i = lane; i < p.size; i += 256u) { sum += x[i]; }
  partial[lane] = sum;
  workgroupBarrier();
  if (lane != 0u) { return; }
  sum = 0.0;
  for (var j = 0u; j < 256u; j++) { sum += partial[j]; }
  y[0] = sum / f32(p.size);
}
