// What the kernels share: reading and writing four numbers at a time, sums, exp and log.
// A v128 holds four float32. Every sum has one order, and a product is rounded before it is added,
// so that every engine computes the same bits. Where time matters, a loop over whole vectors comes
// before one step for the rest: it takes two thirds of the time of a loop of `read` and `write`.
// AssemblyScript's Math is not used: its tables would be data in a memory that is not ours.

/** The size in bytes of n float32. */
export function bytes(n: i32): usize {
  return (<usize>n) << 2;
}

/** acc + a * b, rounded twice. */
export function madd(a: v128, b: v128, acc: v128): v128 {
  return f32x4.add(acc, f32x4.mul(a, b));
}

/** The four numbers at x, or the `left` that are left followed by zeros. */
export function read(x: usize, left: i32): v128 {
  return left >= 4 ? v128.load(x) : readLast(x, left);
}

function readLast(x: usize, left: i32): v128 {
  if (left == 1) return v128.load32_zero(x);
  const two = v128.load64_zero(x);
  return left == 2 ? two : v128.load32_lane(x, two, 2, 8);
}

/** Stores the four numbers of v at y, or the first `left` of them. */
export function write(y: usize, v: v128, left: i32): void {
  if (left >= 4) v128.store(y, v);
  else writeLast(y, v, left);
}

function writeLast(y: usize, v: v128, left: i32): void {
  if (left == 1) v128.store32_lane(y, v, 0);
  else v128.store64_lane(y, v, 0);
  if (left == 3) v128.store32_lane(y, v, 2, 8);
}

/** Stores v at y as `write` does, or adds it to what is there: the last line of most kernels. */
export function put(y: usize, v: v128, left: i32, accumulate: i32): void {
  write(y, accumulate ? f32x4.add(read(y, left), v) : v, left);
}

/** v with zeros after its first `left` numbers. */
export function cut(v: v128, left: i32): v128 {
  return left >= 4 ? v : v128.and(v, i32x4.gt_s(i32x4.splat(left), i32x4(0, 1, 2, 3)));
}

/** The sum of a vector's four numbers. */
export function sum4(v: v128): f32 {
  const low = f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1);
  return low + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/** The largest of a vector's four numbers. */
export function max4(v: v128): f32 {
  const low = max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1));
  return max(low, max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)));
}

/** The sum of n numbers. */
export function sum(x: usize, n: i32): f32 {
  let sums = f32x4.splat(0);
  for (; n >= 4; n -= 4) {
    sums = f32x4.add(sums, v128.load(x));
    x += 16;
  }
  if (n > 0) sums = f32x4.add(sums, read(x, n));
  return sum4(sums);
}

/** The sum of x[i] * y[i] over n numbers. */
export function dot(x: usize, y: usize, n: i32): f32 {
  let sums = f32x4.splat(0);
  for (; n >= 4; n -= 4) {
    sums = madd(v128.load(x), v128.load(y), sums);
    x += 16;
    y += 16;
  }
  if (n > 0) sums = madd(read(x, n), read(y, n), sums);
  return sum4(sums);
}

/** z = x + y, n numbers; z may be x or y. */
export function sumOf(x: usize, y: usize, z: usize, n: i32): void {
  for (; n >= 4; n -= 4) {
    v128.store(z, f32x4.add(v128.load(x), v128.load(y)));
    x += 16;
    y += 16;
    z += 16;
  }
  if (n > 0) write(z, f32x4.add(read(x, n), read(y, n)), n);
}

/** exp of four numbers, within 1.5 units in the last place; 0 below -87.7, inf above 88.4.
 *  exp(x) = 2^n exp(r) with n = round(x / log 2), and the polynomial in r of expf in Cephes
 *  (Moshier 1992). log 2 is subtracted in two parts, of which the first has few bits. */
export function exp4(x: v128): v128 {
  x = f32x4.pmax(f32x4.pmin(x, f32x4.splat(89)), f32x4.splat(-88)); // NaN stays
  // The sum with 1.5 * 2^23 has no fraction: its last bits are n, which become the exponent.
  const z = f32x4.add(f32x4.mul(x, f32x4.splat(1.44269504088896341)), f32x4.splat(12582912));
  const n = f32x4.sub(z, f32x4.splat(12582912));
  const rest = f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375)));
  const r = f32x4.sub(rest, f32x4.mul(n, f32x4.splat(-2.1219444e-4)));
  let p = madd(f32x4.splat(1.98756915e-4), r, f32x4.splat(1.3981999507e-3));
  p = madd(p, r, f32x4.splat(8.3334519073e-3));
  p = madd(p, r, f32x4.splat(4.1665795894e-2));
  p = madd(p, r, f32x4.splat(1.6666665459e-1));
  p = madd(p, r, f32x4.splat(5.0000001201e-1));
  p = f32x4.add(madd(p, f32x4.mul(r, r), r), f32x4.splat(1));
  return f32x4.mul(p, i32x4.shl(i32x4.add(z, i32x4.splat(127)), 23));
}

/** exp of one number. */
export function exp1(x: f32): f32 {
  return f32x4.extract_lane(exp4(f32x4.splat(x)), 0);
}

/** The natural logarithm: with x = 2^e m and s = (m - 1) / (m + 1),
 *  log(x) = e log 2 + 2 (s + s^3 / 3 + s^5 / 5 + ...), in float64. */
export function log1(x: f32): f32 {
  if (!(x > 0) || x == Infinity) return x == 0 ? -Infinity : x > 0 ? x : NaN;
  const bits = reinterpret<i32>(x);
  const e = (bits - 0x3f3504f3) >> 23; // so that m is from sqrt(1/2) to sqrt(2)
  const m = <f64>reinterpret<f32>(bits - (e << 23));
  const s = (m - 1) / (m + 1);
  const q = s * s;
  let series = 2.0 / 9 + q * (2.0 / 11);
  series = 2.0 / 5 + q * (2.0 / 7 + q * series);
  return <f32>(<f64>e * 0.6931471805599453 + s * (2 + q * (2.0 / 3 + q * series)));
}

/** The token at an address, or the vocabulary's last where there is no such token. */
export function tokenAt(tokens: usize, vocab_size: i32): i32 {
  return <i32>min<u32>(load<u32>(tokens), <u32>(vocab_size - 1));
}

/** The number at an address, such as a length, from 1 to `most`. */
export function countAt(count: usize, most: i32): i32 {
  return <i32>min<u32>(max<u32>(load<u32>(count), 1), <u32>most);
}
