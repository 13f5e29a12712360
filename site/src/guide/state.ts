// A first look: five stops along the page, each next to what it is about. It is shown until it is
// finished or skipped, and the browser remembers which.

import { effect, signal } from "@preact/signals";
import { leaveFragment, lessonFragment } from "../base/fragment";
import { recall, remember } from "../base/localStorage";
import { phase } from "../run/state";

export const STOPS = [
  {
    at: "start",
    title: "Press Start",
    text: "The model begins with random weights. From here on it learns from a million characters of Shakespeare, in this tab. Pause and Resume lose nothing.",
  },
  {
    at: "curve",
    title: "Watch the loss fall",
    text: "It is how surprised the model is by the next character, from 4.17, an even guess, towards 2.2. Point at the curve, or use the arrow keys, to read one iteration.",
  },
  {
    at: "samples",
    title: "Read what it writes",
    text: "Noise at first, then the right letters, then short words. Each sample says which phase it is in and shows what can be measured. In Talk, further down, you choose the prompt.",
  },
  {
    at: "edit",
    title: "Change one thing",
    text: "This is the code that runs. Open Recipes and take one: an edit, with a reason. Or change a number yourself. Then Apply: the run goes on with the new code, and what does not work changes nothing.",
  },
  {
    at: "save",
    title: "Keep it",
    text: "Save weights is the model alone, to use or to share. Save state is the whole run, to go on with to the same bits. Both are yours: nothing leaves this machine.",
  },
] as const;

export type Place = (typeof STOPS)[number]["at"];

const KEY = "groundling-first-look";

/** The stop that is shown, or null: it was finished or skipped. */
export const stop = signal<number | null>(null);
/** Counts up when the reader has asked for the stop: then the page goes there. */
export const asked = signal(0);

/** Goes to a stop. */
export function go(to: number): void {
  if (lessonFragment.peek()) leaveFragment(); // one guide at a time
  stop.value = to;
  asked.value++;
}

export function end(): void {
  stop.value = null;
  remember(KEY, "seen");
}

/** Begins, where it has not been seen; who presses Start has done what the first stop asks for. */
export function guide(): void {
  if (recall(KEY) !== "seen") stop.value = 0;
  effect(() => {
    if (phase.value === "training" && stop.peek() === 0) stop.value = 1;
  });
  effect(() => {
    if (lessonFragment.value && stop.peek() !== null) end();
  });
}
