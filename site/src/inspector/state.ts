// What the page knows of the files that are open in the inspector.

import { signal } from "@preact/signals";
import type { ComparedReport, Inspected, PageOfBytes, Slot } from "../base/protocol";
import { into, type Reports } from "../base/reports";
import { onRestart } from "../base/restarts";

export const opened = { a: signal<Inspected | null>(null), b: signal<Inspected | null>(null) };
export const pages = { a: signal<PageOfBytes | null>(null), b: signal<PageOfBytes | null>(null) };
/** Why the last file that was offered to a slot was refused, or "". */
export const refused = { a: signal(""), b: signal("") };
/** Which of the two is on view. */
export const shown = signal<Slot>("a");
export const compared = signal<ComparedReport | null>(null);

export const reports = {
  inspected(message) {
    opened[message.slot].value = message;
    refused[message.slot].value = "";
    shown.value = message.slot;
    compared.value = null;
  },
  /** What came up meanwhile was closed, too. */
  closed({ slot }) {
    if (opened[slot].value) forget(slot);
  },
  uninspected({ slot, name, message }) {
    refused[slot].value = `${name}: ${message}`;
  },
  bytes(message) {
    pages[message.slot].value = message;
  },
  compared: into(compared),
} satisfies Reports;

/** Empties a slot. */
export function forget(slot: Slot): void {
  opened[slot].value = pages[slot].value = compared.value = null;
  refused[slot].value = "";
  if (shown.value === slot) shown.value = slot === "a" && opened.b.value ? "b" : "a";
}

onRestart(() => {
  for (const slot of ["a", "b"] as const) {
    const name = opened[slot].value?.name;
    forget(slot);
    if (name) refused[slot].value = `Python was ended, and ${name} with it. Open it again.`;
  }
});
