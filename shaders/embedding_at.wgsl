// y = wte[window[length - 1]] + wpe[length - 1]: the newest token's row of the embedding table plus
// its position's. The first step of a forward pass for that token alone.
//   window (block_size)   length (1): the number of tokens in it   wte (vocab_size, n_embd)
//   wpe (block_size, n_embd)   y (n_embd)
// grid: n_embd / 64

struct Params { n_embd: u32, vocab_size: u32 }

@group(0) @binding(0) var<storage, read> window: array<u32>;
@group(0) @binding(1) var<storage, read> length: array<u32>;
@group(0) @binding(2) var<storage, read> wte: array<f32>;
@group(0) @binding(3) var<storage, read> wpe: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.n_embd) { return; }
  let at = length[0] - 1u;
  let token = min(window[at], p.vocab_size - 1u);
  y[id.x] = wte[token * p.n_embd + id.x] + wpe[at * p.n_embd + id.x];
}
