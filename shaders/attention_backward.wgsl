// The gradients of attention. With P the probabilities, computed again from q, k and lse,
// dP_tj = dy_t . v_j and delta_t = dy_t . y_t,
//   dS = P (dP - delta)    dq_t = sum over j <= t of dS_tj k_j / sqrt(head_size)
//   dk_j = sum over t >= j of dS_tj q_t / sqrt(head_size)    dv_j = sum over t >= j of P_tj dy_t
//   qkv, dqkv (batch, time, 3 n_embd)   y, dy (batch, time, n_embd)   lse (batch, n_head, time)
// The workgroups with z = 0 compute dq, those with z = 1 dk and dv. An invocation computes four
// queries or keys of one head, one in each lane of its vec4s, as in attention.wgsl. Added to dqkv if
// `accumulate` is 1. (Dao et al. 2022, "FlashAttention", appendix B.)
// The device unrolls the inner loops (wgsl.py), so q, k and the like are in registers. The arrays
// that other loops index are copies, in memory.
// grid: time / 64, batch * n_head / 4, 2

struct Params { batch: u32, time: u32, n_head: u32, accumulate: u32 }

const HEAD_SIZE: u32 = 16;  // set by the device from the call's head_size

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

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

fn store(at: vec4u, sum: vec4f) {
  var v = sum;
  if (p.accumulate == 1u) { v += vec4f(dqkv[at.x], dqkv[at.y], dqkv[at.z], dqkv[at.w]); }
  dqkv[at.x] = v.x;
  dqkv[at.y] = v.y;
  dqkv[at.z] = v.z;
  dqkv[at.w] = v.w;
}

// Of the module, not of backward_kv, so that heads of 128 fit: each may have 8,192 bytes.
var<private> own_k: array<vec4f, HEAD_SIZE>;
var<private> own_v: array<vec4f, HEAD_SIZE>;

fn backward_q(quad: u32, head: u32) {
  let t = min(quad + vec4u(0u, 1u, 2u, 3u), vec4u(p.time - 1u));  // past the end: the last again
  let n_embd = p.n_head * HEAD_SIZE;
  let stride = 3u * n_embd;
  let first = head / p.n_head * p.time;  // the sequence's first row
  let channel = head % p.n_head * HEAD_SIZE;
  let query = (first + t) * stride + channel;
  let keys = first * stride + n_embd + channel;
  let out = (first + t) * n_embd + channel;
  let scale = 1.0 / sqrt(f32(HEAD_SIZE));
  var own_q: array<vec4f, HEAD_SIZE>;
  var own_dout: array<vec4f, HEAD_SIZE>;
  var delta = vec4f();
  for (var c = 0u; c < HEAD_SIZE; c++) {
    own_q[c] = gather_qkv(query + c) * scale;
    own_dout[c] = gather_dy(out + c);
    delta += own_dout[c] * gather_y(out + c);
  }
  let q = own_q;
  let dout = own_dout;
  var dq: array<vec4f, HEAD_SIZE>;
  let log_total = gather_lse(head * p.time + t);
  for (var j = 0u; j <= t.w; j++) {
    let key = keys + j * stride;
    let value = key + n_embd;
    var k: array<f32, HEAD_SIZE>;
    var score = vec4f();
    var dp = vec4f();
    for (var c = 0u; c < HEAD_SIZE; c++) {
      k[c] = qkv[key + c];
      score += q[c] * k[c];
      dp += dout[c] * qkv[value + c];
    }
    let prob = select(exp(score - log_total), vec4f(), vec4u(j) > t);
    let ds = prob * (dp - delta) * scale;
    for (var c = 0u; c < HEAD_SIZE; c++) { dq[c] += ds * k[c]; }
  }
  own_q = dq;
  for (var c = 0u; c < HEAD_SIZE; c++) { store(query + c, own_q[c]); }
}

fn backward_kv(quad: u32, head: u32) {
  let j = min(quad + vec4u(0u, 1u, 2u, 3u), vec4u(p.time - 1u));  // past the end: the last again
  let n_embd = p.n_head * HEAD_SIZE;
  let stride = 3u * n_embd;
  let first = head / p.n_head * p.time;
  let channel = head % p.n_head * HEAD_SIZE;
  let queries = first * stride + channel;
  let outs = first * n_embd + channel;
  let key = queries + j * stride + n_embd;
  let value = key + n_embd;
  let scale = 1.0 / sqrt(f32(HEAD_SIZE));
  for (var c = 0u; c < HEAD_SIZE; c++) {
    own_k[c] = gather_qkv(key + c) * scale;
    own_v[c] = gather_qkv(value + c);
  }
  let k = own_k;
  let v = own_v;
  var dk: array<vec4f, HEAD_SIZE>;
  var dv: array<vec4f, HEAD_SIZE>;
  for (var t = quad; t < p.time; t++) {
    let query = queries + t * stride;
    let out = outs + t * n_embd;
    var q: array<f32, HEAD_SIZE>;
    var dout: array<f32, HEAD_SIZE>;
    var score = vec4f();
    var dp = vec4f();
    var delta = 0.0;
    for (var c = 0u; c < HEAD_SIZE; c++) {
      q[c] = qkv[query + c];
      dout[c] = dy[out + c];
      score += k[c] * q[c];
      dp += v[c] * dout[c];
      delta += dout[c] * y[out + c];
    }
    let prob = select(exp(score - lse[head * p.time + t]), vec4f(), j > vec4u(t));
    let ds = prob * (dp - delta) * scale;
    for (var c = 0u; c < HEAD_SIZE; c++) {
      dk[c] += ds * q[c];
      dv[c] += prob * dout[c];
    }
  }
  own_k = dk;
  own_v = dv;
  for (var c = 0u; c < HEAD_SIZE; c++) {
    store(key + c, own_k[c]);
    store(value + c, own_v[c]);
  }
}

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let quad = id.x * 4u;
  let head = id.y;  // of batch * n_head
  if (quad >= p.time || head >= p.batch * p.n_head) { return; }
  if (id.z == 0u) {
    backward_q(quad, head);
  } else {
    backward_kv(quad, head);
  }
}
