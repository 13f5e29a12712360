// Runs as links: what the address's fragment claims, and this page's run to be copied.

import { effect, signal } from "@preact/signals";
import { send } from "./link";
import { adapter, claim, historyVersion, phase, replay, shared } from "./state";

/** What follows the # of the address, if that is not a place on the page. */
export const fragment = signal("");
/** The same, if it holds edits of the code. */
const edits = signal("");
/** What became of the link that was asked for: on the clipboard, or only in the field. */
export const copied = signal<boolean | null>(null);

let wanted = false; // the reader asked for a link, and it is not on the clipboard yet

export const address = (text: string): string =>
  `${location.origin}${location.pathname}${location.search}#${text}`;

export function copyLink(): void {
  wanted = true;
  shared.value = null;
  send({ type: "share" });
}

/** The replay of the link that is shown, if there is one. */
export const replayShown = () => (replay.value?.id === claim.value?.id ? replay.value : null);

/** Forgets the link, and ends its replay. */
export function dismiss(): void {
  if (replayShown()?.phase === "running") send({ type: "unreplay" });
  history.replaceState(history.state, "", location.pathname + location.search);
  fragment.value = "";
  claim.value = replay.value = null;
}

function read(): void {
  const text = location.hash.slice(1);
  claim.value = null;
  edits.value = text.startsWith("code=") ? text : "";
  fragment.value = edits.value || document.getElementById(text) ? "" : text;
}

/** Has Python read the fragment whenever there is a new one. It is only ever read: see Link.tsx. */
export function watchFragment(): void {
  read();
  addEventListener("hashchange", read);
  effect(() => {
    if (!adapter.value) return;
    if (edits.value) send({ type: "code_claim", text: edits.value });
    else if (fragment.value && !claim.peek()) send({ type: "claim", text: fragment.value });
  });
  effect(() => {
    const text = shared.value?.text;
    if (!shared.value || !wanted) return;
    wanted = false;
    copied.value = null;
    if (!text) return;
    const writing = navigator.clipboard?.writeText(address(text)) ?? Promise.reject();
    writing.then(
      () => (copied.value = true),
      () => (copied.value = false),
    );
  });
  effect(() => {
    phase.value;
    historyVersion.value;
    shared.value = null; // it is of the run as it was
  });
}
