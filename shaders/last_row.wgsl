// y = x[length - 1]: the row of the last token, from which the next one is predicted.
//   x (rows, n_embd)   length (1): the number of tokens   y (n_embd)
// grid: n_embd / 64

struct Params { n_embd: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> length: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.n_embd) { return; }
  y[id.x] = x[(length[0] - 1u) * p.n_embd + id.x];
}
