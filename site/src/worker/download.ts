// What the worker fetches: counted while it comes, and checked.

import {
  damaged,
  Fault,
  faultOf,
  faultOfScript,
  faultOfSize,
  here,
  sizeOf,
  STALL_MS,
  unreachable,
} from "../base/host";

const TELL_MS = 50;
const WASM = "application/wasm";

/** Bytes that have come, of how many; and the file that is waited for, once that takes long. */
type Told = (done: number, total: number, waiting: string) => void;

const files = new Map<string, { done: number; ended: boolean }>();
let told: Told = () => {};
let last = 0; // when something came
let posted = 0;
let first: Fault | null = null;
let fail: (fault: Fault) => void;

/** Rejects with the first fault there is: Pyodide keeps some of them to itself. */
const trouble = new Promise<never>((_, reject) => {
  fail = (fault) => {
    first ??= fault;
    reject(first);
  };
});
trouble.catch(() => {});

function tell(): void {
  posted = performance.now();
  let [done, total] = [0, 0];
  for (const [path, file] of files) {
    done += file.done;
    total += Math.max(file.done, sizeOf(path) ?? 0);
  }
  const waiting = [...files].find(([, { ended }]) => !ended)?.[0];
  told(done, total, posted - last > STALL_MS ? (waiting ?? "") : "");
}

function begin(path: string): { done: number; ended: boolean } {
  last = performance.now();
  const file = { done: 0, ended: false };
  files.set(path, file);
  return file;
}

/** Makes each later fetch of a file of the build count, and fail where the file is not whole. */
function watchFetches(): void {
  const plain = fetch;
  const root = here("./");
  self.fetch = async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    const path = url.startsWith(root) ? url.slice(root.length) : "";
    if (sizeOf(path) === undefined) return plain(input, init);
    const file = begin(path);
    let response: Response;
    try {
      response = await plain(input, init);
    } catch {
      return refuse(unreachable(path));
    }
    const fault = faultOf(path, response);
    if (fault) return refuse(fault);
    // A clone is counted: with the response itself the browser may have kept its compiled code.
    void count(path, file, response.clone().body!);
    if (!path.endsWith(".wasm") || response.headers.get("content-type") === WASM) return response;
    return new Response(response.body, { headers: { "content-type": WASM } });
  };
}

function refuse(fault: Fault): never {
  fail(fault);
  throw fault;
}

async function count(
  path: string,
  file: { done: number; ended: boolean },
  body: ReadableStream<Uint8Array>,
): Promise<void> {
  const reader = body.getReader();
  let ended = false;
  try {
    for (let read; !(read = await reader.read()).done;) {
      file.done += read.value.byteLength;
      last = performance.now();
      if (last - posted > TELL_MS) tell();
    }
    ended = true;
  } catch {
    // it broke off
  }
  file.ended = true;
  tell();
  const fault = faultOfSize(path, file.done, ended);
  if (fault) fail(fault);
}

/** Pyodide waits for ever for code that does not compile. */
function watchCompiling(): void {
  const plain = WebAssembly.instantiateStreaming;
  WebAssembly.instantiateStreaming = async (source, imports) => {
    try {
      return await plain.call(WebAssembly, source, imports);
    } catch (error) {
      void settled().then(() => fail(damaged("pyodide/pyodide.asm.wasm", String(error))));
      throw error;
    }
  };
}

/** Gives `count` the time to meet the fault that another reader of the same file has met. */
const settled = () => new Promise<void>((resolve) => setTimeout(resolve, TELL_MS));

/** Runs the boot; while it runs, downloads are watched. Rejects with a Fault where there is one. */
export async function watched<T>(say: Told, boot: () => Promise<T>): Promise<T> {
  told = say;
  watchFetches();
  watchCompiling();
  const timer = setInterval(tell, 1000);
  try {
    return await Promise.race([boot(), trouble]);
  } catch (error) {
    await settled();
    throw first ?? error;
  } finally {
    clearInterval(timer);
  }
}

export async function bytesOf(path: string): Promise<Uint8Array> {
  return new Uint8Array(await (await fetch(here(path))).arrayBuffer());
}

/** Runs a script of the build. */
export async function scriptOf<T>(path: string): Promise<T> {
  const file = begin(path);
  try {
    const script = (await import(here(path))) as T;
    file.done = sizeOf(path) ?? 0;
    return script;
  } catch (error) {
    throw await faultOfScript(path, error);
  } finally {
    file.ended = true;
    last = performance.now();
  }
}
