// A run's losses. All are kept, in arrays that grow; what is drawn of them is thinned, so that a run of
// a million iterations is drawn as fast as one of a thousand.

import type { Step } from "../base/protocol";

/** The losses at an iteration; without a validation, `val` is NaN. */
type Column = "iter" | "train" | "smooth" | "val";
export const COLUMNS: Column[] = ["iter", "train", "smooth", "val"];

/** The most groups of neighbouring points that are drawn: about as many as the chart has columns of
 * pixels. A long run has at least half as many. Of each the lowest and highest batch loss are drawn.
 */
const MOST_GROUPS = 2048;
const MOST_VALIDATED = 512; // dots, each several pixels wide

export class Curve {
  /** How many points there are. */
  length = 0;
  private columns: Record<Column, Float64Array>;
  /** How many points a group has; and for each group the index of its lowest and of its highest batch
   * loss, and of its last validation, or -1 where it has none.
   */
  private stride = 1;
  private low: number[] = [];
  private high: number[] = [];
  private validated: number[] = [];
  private thinned: Drawn | null = null;

  constructor() {
    this.columns = grown(null, 1024);
  }

  /** A column, point by point. */
  get(column: Column): Float64Array {
    return this.columns[column].subarray(0, this.length);
  }

  clear(): void {
    this.columns = grown(null, 1024);
    this.length = 0;
    this.stride = 1;
    this.low.length = this.high.length = this.validated.length = 0;
    this.thinned = null;
  }

  add(steps: Step[]): void {
    const most = this.columns.iter.length;
    if (this.length + steps.length > most) {
      this.columns = grown(this.columns, Math.max(2 * most, this.length + steps.length));
    }
    for (const { iter, train, smooth, val } of steps) {
      this.put([iter, train ?? NaN, smooth ?? NaN, val ?? NaN]);
    }
    if (steps.length) this.thinned = null;
  }

  private put(values: number[]): void {
    const at = this.length++;
    COLUMNS.forEach((column, i) => (this.columns[column][at] = values[i]!));
    const group = Math.floor(at / this.stride);
    if (group === this.low.length) {
      this.low.push(at);
      this.high.push(at);
      this.validated.push(-1);
    }
    const { train, val } = this.columns;
    const [low, high] = [train[this.low[group]!]!, train[this.high[group]!]!];
    if (train[at]! < low || Number.isNaN(low)) this.low[group] = at;
    if (train[at]! > high || Number.isNaN(high)) this.high[group] = at;
    if (!Number.isNaN(val[at])) this.validated[group] = at;
    if (this.low.length > MOST_GROUPS) this.halve();
  }

  /** Makes one group of every two. */
  private halve(): void {
    const { train } = this.columns;
    this.stride *= 2;
    const groups = Math.ceil(this.low.length / 2);
    for (let group = 0; group < groups; group++) {
      const [a, b] = [2 * group, Math.min(2 * group + 1, this.low.length - 1)];
      const [lowA, lowB, highA, highB] = [this.low[a]!, this.low[b]!, this.high[a]!, this.high[b]!];
      this.low[group] = train[lowA]! <= train[lowB]! ? lowA : lowB;
      this.high[group] = train[highA]! >= train[highB]! ? highA : highB;
      this.validated[group] = Math.max(this.validated[a]!, this.validated[b]!);
    }
    this.low.length = this.high.length = this.validated.length = groups;
  }

  /** What is to be drawn, in order: the points of all groups, and the first and the last of all. */
  drawn(): Drawn {
    if (this.thinned) return this.thinned;
    const { iter, train, smooth, val } = this.columns;
    const found = this.validated.filter((at) => at >= 0);
    const every = Math.ceil(found.length / MOST_VALIDATED);
    const validated = found.filter((_, n) => n % every === 0);
    const ends = this.length ? [0, this.length - 1] : [];
    const all = Uint32Array.from([...ends, ...this.low, ...this.high, ...validated]).sort();
    const out: Drawn = [[], [], [], []];
    let [last, next] = [-1, 0];
    for (const at of all) {
      if (at === last) continue; // the lowest of its group and the highest
      last = at;
      out[0].push(iter[at]!);
      out[1].push(orNull(train[at]!));
      out[2].push(orNull(smooth[at]!));
      out[3].push(at === validated[next] ? val[validated[next++]!]! : null);
    }
    return (this.thinned = out);
  }
}

/** Iterations, and the batch's, the average and the validation loss of each. */
export type Drawn = [number[], Losses, Losses, Losses];
type Losses = (number | null)[];

const orNull = (value: number) => (Number.isNaN(value) ? null : value);

function grown(
  from: Record<Column, Float64Array> | null,
  size: number,
): Record<Column, Float64Array> {
  const made = {} as Record<Column, Float64Array>;
  for (const column of COLUMNS) {
    made[column] = new Float64Array(size);
    if (from) made[column].set(from[column]);
  }
  return made;
}
