// What follows the # of the address, where that is not a place on the page: the link of a run, of
// edits or of a lesson. It is only ever read, and anyone may have written it.

import { computed, signal } from "@preact/signals";

const fragment = signal("");
const kind = computed(() => /^(code|lesson)=/.exec(fragment.value)?.[1] ?? "run");
const of = (which: string) => computed(() => (kind.value === which ? fragment.value : ""));

/** The link of a run that the address has, or "". */
export const runFragment = of("run");
/** The link of edits that it has, or "". */
export const editsFragment = of("code");
/** The link of a lesson that it has, or "". */
export const lessonFragment = of("lesson");

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
