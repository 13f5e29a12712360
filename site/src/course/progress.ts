// What of the course is done, kept in the browser: for each lesson by its number what was said when
// its task was done and when its question was answered, and the answer.

import { signal } from "@preact/signals";
import { recall, remember } from "../base/localStorage";

const KEY = "groundling.course";

export type Part = "task" | "question";
type Done = Partial<Record<Part | "answer", string>>;
type Progress = Record<string, Done>;

export const progress = signal<Progress>({});
/** What was reset, until something else is done. */
export const before = signal<Progress | null>(null);

/** What of a lesson is done. */
export const doneOf = (number: number): Done => progress.value[number] ?? {};

export const isDone = (number: number): boolean => {
  const { task, question } = doneOf(number);
  return task !== undefined && question !== undefined;
};

function keep(now: Progress): void {
  progress.value = now;
  remember(KEY, JSON.stringify(now));
}

export function pass(number: number, done: Done): void {
  before.value = null;
  keep({ ...progress.value, [number]: { ...doneOf(number), ...done } });
}

export function reset(): void {
  before.value = progress.value;
  keep({});
}

export function undo(): void {
  keep(before.value ?? {});
  before.value = null;
}

/** Reads what an earlier visit has kept; what is not of that form is ignored. */
export function recallProgress(): void {
  let kept: unknown;
  try {
    kept = JSON.parse(recall(KEY) ?? "{}");
  } catch {
    return;
  }
  if (typeof kept !== "object" || kept === null) return;
  const found: Progress = {};
  for (const [number, done] of Object.entries(kept)) {
    const { task, question, answer } = (done ?? {}) as Record<keyof Done, unknown>;
    if (!/^[1-9]\d?$/.test(number)) continue;
    if (typeof task === "string") found[number] = { task };
    if (typeof question === "string") found[number] = { ...found[number], question };
    if (typeof answer === "string") found[number] = { ...found[number], answer };
  }
  progress.value = found;
}
