// What the page knows of its device's speed.

import { signal } from "@preact/signals";
import type { SpeedReport } from "../base/protocol";
import type { Reports } from "../base/reports";
import { onRestart } from "../base/restarts";
import { endedWithPython, forgetIfAway } from "../run/background";

/** The measurement that runs, or the last that did. */
export const speed = signal<Omit<SpeedReport, "type"> | null>(null);

/** The seconds of a step on each device that was measured in this visit. */
export const steps = signal<ReadonlyMap<string, number>>(new Map());

/** Before its first message, so that pressing the button is seen at once. */
export function beginSpeed(): void {
  speed.value = { phase: "running", figures: null, lines: [], message: "", done: 0 };
}

export const reports = {
  speed({ type: _, ...now }) {
    speed.value = { ...now, figures: now.figures ?? speed.value?.figures ?? null };
    const { device, step } = now.figures ?? {};
    if (device && step) steps.value = new Map(steps.value).set(device, step);
  },
  phase: forgetIfAway(speed),
} satisfies Reports;

onRestart(() => endedWithPython(speed, "Python was ended while it measured."));
