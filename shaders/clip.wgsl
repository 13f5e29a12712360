// norm = sqrt(the sum of partial); x *= min(1, max_norm / (norm + 1e-6)), as
// torch.nn.utils.clip_grad_norm_ does.
//   partial (256), from sum_squares   x (size), scaled in place   norm (1), before clipping
// Each workgroup adds up the 256 partial sums in the same order, so all scale by the same number.
// grid: size / 1024

struct Params { size: u32, max_norm: f32 }

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

var<workgroup> total: f32;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let index = group.y * groups.x + group.x;
  if (lane == 0u) {
    var sum = 0.0;
    for (var j = 0u; j < 256u; j++) { sum += partial[j]; }
    total = sqrt(sum);
    if (index == 0u) { norm[0] = total; }
  }
  workgroupBarrier();
  let factor = min(1.0, p.max_norm / (total + 1e-6));
  let end = min(p.size, (index + 1u) * 1024u);
  for (var i = index * 1024u + lane; i < end; i += 64u) { x[i] *= factor; }
}
