// Commands to the worker, and its end when it does not answer.

import { batch } from "@preact/signals";
import { ping, post, reconnect, unanswered } from "../base/connection";
import type { Command } from "../base/protocol";
import { restarted } from "../base/restarts";
import {
  evaluating,
  hasRun,
  kept,
  notice,
  panel,
  phase,
  progress,
  reason,
  rescued,
  stopping,
  stuck,
  untried,
} from "./state";

const PULSE_MS = 250; // between two questions for a sign of life
const DEAF_MS = 2000; // no answer for this long, or for what a few steps take: it hangs, or is slow
const STUCK_MS = 10_000; // alive, but it has not stopped by now

let pulse: ReturnType<typeof setInterval> | undefined;

/** What is asked of a run that is lost is done with the page's copy of it, if it has one. */
const rescues = (type: Command["type"]) =>
  type === "undo" || (phase.value === "error" && ["save", "state", "apply"].includes(type));

export function send(command: Command, transfer: Transferable[] = []): void {
  if (command.type === "reset" && isDead()) return again();
  const file = kept.value?.file;
  if (file && rescues(command.type)) {
    const rescue = (bytes: Uint8Array) =>
      post({ ...command, bytes } as Command, [...transfer, bytes.buffer]);
    return void file.arrayBuffer().then((buffer) => rescue(new Uint8Array(buffer)));
  }
  post(command, transfer);
  if (command.type === "evaluate") evaluating.value += 1;
  if (command.type === "interrupt") watch(() => evaluating.value > 0);
  if (command.type === "pause" || command.type === "reset") {
    stopping.value = true;
    watch(() => stopping.value);
  }
}

/** Python did not come up, or has stopped for good: nothing that it is told is obeyed any more. */
export const isDead = () =>
  phase.value === "error" && ["boot", "worker", "ended"].includes(reason.value);

/** Pings the worker until it has stopped. One that does not is ended if it runs code that may well be
 * endless; else the reader is told and may end it, since a slow machine is as silent. Unanswered pings
 * are counted, not the time: while the machine sleeps or the page is busy none are sent.
 */
function watch(waits: () => boolean): void {
  // Between two steps it may be deaf; how long the first takes is not known.
  const steps = phase.value === "training" ? 8000 / (progress.value.itersPerSecond ?? 1) : 0;
  const patience = Math.max(DEAF_MS, steps);
  let asked = 0;
  clearInterval(pulse);
  pulse = setInterval(() => {
    const isDeaf = unanswered * PULSE_MS > patience;
    if (!waits()) clearInterval(pulse);
    else if (isDeaf && untried.value) restart();
    else {
      stuck.value = isDeaf || asked * PULSE_MS > STUCK_MS + patience;
      asked++;
      ping();
    }
  }, PULSE_MS);
}

/** Ends a worker that does not answer. What it had trained is lost. */
export function restart(): void {
  again(
    "Python did not answer. It was ended, and is started again." +
      (kept.value || !hasRun.value ? "" : " The run is lost: no copy of it had been made yet."),
  );
}

/** Ends the worker and boots a new one, and says so. */
export function again(told = ""): void {
  clearInterval(pulse);
  batch(() => {
    reconnect();
    notice.value = told;
    panel.value = null;
    rescued.value = true;
    restarted();
  });
}
