// One AdamW step (Loshchilov and Hutter 2019), in the order of torch.optim.AdamW:
//   w = w (1 - lr weight_decay)
//   m = beta1 m + (1 - beta1) g      v = beta2 v + (1 - beta2) g^2
//   w = w - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
//   w, g, m, v (size)   hyper (3): lr, 1 - beta1^t, sqrt(1 - beta2^t) of this step
// One element an invocation. One dispatch for all parameters, which are one buffer.
// grid: size / 64

struct Params { size: u32, beta1: f32, beta2: f32, eps: f32, weight_decay: f32 }

@group(0) @binding(0) var<storage, read> hyper: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> m: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.size) { return; }
  let lr = hyper[0];
  m[i] = p.beta1 * m[i] + (1.0 - p.beta1) * g[i];
  v[i] = p.beta2 * v[i] + (1.0 - p.beta2) * g[i] * g[i];
  let step = lr / hyper[1] * m[i] / (sqrt(v[i]) / hyper[2] + p.eps);
  w[i] = w[i] * (1.0 - lr * p.weight_decay) - step;
}
