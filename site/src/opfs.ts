// Files of the origin's private file system. The slots that py_src/browser/autosave.py keeps states in
// are held open as long as the worker lives, so that everything after `openStore` is at once and no
// other tab writes to them. The notes are read once, and written seldom.

const SLOTS = 4; // as in autosave.py
const PATIENCE_MS = 3000; // a worker that was just ended may hold the files for a moment longer

// TypeScript has these for workers only, and its DOM and its workers do not go together.
declare global {
  interface FileSystemSyncAccessHandle {
    getSize(): number;
    read(into: Uint8Array, options: { at: number }): number;
    write(from: Uint8Array, options: { at: number }): number;
    truncate(size: number): void;
    flush(): void;
    close(): void;
  }
  interface FileSystemFileHandle {
    createSyncAccessHandle(): Promise<FileSystemSyncAccessHandle>;
  }
}

/** What autosave.py calls a Store. A method that fails throws a DOMException. */
export interface Store {
  read(slot: number): Uint8Array<ArrayBuffer>;
  /** The number of bytes written; fewer than were given where there is no room. */
  write(slot: number, at: number, data: Uint8Array<ArrayBuffer>): number;
  flush(slot: number): void;
  erase(slot: number): void;
}

/** Why there is no store: another tab has it, or the browser gives none. */
export type NoStore = "taken" | "none";

export async function openStore(): Promise<Store | NoStore> {
  const files: FileSystemSyncAccessHandle[] = [];
  try {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle("autosave", { create: true });
    for (let slot = 0; slot < SLOTS; slot++) {
      const file = await folder.getFileHandle(`${slot}.state`, { create: true });
      files.push(await patiently(() => file.createSyncAccessHandle()));
    }
  } catch (error) {
    for (const file of files) file.close();
    return isTaken(error) ? "taken" : "none";
  }
  return {
    read(slot) {
      const bytes = new Uint8Array(files[slot]!.getSize());
      files[slot]!.read(bytes, { at: 0 });
      return bytes;
    },
    write: (slot, at, data) => files[slot]!.write(data, { at }),
    flush: (slot) => files[slot]!.flush(),
    erase: (slot) => files[slot]!.truncate(0),
  };
}

/** What the library remembers from one visit to the next: py_src/groundling/devices/memory.py. */
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

async function patiently<T>(open: () => Promise<T>): Promise<T> {
  for (const until = performance.now() + PATIENCE_MS; ;) {
    try {
      return await open();
    } catch (error) {
      if (!isTaken(error) || performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
