// What the page knows of a step that was taken apart, and what the reader has chosen in it.

import { computed, signal } from "@preact/signals";
import type { Choice, StepReport, VoiceName } from "../base/protocol";
import { into, type Reports } from "../base/reports";
import { onRestart } from "../base/restarts";
import { hasRun, hindrance, progress } from "../run/state";
import { isThere } from "../run/Sources";

export const source = signal<VoiceName>("run");
/** What is asked for; Python tells in `told` what there is of it. */
export const choice = signal<Choice>({
  sequence: 0,
  position: 0,
  tensor: "",
  row: 0,
  column: 0,
});
/** The last answer. */
export const told = signal<StepReport | null>(null);
/** Which stage is shown, from 0. */
export const at = signal(0);

/** Whether there is a step to take apart: of a run that rests, or of a file. */
export const canAsk = computed(() => isThere(source.value) && !hindrance());

/** The answer, if it is of the model that is chosen, and of the iteration that the run is at. */
export const now = computed(() => {
  const last = told.value;
  const fits =
    canAsk.value &&
    last?.source === source.value &&
    (last.source !== "run" || last.iter === null || last.iter === progress.value.iter);
  return fits ? last : null;
});

/** Why there is nothing to see. */
export function missing(refused: string): string {
  if (source.value === "run" && !hasRun.value)
    return "No run is paused here. Press Start above, then Pause, to see what its next step does, or take a step of the reference model.";
  return hindrance() || refused || now.value?.problem || "The step is being taken apart.";
}

export const reports = { step: into(told) } satisfies Reports;

onRestart(() => {
  told.value = null;
});
