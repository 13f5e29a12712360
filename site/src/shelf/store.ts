// The shelf's files in the origin's private file system: of each run its state, ID.ITER.state, and what
// is shown of it, ID.json, which names the state and is written after it. A file is written whole or
// not at all, so a tab that closes and a full disk leave what was there. One tab writes at a time.

import { MAX_SHELF, type ShelfRun } from "../base/protocol";

/** A run on the shelf. */
export interface Kept extends ShelfRun {
  /** The name of its state's file, and its size. */
  state: string;
  bytes: number;
  /** It was deleted on this visit, and can be brought back. */
  deleted?: boolean;
}

const FOLDER = "shelf";
const ID = /^[0-9a-f]{16}$/;
const FILL = 0.8; // of what the browser gives: autosave and texts need room, too
const MB = 1e6;

/** Why a run is not kept, for the reader. */
export class Refused extends Error {}

const folder = async () =>
  (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true });

/** Whether the browser has what the shelf is made of. */
export const isHere = () =>
  "storage" in navigator &&
  "getDirectory" in navigator.storage &&
  "locks" in navigator &&
  "createWritable" in FileSystemFileHandle.prototype;

const alone = <T>(act: (files: FileSystemDirectoryHandle) => Promise<T>): Promise<T> =>
  navigator.locks.request("groundling-shelf", async () => act(await folder()));

async function write(
  files: FileSystemDirectoryHandle,
  name: string,
  data: Blob | string,
): Promise<void> {
  const stream = await (await files.getFileHandle(name, { create: true })).createWritable();
  try {
    await stream.write(data);
    await stream.close();
  } catch (error) {
    await stream.abort().catch(() => {});
    throw error;
  }
}

const erase = (files: FileSystemDirectoryHandle, name: string) =>
  files.removeEntry(name).catch(() => {}); // it is gone already

const describe = (files: FileSystemDirectoryHandle, run: Kept) =>
  write(files, `${run.id}.json`, JSON.stringify(run));

async function read(files: FileSystemDirectoryHandle): Promise<Kept[]> {
  const names: string[] = [];
  for await (const name of files.keys()) names.push(name);
  const runs = await Promise.all(
    names
      .filter((name) => name.endsWith(".json"))
      .map(async (name) => {
        try {
          const text = await (await (await files.getFileHandle(name)).getFile()).text();
          const run = JSON.parse(text) as Kept;
          return `${run.id}.json` === name && names.includes(run.state) ? run : null;
        } catch {
          return null; // it was never whole
        }
      }),
  );
  return runs.filter((run) => run !== null);
}

/** The runs that are kept. What earlier visits have deleted or left half written goes. */
export const open = (): Promise<Kept[]> =>
  alone(async (files) => {
    const runs = (await read(files)).filter((run) => !run.deleted);
    const used = new Set(runs.flatMap((run) => [`${run.id}.json`, run.state]));
    const left: string[] = [];
    for await (const name of files.keys()) if (!used.has(name)) left.push(name);
    for (const name of left) await erase(files, name);
    return runs;
  });

/** Keeps a run, in place of what is kept under its number. Rejects, and all is as it was, where there
 * is no room: with Refused if that can be told in a sentence.
 */
export const put = (run: ShelfRun, state: Blob): Promise<Kept> =>
  alone(async (files) => {
    if (!ID.test(run.id)) throw new Refused("It has no number of the shelf's.");
    const there = await read(files);
    const before = there.find(({ id }) => id === run.id);
    const gone = there.filter(({ deleted, id }) => deleted && id !== run.id);
    if (!before && there.length - gone.length >= MAX_SHELF)
      throw new Refused(`The shelf holds ${MAX_SHELF} runs. Delete some to make room.`);
    if (!(await hasRoom(state.size))) {
      for (const { id, state } of gone) {
        await erase(files, `${id}.json`);
        await erase(files, state);
      }
      if (!(await hasRoom(state.size)))
        throw new Refused(
          `It takes ${(state.size / MB).toFixed(1)} MB, and the browser's storage has no room for ` +
            "that. Delete or export other runs, then pause this one again.",
        );
    }
    const kept: Kept = {
      ...run,
      name: before && !before.deleted ? before.name : run.name,
      state: `${run.id}.${run.iter}.state`,
      bytes: state.size,
    };
    try {
      await write(files, kept.state, state);
      await describe(files, kept);
    } catch (error) {
      if (kept.state !== before?.state) await erase(files, kept.state);
      if ((error as DOMException).name !== "QuotaExceededError") throw error;
      throw new Refused("The browser's storage is full. Delete or export other runs.");
    }
    if (before && before.state !== kept.state) await erase(files, before.state);
    return kept;
  });

async function hasRoom(bytes: number): Promise<boolean> {
  const { usage = 0, quota = Infinity } = await navigator.storage.estimate();
  return usage + bytes <= FILL * quota;
}

/** Renames, deletes or brings back a run; null where it is gone. */
export const change = (
  id: string,
  facts: Pick<Partial<Kept>, "name" | "deleted">,
): Promise<Kept | null> =>
  alone(async (files) => {
    const run = (await read(files)).find((one) => one.id === id);
    if (!run) return null;
    const now = { ...run, ...facts };
    await describe(files, now);
    return now;
  });

/** The state of a run, as a file. */
export const stateOf = async ({ state }: Kept): Promise<File> =>
  (await (await folder()).getFileHandle(state)).getFile();
