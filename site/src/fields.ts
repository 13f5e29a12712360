// The four fields: their limits, what is wrong with what was typed, and the numbers it means.

import { fields } from "./state";
import type { Settings } from "./protocol";

export type FieldName = keyof typeof fields;

interface Limits {
  min: number;
  max: number;
  step: number | "any";
}

export const LIMITS: Record<Exclude<FieldName, "seed">, Limits> = {
  iters: { min: 1, max: 1_000_000, step: 1 },
  batchSize: { min: 8, max: 64, step: 8 },
  lr: { min: 0, max: 10, step: 5e-5 }, // far too much, too: the doctor has a look at it
};

/** What is wrong with a field, as a sentence, or "". */
export function problem(name: FieldName): string {
  const text = fields[name].value.trim();
  if (name === "seed") {
    return fields.seed.value.length > 100 ? "At most 100 characters." : "";
  }
  const { min, max } = LIMITS[name];
  const value = Number(text);
  const inside = text !== "" && value >= min && value <= max;
  if (name === "lr") return inside && value >= 1e-9 ? "" : "From 0.000000001 to 10.";
  if (name === "batchSize") return inside && value % 8 === 0 ? "" : "8, 16, 24 … up to 64.";
  return inside && Number.isInteger(value) ? "" : "A whole number from 1 to 1,000,000.";
}

export const firstProblem = (): FieldName | undefined =>
  (Object.keys(fields) as FieldName[]).find((name) => problem(name) !== "");

export const readSettings = (): Settings => ({
  seed: fields.seed.value,
  iters: Number(fields.iters.value),
  batchSize: Number(fields.batchSize.value),
  lr: Number(fields.lr.value),
});
