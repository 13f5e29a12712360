// The query gradient of attention. With P the probabilities, dP_tj = dy_t . v_j and delta_t = dy_t
// . y_t,
//   dS = P (dP - delta)    dq_t = sum over j <= t of dS_tj k_j / sqrt(head_size)
//     qkv, dqkv (batch, time, 3 n_embd), of which this writes the Q third   y, dy (batch, time,
//   n_embd)
//   lse, delta (batch, n_head, time); delta is kept for attention_backward_kv
// P is made again from q, k and lse. One query's row of one head an invocation. Added to what is
// there where `accumulate` is 1. (Dao et al. 2022, "FlashAttention", appendix B.)
// grid: batch * n_head * time / 64

struct Params { batch: u32, time: u32, n_head: u32, accumulate: u32 }

const HEAD_SIZE: u32 = 16;  // set by the device from the call's head_size

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<f32>;
@group(0) @binding(5) var<storage, read_write> delta: array<f32>;
@group(0) @binding(6) var<uniform> p: Params;

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
  let out = (b * p.time + t) * n_embd + head * HEAD_SIZE;
  let scale = 1.0 / sqrt(f32(HEAD_SIZE));
  var q: array<f32, HEAD_SIZE>;
  var dout: array<f32, HEAD_SIZE>;
  var dq: array<f32, HEAD_SIZE>;
  var dot_y = 0.0;
  for (var c = 0u; c < HEAD_SIZE; c++) {
    q[c] = qkv[query + c] * scale;
    dout[c] = dy[out + c];
    dot_y += dout[c] * y[out + c];
  }
  let log_total = lse[i];
  for (var j = 0u; j <= t; j++) {
    let key = keys + j * stride;
    let value = key + n_embd;
    var score = 0.0;
    var dp = 0.0;
    for (var c = 0u; c < HEAD_SIZE; c++) {
      score += q[c] * qkv[key + c];
      dp += dout[c] * qkv[value + c];
    }
    let ds = exp(score - log_total) * (dp - dot_y) * scale;
    for (var c = 0u; c < HEAD_SIZE; c++) { dq[c] += ds * qkv[key + c]; }
  }
  delta[i] = dot_y;
  for (var c = 0u; c < HEAD_SIZE; c++) {
    var d = dq[c];
    if (p.accumulate == 1u) { d += dqkv[query + c]; }
    dqkv[query + c] = d;
  }
}
