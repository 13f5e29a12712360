// Files of the origin's private file system. Those of py_src/browser/autosave.py stay open as long as the
// worker lives: access is synchronous, and no other tab writes to them. Notes are read once.

import { TAB } from "../base/host";

const NAMES = [0, 1, 2, 3].flatMap((i) => [`${i}.state`, `${i}.log`]); // as in autosave.py
const PATIENCE_MS = 3000; // a worker that was just ended may hold the files for a moment longer,
const MOST_MS = 60_000; // and for much longer on a slow machine: where no other tab is open

/** What autosave.py calls a Store. A method that fails throws a DOMException. */
export interface Store {
  size(name: string): number;
  read(name: string, at: number, n: number): Uint8Array<ArrayBuffer>;
  /** The number of bytes written; fewer than were given where there is no room. */
  write(name: string, at: number, data: Uint8Array<ArrayBuffer>): number;
  flush(name: string): void;
  truncate(name: string, size: number): void;
}

/** Why there is no store: another tab has it, or the browser gives none, and what it says then. */
interface NoStore {
  keeping: "taken" | "none";
  problem: string;
}

/** Opens the files, unless there is no run to keep: another tab may have one. */
export async function openStore(isAlone: boolean): Promise<Store | NoStore> {
  if (isAlone) return { keeping: "none", problem: "there is no run here" };
  if (!navigator.storage?.getDirectory) {
    return { keeping: "none", problem: "it has no private files for pages" };
  }
  const files = new Map<string, FileSystemSyncAccessHandle>();
  try {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle("autosave", { create: true });
    for (const name of NAMES) {
      const file = await folder.getFileHandle(name, { create: true });
      files.set(name, await patiently(() => file.createSyncAccessHandle()));
    }
  } catch (error) {
    for (const file of files.values()) file.close();
    return { keeping: isTaken(error) ? "taken" : "none", problem: String(error) };
  }
  return {
    size: (name) => files.get(name)!.getSize(),
    read(name, at, n) {
      const bytes = new Uint8Array(n);
      return bytes.subarray(0, files.get(name)!.read(bytes, { at }));
    },
    write: (name, at, data) => files.get(name)!.write(data, { at }),
    flush: (name) => files.get(name)!.flush(),
    truncate: (name, size) => files.get(name)!.truncate(size),
  };
}

/** What the library remembers from one visit to the next: py_src/groundling/devices/webgpu/memory.py. */
export interface Notes {
  bytes: Uint8Array<ArrayBuffer>;
  keep(bytes: Uint8Array<ArrayBuffer>): void;
}

const MOST = 65_536; // bytes that are read

/** Opens the notes; where the browser keeps none, they are empty and stay so. */
export async function openNotes(): Promise<Notes> {
  let bytes = new Uint8Array();
  let write = async (_: Uint8Array<ArrayBuffer>): Promise<void> => {};
  try {
    const root = await navigator.storage.getDirectory();
    const file = await root.getFileHandle("adapters.json", { create: true });
    bytes = new Uint8Array(await (await file.getFile()).slice(0, MOST).arrayBuffer());
    write = async (bytes) => {
      const open = await file.createSyncAccessHandle(); // or another tab is writing the same
      open.truncate(0);
      open.write(bytes, { at: 0 });
      open.close();
    };
  } catch {
    // no storage here
  }
  return { bytes, keep: (bytes) => void write(bytes).catch(() => {}) };
}

const isTaken = (error: unknown) =>
  error instanceof DOMException && error.name === "NoModificationAllowedError";

/** Whether no tab is open but the worker's own. */
async function isOnlyTab(): Promise<boolean> {
  const { held = [] } = (await navigator.locks?.query()) ?? {};
  return held.filter(({ name }) => name === TAB).length === 1;
}

async function patiently<T>(open: () => Promise<T>): Promise<T> {
  for (const from = performance.now(); ;) {
    try {
      return await open();
    } catch (error) {
      const waited = performance.now() - from;
      if (!isTaken(error) || waited > MOST_MS) throw error;
      if (waited > PATIENCE_MS && !(await isOnlyTab())) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
