// Kernels that compute each number of y from the numbers at the same place, as in the WGSL of the
// same names, and sums and copies of whole arrays. Results are added to y if `accumulate` is 1.
//   gelu      y = x (1 + tanh u) / 2, u = sqrt(2 / pi) (x + 0.044715 x^3)
//   relu      y = max(x, 0)
//   add       z = x + y
//   multiply  z = x y
//   copy      y = factor x
//   fill      y = value
//   move      y[y_start + i] = x[x_start + i]
//   dropout   y = x / (1 - rate) where kept, else 0
//   mean      y[0] = the mean of x
// (1 + tanh u) / 2 is computed as 1 / (1 + exp(-2 u)), which takes one exponential.

import { bytes, exp4, madd, put, read, sum, sumOf, write } from "./math";

const TWICE: f32 = 2 * 0.7978845608028654; // 2 sqrt(2 / pi)

/** (1 + tanh u) / 2; xx = x^2. */
function share(x: v128, xx: v128): v128 {
  const cubic = madd(xx, f32x4.splat(-0.044715 * TWICE), f32x4.splat(-TWICE));
  return f32x4.div(f32x4.splat(1), f32x4.add(exp4(f32x4.mul(cubic, x)), f32x4.splat(1)));
}

function gelu4(x: v128): v128 {
  return f32x4.mul(x, share(x, f32x4.mul(x, x)));
}

/** The derivative of x s, where s = (1 + tanh u) / 2: s + x s (1 - s) 2 u'. */
function slope(x: v128, xx: v128, s: v128): v128 {
  const cubic = madd(xx, f32x4.splat(3 * 0.044715 * TWICE), f32x4.splat(TWICE));
  return madd(f32x4.mul(s, f32x4.sub(f32x4.splat(1), s)), f32x4.mul(cubic, x), s);
}

// The compiler inlines small functions only: with `slope` in one function with this, a call remains
// in the loop, which then takes half as long again.
function slope4(x: v128): v128 {
  const xx = f32x4.mul(x, x);
  return slope(x, xx, share(x, xx));
}

export function gelu(w: usize, x: usize, y: usize, size: i32): void {
  for (; size >= 4; size -= 4) {
    v128.store(y, gelu4(v128.load(x)));
    x += 16;
    y += 16;
  }
  if (size > 0) write(y, gelu4(read(x, size)), size);
}

export function gelu_backward(
  w: usize,
  x: usize,
  dy: usize,
  dx: usize,
  size: i32,
  accumulate: i32,
): void {
  for (; size >= 4; size -= 4) {
    put(dx, f32x4.mul(v128.load(dy), slope4(v128.load(x))), 4, accumulate);
    x += 16;
    dy += 16;
    dx += 16;
  }
  if (size > 0) put(dx, f32x4.mul(read(dy, size), slope4(read(x, size))), size, accumulate);
}

export function relu(w: usize, x: usize, y: usize, size: i32): void {
  for (; size > 0; size -= 4) {
    write(y, f32x4.pmax(read(x, size), f32x4.splat(0)), size); // NaN stays
    x += 16;
    y += 16;
  }
}

export function relu_backward(
  w: usize,
  x: usize,
  dy: usize,
  dx: usize,
  size: i32,
  accumulate: i32,
): void {
  for (; size > 0; size -= 4) {
    const passes = f32x4.gt(read(x, size), f32x4.splat(0));
    put(dx, v128.and(passes, read(dy, size)), size, accumulate);
    x += 16;
    dy += 16;
    dx += 16;
  }
}

export function add(w: usize, x: usize, y: usize, z: usize, size: i32): void {
  sumOf(x, y, z, size);
}

export function multiply(w: usize, x: usize, y: usize, z: usize, size: i32, accumulate: i32): void {
  for (; size > 0; size -= 4) {
    put(z, f32x4.mul(read(x, size), read(y, size)), size, accumulate);
    x += 16;
    y += 16;
    z += 16;
  }
}

export function copy(w: usize, x: usize, y: usize, size: i32, factor: f32, accumulate: i32): void {
  for (; size > 0; size -= 4) {
    put(y, f32x4.mul(f32x4.splat(factor), read(x, size)), size, accumulate);
    x += 16;
    y += 16;
  }
}

export function fill(w: usize, y: usize, size: i32, value: f32): void {
  for (; size > 0; size -= 4) {
    write(y, f32x4.splat(value), size);
    y += 16;
  }
}

export function move(w: usize, x: usize, y: usize, size: i32, x_start: i32, y_start: i32): void {
  memory.copy(y + bytes(y_start), x + bytes(x_start), bytes(size));
}

/** The first words of pcg4d of (i, layer, key0, key1), for four i (Jarzynski and Olano 2020). */
function pcg4d(i: v128, layer: i32, key0: i32, key1: i32): v128 {
  const factor = i32x4.splat(1664525);
  const term = i32x4.splat(1013904223);
  let x = i32x4.add(i32x4.mul(i, factor), term);
  let y = i32x4.add(i32x4.mul(i32x4.splat(layer), factor), term);
  let z = i32x4.add(i32x4.mul(i32x4.splat(key0), factor), term);
  let v = i32x4.add(i32x4.mul(i32x4.splat(key1), factor), term);
  x = i32x4.add(x, i32x4.mul(y, v));
  y = i32x4.add(y, i32x4.mul(z, x));
  z = i32x4.add(z, i32x4.mul(x, y));
  v = i32x4.add(v, i32x4.mul(y, z));
  x = v128.xor(x, i32x4.shr_u(x, 16));
  y = v128.xor(y, i32x4.shr_u(y, 16));
  v = v128.xor(v, i32x4.shr_u(v, 16));
  return i32x4.add(x, i32x4.mul(y, v));
}

export function dropout(
  w: usize,
  x: usize,
  key: usize,
  y: usize,
  size: i32,
  layer: i32,
  accumulate: i32,
  rate: f64,
): void {
  const key0 = load<i32>(key);
  const key1 = load<i32>(key, 4);
  const part = f32x4.splat(<f32>(1 - rate));
  let i = i32x4(0, 1, 2, 3);
  for (; size > 0; size -= 4) {
    const bits = i32x4.shr_u(pcg4d(i, layer, key0, key1), 8);
    const uniform = f32x4.mul(f32x4.convert_i32x4_s(bits), f32x4.splat(1.0 / 16777216));
    const kept = f32x4.ge(uniform, f32x4.splat(<f32>rate));
    put(y, v128.and(kept, f32x4.div(read(x, size), part)), size, accumulate);
    i = i32x4.add(i, i32x4.splat(4));
    x += 16;
    y += 16;
  }
}

export function mean(w: usize, x: usize, y: usize, size: i32): void {
  store<f32>(y, sum(x, size) / <f32>size);
}
