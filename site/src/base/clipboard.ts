// Copies a text that is still on its way when the button is pressed. Some browsers (Safari) let a page
// write to the clipboard only in the moment of the press, so that what is written is a promise of it.

import { signal } from "@preact/signals";
import { onRestart } from "./restarts";

/** What was asked of Python, to be copied as soon as it is there: once for each press. */
export class Copying {
  /** Whether the last one is on the clipboard; null while it is not known, or nothing was asked. */
  readonly done = signal<boolean | null>(null);
  private settled: ((text: string | null) => void) | null = null;

  constructor() {
    onRestart(() => this.settle(null));
  }

  /** The button was pressed. */
  begin(): void {
    this.settle(null);
    this.done.value = null;
    const text = new Promise<string>((resolve, reject) => {
      this.settled = (text) => (text === null ? reject() : resolve(text));
    });
    const mine = this.settled;
    write(text).then((done) => {
      if (mine === this.settled) this.done.value = done;
    });
  }

  /** The text is there, or null: there is none. Without a press before it, nothing is copied. */
  settle(text: string | null): void {
    this.settled?.(text); // a promise is settled once, whatever comes after
  }
}

/** Resolves to whether the text is on the clipboard. */
async function write(text: Promise<string>): Promise<boolean> {
  const blob = text.then((plain) => new Blob([plain], { type: "text/plain" }));
  blob.catch(() => {}); // there is no text: then the clipboard stays as it was
  try {
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
    return true;
  } catch {
    // Not every browser takes a promise.
  }
  try {
    const plain = await text; // first: without a clipboard too, the failure is told once it is there
    await navigator.clipboard.writeText(plain);
    return true;
  } catch {
    return false;
  }
}
