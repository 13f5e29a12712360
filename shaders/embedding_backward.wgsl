// dweight[v] = the sum of dy[i] over every i with tokens[i] == v; added to dweight if `accumulate`
// is 1.
//   tokens (rows)   dy (rows, n_embd)   dweight (vocab_size, n_embd)
// An invocation computes 16 channels of one token and reads all tokens in order, so the sum has one
// order and needs no atomics. Nearly all of its time goes to reading the tokens.
// grid: n_embd / 16, vocab_size / 64

struct Params { rows: u32, n_embd: u32, vocab_size: u32, accumulate: u32 }

@group(0) @binding(0) var<storage, read> tokens: array<u32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

fn dy4(i: u32) -> vec4f {
  return vec4f(dy[i], dy[i + 1u], dy[i + 2u], dy[i + 3u]);
}

fn store(token: u32, channel: u32, sum: vec4f) {
  for (var c = 0u; c < 4u && channel + c < p.n_embd; c++) {
    let i = token * p.n_embd + channel + c;
    var v = sum[c];
    if (p.accumulate == 1u) { v += dweight[i]; }
    dweight[i] = v;
  }
}

@compute @workgroup_size(1, 64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let channel = id.x * 16u;
  let token = id.y;
  if (token >= p.vocab_size) { return; }
  var s0 = vec4f();
  var s1 = vec4f();
  var s2 = vec4f();
  var s3 = vec4f();
  for (var row = 0u; row < p.rows; row++) {
    if (tokens[row] == token) {
      let i = row * p.n_embd + channel;
      s0 += dy4(i);
      s1 += dy4(i + 4u);
      s2 += dy4(i + 8u);
      s3 += dy4(i + 12u);
    }
  }
  store(token, channel, s0);
  store(token, channel + 4u, s1);
  store(token, channel + 8u, s2);
  store(token, channel + 12u, s3);
}
