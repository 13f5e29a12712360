// The inner loops of all products of matrices. A product is computed in tiles of 4 x 8 sums, which
// stay in registers: each step of k reads four numbers of A and eight of B for 32 multiply-adds.
// B is packed before in panels eight columns wide, so that a tile reads it in order.
// Each sum is over k in order, as a plain loop would compute it.
//
// A's rows are `ra` bytes apart and its columns `ca`, so that A may be a transpose; the rows of y
// are `ry` apart. What r points to, laid out as y is, is added to the product; nothing if r is 0.

import { bytes, madd } from "./math";

/** The bytes of workspace for `edge`. */
export const SCRATCH: usize = 128;

/** The bytes of a panel of k rows. */
export function panelBytes(k: i32): usize {
  return (<usize>k) << 5;
}

/** y = A B + r for four rows of A and a panel of B. */
export function tile(
  a: usize,
  ra: usize,
  ca: usize,
  b: usize,
  k: i32,
  y: usize,
  ry: usize,
  r: usize,
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
  let a1 = a + ra;
  let a2 = a1 + ra;
  let a3 = a2 + ra;
  for (const end = b + panelBytes(k); b < end; b += 32) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const x0 = v128.load32_splat(a);
    c00 = madd(x0, b0, c00);
    c01 = madd(x0, b1, c01);
    const x1 = v128.load32_splat(a1);
    c10 = madd(x1, b0, c10);
    c11 = madd(x1, b1, c11);
    const x2 = v128.load32_splat(a2);
    c20 = madd(x2, b0, c20);
    c21 = madd(x2, b1, c21);
    const x3 = v128.load32_splat(a3);
    c30 = madd(x3, b0, c30);
    c31 = madd(x3, b1, c31);
    a += ca;
    a1 += ca;
    a2 += ca;
    a3 += ca;
  }
  finish(y, c00, c01, r);
  finish(y1, c10, c11, r ? r + ry : 0);
  finish(y2, c20, c21, r ? r + 2 * ry : 0);
  finish(y3, c30, c31, r ? r + 3 * ry : 0);
}

/** The same for A packed as `packFour` does, which is a tenth faster, where y is the workspace's.
 *  With `goOn` the sums start from those in y. */
export function tilePacked(a: usize, b: usize, k: i32, y: usize, ry: usize, goOn: bool): void {
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
  for (const end = b + panelBytes(k); b < end; b += 32) {
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
    a += 16;
  }
  finish(y, c00, c01, 0);
  finish(y1, c10, c11, 0);
  finish(y2, c20, c21, 0);
  finish(y3, c30, c31, 0);
}

/** Stores a row of a tile. */
function finish(y: usize, c0: v128, c1: v128, r: usize): void {
  v128.store(y, r ? f32x4.add(v128.load(r), c0) : c0);
  v128.store(y, r ? f32x4.add(v128.load(r, 16), c1) : c1, 16);
}

/** One row of a tile, without r. */
function row(a: usize, ca: usize, b: usize, k: i32, y: usize): void {
  let c0 = f32x4.splat(0);
  let c1 = c0;
  for (const end = b + panelBytes(k); b < end; b += 32) {
    const x = v128.load32_splat(a);
    c0 = madd(x, v128.load(b), c0);
    c1 = madd(x, v128.load(b, 16), c1);
    a += ca;
  }
  finish(y, c0, c1, 0);
}

/** A tile of which only `rows` rows and `cols` columns exist, by way of w. */
export function edge(
  a: usize,
  ra: usize,
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
  if (rows == 4) tile(a, ra, ca, b, k, w, 32, 0);
  else for (let i = 0; i < rows; i++) row(a + <usize>i * ra, ca, b, k, w + panelBytes(i));
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) {
      const v = load<f32>(w + bytes(8 * i + j));
      store<f32>(y + bytes(j), r ? load<f32>(r + bytes(j)) + v : v);
    }
    y += ry;
    if (r) r += ry;
  }
}

/** y = A B + r for all of A's m rows and a panel of B of which `cols` columns exist. */
export function panel(
  a: usize,
  ra: usize,
  ca: usize,
  m: i32,
  k: i32,
  b: usize,
  y: usize,
  ry: usize,
  r: usize,
  cols: i32,
  w: usize,
): void {
  for (let i = 0; i < m; i += 4) {
    if (cols == 8 && i + 4 <= m) tile(a, ra, ca, b, k, y, ry, r);
    else edge(a, ra, ca, b, k, y, ry, r, min(4, m - i), cols, w);
    a += 4 * ra;
    y += 4 * ry;
    if (r) r += 4 * ry;
  }
}

/** Packs `cols` columns of B, of k rows `rb` bytes apart, as a panel at p: k rows of eight. */
export function packRows(b: usize, rb: usize, k: i32, cols: i32, p: usize): void {
  const end = p + panelBytes(k);
  if (cols == 8) {
    for (; p < end; p += 32) {
      v128.store(p, v128.load(b));
      v128.store(p, v128.load(b, 16), 16);
      b += rb;
    }
    return;
  }
  for (; p < end; p += 32) {
    for (let j = 0; j < 8; j++) store<f32>(p + bytes(j), j < cols ? load<f32>(b + bytes(j)) : 0);
    b += rb;
  }
}

/** Packs B's transpose: `cols` rows of k numbers, `rb` bytes apart, become a panel's columns. */
export function packColumns(b: usize, rb: usize, k: i32, cols: i32, p: usize): void {
  for (let j = 0; j < 8; j++) {
    let from = b + <usize>j * rb;
    let to = p + bytes(j);
    for (let i = 0; i < k; i++) {
      store<f32>(to, j < cols ? load<f32>(from) : 0);
      from += 4;
      to += 32;
    }
  }
}

/** Packs `cols` columns of A's transpose, of k rows `ra` bytes apart, at p: k rows of four. */
export function packFour(a: usize, ra: usize, k: i32, cols: i32, p: usize): void {
  for (const end = p + bytes(4 * k); p < end; p += 16) {
    if (cols == 4) v128.store(p, v128.load(a));
    else
      for (let i = 0; i < 4; i++) store<f32>(p + bytes(i), i < cols ? load<f32>(a + bytes(i)) : 0);
    a += ra;
  }
}
