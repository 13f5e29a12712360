// Work beside the run, as the worker tells of it: what becomes of it when the worker says no more.

import type { Signal } from "@preact/signals";
import type { PhaseReport } from "../base/protocol";

interface Work {
  phase: "running" | "done" | "stopped" | "failed";
  message: string;
}

/** Takes the run's phase: where Python begins no work beside it, what was asked for was dropped. */
export const whenAway =
  (drop: () => void) =>
  ({ phase }: Pick<PhaseReport, "phase">): void => {
    if (phase === "training" || phase === "error") drop();
  };

/** The same for one work: what was asked for as the run went on, or failed, has not begun. */
export const forgetIfAway = <T extends Work>(work: Signal<T | null>) =>
  whenAway(() => {
    if (work.peek()?.phase === "running") work.value = null;
  });

/** Tells that Python was ended while it ran. */
export function endedWithPython<T extends Work>(work: Signal<T | null>, message: string): void {
  const now = work.peek();
  if (now?.phase === "running") work.value = { ...now, phase: "failed", message };
}
