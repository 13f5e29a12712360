// Products of matrices, row-major, as in shaders/matmul_*.wgsl:
//   matmul_nn   y = a b      a (m, k)   b (k, n)   y (m, n)
//   matmul_nt   y = a b^T    a (m, k)   b (n, k)   y (m, n)
//   matmul_tn   y = a^T b    a (k, m)   b (k, n)   y (m, n)
//   matmul_residual          z = a b + x      as matmul_nn
//   matmul_nt_gelu_backward  dx = (a b^T) gelu'(x)   as matmul_nt
// Added to y if `accumulate` is 1. Each sum is over k in order, whatever the sizes.
// Workspace: a panel of b, a block of a, and for matmul_tn the sums so far.

import { bytes, sumOf } from "./math";
import { gelu_backward } from "./pointwise";
import { SCRATCH, packColumns, packRows, tile, whole, wholeTile } from "./tiles";

// How many rows of a are packed at once, and so how much of it stays in the second cache.
const BLOCK: i32 = 256;

/** y = a b + r, or a b^T + r; where r is 0, nothing is added. */
function product(
  w: usize,
  a: usize,
  b: usize,
  transposed: bool,
  y: usize,
  r: usize,
  m: i32,
  k: i32,
  n: i32,
): void {
  const packed = w + SCRATCH;
  const strips = packed + bytes(8 * k);
  for (let start = 0; start < m; start += BLOCK) {
    const end = min(start + BLOCK, m);
    for (let i = start; i < end; i += 4) {
      const to = strips + bytes((i - start) * k);
      packColumns(a + bytes(i * k), bytes(k), k, min(4, m - i), 4, to);
    }
    for (let j = 0; j < n; j += 8) {
      const cols = min(8, n - j);
      if (transposed) packColumns(b + bytes(j * k), bytes(k), k, cols, 8, packed);
      else packRows(b + bytes(j), bytes(n), k, cols, 8, packed);
      for (let i = start; i < end; i += 4) {
        const at = bytes(i * n + j);
        const strip = strips + bytes((i - start) * k);
        tile(strip, 16, packed, k, y + at, bytes(n), r ? r + at : 0, min(4, m - i), cols, w);
      }
    }
  }
}

export function matmul_nn_workspace(m: i32, k: i32, n: i32, accumulate: i32): i32 {
  return <i32>(SCRATCH + bytes((8 + whole(min(m, BLOCK), 4)) * k));
}

export function matmul_nn(
  w: usize,
  a: usize,
  b: usize,
  y: usize,
  m: i32,
  k: i32,
  n: i32,
  accumulate: i32,
): void {
  product(w, a, b, false, y, accumulate ? y : 0, m, k, n);
}

export function matmul_residual_workspace(m: i32, k: i32, n: i32): i32 {
  return matmul_nn_workspace(m, k, n, 0);
}

export function matmul_residual(
  w: usize,
  a: usize,
  b: usize,
  x: usize,
  z: usize,
  m: i32,
  k: i32,
  n: i32,
): void {
  product(w, a, b, false, z, x, m, k, n);
}

export function matmul_nt_workspace(m: i32, k: i32, n: i32, accumulate: i32): i32 {
  return matmul_nn_workspace(m, k, n, accumulate);
}

export function matmul_nt(
  w: usize,
  a: usize,
  b: usize,
  y: usize,
  m: i32,
  k: i32,
  n: i32,
  accumulate: i32,
): void {
  product(w, a, b, true, y, accumulate ? y : 0, m, k, n);
}

export function matmul_nt_gelu_backward_workspace(m: i32, k: i32, n: i32): i32 {
  return matmul_nn_workspace(m, k, n, 0);
}

export function matmul_nt_gelu_backward(
  w: usize,
  a: usize,
  b: usize,
  x: usize,
  dx: usize,
  m: i32,
  k: i32,
  n: i32,
): void {
  matmul_nt(w, a, b, dx, m, k, n, 0);
  gelu_backward(w, x, dx, dx, m * n, 0);
}

// In matmul_tn, k is all the tokens of a batch. It is taken in blocks, so that what a tile reads
// stays in the first cache, and each sum goes on from where the last block left it, in the
// workspace.

export function matmul_tn_workspace(m: i32, k: i32, n: i32, accumulate: i32): i32 {
  const sums = bytes(whole(m, 4) * whole(n, 8));
  return <i32>(bytes(BLOCK * (8 + whole(m, 4))) + sums);
}

export function matmul_tn(
  w: usize,
  a: usize,
  b: usize,
  y: usize,
  m: i32,
  k: i32,
  n: i32,
  accumulate: i32,
): void {
  const packed = w;
  const strips = packed + bytes(8 * BLOCK);
  const sums = strips + bytes(BLOCK * whole(m, 4));
  const width = bytes(whole(n, 8));
  for (let start = 0; start < k; start += BLOCK) {
    const length = min(BLOCK, k - start);
    for (let i = 0; i < m; i += 4) {
      const to = strips + bytes(i * length);
      packRows(a + bytes(start * m + i), bytes(m), length, min(4, m - i), 4, to);
    }
    for (let j = 0; j < n; j += 8) {
      packRows(b + bytes(start * n + j), bytes(n), length, min(8, n - j), 8, packed);
      for (let i = 0; i < m; i += 4) {
        const to = sums + <usize>i * width + bytes(j);
        wholeTile(strips + bytes(i * length), 16, packed, length, to, width, 0, start > 0);
      }
    }
  }
  for (let i = 0; i < m; i++) {
    const from = sums + <usize>i * width;
    if (accumulate) sumOf(y, from, y, n);
    else memory.copy(y, from, bytes(n));
    y += bytes(n);
  }
}
