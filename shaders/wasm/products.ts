// Products of matrices, row-major, as in shaders/matmul_*.wgsl:
//   matmul_nn   y = a b      a (m, k)   b (k, n)   y (m, n)
//   matmul_nt   y = a b^T    a (m, k)   b (n, k)   y (m, n)
//   matmul_tn   y = a^T b    a (k, m)   b (k, n)   y (m, n)
//   matmul_residual          z = a b + x      as matmul_nn
//   matmul_nt_gelu_backward  dx = (a b^T) gelu'(x)   as matmul_nt
// Added to y if `accumulate` is 1. Each sum is over k in order, whatever the sizes.
// Workspace: a panel of b, and for matmul_tn also a block of a and the sums so far.

import { bytes, sumOf } from "./math";
import { gelu_backward } from "./pointwise";
import { SCRATCH, packColumns, packFour, packRows, panel, panelBytes, tilePacked } from "./tiles";

/** y = a b + r. */
function multiplyRows(
  w: usize,
  a: usize,
  b: usize,
  y: usize,
  r: usize,
  m: i32,
  k: i32,
  n: i32,
): void {
  const packed = w + SCRATCH;
  for (let j = 0; j < n; j += 8) {
    const cols = min(8, n - j);
    const at = bytes(j);
    packRows(b + at, bytes(n), k, cols, packed);
    panel(a, bytes(k), 4, m, k, packed, y + at, bytes(n), r ? r + at : 0, cols, w);
  }
}

export function matmul_nn_workspace(m: i32, k: i32, n: i32, accumulate: i32): i32 {
  return <i32>(SCRATCH + panelBytes(k));
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
  multiplyRows(w, a, b, y, accumulate ? y : 0, m, k, n);
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
  multiplyRows(w, a, b, z, x, m, k, n);
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
  const packed = w + SCRATCH;
  for (let j = 0; j < n; j += 8) {
    const cols = min(8, n - j);
    const to = y + bytes(j);
    packColumns(b + bytes(j * k), bytes(k), k, cols, packed);
    panel(a, bytes(k), 4, m, k, packed, to, bytes(n), accumulate ? to : 0, cols, w);
  }
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

// In matmul_tn, k is all the tokens of a batch. It is taken in blocks of this many rows, so that
// what a tile reads stays in the first cache, and each sum goes on from where the last block left
// it. m and n are rounded up to whole tiles, with zeros in a and b.
const BLOCK: i32 = 256;

function whole(n: i32, tile: i32): i32 {
  return (n + tile - 1) & -tile;
}

export function matmul_tn_workspace(m: i32, k: i32, n: i32, accumulate: i32): i32 {
  const sums = bytes(whole(m, 4) * whole(n, 8));
  return <i32>(panelBytes(BLOCK) + bytes(BLOCK * whole(m, 4)) + sums);
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
  const rows = packed + panelBytes(BLOCK);
  const sums = rows + bytes(BLOCK * whole(m, 4));
  const width = bytes(whole(n, 8));
  for (let start = 0; start < k; start += BLOCK) {
    const length = min(BLOCK, k - start);
    for (let i = 0; i < m; i += 4) {
      const from = a + bytes(start * m + i);
      packFour(from, bytes(m), length, min(4, m - i), rows + bytes(i * length));
    }
    for (let j = 0; j < n; j += 8) {
      packRows(b + bytes(start * n + j), bytes(n), length, min(8, n - j), packed);
      for (let i = 0; i < m; i += 4) {
        const to = sums + <usize>i * width + bytes(j);
        tilePacked(rows + bytes(i * length), packed, length, to, width, start > 0);
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
