// The key and value gradients of attention, in the terms of attention_backward_q:
//   dk_j = sum over t >= j of dS_tj q_t / sqrt(head_size)    dv_j = sum over t >= j of P_tj dy_t
//     qkv, dqkv (batch, time, 3 n_embd), of which this writes the K and V thirds   dy (batch, time,
//   n_embd)
//   lse, delta (batch, n_head, time)
// One key's row of one head an invocation. Added to what is there where `accumulate` is 1.
// grid: batch * n_head * time / 64

struct Params { batch: u32, time: u32, n_head: u32, accumulate: u32 }

const HEAD_SIZE: u32 = 16;  // set by the device from the call's head_size

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> lse: array<f32>;
@group(0) @binding(2) var<storage, read> delta: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.batch * p.n_head * p.time) { return; }
  let j = i % p.time;
  let head = i / p.time % p.n_head;
  let b = i / (p.time * p.n_head);
  let n_embd = p.n_head * HEAD_SIZE;
  let stride = 3u * n_embd;
  let queries = b * p.time * stride + head * HEAD_SIZE;
  let outs = b * p.time * n_embd + head * HEAD_SIZE;
  let key = queries + j * stride + n_embd;
  let value = key + n_embd;
  let scale = 1.0 / sqrt(f32(HEAD_SIZE));
  var k: array<f32, HEAD_SIZE>;
  var v: array<f32, HEAD_SIZE>;
  var dk: array<f32, HEAD_SIZE>;
  var dv: array<f32, HEAD_SIZE>;
  for (var c = 0u; c < HEAD_SIZE; c++) {
    k[c] = qkv[key + c] * scale;
    v[c] = qkv[value + c];
  }
  for (var t = j; t < p.time; t++) {
    let query = queries + t * stride;
    let out = outs + t * n_embd;
    let row = i - j + t;
    var score = 0.0;
    var dp = 0.0;
    for (var c = 0u; c < HEAD_SIZE; c++) {
      score += k[c] * qkv[query + c];
      dp += v[c] * dy[out + c];
    }
    let prob = exp(score - lse[row]);
    let ds = prob * (dp - delta[row]) * scale;
    for (var c = 0u; c < HEAD_SIZE; c++) {
      dk[c] += ds * qkv[query + c];
      dv[c] += prob * dy[out + c];
    }
  }
  for (var c = 0u; c < HEAD_SIZE; c++) {
    if (p.accumulate == 1u) {
      dk[c] += dqkv[key + c];
      dv[c] += dqkv[value + c];
    }
    dqkv[key + c] = dk[c];
    dqkv[value + c] = dv[c];
  }
}
