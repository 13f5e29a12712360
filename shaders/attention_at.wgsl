// attention.wgsl for the newest position alone, with a cache of the keys and values of those before
// it. Its own key and value are added to the cache.
//   qkv (3 n_embd): its row Q | K | V   length (1): the number of positions, including it
//   cache (time, 3 n_embd): the rows of all positions, of which Q is not used   y (n_embd)
// One head an invocation, in the order of attention.wgsl and its other form, so the numbers are the
// same to the bit wherever the compiler keeps that order.
// grid: n_head / 64

struct Params { n_head: u32 }

const HEAD_SIZE: u32 = 16;  // set by the device from the call's head_size

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> length: array<u32>;
@group(0) @binding(2) var<storage, read_write> cache: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.n_head) { return; }
  let n_embd = p.n_head * HEAD_SIZE;
  let channel = id.x * HEAD_SIZE;
  let last = (length[0] - 1u) * 3u * n_embd;
  let scale = 1.0 / sqrt(f32(HEAD_SIZE));
  var q: array<f32, HEAD_SIZE>;
  var sum: array<f32, HEAD_SIZE>;
  for (var c = 0u; c < HEAD_SIZE; c++) {
    q[c] = qkv[channel + c] * scale;
    cache[last + n_embd + channel + c] = qkv[n_embd + channel + c];
    cache[last + 2u * n_embd + channel + c] = qkv[2u * n_embd + channel + c];
  }
  var highest = -3.0e38;
  var total = 0.0;
  for (var row = 0u; row <= last; row += 3u * n_embd) {
    let key = row + n_embd + channel;
    let value = key + n_embd;
    var score = 0.0;
    for (var c = 0u; c < HEAD_SIZE; c++) { score += q[c] * cache[key + c]; }
    if (score > highest) {
      let shrink = exp(highest - score);
      total *= shrink;
      for (var c = 0u; c < HEAD_SIZE; c++) { sum[c] *= shrink; }
      highest = score;
    }
    let weight = exp(score - highest);
    total += weight;
    for (var c = 0u; c < HEAD_SIZE; c++) { sum[c] += weight * cache[value + c]; }
  }
  for (var c = 0u; c < HEAD_SIZE; c++) { y[channel + c] = sum[c] / total; }
}
