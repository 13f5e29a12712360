// What the page sees inside a model: the last look, and how the layers of the run fare.

import { signal } from "@preact/signals";
import type { Health, Look, VoiceName } from "../base/protocol";
import { into, type Reports } from "../base/reports";

/** The model that the reader has chosen to look into. */
export const chosen = signal<VoiceName | null>(null);
export const PROMPT = "ROMEO:\nBut soft, what light through yonder window"; // as in talk/state.ts
export const prompt = signal(PROMPT);
export const look = signal<Look | null>(null);
export const layers = signal<{ iter: number | null; rows: Health[] } | null>(null);
/** Why there is nothing to see, or "". */
export const refusal = signal("");
/** The head that is shown large. */
export const head = signal({ layer: 3, head: 0 });
/** The position whose attention and guesses are told. */
export const position = signal<number | null>(null);

/** How much position `to` takes from position `from` in a head: 0 to 1. */
export function weight(look: Look, layer: number, head: number, to: number, from: number): number {
  const n = look.text.length;
  const at = ((layer * look.heads + head) * n + to) * n + from;
  return (look.bytes[2 * at]! + 256 * look.bytes[2 * at + 1]!) / 65535;
}

export const reports = {
  lens(message) {
    look.value = message;
    refusal.value = "";
    if (message.source !== "run") layers.value = null;
    if (head.value.layer >= message.layers || head.value.head >= message.heads) {
      head.value = { layer: Math.max(0, message.layers - 1), head: 0 };
    }
  },
  layers: into(layers),
  /** A run that is gone cannot be looked into. */
  phase({ phase }) {
    if (phase !== "ready") return;
    if (look.value?.source === "run") look.value = null;
    layers.value = null;
  },
  unlens(message) {
    look.value = layers.value = null;
    refusal.value = message.message;
  },
} satisfies Reports;
