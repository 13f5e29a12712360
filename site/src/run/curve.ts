// A run's losses. All are kept; what is drawn of them is thinned, so that a run of a million iterations
// is drawn as fast as one of a thousand.

import type { Step } from "../base/protocol";

/** The losses at an iteration; NaN where there is none. */
type Column = "iter" | "train" | "smooth" | "val";
export const COLUMNS: Column[] = ["iter", "train", "smooth", "val"];

/** The most groups of neighbouring points that are drawn: about as many as the chart has columns of
 * pixels. A long run has at least half as many. Of each the lowest and highest batch loss are drawn.
 */
const MOST_GROUPS = 2048;
const MOST_VALIDATED = 512; // dots, each several pixels wide

const empty = (): Record<Column, number[]> => ({ iter: [], train: [], smooth: [], val: [] });

export class Curve {
  private columns = empty();
  /** How many points a group has; and for each group the index of its lowest and of its highest batch
   * loss, and of its last validation, or -1 where it has none.
   */
  private stride = 1;
  private low: number[] = [];
  private high: number[] = [];
  private validated: number[] = [];
  private thinned: Drawn | null = null;

  /** How many points there are. */
  get length(): number {
    return this.columns.iter.length;
  }

  /** A column, point by point. */
  get(column: Column): number[] {
    return this.columns[column];
  }

  clear(): void {
    this.columns = empty();
    this.stride = 1;
    this.low.length = this.high.length = this.validated.length = 0;
    this.thinned = null;
  }

  add(steps: Step[]): void {
    for (const step of steps) this.put(step);
    if (steps.length) this.thinned = null;
  }

  private put(step: Step): void {
    const at = this.length;
    for (const column of COLUMNS) this.columns[column].push(step[column] ?? NaN);
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
