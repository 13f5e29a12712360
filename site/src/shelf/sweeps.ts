// What the page knows of its sweep: the fields, the settings that there are, and how far it is.

import { signal } from "@preact/signals";
import { outside } from "../base/numbers";
import { type FormField, MAX_SWEEP, type SweepReport } from "../base/protocol";
import type { Reports } from "../base/reports";
import { onRestart } from "../base/restarts";
import { endedWithPython, forgetIfAway } from "../run/background";
import { checkedSettings } from "../run/settings";
import { send } from "../run/supervision";

/** The settings of a training, once Python has told. */
export const settings = signal<FormField[]>([]);
export const fields = {
  key: signal("learning_rate"),
  values: signal("0.0003, 0.001, 0.003"),
  iters: signal("200"),
};
/** Whether its runs are put on the shelf. */
export const keeps = signal(false);
export const sweep = signal<Omit<SweepReport, "type"> | null>(null);

export function problem(): string {
  const wrong = outside(fields.iters.value, [1, MAX_SWEEP]);
  return wrong && `Iterations: ${wrong.toLowerCase()}`;
}

/** Begins one; all that it does not set is as in the fields beside Start. */
export function begin(): void {
  const others = checkedSettings();
  if (!others) return;
  const asked = {
    ...others,
    key: fields.key.value,
    values: fields.values.value,
    iters: Number(fields.iters.value),
  };
  const keep = keeps.value;
  const nothing = { values: [], results: [], points: [], best: null, message: "" };
  sweep.value = { phase: "running", key: asked.key, iters: asked.iters, ...nothing };
  send({ type: "sweep", ...asked, keep });
}

export const reports = {
  setups(message) {
    settings.value = message.fields.filter(({ part }) => part === "training");
  },
  sweep({ type: _, ...now }) {
    sweep.value = now;
  },
  phase: forgetIfAway(sweep),
} satisfies Reports;

onRestart(() => endedWithPython(sweep, "Python was ended while it trained."));
