// A new build may replace this one on the server while the page is open. What is loaded goes on
// working, but what is not yet loaded may be gone. So the reader is offered a reload; the run is kept.

import { effect, signal } from "@preact/signals";
import { send } from "./link";
import { autosaved, phase, reason } from "./state";

const NAME = /build-[0-9a-f]{16}/;
const own = NAME.exec(import.meta.url)?.[0];

/** Whether the server has another build than this page's. */
export const isRenewed = signal(false);

async function look(): Promise<void> {
  const index = await fetch(new URL("./", document.baseURI), { cache: "no-store" });
  const now = NAME.exec(await index.text())?.[0];
  if (index.ok && now && now !== own) isRenewed.value = true;
}

/** Looks when the reader comes back to the page, and when Python is started anew or has failed. */
export function watchForRenewal(): void {
  const ask = () => void look().catch(() => {}); // another time there may be a network
  document.addEventListener("visibilitychange", () => document.hidden || ask());
  effect(() => {
    if (phase.value === "error" || reason.value === "restart") ask();
  });
}

/** Reloads the page; a run that trains pauses first, for then a copy of it is kept. */
export function renew(): void {
  const reload = () => location.reload();
  if (phase.value !== "training") return reload();
  let last: typeof autosaved.value | undefined; // the copy before that of the pause
  effect(() => {
    const copy = autosaved.value;
    if (phase.value === "training") return;
    if (last === undefined) {
      last = copy;
      setTimeout(reload, 5000); // it cannot be kept: the reader was told
    } else if (copy !== last) reload();
  });
  send({ type: "pause" });
}
