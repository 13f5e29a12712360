// What the page knows of its twin.

import { signal } from "@preact/signals";
import { MAX_TWIN, type TwinReport } from "../base/protocol";
import { outside } from "../base/numbers";
import type { Reports } from "../base/reports";
import { onRestart } from "../base/restarts";
import { endedWithPython, forgetIfAway } from "../run/background";

/** What the fields hold: nothing but what the next twin would be. */
export const twinFields = {
  a: signal("hamlet"),
  b: signal("hamlet"),
  iters: signal("40"),
};

/** The twin that runs, or the last that did. */
export const twin = signal<Omit<TwinReport, "type" | "records"> | null>(null);
/** The losses of both, one array a column, for uPlot: iter, a, b. */
export const curves: [number[], number[], number[]] = [[], [], []];
/** Counts up when `curves` has changed. */
export const curvesVersion = signal(0);

export function itersProblem(): string {
  const wrong = outside(twinFields.iters.value, [1, MAX_TWIN]);
  return wrong && `Iterations: ${wrong.toLowerCase()}`;
}

/** Before its first message, so that pressing the button is seen at once. */
export function beginTwin(seeds: [string, string], iters: number): void {
  for (const column of curves) column.length = 0;
  curvesVersion.value++;
  twin.value = { phase: "running", seeds, iters, parted: null, message: "", verdict: null };
}

export const reports = {
  twin({ type: _, records, ...now }) {
    for (const [iter, a, b] of records) {
      curves[0].push(iter);
      curves[1].push(a);
      curves[2].push(b);
    }
    if (records.length) curvesVersion.value++;
    twin.value = now;
  },
  phase: forgetIfAway(twin),
} satisfies Reports;

onRestart(() => endedWithPython(twin, "Python was ended while they trained."));
