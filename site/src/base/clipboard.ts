// Links that Python makes, and what is made of them, copied as soon as they are there. Some browsers (Safari) let a page write to
// the clipboard only in the moment of the press, so what is written is a promise of the link.

import { signal } from "@preact/signals";
import { address } from "./fragment";
import { onRestart } from "./restarts";

/** A link as Python tells it: the address's fragment, or why there can be none. */
interface Link {
  text: string;
  problem: string;
}

export class CopiedLink {
  constructor(
    /** What it is called. */
    readonly what = "link",
    /** What is copied, from the text. */
    readonly whole = address,
  ) {
    onRestart(() => this.settle(null));
  }

  /** The last one that was asked for, once it is there. */
  readonly made = signal<Link | null>(null);
  /** Whether it is on the clipboard; null while that is not known. */
  readonly copied = signal<boolean | null>(null);
  private settle: (address: string | null) => void = () => {};

  /** The button was pressed: Python is being asked. */
  begin(): void {
    this.settle(null);
    this.made.value = this.copied.value = null;
    const address = new Promise<string>((resolve, reject) => {
      this.settle = (address) => (address === null ? reject() : resolve(address));
    });
    const mine = this.settle;
    write(address).then((done) => {
      if (mine === this.settle) this.copied.value = done;
    });
  }

  /** The link is there. Without a press before it, nothing is copied. */
  take(link: Link): void {
    this.made.value = link;
    this.settle(link.text ? this.whole(link.text) : null);
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
