// The page's end of the worker: starts it, sends commands, and ends it when it does not answer. What
// every part of the page does when that happened, it says by `onRestart` (restarts.ts).

import { batch } from "@preact/signals";
import { startWorker } from "../base/confine";
import { faultOfScript, STALL_MS } from "../base/host";
import { assembled, gather } from "../base/pieces";
import type { Command, Report } from "../base/protocol";
import { restarted } from "../base/restarts";
import {
  evaluating,
  kept,
  notice,
  panel,
  phase,
  progress,
  reason,
  receive,
  rescued,
  stopping,
  stuck,
} from "./state";

const PULSE_MS = 250; // between two questions for a sign of life
const DEAF_MS = 2000; // no answer for this long, or for what a few steps take: it is hung
const STUCK_MS = 10_000; // alive, but it has not stopped by now: offer to end it

let pulse: ReturnType<typeof setInterval> | undefined;
let unanswered = 0; // how many questions for a sign of life the worker owes an answer
let worker = boot();

function boot(): Worker {
  let alive = false;
  const fresh = startWorker();
  fresh.onmessage = ({ data }: MessageEvent<Report>) => {
    if (fresh !== worker) return; // it was ended, and what it had said before comes too late
    alive = true;
    unanswered = 0;
    if (data.type === "heard") return;
    if (data.type === "piece") gather(data);
    else if (data.type === "file")
      offer(
        data.name,
        data.bytes ? new Blob([data.bytes], { type: data.mime }) : assembled(data.mime),
      );
    else receive(data);
  };
  fresh.onerror = async (event) => {
    if (alive) return; // it tells of its errors itself; the console has this one
    const { message, hint } = await faultOfScript("worker.js", event.message);
    if (fresh !== worker) return;
    receive({ type: "phase", phase: "error", reason: "worker", undo: null });
    const title = "Python did not come up";
    receive({ type: "error", title, message, hint, detail: event.message ?? "" });
  };
  setTimeout(() => {
    if (alive || fresh !== worker || phase.value !== "booting") return;
    receive({ type: "stage", stage: "download", done: 0, total: 0, detail: "worker.js" });
  }, STALL_MS);
  fresh.postMessage(visibility());
  return fresh;
}

function visibility(): Command {
  return { type: "hidden", hidden: document.visibilityState === "hidden" };
}

/** What is asked of a run that is lost is done with the page's copy of it, if it has one. */
const rescues = (type: Command["type"]) =>
  type === "undo" || (phase.value === "error" && ["save", "state", "apply"].includes(type));

export function send(command: Command, transfer: Transferable[] = []): void {
  if (command.type === "reset" && isDead()) return again();
  const file = kept.value?.file;
  if (file && rescues(command.type)) {
    const post = (bytes: Uint8Array) =>
      worker.postMessage({ ...command, bytes }, [...transfer, bytes.buffer]);
    return void file.arrayBuffer().then((buffer) => post(new Uint8Array(buffer)));
  }
  worker.postMessage(command, transfer);
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

/** After asking for a stop, asks for a sign of life for as long as it is waited for. What counts are
 * questions that went unanswered, not the clock: while a machine sleeps or this page is busy none are
 * asked.
 */
function watch(waits: () => boolean): void {
  // Between two steps it may be deaf; how long the first takes is not known.
  const steps = phase.value === "training" ? 8000 / (progress.value.itersPerSecond ?? 1) : 0;
  const patience = Math.max(DEAF_MS, steps);
  let asked = (unanswered = 0);
  clearInterval(pulse);
  pulse = setInterval(() => {
    if (!waits()) clearInterval(pulse);
    else if (unanswered * PULSE_MS > patience) restart();
    else {
      stuck.value = asked * PULSE_MS > STUCK_MS + patience;
      asked++;
      unanswered++;
      worker.postMessage({ type: "ping" } satisfies Command);
    }
  }, PULSE_MS);
}

/** Ends a worker that does not answer. What it had trained is lost. */
export function restart(): void {
  again(
    "Python did not answer. It was ended, and is started again." +
      (kept.value ? "" : " The run is lost: no copy of it had been made yet."),
  );
}

/** Ends the worker and boots a new one, and says so. */
export function again(told = ""): void {
  clearInterval(pulse);
  worker.terminate();
  worker = boot();
  batch(() => {
    receive({ type: "phase", phase: "booting", reason: "restart", undo: null });
    notice.value = told;
    panel.value = null;
    rescued.value = true;
    restarted(send);
  });
}

/** Hands the reader a file. */
function offer(name: string, file: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

document.addEventListener("visibilitychange", () => send(visibility()));
