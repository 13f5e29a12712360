// The four fields: what is wrong with what was typed, and the numbers it means. Their limits are
// Python's, by the schema that the form of Text and model is made of.

import { computed } from "@preact/signals";
import { parse } from "../base/numbers";
import { fields, hasRun, limits, progress } from "./state";
import type { Settings } from "../base/protocol";

export type FieldName = keyof typeof fields;

const number = (n: number) => n.toLocaleString("en");

/** How long a text is as ASCII JSON, which is what a file's header has room for. */
const jsonLength = (text: string) =>
  JSON.stringify(text).replace(/[^\0-\x7f]/g, "\\u0000").length - 2;

/** What is wrong with a field, as a sentence, or "". */
export function problem(name: FieldName): string {
  const text = fields[name].value.trim();
  const known = limits.value;
  if (!known) return "";
  const [least, most] = known[name];
  if (name === "seed") {
    const length = jsonLength(fields.seed.value);
    return length > most ? `It takes ${number(length)} characters of ${number(most)}.` : "";
  }
  const whole = name !== "lr";
  const value = parse(text, whole);
  const fine = value >= least && value <= most;
  if (fine && (!whole || Number.isInteger(value))) return "";
  return `${whole ? "A whole number from" : "From"} ${number(least)} to ${number(most)}.`;
}

export const firstProblem = (): FieldName | undefined =>
  (Object.keys(fields) as FieldName[]).find((name) => problem(name) !== "");

/** How many iterations the run has, or the next one will. */
export const planned = computed(() =>
  hasRun.value || problem("iters") ? progress.value.iters : parse(fields.iters.value, true),
);

export const readSettings = (): Settings => ({
  seed: fields.seed.value,
  iters: parse(fields.iters.value, true),
  batchSize: parse(fields.batchSize.value, true),
  lr: parse(fields.lr.value),
});

const inputs = new Map<FieldName, HTMLElement>();

/** Called with the input of a field when there is one, for `checkedSettings` to find. */
export function noteInput(name: FieldName, input: HTMLElement | null): void {
  if (input) inputs.set(name, input);
}

/** The settings; or null, and the first field that is wrong has the focus. */
export function checkedSettings(): Settings | null {
  const wrong = firstProblem();
  if (!wrong) return readSettings();
  inputs.get(wrong)?.focus();
  return null;
}
