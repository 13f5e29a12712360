// The norm of the gradients, its limit, and AdamW's step, as in the WGSL of the same names.
//   sum_squares   partial[i] = the sum of x^2 over the i-th of 256 equal parts of x
//   clip          norm = sqrt(sum of partial); x = x min(1, max_norm / (norm + 1e-6))
//   adamw         m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
//                 w = w (1 - lr weight_decay) - lr m' / (sqrt(v') + eps)
//                 with m' = m / (1 - beta1^t), v' = v / (1 - beta2^t)
//   clip_adamw    both; the gradients g are scaled in place
//   partial (256)   hyper (3): lr, 1 - beta1^t, sqrt(1 - beta2^t)   g, w, m, v (size)
// (Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization".)

import { bytes, dot, read, sum, write } from "./math";

const PARTS: i32 = 256;

export function sum_squares(w: usize, x: usize, partial: usize, size: i32): void {
  const stretch = (size + PARTS - 1) / PARTS;
  for (let i = 0; i < PARTS; i++) {
    const from = x + bytes(i * stretch);
    store<f32>(partial + bytes(i), dot(from, from, min(stretch, size - i * stretch)));
  }
}

export function clip(
  w: usize,
  partial: usize,
  x: usize,
  norm: usize,
  size: i32,
  max_norm: f32,
): void {
  const total = sqrt<f32>(sum(partial, PARTS));
  store<f32>(norm, total);
  const ratio: f32 = max_norm / (total + 1e-6);
  const factor = f32x4.splat(ratio < 1 ? ratio : 1);
  for (; size > 0; size -= 4) {
    write(x, f32x4.mul(read(x, size), factor), size);
    x += 16;
  }
}

export function adamw(
  workspace: usize,
  hyper: usize,
  g: usize,
  w: usize,
  m: usize,
  v: usize,
  size: i32,
  beta1: f64,
  beta2: f64,
  eps: f32,
  weight_decay: f32,
): void {
  const lr = load<f32>(hyper);
  const rate = f32x4.splat(lr / load<f32>(hyper, 4));
  const root = v128.load32_splat(hyper, 8);
  const kept: f32 = 1 - lr * weight_decay;
  const rest1 = f32x4.splat(<f32>(1 - beta1));
  const rest2 = f32x4.splat(<f32>(1 - beta2));
  for (; size > 0; size -= 4) {
    const d = read(g, size);
    const m1 = f32x4.mul(read(m, size), f32x4.splat(<f32>beta1));
    const first = f32x4.add(m1, f32x4.mul(d, rest1));
    const v1 = f32x4.mul(read(v, size), f32x4.splat(<f32>beta2));
    const second = f32x4.add(v1, f32x4.mul(f32x4.mul(d, d), rest2));
    write(m, first, size);
    write(v, second, size);
    const spread = f32x4.add(f32x4.div(f32x4.sqrt(second), root), f32x4.splat(eps));
    const step = f32x4.mul(f32x4.div(first, spread), rate);
    write(w, f32x4.sub(f32x4.mul(read(w, size), f32x4.splat(kept)), step), size);
    g += 16;
    w += 16;
    m += 16;
    v += 16;
  }
}

export function clip_adamw(
  workspace: usize,
  partial: usize,
  hyper: usize,
  g: usize,
  w: usize,
  m: usize,
  v: usize,
  norm: usize,
  size: i32,
  max_norm: f32,
  beta1: f64,
  beta2: f64,
  eps: f32,
  weight_decay: f32,
): void {
  clip(workspace, partial, g, norm, size, max_norm);
  adamw(workspace, hyper, g, w, m, v, size, beta1, beta2, eps, weight_decay);
}
