// What a screen reader is told besides what changes in place: news, offers and questions, as they come.

import { signal } from "@preact/signals";

interface Said {
  id: number;
  text: string;
  /** It interrupts what is being read. */
  urgent: boolean;
}
/** The last few. A region that was there before reads what is added to it. */
export const said = signal<Said[]>([]);

const MOST = 4;
let count = 0;

export function announce(text: string, urgent = false): void {
  if (text) said.value = [...said.peek(), { id: ++count, text, urgent }].slice(-MOST);
}
