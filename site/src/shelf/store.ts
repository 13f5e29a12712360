// The shelf's files in the origin's private file system: of each run its state, ID.ITER.state, and what
// is shown of it, ID.json, which names the state and is written after it; and ID.ITER.bin, its best
// weights, if it has them. A file is written whole or not at all, so a tab that closes and a full disk
// leave what was there. One tab writes at a time, and the others are told by an event of localStorage.

import { remember } from "../base/localStorage";
import { MAX_SHELF, type ShelfRun } from "../base/protocol";

/** A run on the shelf. */
export interface Kept extends ShelfRun {
  /** The name of its state's file, and its size. */
  state: string;
  bytes: number;
  /** The same of the weights of its lowest validation loss, if they are kept. */
  weights?: { name: string; bytes: number };
  /** It was deleted on this visit, and can be brought back. */
  deleted?: boolean;
}

/** What changes in localStorage when a tab has changed a file. */
export const CHANGED = "groundling-shelf";
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

const filesOf = ({ id, state, weights }: Kept) => [
  `${id}.json`,
  state,
  ...(weights ? [weights.name] : []),
];

async function describe(files: FileSystemDirectoryHandle, run: Kept): Promise<void> {
  await write(files, `${run.id}.json`, JSON.stringify(run));
  remember(CHANGED, crypto.randomUUID());
}

/** Writes a file of the run, perhaps in place of `old`, and what is shown of the run. Rejects, and all is
 * as it was, where there is no room.
 */
async function add(
  files: FileSystemDirectoryHandle,
  run: Kept,
  name: string,
  data: Blob,
  old?: string,
): Promise<void> {
  try {
    await write(files, name, data);
    await describe(files, run);
  } catch (error) {
    if (name !== old) await erase(files, name);
    if ((error as DOMException).name !== "QuotaExceededError") throw error;
    throw new Refused("The browser's storage is full. Delete or export other runs.");
  }
}

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

/** The runs that are kept, with those that were deleted on this visit. */
export const list = (): Promise<Kept[]> => alone(read);

/** The runs that are kept. What earlier visits have deleted or left half written goes. */
export const open = (): Promise<Kept[]> =>
  alone(async (files) => {
    const runs = (await read(files)).filter((run) => !run.deleted);
    const used = new Set(runs.flatMap(filesOf));
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
    await makeRoom(files, state.size, gone);
    const kept: Kept = {
      ...run,
      name: before && !before.deleted ? before.name : run.name,
      state: `${run.id}.${run.iter}.state`,
      bytes: state.size,
      ...(before?.weights && `${before.best}` === `${run.best}` && { weights: before.weights }),
    };
    await add(files, kept, kept.state, state, before?.state);
    const used = new Set(filesOf(kept));
    for (const name of before ? filesOf(before) : []) if (!used.has(name)) await erase(files, name);
    return kept;
  });

/** Keeps the weights of a kept run's lowest validation loss, at this iteration; null where they are not
 * its best any more, or are kept already.
 */
export const putBest = (id: string, iter: number, weights: Blob): Promise<Kept | null> =>
  alone(async (files) => {
    const there = await read(files);
    const run = there.find((one) => one.id === id);
    if (run?.best?.[0] !== iter || run.weights) return null;
    const gone = there.filter((one) => one.deleted && one !== run);
    await makeRoom(files, weights.size, gone);
    const kept = { ...run, weights: { name: `${id}.${iter}.bin`, bytes: weights.size } };
    await add(files, kept, kept.weights.name, weights);
    return kept;
  });

/** Makes room for so many bytes, if need be by the runs that are deleted. */
async function makeRoom(
  files: FileSystemDirectoryHandle,
  bytes: number,
  gone: Kept[],
): Promise<void> {
  if (await hasRoom(bytes)) return;
  for (const name of gone.flatMap(filesOf)) await erase(files, name);
  if (!(await hasRoom(bytes)))
    throw new Refused(
      `It takes ${(bytes / MB).toFixed(1)} MB, and the browser's storage has no room for that. ` +
        "Delete or export other runs, then pause this one again.",
    );
}

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

/** A file of a run. */
export const fileOf = async (name: string): Promise<File> =>
  (await (await folder()).getFileHandle(name)).getFile();
