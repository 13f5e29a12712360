// The worker: boots Pyodide, then carries messages between the page and py_src/browser/main.py.
// The messages are those of base/protocol.ts.

import type { PyodideAPI, PyodideConfig } from "pyodide";
import type { PyCallable, PyProxy } from "pyodide/ffi";
import { compileAhead } from "./ahead";
import { bytesOf, scriptOf, watched } from "./download";
import { damaged, Fault, here } from "../base/host";
import { openNotes, openStore } from "./opfs";
import { dropPlan, makePlan, runPlan } from "./plan";
import { SecondCore } from "./secondCore";
import type { Command, DeviceName, Missing, Report, Stage } from "../base/protocol";
import { sfc32 } from "./sfc32";

/** py_src/browser/main.py, seen from here. */
interface Main extends PyProxy {
  receive(text: string, bytes?: Uint8Array): void;
  advance: PyCallable & (() => boolean);
  flush(): void;
}

const FLUSH_MS = 50;

const report = (message: Report, transfer: Transferable[] = []) =>
  postMessage(message, { transfer });
const stage = (name: Stage, done: number, total: number, detail = "") =>
  report({ type: "stage", stage: name, done, total, detail });

// ---- commands from the page --------------------------------------------------------------------

let main: Main | null = null;
const early: Command[] = []; // what came before Python was there
let wake = () => {};

function deliver(command: Command): void {
  if (!main) return void early.push(command);
  const { bytes, ...rest } = { bytes: undefined, ...command };
  main.receive(JSON.stringify(rest), bytes);
  wake();
}

onmessage = ({ data }: MessageEvent<Command>) => {
  report({ type: "heard" });
  if (data.type !== "ping") deliver(data);
};

// ---- Python ------------------------------------------------------------------------------------

/** Which device to open: the one that the worker is named by, if it can be had; else a real GPU;
 * else the CPU, which is faster than a GPU that it emulates.
 */
async function choose(): Promise<{ name: DeviceName; missing: Missing }> {
  if (!isSecureContext) return { name: "wasm", missing: "insecure" };
  if (!navigator.gpu) return { name: "wasm", missing: "webgpu" };
  if (!("Suspending" in WebAssembly)) return { name: "wasm", missing: "jspi" };
  if (self.name === "wasm") return { name: "wasm", missing: "" };
  const adapter = self.name ? null : await navigator.gpu.requestAdapter();
  if (adapter?.info.isFallbackAdapter) return { name: "wasm", missing: "emulated" };
  return { name: "webgpu", missing: "" };
}

/** Downloads, starts Python and loads our own; as much of it at once as can be. */
async function boot(): Promise<Main> {
  const ours = Promise.all(
    ["numpy.zip", "groundling.zip", "data/tinyshakespeare.txt"].map(bytesOf),
  );
  ours.catch(() => {}); // it is awaited below
  const isAlone = new URL(import.meta.url).search !== ""; // see base/startWorker.ts
  const storage = openStore(isAlone);
  const notes = openNotes();
  stage("python", 0, 1);
  const [{ loadPyodide }, { default: createPyodideModule }] = await Promise.all([
    scriptOf<typeof import("pyodide")>("pyodide/pyodide.js"),
    scriptOf<{ default: NonNullable<PyodideConfig["createPyodideModule"]> }>(
      "pyodide/pyodide.asm.js",
    ),
  ]);
  const pyodide: PyodideAPI = await loadPyodide({
    createPyodideModule,
    indexURL: here("pyodide/"),
    env: { HOME: "/home/pyodide", GROUNDLING_DATA: "/app/data" },
  }).catch((error: unknown) => {
    // Python ends itself where it cannot read its standard library.
    const ended = (error as Error).name === "ExitStatus";
    throw ended ? damaged("pyodide/python_stdlib.zip", said(error)) : error;
  });
  const [numpy, library, corpus] = await ours;
  // Not by loadPackage, which would compile all of NumPy's libraries at once: two are needed.
  const unpack = (name: string, archive: Uint8Array, extractDir: string) => {
    try {
      pyodide.unpackArchive(archive, "zip", { extractDir });
    } catch (error) {
      throw damaged(name, said(error));
    }
  };
  unpack("numpy.zip", numpy!, "/app/lib");
  unpack("groundling.zip", library!, "/app");
  pyodide.FS.mkdirTree("/app/data");
  pyodide.FS.writeFile("/app/data/tinyshakespeare.txt", corpus!);
  const store = await storage;
  const noStore = "keeping" in store;
  report(
    noStore ? { type: "keeping", ...store } : { type: "keeping", keeping: "here", problem: "" },
  );
  pyodide.registerJsModule("groundling_js", {
    dropPlan,
    makePlan,
    runPlan,
    SecondCore,
    sfc32,
    store: noStore ? null : store,
    notes: await notes,
    post(text: string, bytes?: Uint8Array<ArrayBuffer>) {
      const message = JSON.parse(text) as Report;
      if (!bytes) return report(message);
      report({ ...message, bytes } as Report, [bytes.buffer]);
    },
    /** Has Python go on, which has given itself something to do. */
    wake: () => wake(),
  });
  pyodide.runPython(
    "import sys; sys.path[:0] = ['/app/py_src/browser', '/app/py_src', '/app/lib']",
  );
  stage("python", 1, 1);
  stage("numpy", 0, 1);
  await new Promise((resolve) => setTimeout(resolve)); // lets the page have these
  pyodide.pyimport("numpy");
  stage("numpy", 1, 1);
  return pyodide.pyimport("main") as Main;
}

/** A turn of the event loop, so that the page's messages come in. */
const turn = () =>
  new Promise<void>((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });

/** Runs Python for as long as it has something to do, and again after every command. */
async function drive(python: Main): Promise<never> {
  const suspends = "Suspending" in WebAssembly;
  const advance = async () => (suspends ? python.advance.callPromising() : python.advance());
  for (;;) {
    const woken = new Promise<void>((resolve) => (wake = resolve));
    const beat = setInterval(() => python.flush(), FLUSH_MS);
    const busy = await advance().finally(() => clearInterval(beat));
    await (busy ? turn() : woken);
  }
}

async function live(): Promise<void> {
  const device = await choose();
  const kernels = async () => {
    const list = await bytesOf("kernels.json");
    const told = (done: number, total: number) => stage("kernels", done, total);
    await compileAhead(JSON.parse(new TextDecoder().decode(list)), told);
  };
  const python = await watched(
    (done, total, waiting) => stage("download", done, total, waiting),
    async () => {
      const ahead = device.name === "webgpu" && kernels().catch(() => {}); // Python will say why
      const [python] = await Promise.all([boot(), ahead]);
      return python;
    },
  );
  main = python;
  python.receive(JSON.stringify({ type: "device", ...device }));
  for (const command of early.splice(0)) deliver(command);
  await drive(python).catch(ended);
}

/** Python itself has failed, out of memory or by an error of its runtime, and can run nothing more. */
function ended(error: unknown): void {
  const { message, stack = "" } = error instanceof Error ? error : new Error(String(error));
  report({ type: "phase", phase: "error", reason: "ended", undo: null });
  report({
    type: "error",
    title: "Python stopped",
    message: `Its runtime failed: ${message.split("\n")[0]}`,
    hint: "Reset starts Python again, and offers the last copy of the run if there is one.",
    detail: stack,
  });
}

/** What an error says, in a line: of Python's, the last one. */
function said(error: unknown): string {
  const { message = String(error) } = error as Partial<Error>; // Emscripten's are no Errors
  return message.trim().split("\n").at(-1)!;
}

live().catch((error: unknown) => {
  report({ type: "phase", phase: "error", reason: "boot", undo: null });
  report({
    type: "error",
    title: "Python did not come up",
    message: error instanceof Fault ? error.message : `It stopped while it started: ${said(error)}`,
    hint:
      error instanceof Fault
        ? error.hint
        : "Try again. If it stays like this, the details below say where it stopped.",
    detail: error instanceof Error ? `${error.message}\n${error.stack ?? ""}` : "",
  });
});
