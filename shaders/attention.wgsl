// Causal self-attention: y_t = sum over j <= t of softmax_j(q_t . k_j / sqrt(head_size)) v_j, head
// by head.
//   qkv (batch, time, 3 n_embd), each row Q | K | V, a head's channels contiguous in each
//     y (batch, time, n_embd)   lse (batch, n_head, time): the logarithm of each softmax's
//   denominator An invocation makes one query's row of one head. It meets the keys one by one and
//   keeps a running maximum and sum (Milakov and Gimelshein 2018, "Online normalizer calculation
//   for softmax"), so no time x time matrix is ever stored; lse lets the backward pass make the
//   same probabilities again.
// grid: batch * n_head * time / 64

struct Params { batch: u32, time: u32, n_head: u32 }

const HEAD_SIZE: u32 = 16;  // set by the device from the call's head_size

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> lse: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.batch * p.n_head * p.time) { return; }
  let t = i % p.time;
  let head = i / p.time % p.n_head;
  let b = i / (p.time * p.n_head);
  let n_embd = p.n_head * HEAD_SIZE;
  let stride = 3u * n_embd;
  let keys = b * p.time * stride + n_embd + head * HEAD_SIZE;
  let query = keys + t * stride - n_embd;
  let scale = 1.0 / sqrt(f32(HEAD_SIZE));
  var q: array<f32, HEAD_SIZE>;
  var sum: array<f32, HEAD_SIZE>;
  for (var c = 0u; c < HEAD_SIZE; c++) { q[c] = qkv[query + c] * scale; }
  var highest = -3.0e38;
  var total = 0.0;
  for (var j = 0u; j <= t; j++) {
    let key = keys + j * stride;
    let value = key + n_embd;
    var score = 0.0;
    for (var c = 0u; c < HEAD_SIZE; c++) { score += q[c] * qkv[key + c]; }
    if (score > highest) {
      let shrink = exp(highest - score);
      total *= shrink;
      for (var c = 0u; c < HEAD_SIZE; c++) { sum[c] *= shrink; }
      highest = score;
    }
    let weight = exp(score - highest);
    total += weight;
    for (var c = 0u; c < HEAD_SIZE; c++) { sum[c] += weight * qkv[value + c]; }
  }
  let out = (b * p.time + t) * n_embd + head * HEAD_SIZE;
  for (var c = 0u; c < HEAD_SIZE; c++) { y[out + c] = sum[c] / total; }
  lse[i] = highest + log(total);
}
