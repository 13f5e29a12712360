// Causal attention of several heads, as in shaders/attention*.wgsl:
//   y[t] = sum over j <= t of P[t][j] v[j],   P = softmax(q k^T / sqrt(head_size)) of a row's keys
//   qkv (batch, time, 3 n_embd): q, k, v of all heads   y (batch, time, n_embd)
//   lse (batch, n_head, time): the log of each softmax's denominator
// attention_backward, with D[t] = y[t] . dy[t] and dS = P (dy v^T - D) / sqrt(head_size):
//   dv = P^T dy   dq = dS k   dk = dS^T q
//   dqkv (batch, time, 3 n_embd): dq, dk, dv, added to what is there if `accumulate` is 1
// attention_at: one query, of the last of `length` positions; its k and v enter the cache first.
//   qkv (3 n_embd)   length (1)   cache (positions, 3 n_embd), its first third unused   y (n_embd)
// Workspace: the T x T scores of one head at a time, their gradients, and packed matrices.
// Only tiles on and below the diagonal are computed, and a row's rest up to the next multiple of
// eight is given scores of -inf, hence zeros in P and dS: the products read no further.

import { bytes, countAt, dot, exp1, exp4, log1, madd, max4, read, sum4, write } from "./math";
import { SCRATCH, packColumns, packRows, tile, whole } from "./tiles";

/** The bytes of a row of scores: whole tiles. */
function rowBytes(time: i32): usize {
  return bytes(whole(time, 8));
}

/** The bytes of workspace before the scores: a strip, and all panels of any of the products. */
function packedBytes(time: i32, head_size: i32): usize {
  const panels = whole(time, 8) * whole(head_size, 8);
  return SCRATCH + bytes(4 * max(time, head_size) + panels);
}

/** S = A B^T on and below the diagonal, in whole tiles. A, B (time, k), rows ra, rb bytes apart. */
function scores(
  a: usize,
  ra: usize,
  b: usize,
  rb: usize,
  time: i32,
  k: i32,
  s: usize,
  w: usize,
): void {
  const strip = w + SCRATCH;
  const panels = strip + bytes(4 * k);
  for (let j = 0; j < time; j += 8) {
    packColumns(b + <usize>j * rb, rb, k, min(8, time - j), 8, panels + bytes(j * k));
  }
  for (let i = 0; i < time; i += 4) {
    const rows = min(4, time - i);
    packColumns(a, ra, k, rows, 4, strip);
    for (let j = 0; j <= i; j += 8) {
      tile(strip, 16, panels + bytes(j * k), k, s + bytes(j), rowBytes(time), 0, rows, 8, w);
    }
    a += 4 * ra;
    s += 4 * rowBytes(time);
  }
}

/** y = S B, or y = S^T B if `transposed`; S is zero above the diagonal. B, y (time, n), rows rb, ry
 *  bytes apart. */
function product(
  s: usize,
  transposed: bool,
  b: usize,
  rb: usize,
  time: i32,
  n: i32,
  y: usize,
  ry: usize,
  accumulate: i32,
  w: usize,
): void {
  const strip = w + SCRATCH;
  const panels = strip + bytes(4 * time);
  for (let j = 0; j < n; j += 8) {
    packRows(b + bytes(j), rb, time, min(8, n - j), 8, panels + bytes(j * time));
  }
  for (let i = 0; i < time; i += 4) {
    const rows = min(4, time - i);
    const first = transposed ? i : 0; // of k, from the diagonal on or up to it
    const k = transposed ? time - i : i + rows;
    // Four columns of S are a strip as they are.
    const from = transposed ? s + <usize>i * rowBytes(time) + bytes(i) : strip;
    const stride = transposed ? rowBytes(time) : 16;
    if (!transposed) packColumns(s + <usize>i * rowBytes(time), rowBytes(time), k, rows, 4, strip);
    for (let j = 0; j < n; j += 8) {
      const panel = panels + bytes(j * time + 8 * first);
      const to = y + bytes(j);
      tile(from, stride, panel, k, to, ry, accumulate ? to : 0, rows, min(8, n - j), w);
    }
    y += 4 * ry;
  }
}

/** Gives a row's keys from n on scores of -inf, to the end of its tile. Returns where that is. */
function mask(row: usize, n: i32): usize {
  const end = row + rowBytes(n);
  for (let at = row + bytes(n); at < end; at += 4) store<f32>(at, -Infinity);
  return end;
}

export function attention_workspace(batch: i32, time: i32, n_head: i32, head_size: i32): i32 {
  return <i32>(packedBytes(time, head_size) + <usize>time * rowBytes(time));
}

export function attention(
  w: usize,
  qkv: usize,
  y: usize,
  lse: usize,
  batch: i32,
  time: i32,
  n_head: i32,
  head_size: i32,
): void {
  const s = w + packedBytes(time, head_size);
  const width = bytes(n_head * head_size);
  const scale = f32x4.splat(1 / sqrt<f32>(<f32>head_size));
  for (let head = 0; head < batch * n_head; head++) {
    const b = head / n_head;
    const column = bytes((head % n_head) * head_size);
    const q = qkv + <usize>(b * time) * 3 * width + column;
    scores(q, 3 * width, q + width, 3 * width, time, head_size, s, w);
    for (let i = 0; i < time; i++) {
      const row = s + <usize>i * rowBytes(time);
      store<f32>(lse, softmax(row, mask(row, i + 1), scale));
      lse += 4;
    }
    const to = y + <usize>(b * time) * width + column;
    product(s, false, q + 2 * width, 3 * width, time, head_size, to, width, 0, w);
  }
}

/** Replaces scores by their softmax. Returns the log of its denominator. */
function softmax(row: usize, end: usize, scale: v128): f32 {
  let highest = f32x4.splat(-Infinity);
  for (let at = row; at < end; at += 16) {
    const v = f32x4.mul(v128.load(at), scale);
    v128.store(at, v);
    highest = f32x4.pmax(highest, v);
  }
  const top = max4(highest);
  let sums = f32x4.splat(0);
  for (let at = row; at < end; at += 16) {
    const v = exp4(f32x4.sub(v128.load(at), f32x4.splat(top)));
    v128.store(at, v);
    sums = f32x4.add(sums, v);
  }
  const total = sum4(sums);
  const factor = f32x4.splat(1 / total);
  for (let at = row; at < end; at += 16) v128.store(at, f32x4.mul(v128.load(at), factor));
  return top + log1(total);
}

export function attention_backward_workspace(
  batch: i32,
  time: i32,
  n_head: i32,
  head_size: i32,
  accumulate: i32,
): i32 {
  return <i32>(packedBytes(time, head_size) + 2 * <usize>time * rowBytes(time));
}

export function attention_backward(
  w: usize,
  qkv: usize,
  y: usize,
  lse: usize,
  dy: usize,
  dqkv: usize,
  batch: i32,
  time: i32,
  n_head: i32,
  head_size: i32,
  accumulate: i32,
): void {
  const p = w + packedBytes(time, head_size);
  const rs = rowBytes(time);
  const ds = p + <usize>time * rs;
  const width = bytes(n_head * head_size);
  const stride = width * 3;
  const scale = f32x4.splat(1 / sqrt<f32>(<f32>head_size));
  for (let head = 0; head < batch * n_head; head++) {
    const rows = <usize>((head / n_head) * time);
    const column = bytes((head % n_head) * head_size);
    const q = qkv + rows * stride + column;
    const out = y + rows * width + column;
    const dout = dy + rows * width + column;
    scores(q, stride, q + width, stride, time, head_size, p, w);
    scores(dout, width, q + 2 * width, stride, time, head_size, ds, w);
    for (let i = 0; i < time; i++) {
      const at = <usize>i * width;
      const along = f32x4.splat(dot(out + at, dout + at, head_size));
      const low = v128.load32_splat(lse);
      let from = p + <usize>i * rs;
      let to = ds + <usize>i * rs;
      for (const end = mask(from, i + 1); from < end; from += 16) {
        const v = exp4(f32x4.sub(f32x4.mul(v128.load(from), scale), low));
        v128.store(from, v);
        v128.store(to, f32x4.mul(f32x4.mul(v, f32x4.sub(v128.load(to), along)), scale));
        to += 16;
      }
      lse += 4;
    }
    const dq = dqkv + rows * stride + column;
    const dk = dq + width;
    const dv = dk + width;
    product(p, true, dout, width, time, head_size, dv, stride, accumulate, w);
    product(ds, false, q + width, stride, time, head_size, dq, stride, accumulate, w);
    product(ds, true, q, stride, time, head_size, dk, stride, accumulate, w);
  }
}

// Each score is computed twice, first for the highest of them: so there is no need to store them.
export function attention_at(
  w: usize,
  qkv: usize,
  length: usize,
  cache: usize,
  y: usize,
  n_head: i32,
  head_size: i32,
  cache_size: i32,
): void {
  const width = bytes(n_head * head_size);
  const positions = cache_size / (3 * n_head * head_size);
  if (positions == 0) return;
  const time = countAt(length, positions);
  const last = cache + <usize>(time - 1) * 3 * width;
  memory.copy(last + width, qkv + width, 2 * width);
  const scale: f32 = 1 / sqrt<f32>(<f32>head_size);
  for (let head = 0; head < n_head; head++) {
    const q = qkv + bytes(head * head_size);
    const to = y + bytes(head * head_size);
    let k = cache + width + bytes(head * head_size);
    let highest: f32 = -Infinity;
    for (let t = 0; t < time; t++) {
      highest = max(highest, dot(q, k + <usize>t * 3 * width, head_size) * scale);
    }
    memory.fill(to, 0, bytes(head_size));
    let total: f32 = 0;
    for (let t = 0; t < time; t++) {
      const weight = exp1(dot(q, k, head_size) * scale - highest);
      total += weight;
      for (let left = head_size; left > 0; left -= 4) {
        const at = bytes(head_size - left);
        const v = read(k + width + at, left);
        write(to + at, madd(f32x4.splat(weight), v, read(to + at, left)), left);
      }
      k += 3 * width;
    }
    for (let left = head_size; left > 0; left -= 4) {
      const at = to + bytes(head_size - left);
      write(at, f32x4.div(read(at, left), f32x4.splat(total)), left);
    }
  }
}
