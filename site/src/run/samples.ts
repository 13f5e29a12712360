// What the run has written so far. state.ts hands on the worker's messages.

import { signal } from "@preact/signals";
import type { Sample, SamplesReport } from "../base/protocol";

/** The run's samples, the first one first. */
export const samples = signal<Sample[]>([]);
/** What all of them go on from, and the two ends of the scale they are measured on. */
export const setting = signal<Omit<SamplesReport, "type" | "first" | "samples"> | null>(null);

export function receiveSamples({ type: _, first, samples: fresh, ...rest }: SamplesReport): void {
  samples.value = [...samples.value.slice(0, first), ...fresh];
  setting.value = rest;
}

export function clearSamples(): void {
  samples.value = [];
}
