// Numbers as people type them.

import { count } from "./format";

const PLAIN = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const GROUPED = /^\d{1,3}(([,.'\s])\d{3})(\2\d{3})*$/; // \s: the space and the narrow ones too

/** What a text means as a number, a whole one if so asked; NaN if nothing, or one too large. A comma is
 * decimal, as much of the world has it, and in a whole number, as in 2,000, it groups the digits. */
export function parse(text: string, whole = false): number {
  let plain = text.trim();
  if (whole && GROUPED.test(plain)) plain = plain.replace(/\D/g, "");
  else if (!plain.includes(".")) plain = plain.replace(",", ".");
  const value = PLAIN.test(plain) ? Number(plain) : NaN;
  return Number.isFinite(value) ? value : NaN;
}

/** What is wrong with a text that should be a number of a range, as a sentence, or "". */
export function outside(text: string, [least, most]: [number, number], whole = true): string {
  const value = parse(text, whole);
  const fine = value >= least && value <= most && (!whole || Number.isInteger(value));
  return fine ? "" : `${whole ? "A whole number from" : "From"} ${count(least)} to ${count(most)}.`;
}
