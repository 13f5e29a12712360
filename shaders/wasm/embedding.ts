// Batches, and the rows of tables, as in the WGSL of the same names.
//   gather_batch   x[b][t] = corpus[offsets[b] + t], and y one token later
//   embedding      y[i] = weight[tokens[i]]; dweight[v] = the sum of dy[i] where tokens[i] is v
//   position_embedding   y = x + weight, which repeats after `period` numbers; dweight = the sum of
//     dy over the repeats, 0 from `period` on
//   embedding_position   y[i] = wte[tokens[i]] + wpe, as both
//   embedding_at   y = wte[window[length - 1]] + wpe[length - 1], of one token
//   last_row       y = row length - 1 of x
// Gradients are added to dweight if `accumulate` is 1. Sums are in the order of the rows.
// A token beyond the vocabulary counts as its last, and a length beyond the rows as their number.

import { bytes, countAt, put, read, sumOf, tokenAt } from "./math";

export function gather_batch(
  w: usize,
  corpus: usize,
  offsets: usize,
  x: usize,
  y: usize,
  batch: i32,
  time: i32,
  corpus_size: i32,
): void {
  if (corpus_size == 0) return;
  const last = <u32>(corpus_size - 1);
  for (let b = 0; b < batch; b++) {
    const offset = min<u32>(load<u32>(offsets + bytes(b)), last);
    for (let t = 0; t < time; t++) {
      store<u32>(x, load<u32>(corpus + bytes(<i32>min<u32>(offset + t, last))));
      store<u32>(y, load<u32>(corpus + bytes(<i32>min<u32>(offset + t + 1, last))));
      x += 4;
      y += 4;
    }
  }
}

export function embedding(
  w: usize,
  tokens: usize,
  weight: usize,
  y: usize,
  rows: i32,
  n_embd: i32,
  vocab_size: i32,
): void {
  for (; rows > 0; rows--) {
    memory.copy(y, weight + bytes(tokenAt(tokens, vocab_size) * n_embd), bytes(n_embd));
    tokens += 4;
    y += bytes(n_embd);
  }
}

export function embedding_backward(
  w: usize,
  tokens: usize,
  dy: usize,
  dweight: usize,
  rows: i32,
  n_embd: i32,
  vocab_size: i32,
  accumulate: i32,
): void {
  if (!accumulate) memory.fill(dweight, 0, bytes(vocab_size * n_embd));
  for (; rows > 0; rows--) {
    const row = dweight + bytes(tokenAt(tokens, vocab_size) * n_embd);
    sumOf(row, dy, row, n_embd);
    tokens += 4;
    dy += bytes(n_embd);
  }
}

export function position_embedding(
  w: usize,
  x: usize,
  weight: usize,
  y: usize,
  size: i32,
  period: i32,
): void {
  for (let at = 0; at < size; at += period) {
    sumOf(x + bytes(at), weight, y + bytes(at), min(period, size - at));
  }
}

export function position_embedding_backward(
  w: usize,
  dy: usize,
  dweight: usize,
  size: i32,
  period: i32,
  total: i32,
  accumulate: i32,
): void {
  if (!accumulate) memory.fill(dweight + bytes(period), 0, bytes(total - period));
  for (let left = period; left > 0; left -= 4) {
    const column = period - left;
    let sums = f32x4.splat(0);
    for (let at = column; at < size; at += period) {
      sums = f32x4.add(sums, read(dy + bytes(at), left));
    }
    put(dweight + bytes(column), sums, left, accumulate);
  }
}

export function embedding_position(
  w: usize,
  tokens: usize,
  wte: usize,
  wpe: usize,
  y: usize,
  rows: i32,
  n_embd: i32,
  vocab_size: i32,
  period: i32,
): void {
  for (let row = 0; row < rows; row++) {
    const position = wpe + bytes((row * n_embd) % period);
    sumOf(wte + bytes(tokenAt(tokens, vocab_size) * n_embd), position, y, n_embd);
    tokens += 4;
    y += bytes(n_embd);
  }
}

export function embedding_at(
  w: usize,
  window: usize,
  length: usize,
  wte: usize,
  wpe: usize,
  y: usize,
  n_embd: i32,
  vocab_size: i32,
  window_size: i32,
  wpe_size: i32,
): void {
  const positions = min(window_size, wpe_size / n_embd);
  if (positions == 0) return;
  const at = countAt(length, positions) - 1;
  const token = tokenAt(window + bytes(at), vocab_size);
  sumOf(wte + bytes(token * n_embd), wpe + bytes(at * n_embd), y, n_embd);
}

export function last_row(
  w: usize,
  x: usize,
  length: usize,
  y: usize,
  n_embd: i32,
  x_size: i32,
): void {
  const rows = x_size / n_embd;
  if (rows == 0) return;
  memory.copy(y, x + bytes((countAt(length, rows) - 1) * n_embd), bytes(n_embd));
}
