// The gradients of attention with rows in shared memory: the form "64 rows" of
// shaders/attention_backward.wgsl, which has the formulas and the buffers.
//
// A workgroup computes 64 neighbouring rows of one head, one an invocation: of queries, for dq, if
// z = 0, and of keys, for dk and dv, if z = 1. Both go through the rows of the other kind that the
// causal mask leaves them, in blocks that the invocations load into shared memory together, and
// read four rows of at a time. With `a` and `b` an invocation's own row and `others_a` and
// `others_b` a block,
//          a   b    others_a  others_b   sum_a over the others of      sum_b
//   z = 0  q   dy   k         v          dS k / sqrt(head_size) = dq
//   z = 1  k   v    q         dy         dS q / sqrt(head_size) = dk   P dy = dv
// and for both score = a . others_a / sqrt(head_size), dP = b . others_b, P = exp(score - lse) and
// dS = P (dP - delta). So a context may have any length, and no time x time matrix is stored. A
// block is 32 rows, or fewer in heads of more than 32 channels: with lse and delta, which belong to
// queries, 8,448 bytes at most. The scores and dP of four rows are computed at once, each from
// channel to channel, and all else row by row. So each sum has the order of the plain form, and the
// same bits wherever the compiler keeps that order.
//
// This is a template: devices/webgpu/attention.py makes the kernel's text from it. It puts in
//   {kernel}   what the kernel's own file declares: `struct Params`, HEAD_SIZE and the bindings. All
//              but lse are arrays of vec4f, except in "ones"
// and keeps the lines between `#if ones` and `#else` or `#end` if a head's size is not a multiple of
// four. A head is then padded with zeros to FOURS vectors. It repeats the lines between `#for name in
// qkv, y` and `#end`, with each value in the place of {name}, and for `#for e x in 0 x, 1 y` with each
// pair of values.
// grid: time / 64, batch * n_head, 2

{kernel}

const FOURS: u32 = (HEAD_SIZE + 3u) / 4u;  // vectors in a head
const BLOCK: u32 = min(32u, 64u / FOURS * 4u);  // rows

var<workgroup> others_a: array<vec4f, BLOCK * FOURS>;
var<workgroup> others_b: array<vec4f, BLOCK * FOURS>;
var<workgroup> others_by: array<vec2f, BLOCK>;  // lse and delta, of queries

// Vector c of the head whose first channel is at `at`.
#for name in qkv, y, dy
fn load_{name}(at: u32, c: u32) -> vec4f {
#if ones
  let i = at + 4u * c;
  let v = vec4f({name}[i + 0u], {name}[i + 1u], {name}[i + 2u], {name}[i + 3u]);
  return select(v, vec4f(), 4u * c + vec4u(0u, 1u, 2u, 3u) >= vec4u(HEAD_SIZE));
#else
  return {name}[at / 4u + c];
#end
}

#end
fn store_dqkv(at: u32, c: u32, v: vec4f) {
  let is_added = p.accumulate == 1u;
#if ones
#for e x in 0 x, 1 y, 2 z, 3 w
  if (4u * c + {e}u < HEAD_SIZE) {
    let i{e} = at + 4u * c + {e}u;
    if (is_added) { dqkv[i{e}] += v.{x}; } else { dqkv[i{e}] = v.{x}; }
  }
#end
#else
  let i = at / 4u + c;
  if (is_added) { dqkv[i] += v; } else { dqkv[i] = v; }
#end
}

// Where a head's part of a row begins: its first row, its first channel, and the width of a row.
struct Head { first: u32, channel: u32, n_embd: u32 }

// Vector c of a row's key, or of its query.
fn load_a(head: Head, row: u32, is_key: bool, c: u32) -> vec4f {
  let at = (head.first + row) * 3u * head.n_embd + head.channel;
  return load_qkv(at + select(0u, head.n_embd, is_key), c);
}

// Vector c of a row's value, or of its dy.
fn load_b(head: Head, row: u32, is_key: bool, c: u32) -> vec4f {
  let at = (head.first + row) * head.n_embd;
  if (is_key) { return load_qkv(3u * at + 2u * head.n_embd + head.channel, c); }
  return load_dy(at + head.channel, c);
}

// A query's lse and delta.
fn load_by(head: Head, row: u32, index: u32) -> vec2f {
  let at = (head.first + row) * head.n_embd + head.channel;
  var delta = 0.0;
  for (var c = 0u; c < FOURS; c++) {
    let dy_c = load_dy(at, c);
    let y_c = load_y(at, c);
#for e in x, y, z, w
    delta += dy_c.{e} * y_c.{e};
#end
  }
  return vec2f(lse[index * p.time + row], delta);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let top = group.x * 64u;
  let index = group.y;  // of batch * n_head
  let is_key = group.z == 1u;  // whether the invocation's own row is
  let row = min(top + lane, p.time - 1u);  // past the end: the last again
  let head = Head(
    index / p.n_head * p.time, index % p.n_head * HEAD_SIZE, p.n_head * HEAD_SIZE);
  let scale = 1.0 / sqrt(f32(HEAD_SIZE));
  var own_a: array<vec4f, FOURS>;
  var own_b: array<vec4f, FOURS>;
  for (var c = 0u; c < FOURS; c++) {
    own_a[c] = load_a(head, row, is_key, c) * scale;
    own_b[c] = load_b(head, row, is_key, c);
  }
  let a = own_a;
  let b = own_b;
  var by = vec2f();
  if (!is_key) { by = load_by(head, row, index); }
  var sum_a: array<vec4f, FOURS>;
  var sum_b: array<vec4f, FOURS>;
  // A query sees the keys up to its own row, and a key is seen by the queries from its own row on.
  let end = select(min(top + 64u, p.time), p.time, is_key);
  let own_end = select(row + 1u, p.time, is_key);
  for (var start = select(0u, top, is_key); start < end; start += BLOCK) {
    workgroupBarrier();  // all have read the block before
    for (var i = lane; i < BLOCK * FOURS; i += 64u) {
      let other = min(start + i / FOURS, p.time - 1u);
      others_a[i] = load_a(head, other, !is_key, i % FOURS);
      others_b[i] = load_b(head, other, !is_key, i % FOURS);
    }
    if (is_key && lane < BLOCK) {
      others_by[lane] = load_by(head, min(start + lane, p.time - 1u), index);
    }
    workgroupBarrier();
    let skipped = select(0u, (max(row, start) - start) / 4u * 4u, is_key);
    for (var j = skipped; j < BLOCK && start + j < own_end; j += 4u) {
      let j0 = j * FOURS;
      let j1 = j0 + FOURS;
      let j2 = j1 + FOURS;
      let j3 = j2 + FOURS;
      var score = vec4f();
      var dp = vec4f();
      for (var c = 0u; c < FOURS; c++) {
        let a0 = others_a[j0 + c];
        let a1 = others_a[j1 + c];
        let a2 = others_a[j2 + c];
        let a3 = others_a[j3 + c];
        let b0 = others_b[j0 + c];
        let b1 = others_b[j1 + c];
        let b2 = others_b[j2 + c];
        let b3 = others_b[j3 + c];
#for e in x, y, z, w
        score += a[c].{e} * vec4f(a0.{e}, a1.{e}, a2.{e}, a3.{e});
        dp += b[c].{e} * vec4f(b0.{e}, b1.{e}, b2.{e}, b3.{e});
#end
      }
      var log_total = vec4f(by.x);
      var delta = vec4f(by.y);
      if (is_key) {
        let by0 = others_by[j];
        let by1 = others_by[j + 1u];
        let by2 = others_by[j + 2u];
        let by3 = others_by[j + 3u];
        log_total = vec4f(by0.x, by1.x, by2.x, by3.x);
        delta = vec4f(by0.y, by1.y, by2.y, by3.y);
      }
      let other = start + j + vec4u(0u, 1u, 2u, 3u);
      let is_seen = (other < vec4u(own_end)) & (vec4<bool>(!is_key) | (other >= vec4u(row)));
      let prob = select(vec4f(), exp(score - log_total), is_seen);
      let ds = prob * (dp - delta) * scale;
      for (var c = 0u; c < FOURS; c++) {
#for e x in 0 x, 1 y, 2 z, 3 w
        sum_a[c] += ds.{x} * others_a[j{e} + c];
#end
      }
      if (is_key) {
        for (var c = 0u; c < FOURS; c++) {
#for e x in 0 x, 1 y, 2 z, 3 w
          sum_b[c] += prob.{x} * others_b[j{e} + c];
#end
        }
      }
    }
  }
  if (top + lane >= p.time) { return; }
  own_a = sum_a;
  own_b = sum_b;
  let at = (head.first + row) * 3u * head.n_embd + head.channel;
  for (var c = 0u; c < FOURS; c++) {
    store_dqkv(at + select(0u, head.n_embd, is_key), c, own_a[c]);
    if (is_key) { store_dqkv(at + 2u * head.n_embd, c, own_b[c]); }
  }
}
