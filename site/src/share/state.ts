// Runs as links: what the address's link claims, and this page's run to be copied.

import { effect, signal } from "@preact/signals";
import { CopiedLink } from "../base/clipboard";
import { leaveFragment, page, runFragment } from "../base/fragment";
import { frameOf } from "../base/panels";
import type { ClaimReport, ReplayReport } from "../base/protocol";
import { into, type Reports } from "../base/reports";
import { onRestart } from "../base/restarts";
import { adapter, historyVersion, phase } from "../run/state";
import { send } from "../run/supervision";

/** The run as a link, when it was asked for; and as a panel with that link, for another page. */
export const link = new CopiedLink();
export const embed = new CopiedLink("embed", (link) => frameOf(page(), "run", { link }));
/** What the link of the address claims; and its replay. */
export const claim = signal<ClaimReport | null>(null);
const replay = signal<ReplayReport | null>(null);

/** Those that wait for the run's link: both, where both are pressed before it is there. */
const waiting = new Set<CopiedLink>();

export function copy(as: CopiedLink): void {
  waiting.add(as);
  as.begin();
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
    phase.value;
    historyVersion.value;
    link.made.value = embed.made.value = null; // it is of the run as it was
    waiting.clear();
  });
}

export const reports = {
  link(message) {
    for (const one of waiting) one.take(message);
    waiting.clear();
  },
  claim: into(claim),
  replay: into(replay),
} satisfies Reports;

onRestart(() => {
  replay.value = null;
});
