// y[b, t] = x[b, t] + weight[t]: adds to each position its row of the learned position table.
//   x (batch, time, n_embd)   weight (at least time, n_embd)   y (batch, time, n_embd)
// `period` is time * n_embd, the number of elements of one sequence, and `size` is batch * period.
// grid: size / 64

struct Params { size: u32, period: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.size) { return; }
  y[i] = x[i] + weight[i % p.period];
}
