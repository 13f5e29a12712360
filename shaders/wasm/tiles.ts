// The inner loop of all products of matrices. A product is computed in tiles of 4 x 8 sums, which
// stay in registers: each step of k reads four numbers of A and eight of B for 32 multiply-adds.
// So that a tile reads both in order, they are packed before: B in panels of eight columns, A in
// strips of four rows, both of which hold the numbers of one k side by side.
// Each sum is over k in order, as a plain loop would compute it. Strides are in bytes.

import { bytes, madd, read } from "./math";

/** The bytes of workspace for `tile`. */
export const SCRATCH: usize = 128;

/** n rounded up to a multiple of `size`, a power of two. */
export function whole(n: i32, size: i32): i32 {
  return (n + size - 1) & -size;
}

/** y = A B + r for a strip of A, the numbers of whose k are `ca` apart, and a panel of B. The rows
 *  of y and r are `ry` apart; where r is 0, nothing is added. With `goOn` the sums start from those
 *  in y. */
export function wholeTile(
  a: usize,
  ca: usize,
  b: usize,
  k: i32,
  y: usize,
  ry: usize,
  r: usize,
  goOn: bool,
): void {
  let c00 = f32x4.splat(0);
  let c01 = c00;
  let c10 = c00;
  let c11 = c00;
  let c20 = c00;
  let c21 = c00;
  let c30 = c00;
  let c31 = c00;
  const y1 = y + ry;
  const y2 = y1 + ry;
  const y3 = y2 + ry;
  if (goOn) {
    c00 = v128.load(y);
    c01 = v128.load(y, 16);
    c10 = v128.load(y1);
    c11 = v128.load(y1, 16);
    c20 = v128.load(y2);
    c21 = v128.load(y2, 16);
    c30 = v128.load(y3);
    c31 = v128.load(y3, 16);
  }
  for (const end = b + bytes(8 * k); b < end; b += 32) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const x0 = v128.load32_splat(a);
    c00 = madd(x0, b0, c00);
    c01 = madd(x0, b1, c01);
    const x1 = v128.load32_splat(a, 4);
    c10 = madd(x1, b0, c10);
    c11 = madd(x1, b1, c11);
    const x2 = v128.load32_splat(a, 8);
    c20 = madd(x2, b0, c20);
    c21 = madd(x2, b1, c21);
    const x3 = v128.load32_splat(a, 12);
    c30 = madd(x3, b0, c30);
    c31 = madd(x3, b1, c31);
    a += ca;
  }
  finish(y, c00, c01, r);
  finish(y1, c10, c11, r ? r + ry : 0);
  finish(y2, c20, c21, r ? r + 2 * ry : 0);
  finish(y3, c30, c31, r ? r + 3 * ry : 0);
}

/** Stores a row of a tile. */
function finish(y: usize, c0: v128, c1: v128, r: usize): void {
  v128.store(y, r ? f32x4.add(v128.load(r), c0) : c0);
  v128.store(y, r ? f32x4.add(v128.load(r, 16), c1) : c1, 16);
}

/** A tile of which `rows` rows and `cols` columns are stored; where not all, by way of w. */
export function tile(
  a: usize,
  ca: usize,
  b: usize,
  k: i32,
  y: usize,
  ry: usize,
  r: usize,
  rows: i32,
  cols: i32,
  w: usize,
): void {
  if (rows == 4 && cols == 8) {
    wholeTile(a, ca, b, k, y, ry, r, false);
    return;
  }
  wholeTile(a, ca, b, k, w, 32, 0, false);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) {
      const v = load<f32>(w + bytes(8 * i + j));
      store<f32>(y + bytes(j), r ? load<f32>(r + bytes(j)) + v : v);
    }
    y += ry;
    if (r) r += ry;
  }
}

/** Packs k rows of `count` numbers, `stride` apart, at p: k rows of `width`, filled up by zeros. */
export function packRows(
  from: usize,
  stride: usize,
  k: i32,
  count: i32,
  width: i32,
  p: usize,
): void {
  for (; k > 0; k--) {
    v128.store(p, read(from, count));
    if (width == 8) v128.store(p, count > 4 ? read(from + 16, count - 4) : f32x4.splat(0), 16);
    from += stride;
    p += bytes(width);
  }
}

/** Packs the transpose of `count` rows of k numbers, in the same form: four rows at a time. */
export function packColumns(
  from: usize,
  stride: usize,
  k: i32,
  count: i32,
  width: i32,
  p: usize,
): void {
  for (let j = 0; j < width; j += 4) {
    const rows = count - j;
    let i = 0;
    if (rows >= 4) {
      for (; i + 4 <= k; i += 4)
        transpose(from + bytes(i), stride, p + bytes(i * width), bytes(width));
    }
    for (; i < k; i++) {
      for (let q = 0; q < 4; q++) {
        const x: f32 = q < rows ? load<f32>(from + <usize>q * stride + bytes(i)) : 0;
        store<f32>(p + bytes(i * width + q), x);
      }
    }
    from += 4 * stride;
    p += 16;
  }
}

/** Transposes 4 x 4 numbers, `stride` apart, to rows that are `rp` apart. */
function transpose(from: usize, stride: usize, p: usize, rp: usize): void {
  const a = v128.load(from);
  const b = v128.load(from + stride);
  const c = v128.load(from + 2 * stride);
  const d = v128.load(from + 3 * stride);
  const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
  v128.store(p, v128.shuffle<i64>(ab, cd, 0, 2));
  v128.store(p + rp, v128.shuffle<i64>(ab, cd, 1, 3));
  const ab2 = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
  const cd2 = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
  v128.store(p + 2 * rp, v128.shuffle<i64>(ab2, cd2, 0, 2));
  v128.store(p + 3 * rp, v128.shuffle<i64>(ab2, cd2, 1, 3));
}
