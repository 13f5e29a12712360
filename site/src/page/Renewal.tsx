// A new build may replace this one on the server while the page is open. What is loaded goes on
// working, but what is not yet loaded may be gone. So the reader is offered a reload; the run is kept.

import { effect, signal } from "@preact/signals";
import { send } from "../run/supervision";
import { autosaved, hasRun, keeping, phase, reason } from "../run/state";
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
}

/** Reloads the page; a run that trains pauses first, for then a copy of it is kept. */
function renew(): void {
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

/** Another build is on the server: the reader may reload. */
export function Renewal() {
  if (!isRenewed.value) return null;
  const said = !hasRun.value
    ? ""
    : keeping.value.keeping === "here"
      ? "The run is kept in this browser, and can go on after that."
      : "The run is not kept in this browser: save its state first.";
  return (
    <Panel tone="notice" class="offer" title="A new version of this page is there">
      <p>This tab still has the one before. Reload to get the new one. {said}</p>
      <div class="row">
        <button onClick={renew}>Reload</button>
      </div>
    </Panel>
  );
}
