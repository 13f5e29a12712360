// dweight[t] = the sum of dy[b, t] over the batch; 0 for positions past the sequence's end.
//   dy (batch, time, n_embd)   dweight (block_size, n_embd); `total` is its size
// `period` is time * n_embd and `size` is batch * period. Added to dweight if `accumulate` is 1.
// grid: total / 64

struct Params { size: u32, period: u32, total: u32, accumulate: u32 }

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.total) { return; }
  var sum = 0.0;
  if (i < p.period) {
    for (var j = i; j < p.size; j += p.period) { sum += dy[j]; }
  }
  if (p.accumulate == 1u) { sum += dweight[i]; }
  dweight[i] = sum;
}
