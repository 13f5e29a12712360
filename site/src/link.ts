// The page's end of the worker: starts it, sends commands, and ends it when it does not answer.

import { batch } from "@preact/signals";
import { startWorker } from "./confine";
import type { Command, Report } from "./protocol";
import {
  adapter,
  evaluating,
  kept,
  loaded,
  notice,
  panel,
  phase,
  progress,
  receive,
  rescued,
  stopping,
  stuck,
} from "./state";

const DEAF_MS = 2000; // no sign of life for this long, or for what a few steps take: it is hung
const STUCK_MS = 10_000; // alive, but it has not stopped by now: offer to end it

let pulse: ReturnType<typeof setInterval> | undefined;
let heard = 0; // when the worker last answered, in ms; 0: never yet
let worker = boot();

function boot(): Worker {
  heard = 0;
  const fresh = startWorker();
  fresh.onmessage = ({ data }: MessageEvent<Report>) => {
    if (data.type === "heard") heard = performance.now();
    else if (data.type === "file") offer(data.name, data.mime, data.bytes);
    else receive(data);
  };
  fresh.onerror = (event) => {
    if (heard) return; // it runs, and tells of its errors itself; the console has this one
    receive({ type: "phase", phase: "error", reason: "worker", undo: null });
    receive({
      type: "error",
      title: "The worker stopped",
      message: event.message || "The script that runs Python could not be loaded.",
      hint: "Reload the page. It needs a current browser, served over http, not from a file.",
      detail: "",
    });
  };
  fresh.postMessage(visibility());
  return fresh;
}

function visibility(): Command {
  return { type: "hidden", hidden: document.visibilityState === "hidden" };
}

export function send(command: Command, transfer: Transferable[] = []): void {
  worker.postMessage(command, transfer);
  if (command.type === "evaluate") evaluating.value += 1;
  if (command.type === "interrupt") watch(() => evaluating.value > 0);
  if (command.type === "pause" || command.type === "reset") {
    stopping.value = true;
    watch(() => stopping.value);
  }
}

/** After asking for a stop, asks for a sign of life for as long as it is waited for. */
function watch(waits: () => boolean): void {
  const asked = (heard = performance.now());
  // Between two steps it may be deaf; how long the first takes is not known.
  const steps = phase.value === "training" ? 8000 / (progress.value.itersPerSecond ?? 1) : 0;
  const patience = Math.max(DEAF_MS, steps);
  clearInterval(pulse);
  pulse = setInterval(() => {
    const now = performance.now();
    if (!waits()) clearInterval(pulse);
    else if (now - heard > patience) restart();
    else {
      stuck.value = now - asked > STUCK_MS + patience;
      worker.postMessage({ type: "ping" } satisfies Command);
    }
  }, 250);
}

/** Ends the worker, whatever it does, and boots a new one. What it had trained is lost. */
export function restart(): void {
  clearInterval(pulse);
  worker.terminate();
  batch(() => {
    receive({ type: "phase", phase: "booting", reason: "restart", undo: null });
    notice.value =
      "Python did not answer. It was ended, and is started again." +
      (kept.value ? "" : " The run is lost: no copy of it had been made yet.");
    panel.value = null;
    rescued.value = true;
    loaded.value = adapter.value = null;
  });
  worker = boot();
}

/** Hands the reader a file. */
function offer(name: string, mime: string, bytes: Uint8Array<ArrayBuffer>): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: mime }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

document.addEventListener("visibilitychange", () => send(visibility()));
