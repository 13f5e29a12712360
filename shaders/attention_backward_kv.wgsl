// The key and value gradients of attention, in the terms of attention_backward_q:
//   dk_j = sum over t >= j of dS_tj q_t / sqrt(head_size)    dv_j = sum over t >= j of P_tj dy_t
//   qkv, dqkv (batch, time, 3 n_embd), of which this writes the K and V thirds
//   dy (batch, time, n_embd)   lse, delta (batch, n_head, time)
// Four keys' rows of one head an invocation, one to each lane of its vec4s. Added to what is there
// where `accumulate` is 1.
// grid: time / 64, batch * n_head / 4

struct Params { batch: u32, time: u32, n_head: u32, accumulate: u32 }

const HEAD_SIZE: u32 = 16;  // set by the device from the call's head_size

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> lse: array<f32>;
@group(0) @binding(2) var<storage, read> delta: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

fn gather_qkv(at: vec4u) -> vec4f {
  return vec4f(qkv[at.x], qkv[at.y], qkv[at.z], qkv[at.w]);
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

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let quad = id.x * 4u;
  let head = id.y;  // of batch * n_head
  if (quad >= p.time || head >= p.batch * p.n_head) { return; }
  let j = min(quad + vec4u(0u, 1u, 2u, 3u), vec4u(p.time - 1u));  // past the end: the last again
  let n_embd = p.n_head * HEAD_SIZE;
  let stride = 3u * n_embd;
  let first = head / p.n_head * p.time;  // the sequence's first row
  let channel = head % p.n_head * HEAD_SIZE;
  let queries = first * stride + channel;
  let outs = first * n_embd + channel;
  let key = queries + j * stride + n_embd;
  let value = key + n_embd;
  let scale = 1.0 / sqrt(f32(HEAD_SIZE));
  var k: array<vec4f, HEAD_SIZE>;
  var v: array<vec4f, HEAD_SIZE>;
  var dk: array<vec4f, HEAD_SIZE>;
  var dv: array<vec4f, HEAD_SIZE>;
  for (var c = 0u; c < HEAD_SIZE; c++) {
    k[c] = gather_qkv(key + c) * scale;
    v[c] = gather_qkv(value + c);
  }
  for (var t = quad; t < p.time; t++) {
    let query = queries + t * stride;
    let out = outs + t * n_embd;
    let row = head * p.time + t;
    var score = vec4f();
    var dp = vec4f();
    for (var c = 0u; c < HEAD_SIZE; c++) {
      score += k[c] * qkv[query + c];
      dp += v[c] * dy[out + c];
    }
    let prob = select(exp(score - lse[row]), vec4f(), j > vec4u(t));
    let ds = prob * (dp - delta[row]) * scale;
    for (var c = 0u; c < HEAD_SIZE; c++) {
      dk[c] += ds * qkv[query + c];
      dv[c] += prob * dy[out + c];
    }
  }
  for (var c = 0u; c < HEAD_SIZE; c++) {
    if (p.accumulate == 1u) {
      dk[c] += gather_dqkv(key + c);
      dv[c] += gather_dqkv(value + c);
    }
    scatter_dqkv(key + c, dk[c]);
    scatter_dqkv(value + c, dv[c]);
  }
}
