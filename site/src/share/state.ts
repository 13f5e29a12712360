// Runs as links: what the address's fragment claims, and this page's run to be copied.

import { effect, signal } from "@preact/signals";
import { Copying } from "../base/clipboard";
import { offered } from "../code/state";
import { send } from "../run/supervision";
import { adapter, claim, historyVersion, phase, replay, shared } from "../run/state";

/** What follows the # of the address, if that is not a place on the page. */
export const fragment = signal("");
/** The same, if it holds edits of the code. */
const edits = signal("");
/** The link of the run that was asked for, on its way to the clipboard. */
export const copying = new Copying();

export const address = (text: string): string =>
  `${location.origin}${location.pathname}${location.search}#${text}`;

export function copyLink(): void {
  shared.value = null;
  copying.begin();
  send({ type: "share" });
}

/** The replay of the link that is shown, if there is one. */
export const replayShown = () => (replay.value?.id === claim.value?.id ? replay.value : null);

/** Forgets the link of the address, whatever it holds: it is not read again. */
export function leaveLink(): void {
  history.replaceState(history.state, "", location.pathname + location.search);
  fragment.value = edits.value = "";
}

/** Forgets the run of the link, and ends its replay. */
export function dismiss(): void {
  if (replayShown()?.phase === "running") send({ type: "unreplay" });
  leaveLink();
  claim.value = replay.value = null;
}

function read(): void {
  const text = location.hash.slice(1);
  claim.value = null;
  if (offered.value?.origin === "link") offered.value = null;
  edits.value = text.startsWith("code=") ? text : "";
  fragment.value = edits.value || document.getElementById(text) ? "" : text;
}

/** Has Python read the fragment whenever there is a new one. It is only ever read: see Link.tsx. */
export function watchFragment(): void {
  read();
  addEventListener("hashchange", read);
  effect(() => {
    if (!adapter.value) return;
    if (edits.value && !offered.peek()) send({ type: "code_claim", text: edits.value });
    else if (fragment.value && !claim.peek()) send({ type: "claim", text: fragment.value });
  });
  effect(() => {
    if (shared.value) copying.settle(shared.value.text ? address(shared.value.text) : null);
  });
  effect(() => {
    phase.value;
    historyVersion.value;
    shared.value = null; // it is of the run as it was
  });
}
