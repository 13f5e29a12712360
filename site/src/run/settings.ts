// The four fields: what is wrong with what was typed, and the numbers it means. Their limits are
// Python's, by the schema that the form of Text and model is made of.

import { computed } from "@preact/signals";
import { count } from "../base/format";
import { outside, parse } from "../base/numbers";
import { fields, hasRun, limits, progress } from "./state";
import type { Settings } from "../base/protocol";

export type FieldName = keyof typeof fields;

/** How long a text is as ASCII JSON, which is what a file's header has room for. */
const jsonLength = (text: string) =>
  JSON.stringify(text).replace(/[^\0-\x7f]/g, "\\u0000").length - 2;

/** What is wrong with a field, as a sentence, or "". */
export function problem(name: FieldName): string {
  const range = limits.value?.[name];
  if (!range) return "";
  if (name === "iters" && hasRun.value && parse(fields.iters.value, true) < progress.value.iter)
    return `The run is at iteration ${count(progress.value.iter)} already.`;
  if (name !== "seed") return outside(fields[name].value, range, name !== "lr");
  const length = jsonLength(fields.seed.value);
  return length > range[1] ? `It takes ${count(length)} characters of ${count(range[1])}.` : "";
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
