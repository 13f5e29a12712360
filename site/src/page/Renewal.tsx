// A new build may replace this one on the server while the page is open. What is loaded goes on
// working, but what is not yet loaded may be gone. So the reader is offered a reload; the run is kept.

import { effect, signal } from "@preact/signals";
import { send } from "../run/supervision";
import { hasRun, keeping, kept, phase, progress, reason, stopping } from "../run/state";
import { Panel } from "../ui/Panel";

const NAME = /build-[0-9a-f]{16}/;
const own = NAME.exec(import.meta.url)?.[0];

/** Whether the server has another build than this page's. */
const isRenewed = signal(false);

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
  effect(reloadWhenKept);
}

/** The reader asked for it: the page reloads once the run is kept. */
const renewing = signal(false);

/** Whether the run, if there is one, is in the browser's storage as it is now. */
const isKept = () =>
  !hasRun.value || (kept.value?.file === null && kept.value.iter === progress.value.iter);

/** Reloads the page once the run is kept, for which it pauses; at once if it was asked for twice. */
function renew(): void {
  if (renewing.value) return location.reload();
  if (phase.value === "training") send({ type: "pause" });
  renewing.value = true;
}

function reloadWhenKept(): void {
  if (!renewing.value) return;
  if (phase.value !== "training") {
    if (isKept()) location.reload();
  } else if (!stopping.value) renewing.value = false; // the run goes on
}

function said(): string {
  if (!hasRun.value) return "";
  if (keeping.value.keeping !== "here" || kept.value?.file)
    return "The run is not kept in this browser: save its state first.";
  if (!renewing.value) return "The run is kept in this browser, and can go on after that.";
  return "It waits until the whole run is kept in this browser. If that takes too long, save its state.";
}

/** Another build is on the server: the reader may reload. */
export function Renewal() {
  if (!isRenewed.value) return null;
  return (
    <Panel tone="notice" class="offer" title="A new version of this page is there">
      <p>This tab still has the one before. Reload to get the new one. {said()}</p>
      <div class="row">
        <button onClick={renew}>{renewing.value ? "Reload all the same" : "Reload"}</button>
      </div>
    </Panel>
  );
}
