// A training batch from the corpus: x[b][t] = corpus[offsets[b] + t], and y one token later.
//   corpus (any length)   offsets (batch)   x, y (batch, time)
// The corpus stays on the device; a step uploads only its offsets.
// grid: batch * time / 64

struct Params { batch: u32, time: u32 }

@group(0) @binding(0) var<storage, read> corpus: array<u32>;
@group(0) @binding(1) var<storage, read> offsets: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.batch * p.time) { return; }
  let token = offsets[i / p.time] + i % p.time;
  x[i] = corpus[token];
  y[i] = corpus[token + 1u];
}
