// dweight[v] = the sum of dy[i] over every i with tokens[i] == v; added to what is there where
// `accumulate` is 1.
//   tokens (rows)   dy (rows, n_embd)   dweight (vocab_size, n_embd)
// An invocation owns one element of dweight and walks all tokens in order, so the sum has one order
// and needs no atomics.
// grid: vocab_size * n_embd / 64

struct Params { rows: u32, n_embd: u32, vocab_size: u32, accumulate: u32 }

@group(0) @binding(0) var<storage, read> tokens: array<u32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.vocab_size * p.n_embd) { return; }
  let token = i / p.n_embd;
  let channel = i % p.n_embd;
  var sum = 0.0;
  for (var row = 0u; row < p.rows; row++) {
    if (tokens[row] == token) { sum += dy[row * p.n_embd + channel]; }
  }
  if (p.accumulate == 1u) { sum += dweight[i]; }
  dweight[i] = sum;
}
