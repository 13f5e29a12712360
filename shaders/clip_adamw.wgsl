// clip.wgsl and adamw.wgsl in one: scales the gradients down to max_norm, then takes the step.
//   partial (256), from sum_squares   hyper (3): lr, 1 - beta1^t, sqrt(1 - beta2^t)
//   g (size), scaled in place   w, m, v (size)   norm (1), before clipping
// Each workgroup adds up the 256 partial sums in the same order, so all scale by the same number.
// stands for: clip 5437577c, adamw cc36f86b
// grid: size / 1024

struct Params {
  size: u32, max_norm: f32, beta1: f32, beta2: f32, eps: f32, weight_decay: f32
}

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read> hyper: array<f32>;
@group(0) @binding(2) var<storage, read_write> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> w: array<f32>;
@group(0) @binding(4) var<storage, read_write> m: array<f32>;
@group(0) @binding(5) var<storage, read_write> v: array<f32>;
@group(0) @binding(6) var<storage, read_write> norm: array<f32>;
@group(0) @binding(7) var<uniform> p: Params;

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
  let lr = hyper[0];
  let end = min(p.size, (index + 1u) * 1024u);
  for (var i = index * 1024u + lane; i < end; i += 64u) {
    let d = g[i] * factor;
    g[i] = d;
    m[i] = p.beta1 * m[i] + (1.0 - p.beta1) * d;
    v[i] = p.beta2 * v[i] + (1.0 - p.beta2) * d * d;
    let step = lr / hyper[1] * m[i] / (sqrt(v[i]) / hyper[2] + p.eps);
    w[i] = w[i] * (1.0 - lr * p.weight_decay) - step;
  }
}
