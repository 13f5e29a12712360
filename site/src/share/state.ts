// Runs as links: what the address's link claims, and this page's run to be copied.

import { effect, signal } from "@preact/signals";
import { Copying } from "../base/clipboard";
import { address, leaveFragment, runFragment } from "../base/fragment";
import type { ClaimReport, LinkReport, ReplayReport } from "../base/protocol";
import type { Reports } from "../base/reports";
import { onRestart } from "../base/restarts";
import { adapter, historyVersion, phase } from "../run/state";
import { send } from "../run/supervision";

/** The run as a link, when it was asked for. */
export const shared = signal<LinkReport | null>(null);
/** What the link of the address claims; and its replay. */
export const claim = signal<ClaimReport | null>(null);
const replay = signal<ReplayReport | null>(null);
/** The link of the run that was asked for, on its way to the clipboard. */
export const copying = new Copying();

export function copyLink(): void {
  shared.value = null;
  copying.begin();
  send({ type: "share" });
}

/** The replay of the link that is shown, if there is one. */
export const replayShown = () => (replay.value?.id === claim.value?.id ? replay.value : null);

/** Forgets the run of the link, and ends its replay. */
export function dismiss(): void {
  if (replayShown()?.phase === "running") send({ type: "unreplay" });
  leaveFragment();
  claim.value = replay.value = null;
}

/** Has Python read the link of the address whenever there is a new one. */
export function watchClaims(): void {
  let read = "";
  effect(() => {
    const text = runFragment.value;
    if (text !== read) claim.value = null;
    read = text;
    if (adapter.value && text && !claim.peek()) send({ type: "claim", text });
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

export const reports = {
  link(message) {
    shared.value = message;
  },
  claim(message) {
    claim.value = message;
  },
  replay(message) {
    replay.value = message;
  },
} satisfies Reports;

onRestart(() => {
  replay.value = null;
});
