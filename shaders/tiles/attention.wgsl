// Causal self-attention with keys and values in shared memory: the form "64 rows" of
// shaders/attention.wgsl, which has the formula and the buffers.
//
// A workgroup computes 64 neighbouring queries of one head, one an invocation. It goes through the
// keys up to its last query in blocks: its invocations load a block's keys and values into shared
// memory together, then each reads them all. So a context may have any length, and a GPU loads each
// key and value once for 64 queries. A block is 32 keys, or fewer in heads of more than 32 channels:
// 8,192 bytes at most. The scores of four keys are computed at once, each from channel to channel,
// and all else key by key. So each sum has the order of the plain form, and the same bits wherever
// the compiler keeps that order.
//
// This is a template: devices/webgpu/attention.py makes the kernel's text from it. It puts in
//   {kernel}   what the kernel's own file declares: `struct Params`, HEAD_SIZE and the bindings. qkv
//              and y are arrays of vec4f, except in "ones"
// and keeps the lines between `#if ones` and `#else` or `#end` if a head's size is not a multiple of
// four. A head is then padded with zeros to FOURS vectors. It repeats the lines between `#for e x in
// 0 x, 1 y` and `#end`, with each pair of values in the places of {e} and {x}.
// grid: time / 64, batch * n_head

{kernel}

const FOURS: u32 = (HEAD_SIZE + 3u) / 4u;  // vectors in a head
const BLOCK: u32 = min(32u, 64u / FOURS * 4u);  // keys

var<workgroup> keys: array<vec4f, BLOCK * FOURS>;
var<workgroup> values: array<vec4f, BLOCK * FOURS>;

// Vector c of the head whose first channel is at `at`.
#if ones
fn load_qkv(at: u32, c: u32) -> vec4f {
  let i = at + 4u * c;
  let v = vec4f(qkv[i + 0u], qkv[i + 1u], qkv[i + 2u], qkv[i + 3u]);
  return select(v, vec4f(), 4u * c + vec4u(0u, 1u, 2u, 3u) >= vec4u(HEAD_SIZE));
}

fn store_y(at: u32, c: u32, v: vec4f) {
#for e x in 0 x, 1 y, 2 z, 3 w
  if (4u * c + {e}u < HEAD_SIZE) { y[at + 4u * c + {e}u] = v.{x}; }
#end
}
#else
fn load_qkv(at: u32, c: u32) -> vec4f {
  return qkv[at / 4u + c];
}

fn store_y(at: u32, c: u32, v: vec4f) {
  y[at / 4u + c] = v;
}
#end

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let top = group.x * 64u;
  let head = group.y;  // of batch * n_head
  let t = min(top + lane, p.time - 1u);  // past the end: the last again
  let n_embd = p.n_head * HEAD_SIZE;
  let stride = 3u * n_embd;
  let first = head / p.n_head * p.time;  // the sequence's first row
  let channel = head % p.n_head * HEAD_SIZE;
  let scale = 1.0 / sqrt(f32(HEAD_SIZE));
  var own_q: array<vec4f, FOURS>;
  for (var c = 0u; c < FOURS; c++) {
    own_q[c] = load_qkv((first + t) * stride + channel, c) * scale;
  }
  let q = own_q;
  var sum: array<vec4f, FOURS>;
  var highest = -3.0e38;
  var total = 0.0;
  let end = min(top + 64u, p.time);
  for (var start = 0u; start < end; start += BLOCK) {
    workgroupBarrier();  // all have read the block before
    for (var i = lane; i < BLOCK * FOURS; i += 64u) {
      let row = first + min(start + i / FOURS, p.time - 1u);
      let key = row * stride + n_embd + channel;
      keys[i] = load_qkv(key, i % FOURS);
      values[i] = load_qkv(key + n_embd, i % FOURS);
    }
    workgroupBarrier();
    for (var j = 0u; j < BLOCK && start + j <= t; j += 4u) {
      let j0 = j * FOURS;
      let j1 = j0 + FOURS;
      let j2 = j1 + FOURS;
      let j3 = j2 + FOURS;
      var score = vec4f();
      for (var c = 0u; c < FOURS; c++) {
        let k0 = keys[j0 + c];
        let k1 = keys[j1 + c];
        let k2 = keys[j2 + c];
        let k3 = keys[j3 + c];
#for e in x, y, z, w
        score += q[c].{e} * vec4f(k0.{e}, k1.{e}, k2.{e}, k3.{e});
#end
      }
      score = select(vec4f(-3.0e38), score, start + j + vec4u(0u, 1u, 2u, 3u) <= vec4u(t));
#for e x in 0 x, 1 y, 2 z, 3 w
      if (score.{x} > highest) {
        let shrink = exp(highest - score.{x});
        total *= shrink;
        for (var c = 0u; c < FOURS; c++) { sum[c] *= shrink; }
        highest = score.{x};
      }
      let weight{e} = exp(score.{x} - highest);
      total += weight{e};
      for (var c = 0u; c < FOURS; c++) { sum[c] += weight{e} * values[j{e} + c]; }
#end
    }
  }
  if (top + lane >= p.time) { return; }
  var own_sum = sum;
  for (var c = 0u; c < FOURS; c++) {
    store_y((first + t) * n_embd + channel, c, own_sum[c] / total);
  }
  lse[head * p.time + t] = highest + log(total);
}
