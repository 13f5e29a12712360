// Draws the next token and appends it, as in shaders/sample_token.wgsl: of the top_k largest logits
// / temperature, the fewest whose probabilities reach top_p; then the first token, in vocabulary
// order, at which the cumulative probability passes u times the total of those kept.
//   logits (vocab_size)   uniforms (one for each token to draw): u in [0, 1)
//   settings (3): temperature, top_k, top_p   window (block_size): the context, oldest first
//   length (1): the tokens in it   out (as uniforms): the drawn tokens   count (1): how many so far
// keep_row: y[count] = x, in a row of `stride` numbers.
//   x (size)   count (1)   y (rows, stride)
// A count or a length beyond a buffer counts as the buffer's last.
// Workspace of sample_token, for each token of the vocabulary: a key of 8 bytes and a probability.
//
// A key orders tokens by falling logit, equal ones by rising token, and NaN last. The keys are a
// heap, the smallest first, of which only top_k are taken: that takes in the order of
// vocab_size + top_k log(vocab_size) comparisons.

import { bytes, countAt, exp1 } from "./math";

export function sample_token_workspace(vocab_size: i32, block_size: i32): i32 {
  return 12 * vocab_size;
}

export function sample_token(
  w: usize,
  logits: usize,
  uniforms: usize,
  settings: usize,
  window: usize,
  length: usize,
  out: usize,
  count: usize,
  vocab_size: i32,
  block_size: i32,
  uniforms_size: i32,
  out_size: i32,
): void {
  const draws = min(uniforms_size, out_size);
  if (draws == 0) return;
  const at = min<u32>(load<u32>(count), <u32>(draws - 1));
  const token = draw(w, logits, load<f32>(uniforms + bytes(at)), settings, vocab_size);
  store<i32>(out + bytes(at), token);
  store<u32>(count, at + 1);
  const filled = min<u32>(load<u32>(length), <u32>block_size);
  if (filled < <u32>block_size) {
    store<i32>(window + bytes(filled), token);
    store<u32>(length, filled + 1);
  } else {
    memory.copy(window, window + 4, bytes(block_size - 1));
    store<i32>(window + bytes(block_size - 1), token);
  }
}

/** The token that u draws. */
function draw(w: usize, logits: usize, u: f32, settings: usize, vocab_size: i32): i32 {
  const temperature = load<f32>(settings);
  const k = load<f32>(settings, 4);
  const top_k = k >= <f32>vocab_size ? vocab_size : k >= 1 ? <i32>k : 1; // 1 also if NaN
  const top_p = load<f32>(settings, 8);
  const keys = w;
  const probs = w + ((<usize>vocab_size) << 3);
  for (let v = 0; v < vocab_size; v++) {
    store<u64>(keyAt(keys, v), key(load<f32>(logits + bytes(v)), v));
    store<f32>(probs + bytes(v), 0);
  }
  for (let i = vocab_size / 2 - 1; i >= 0; i--) sink(keys, i, vocab_size);
  const highest = load<f32>(logits + bytes(<i32>load<u64>(keys)));
  let total: f32 = 0;
  for (let rank = 0; rank < top_k; rank++) {
    const size = vocab_size - rank - 1; // of the heap; after it are those taken, the first last
    const best = load<u64>(keys);
    store<u64>(keys, load<u64>(keyAt(keys, size)));
    store<u64>(keyAt(keys, size), best);
    sink(keys, 0, size);
    const token = <i32>best;
    const prob = exp1((load<f32>(logits + bytes(token)) - highest) / temperature);
    store<f32>(probs + bytes(token), prob);
    total += prob;
  }
  let passed: f32 = 0;
  for (let rank = 0; rank < top_k; rank++) {
    const token = <i32>load<u64>(keyAt(keys, vocab_size - rank - 1));
    const prob = load<f32>(probs + bytes(token));
    passed += prob;
    if (rank > 0 && !(passed - prob < top_p * total)) store<f32>(probs + bytes(token), 0);
  }
  let kept: f32 = 0;
  for (let v = 0; v < vocab_size; v++) kept += load<f32>(probs + bytes(v));
  const threshold = u * kept;
  let last = 0;
  let reached: f32 = 0;
  for (let v = 0; v < vocab_size; v++) {
    const prob = load<f32>(probs + bytes(v));
    if (prob != 0) last = v;
    reached += prob;
    if (reached > threshold) return v;
  }
  return last;
}

function keyAt(keys: usize, i: i32): usize {
  return keys + ((<usize>i) << 3);
}

function key(logit: f32, token: i32): u64 {
  const bits = reinterpret<i32>(logit + 0); // so that -0 equals 0
  const rising = bits ^ ((bits >> 31) | 0x80000000); // as unsigned numbers, ordered as the logits
  const order = logit == logit ? ~rising : -1;
  return ((<u64>(<u32>order)) << 32) | (<u64>token);
}

/** Restores the order of a heap of `size` keys of which the i-th may be too large. */
function sink(keys: usize, i: i32, size: i32): void {
  const moved = load<u64>(keyAt(keys, i));
  while (true) {
    let child = 2 * i + 1;
    if (child >= size) break;
    if (child + 1 < size && load<u64>(keyAt(keys, child + 1)) < load<u64>(keyAt(keys, child)))
      child++;
    if (load<u64>(keyAt(keys, child)) >= moved) break;
    store<u64>(keyAt(keys, i), load<u64>(keyAt(keys, child)));
    i = child;
  }
  store<u64>(keyAt(keys, i), moved);
}

export function keep_row(
  w: usize,
  x: usize,
  count: usize,
  y: usize,
  size: i32,
  stride: i32,
  y_size: i32,
): void {
  if (y_size < size) return;
  const row = min<u32>(load<u32>(count), <u32>((y_size - size) / stride));
  memory.copy(y + bytes(<i32>row * stride), x, bytes(size));
}
