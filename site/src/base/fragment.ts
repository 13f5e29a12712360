// What follows the # of the address, where that is not a place on the page: the link of a run or of
// edits. It is only ever read, and anyone may have written it.

import { computed, signal } from "@preact/signals";

const fragment = signal("");
const holdsEdits = () => fragment.value.startsWith("code=");

/** The link of a run that the address has, or "". */
export const runFragment = computed(() => (holdsEdits() ? "" : fragment.value));
/** The link of edits that it has, or "". */
export const editsFragment = computed(() => (holdsEdits() ? fragment.value : ""));

/** The address of this page with another fragment. */
export const address = (text: string): string =>
  `${location.origin}${location.pathname}${location.search}#${text}`;

/** Forgets the link of the address, whatever it holds: it is not read again. */
export function leaveFragment(): void {
  history.replaceState(history.state, "", location.pathname + location.search);
  fragment.value = "";
}

export function watchFragment(): void {
  const read = () => {
    const text = location.hash.slice(1);
    fragment.value = document.getElementById(text) ? "" : text;
  };
  read();
  addEventListener("hashchange", read);
}
