// Norms of rows, as in the WGSL of the same names; sums over a row in four parts.
//   layernorm   y = (x - mean) rstd weight + bias, rstd = 1 / sqrt(variance + eps)
//   rmsnorm     y = x / sqrt(mean(x^2) + eps) for the first `normed` of every `period` rows
//   x, y, dx, dy (rows, n_embd)   weight, bias (n_embd)   stats (rows, 2): mean and rstd
//   layernorm_matmul        h = layernorm(x), y = h b             b (n_embd, n)   y (rows, n)
//   layernorm_matmul_gelu   h = layernorm(x), u = h b, y = gelu(u)   u (rows, n)
// Gradients, with g = dy weight and h = (x - mean) rstd:
//   dx = rstd (g - mean(g) - h mean(g h))   dweight = the sum of dy h   dbias = the sum of dy
//   dx = r (dy - r^2 x mean(x dy)), r = 1 / sqrt(mean(x^2) + eps), of rmsnorm
// Added to what is there where `accumulate` is 1. Workspace: only for the products.

import { bytes, cut, dot, madd, put, read, sum, sum4, write } from "./math";
import { gelu } from "./pointwise";
import { matmul_nn, matmul_nn_workspace } from "./products";

export function layernorm(
  w: usize,
  x: usize,
  weight: usize,
  bias: usize,
  y: usize,
  stats: usize,
  rows: i32,
  n_embd: i32,
  eps: f32,
): void {
  for (; rows > 0; rows--) {
    const mean = sum(x, n_embd) / <f32>n_embd;
    const means = f32x4.splat(mean);
    const rstd: f32 = 1 / sqrt<f32>(squares(x, means, n_embd) / <f32>n_embd + eps);
    const rstds = f32x4.splat(rstd);
    let at: usize = 0;
    let left = n_embd;
    for (; left >= 4; left -= 4) {
      const h = f32x4.mul(f32x4.sub(v128.load(x + at), means), rstds);
      v128.store(y + at, madd(h, v128.load(weight + at), v128.load(bias + at)));
      at += 16;
    }
    if (left > 0) {
      const h = f32x4.mul(f32x4.sub(read(x + at, left), means), rstds);
      write(y + at, madd(h, read(weight + at, left), read(bias + at, left)), left);
    }
    store<f32>(stats, mean);
    store<f32>(stats, rstd, 4);
    x += bytes(n_embd);
    y += bytes(n_embd);
    stats += 8;
  }
}

/** The sum of (x - mean)^2 over n numbers. */
function squares(x: usize, mean: v128, n: i32): f32 {
  let sums = f32x4.splat(0);
  for (; n >= 4; n -= 4) {
    const d = f32x4.sub(v128.load(x), mean);
    sums = madd(d, d, sums);
    x += 16;
  }
  if (n > 0) {
    const d = cut(f32x4.sub(read(x, n), mean), n);
    sums = madd(d, d, sums);
  }
  return sum4(sums);
}

export function layernorm_backward(
  w: usize,
  x: usize,
  weight: usize,
  stats: usize,
  dy: usize,
  dx: usize,
  rows: i32,
  n_embd: i32,
  accumulate: i32,
): void {
  for (; rows > 0; rows--) {
    const means = v128.load32_splat(stats);
    const rstd = load<f32>(stats, 4);
    const mean = f32x4.splat(dot(dy, weight, n_embd) / <f32>n_embd);
    const product = products(dy, weight, x, means, n_embd) * ((rstd * rstd) / <f32>n_embd);
    const along = f32x4.splat(product);
    let at: usize = 0;
    let left = n_embd;
    for (; left >= 4; left -= 4) {
      const g = f32x4.sub(f32x4.mul(v128.load(dy + at), v128.load(weight + at)), mean);
      const d = f32x4.sub(g, f32x4.mul(f32x4.sub(v128.load(x + at), means), along));
      put(dx + at, f32x4.mul(d, f32x4.splat(rstd)), 4, accumulate);
      at += 16;
    }
    if (left > 0) {
      const g = f32x4.sub(f32x4.mul(read(dy + at, left), read(weight + at, left)), mean);
      const d = f32x4.sub(g, f32x4.mul(f32x4.sub(read(x + at, left), means), along));
      put(dx + at, f32x4.mul(d, f32x4.splat(rstd)), left, accumulate);
    }
    x += bytes(n_embd);
    dy += bytes(n_embd);
    dx += bytes(n_embd);
    stats += 8;
  }
}

/** The sum of dy weight (x - mean) over n numbers. */
function products(dy: usize, weight: usize, x: usize, mean: v128, n: i32): f32 {
  let sums = f32x4.splat(0);
  for (; n >= 4; n -= 4) {
    const g = f32x4.mul(v128.load(dy), v128.load(weight));
    sums = madd(g, f32x4.sub(v128.load(x), mean), sums);
    dy += 16;
    weight += 16;
    x += 16;
  }
  if (n > 0) {
    const g = f32x4.mul(read(dy, n), read(weight, n));
    sums = madd(g, f32x4.sub(read(x, n), mean), sums);
  }
  return sum4(sums);
}

export function layernorm_backward_params(
  w: usize,
  x: usize,
  stats: usize,
  dy: usize,
  dweight: usize,
  dbias: usize,
  rows: i32,
  n_embd: i32,
  accumulate_weight: i32,
  accumulate_bias: i32,
): void {
  for (let at: usize = 0, left = n_embd; left > 0; at += 32, left -= 8) {
    const more = max(left - 4, 0); // of eight columns at a time, those after the first four
    let w0 = f32x4.splat(0);
    let w1 = w0;
    let b0 = w0;
    let b1 = w0;
    for (let row = 0; row < rows; row++) {
      const from = bytes(row * n_embd) + at;
      const mean = v128.load32_splat(stats + bytes(2 * row));
      const rstd = v128.load32_splat(stats + bytes(2 * row), 4);
      const d0 = read(dy + from, left);
      w0 = madd(f32x4.mul(f32x4.sub(read(x + from, left), mean), rstd), d0, w0);
      b0 = f32x4.add(b0, d0);
      if (more == 0) continue;
      const d1 = read(dy + from + 16, more);
      w1 = madd(f32x4.mul(f32x4.sub(read(x + from + 16, more), mean), rstd), d1, w1);
      b1 = f32x4.add(b1, d1);
    }
    put(dweight + at, w0, left, accumulate_weight);
    put(dbias + at, b0, left, accumulate_bias);
    if (more == 0) continue;
    put(dweight + at + 16, w1, more, accumulate_weight);
    put(dbias + at + 16, b1, more, accumulate_bias);
  }
}

export function layernorm_matmul_workspace(rows: i32, n_embd: i32, n: i32, eps: f32): i32 {
  return matmul_nn_workspace(rows, n_embd, n, 0);
}

export function layernorm_matmul(
  w: usize,
  x: usize,
  weight: usize,
  bias: usize,
  b: usize,
  h: usize,
  stats: usize,
  y: usize,
  rows: i32,
  n_embd: i32,
  n: i32,
  eps: f32,
): void {
  layernorm(w, x, weight, bias, h, stats, rows, n_embd, eps);
  matmul_nn(w, h, b, y, rows, n_embd, n, 0);
}

export function layernorm_matmul_gelu_workspace(rows: i32, n_embd: i32, n: i32, eps: f32): i32 {
  return matmul_nn_workspace(rows, n_embd, n, 0);
}

export function layernorm_matmul_gelu(
  w: usize,
  x: usize,
  weight: usize,
  bias: usize,
  b: usize,
  h: usize,
  stats: usize,
  u: usize,
  y: usize,
  rows: i32,
  n_embd: i32,
  n: i32,
  eps: f32,
): void {
  layernorm_matmul(w, x, weight, bias, b, h, stats, u, rows, n_embd, n, eps);
  gelu(w, u, y, rows * n);
}

/** What a row is multiplied by, if it is one of those that are normed: else 1. */
function rmsFactor(x: usize, row: i32, size: i32, period: i32, normed: i32, eps: f32): f32 {
  if (row % period >= normed) return 1;
  return 1 / sqrt<f32>(dot(x, x, size) / <f32>size + eps);
}

export function rmsnorm(
  w: usize,
  x: usize,
  y: usize,
  rows: i32,
  size: i32,
  period: i32,
  normed: i32,
  eps: f32,
): void {
  for (let row = 0; row < rows; row++) {
    const r = f32x4.splat(rmsFactor(x, row, size, period, normed, eps));
    for (let left = size; left > 0; left -= 4) {
      const at = bytes(size - left);
      write(y + at, f32x4.mul(read(x + at, left), r), left);
    }
    x += bytes(size);
    y += bytes(size);
  }
}

export function rmsnorm_backward(
  w: usize,
  x: usize,
  dy: usize,
  dx: usize,
  rows: i32,
  size: i32,
  period: i32,
  normed: i32,
  eps: f32,
  accumulate: i32,
): void {
  for (let row = 0; row < rows; row++) {
    const r = rmsFactor(x, row, size, period, normed, eps);
    const along: f32 = row % period < normed ? (r * r * dot(x, dy, size)) / <f32>size : 0;
    for (let left = size; left > 0; left -= 4) {
      const at = bytes(size - left);
      const passed = f32x4.mul(f32x4.splat(along), read(x + at, left));
      const d = f32x4.mul(f32x4.splat(r), f32x4.sub(read(dy + at, left), passed));
      put(dx + at, d, left, accumulate);
    }
    x += bytes(size);
    dy += bytes(size);
    dx += bytes(size);
  }
}
