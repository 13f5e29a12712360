// What the page knows of the doctor: the six cases, their curves, and what its own run shows.

import { signal } from "@preact/signals";
import type { Case, CaseReport, Diagnosis, Level } from "../base/protocol";
import { outside } from "../base/numbers";
import { into, type Reports } from "../base/reports";
import { onRestart } from "../base/restarts";
import { whenAway } from "../run/background";

/** A case that waits, runs, or has run. */
interface Examined extends Pick<CaseReport, "iters" | "message" | "verdict"> {
  phase: CaseReport["phase"] | "asked";
}

export const cases = signal<Case[]>([]);
export const bounds = signal({ iters: 160, fewest: 60, most: 1000 });
/** The field, as it is typed. */
export const iterations = signal("");
export const picked = signal("clean");
export const examined = signal<Record<string, Examined>>({});
/** The curve of each case, one array a column, for uPlot: iter, training, validation. */
export const curves: Record<string, [number[], (number | null)[], (number | null)[]]> = {};
/** Counts up when a curve has changed. */
export const curvesVersion = signal(0);

export const diagnosis = signal<{ iter: number; verdict: Diagnosis | null }>({
  iter: 0,
  verdict: null,
});

/** The lines that can be drawn on the loss curve, and whether they are. */
export const levels = signal<Level[]>([]);
export const showLevels = signal(false);
export const rangeOf = (nats: number, to: number | null): string =>
  to === null ? nats.toFixed(2) : `${nats.toFixed(2)} to ${to.toFixed(2)}`;

export function iterationsProblem(): string {
  const { fewest, most } = bounds.value;
  const wrong = outside(iterations.value, [fewest, most]);
  return wrong && `Iterations: ${wrong.toLowerCase()}`;
}

const change = (name: string, now: Examined) =>
  (examined.value = { ...examined.value, [name]: now });

/** Before its first message, so that pressing the button is seen at once. */
export function beginCase(name: string, iters: number): void {
  curves[name] = [[], [], []];
  curvesVersion.value++;
  change(name, { phase: "asked", iters, message: "", verdict: null });
}

export const reports = {
  cases(message) {
    cases.value = message.cases;
    bounds.value = message;
  },
  levels(message) {
    levels.value = message.levels;
  },
  diagnosis: into(diagnosis),
  case({ name, phase, iters, records, message, verdict }) {
    const begins = phase === "running" && examined.value[name]?.phase !== "running";
    if (begins) {
      curves[name] = [[], [], []];
      picked.value = name;
    }
    const columns = (curves[name] ??= [[], [], []]);
    for (const [iter, train, val] of records) {
      columns[0].push(iter);
      columns[1].push(train);
      columns[2].push(val);
    }
    if (begins || records.length) curvesVersion.value++;
    change(name, { phase, iters, message, verdict });
    if (phase !== "running" && phase !== "done") forgetAsked();
  },
  phase: whenAway(forgetAsked),
} satisfies Reports;

/** Those that were to come after one that was ended do not come. */
function forgetAsked(): void {
  const entries = Object.entries(examined.value).filter(([, { phase }]) => phase !== "asked");
  examined.value = Object.fromEntries(entries);
}

onRestart(() => {
  forgetAsked();
  for (const [name, now] of Object.entries(examined.value)) {
    if (now.phase === "running") {
      change(name, { ...now, phase: "failed", message: "Python was ended while it trained." });
    }
  }
});
