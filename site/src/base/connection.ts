// The page's end of the worker: starts it, hands it commands and hands on what it tells. What is said
// to it before Python is ready, it keeps.

import { startWorker } from "./startWorker";
import { isRunHere } from "./fragment";
import { faultOfScript, STALL_MS, TAB } from "./host";
import { recall, remember } from "./localStorage";
import type { Command, DeviceName, Report } from "./protocol";
import type { Told } from "./reports";

const DEVICE = "groundling-device"; // the reader's choice

let hear: (message: Told) => void;
let worker: Worker;
/** How many pings have been sent since the worker last told anything. */
export let unanswered = 0;

/** Starts the worker; whatever it tells from then on is handed to `receive`. */
export function connect(receive: (message: Told) => void): void {
  hear = receive;
  if (isRunHere()) void holdLock().catch(() => {}); // where the browser has none
  worker = boot();
  document.addEventListener("visibilitychange", () => post(visibility()));
}

/** Holds the lock of a tab for as long as it is open. */
const holdLock = async () =>
  navigator.locks.request(TAB, { mode: "shared" }, () => new Promise<never>(() => {}));

/** Ends the worker and starts a new one. What had been posted to the old one is lost. */
export function reconnect(): void {
  worker.terminate();
  worker = boot();
  hear({ type: "phase", phase: "booting", reason: "restart", undo: null });
}

export function post(command: Command, transfer: Transferable[] = []): void {
  worker.postMessage(command, transfer);
}

/** Opens the device that the reader chooses, now and from now on. */
export function choose(name: DeviceName): void {
  remember(DEVICE, name);
  post({ type: "device", name });
}

/** Asks for a sign of life. */
export function ping(): void {
  unanswered++;
  post({ type: "ping" });
}

function boot(): Worker {
  let silent = true;
  const fresh = startWorker(recall(DEVICE) ?? "");
  fresh.onmessage = ({ data }: MessageEvent<Report>) => {
    if (fresh !== worker) return; // it was ended, and what it had said before comes too late
    silent = false;
    unanswered = 0;
    if (data.type !== "heard") hear(data);
  };
  fresh.onerror = async (event) => {
    if (!silent) return; // it tells of its errors itself; the console has this one
    const { message, hint } = await faultOfScript("worker.js", event.message);
    if (fresh !== worker) return;
    silent = false;
    hear({ type: "phase", phase: "error", reason: "worker", undo: null });
    const title = "Python did not come up";
    hear({ type: "error", title, message, hint, detail: event.message ?? "" });
  };
  setTimeout(() => {
    if (!silent || fresh !== worker) return;
    hear({ type: "stage", stage: "download", done: 0, total: 0, detail: "worker.js" });
  }, STALL_MS);
  fresh.postMessage(visibility());
  return fresh;
}

function visibility(): Command {
  return { type: "hidden", hidden: document.visibilityState === "hidden" };
}
