// Curves of several runs on one axis: each is read at the same iterations, so that twenty of 2,000 points
// are drawn as fast as one.

import type { AlignedData } from "uplot";

export type Points = [number, number][];

const MOST = 500; // about one for two columns of pixels

/** The iterations that all curves are read at: evenly spaced, from 0 to the last of any. */
export function grid(curves: Points[], most = MOST): number[] {
  const end = Math.max(1, ...curves.map((points) => points.at(-1)?.[0] ?? 0));
  const n = Math.min(most, end + 1);
  return Array.from({ length: n }, (_, i) => Math.round((i * end) / (n - 1)));
}

/** The curve at these iterations, in a straight line between its points; null outside of them. */
export function sampled(points: Points, at: number[]): (number | null)[] {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) return at.map(() => null);
  let next = 1;
  return at.map((iter) => {
    if (iter < first[0] || iter > last[0]) return null;
    while (next < points.length - 1 && points[next]![0] < iter) next++;
    const [[a, from], [b, to]] = [points[next - 1]!, points[next] ?? last];
    return b === a ? from : from + ((to - from) * (iter - a)) / (b - a);
  });
}

export function overlaid(curves: Points[]): AlignedData {
  const at = grid(curves);
  return [at, ...curves.map((points) => sampled(points, at))] as AlignedData;
}
