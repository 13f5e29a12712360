// The query gradient of attention. With P the probabilities, dP_tj = dy_t . v_j and
// delta_t = dy_t . y_t,
//   dS = P (dP - delta)    dq_t = sum over j <= t of dS_tj k_j / sqrt(head_size)
//     qkv, dqkv (batch, time, 3 n_embd), of which this writes the Q third   y, dy (batch, time,
//   n_embd)
//   lse, delta (batch, n_head, time); delta is kept for attention_backward_kv
// P is made again from q, k and lse. Four queries' rows of one head an invocation, as in
// attention.wgsl. Added to what is there where `accumulate` is 1. (Dao et al. 2022,
// "FlashAttention", appendix B.)
// grid: time / 64, batch * n_head / 4

struct Params { batch: u32, time: u32, n_head: u32, accumulate: u32 }

const HEAD_SIZE: u32 = 16;  // set by the device from the call's head_size

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<f32>;
@group(0) @binding(5) var<storage, read_write> delta: array<f32>;
@group(0) @binding(6) var<uniform> p: Params;

fn gather_qkv(at: vec4u) -> vec4f {
  return vec4f(qkv[at.x], qkv[at.y], qkv[at.z], qkv[at.w]);
}

fn gather_y(at: vec4u) -> vec4f {
  return vec4f(y[at.x], y[at.y], y[at.z], y[at.w]);
}

fn gather_lse(at: vec4u) -> vec4f {
  return vec4f(lse[at.x], lse[at.y], lse[at.z], lse[at.w]);
}

fn gather_dy(at: vec4u) -> vec4f {
  return vec4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]);
}

fn gather_dqkv(at: vec4u) -> vec4f {
  return vec4f(dqkv[at.x], dqkv[at.y], dqkv[at.z], dqkv[at.w]);
}

fn scatter_dqkv(at: vec4u, v: vec4f) {
  dqkv[at.x] = v.x;
  dqkv[at.y] = v.y;
  dqkv[at.z] = v.z;
  dqkv[at.w] = v.w;
}

fn scatter_delta(at: vec4u, v: vec4f) {
  delta[at.x] = v.x;
  delta[at.y] = v.y;
  delta[at.z] = v.z;
  delta[at.w] = v.w;
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
  let out = (first + t) * n_embd + channel;
  let row = head * p.time + t;
  let scale = 1.0 / sqrt(f32(HEAD_SIZE));
  var q: array<vec4f, HEAD_SIZE>;
  var dout: array<vec4f, HEAD_SIZE>;
  var dq: array<vec4f, HEAD_SIZE>;
  var dot_y = vec4f();
  for (var c = 0u; c < HEAD_SIZE; c++) {
    q[c] = gather_qkv(query + c) * scale;
    dout[c] = gather_dy(out + c);
    dot_y += dout[c] * gather_y(out + c);
  }
  let log_total = gather_lse(row);
  for (var j = 0u; j <= t.w; j++) {
    let key = keys + j * stride;
    let value = key + n_embd;
    var score = vec4f();
    var dp = vec4f();
    for (var c = 0u; c < HEAD_SIZE; c++) {
      score += q[c] * qkv[key + c];
      dp += dout[c] * qkv[value + c];
    }
    let prob = select(exp(score - log_total), vec4f(), vec4u(j) > t);
    let ds = prob * (dp - dot_y) * scale;
    for (var c = 0u; c < HEAD_SIZE; c++) { dq[c] += ds * qkv[key + c]; }
  }
  scatter_delta(row, dot_y);
  for (var c = 0u; c < HEAD_SIZE; c++) {
    var d = dq[c];
    if (p.accumulate == 1u) { d += gather_dqkv(query + c); }
    scatter_dqkv(query + c, d);
  }
}
