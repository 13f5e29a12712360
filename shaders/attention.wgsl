// Causal self-attention: y_t = sum over j <= t of softmax_j(q_t . k_j / sqrt(head_size)) v_j, head
// by head.
//   qkv (batch, time, 3 n_embd): each row Q | K | V, a head's channels contiguous in each
//   y (batch, time, n_embd)   lse (batch, n_head, time): the log of each softmax's denominator
// An invocation computes four queries of one head, one in each lane of its vec4s, so that a key's
// channel is loaded once for four products. It goes through the keys one by one with a running
// maximum and sum (Milakov and Gimelshein 2018, "Online normalizer calculation for softmax"), so no
// time x time matrix is stored. The backward pass computes the probabilities again from lse.
// The device unrolls the inner loops (wgsl.py), so q and sum are in registers. The arrays that
// other loops index are copies, in memory.
// grid: time / 64, batch * n_head / 4

struct Params { batch: u32, time: u32, n_head: u32 }

const HEAD_SIZE: u32 = 16;  // set by the device from the call's head_size

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> lse: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

fn gather_qkv(at: vec4u) -> vec4f {
  return vec4f(qkv[at.x], qkv[at.y], qkv[at.z], qkv[at.w]);
}

fn scatter_y(at: vec4u, v: vec4f) {
  y[at.x] = v.x;
  y[at.y] = v.y;
  y[at.z] = v.z;
  y[at.w] = v.w;
}

fn scatter_lse(at: vec4u, v: vec4f) {
  lse[at.x] = v.x;
  lse[at.y] = v.y;
  lse[at.z] = v.z;
  lse[at.w] = v.w;
}

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let quad = id.x * 4u;
  let head = id.y;  // of batch * n_head
  if (quad >= p.time || head >= p.batch * p.n_head) { return; }
  let t = min(quad + vec4u(0u, 1u, 2u, 3u), vec4u(p.time - 1u));  // past the end: the last again
  let n_embd = p.n_head * HEAD_SIZE;
  let stride = 3u * n_embd;
  let first = head / p.n_head * p.time;  // the sequence's first row
  let channel = head % p.n_head * HEAD_SIZE;
  let query = (first + t) * stride + channel;
  let keys = first * stride + n_embd + channel;
  let scale = 1.0 / sqrt(f32(HEAD_SIZE));
  var own_q: array<vec4f, HEAD_SIZE>;
  for (var c = 0u; c < HEAD_SIZE; c++) { own_q[c] = gather_qkv(query + c) * scale; }
  let q = own_q;
  var sum: array<vec4f, HEAD_SIZE>;
  var highest = vec4f(-3.0e38);
  var total = vec4f();
  for (var j = 0u; j <= t.w; j++) {
    let key = keys + j * stride;
    let value = key + n_embd;
    var score = vec4f();
    for (var c = 0u; c < HEAD_SIZE; c++) { score += q[c] * qkv[key + c]; }
    score = select(score, vec4f(-3.0e38), vec4u(j) > t);
    if (any(score > highest)) {
      let higher = max(highest, score);
      let shrink = exp(highest - higher);
      total *= shrink;
      for (var c = 0u; c < HEAD_SIZE; c++) { sum[c] *= shrink; }
      highest = higher;
    }
    let weight = exp(score - highest);
    total += weight;
    for (var c = 0u; c < HEAD_SIZE; c++) { sum[c] += weight * qkv[value + c]; }
  }
  let out = (first + t) * n_embd + channel;
  var own_sum = sum;
  for (var c = 0u; c < HEAD_SIZE; c++) { scatter_y(out + c, own_sum[c] / total); }
  scatter_lse(head * p.time + t, highest + log(total));
}
