// y[b, t] = wte[tokens[b, t]] + wpe[t]: a token's row of the embedding table plus its position's.
//   tokens (rows)   wte (vocab_size, n_embd)   wpe (at least period, flat)   y (rows, n_embd)
// `period` is the number of elements of one sequence. One element an invocation.
// stands for: embedding 61ff06de, position_embedding e1e99f36
// grid: rows * n_embd / 64

struct Params { rows: u32, n_embd: u32, vocab_size: u32, period: u32 }

@group(0) @binding(0) var<storage, read> tokens: array<u32>;
@group(0) @binding(1) var<storage, read> wte: array<f32>;
@group(0) @binding(2) var<storage, read> wpe: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.rows * p.n_embd) { return; }
  let token = min(tokens[i / p.n_embd], p.vocab_size - 1u);
  y[i] = wte[token * p.n_embd + i % p.n_embd] + wpe[i % p.period];
}
