// The loss of each row of logits and its gradient, as in shaders/cross_entropy*.wgsl:
//   lse = log(sum of exp(logits))   losses = lse - logits[target]
//   dlogits = (exp(logits - lse) - onehot(target)) dloss / rows; added if `accumulate` is 1
//   logits, dlogits (rows, vocab_size)   targets, losses, lse (rows)   dloss (1)
// With `label_smoothing` the target is a mixture of the one token and, by that share, of all.
// A target beyond the vocabulary counts as its last token.

import { bytes, cut, exp1, exp4, log1, max4, put, read, sum, sum4, tokenAt } from "./math";

export function cross_entropy(
  w: usize,
  logits: usize,
  targets: usize,
  losses: usize,
  lse: usize,
  rows: i32,
  vocab_size: i32,
  label_smoothing: f64,
): void {
  for (; rows > 0; rows--) {
    let highest = v128.load32_splat(logits);
    for (let at: usize = 0, left = vocab_size; left >= 4; at += 16, left -= 4) {
      highest = f32x4.pmax(highest, v128.load(logits + at));
    }
    let top = max4(highest);
    for (let v = vocab_size & ~3; v < vocab_size; v++) top = max(top, load<f32>(logits + bytes(v)));
    const log = top + log1(denominator(logits, f32x4.splat(top), vocab_size));
    let loss = log - load<f32>(logits + bytes(tokenAt(targets, vocab_size)));
    if (label_smoothing != 0) {
      const uniform = log - sum(logits, vocab_size) / <f32>vocab_size;
      loss += <f32>label_smoothing * (uniform - loss);
    }
    store<f32>(lse, log);
    store<f32>(losses, loss);
    logits += bytes(vocab_size);
    targets += 4;
    losses += 4;
    lse += 4;
  }
}

/** The sum of exp(logits - top) over n numbers. */
function denominator(logits: usize, top: v128, n: i32): f32 {
  let sums = f32x4.splat(0);
  for (; n >= 4; n -= 4) {
    sums = f32x4.add(sums, exp4(f32x4.sub(v128.load(logits), top)));
    logits += 16;
  }
  if (n > 0) sums = f32x4.add(sums, cut(exp4(f32x4.sub(read(logits, n), top)), n));
  return sum4(sums);
}

export function cross_entropy_backward(
  w: usize,
  logits: usize,
  targets: usize,
  lse: usize,
  dloss: usize,
  dlogits: usize,
  rows: i32,
  vocab_size: i32,
  label_smoothing: f64,
  accumulate: i32,
): void {
  const factor: f32 = load<f32>(dloss) / <f32>rows;
  const uniform: f32 = <f32>(label_smoothing / <f64>vocab_size);
  for (; rows > 0; rows--) {
    const log = load<f32>(lse);
    const target = bytes(tokenAt(targets, vocab_size));
    const before = load<f32>(dlogits + target);
    const prob = exp1(load<f32>(logits + target) - log);
    for (let at: usize = 0, left = vocab_size; left > 0; at += 16, left -= 4) {
      const v = exp4(f32x4.sub(read(logits + at, left), f32x4.splat(log)));
      const d = f32x4.mul(f32x4.sub(v, f32x4.splat(uniform)), f32x4.splat(factor));
      put(dlogits + at, d, left, accumulate);
    }
    const d = (prob - <f32>(1 - label_smoothing) - uniform) * factor;
    store<f32>(dlogits + target, accumulate ? before + d : d);
    logits += bytes(vocab_size);
    dlogits += bytes(vocab_size);
    targets += 4;
    lse += 4;
  }
}
