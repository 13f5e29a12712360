// What is on the shelf: the runs that are kept in the browser, which of them are compared, and how the
// list is sorted. Each run comes from Python when it ends, pauses or is replaced.

import { batch, computed, signal } from "@preact/signals";
import { assembled, offer } from "../base/receivedFiles";
import { count } from "../base/format";
import { page } from "../base/fragment";
import { MAX_SHELF_STATE, type ShelfRun } from "../base/protocol";
import { bytesOf } from "../base/reading";
import type { Reports } from "../base/reports";
import { edited, newProject } from "../code/edits";
import { checked } from "../code/projects";
import { overlay } from "../code/state";
import { send } from "../run/supervision";
import { checkedSettings } from "../run/settings";
import * as store from "./store";

export type Kept = store.Kept;

/** The runs, in no order; null while they are read. */
const all = signal<Kept[] | null>(null);
export const runs = computed(() => all.value?.filter(({ deleted }) => !deleted) ?? null);
/** Those that were deleted on this visit. */
export const deleted = computed(() => all.value?.filter((run) => run.deleted) ?? []);
/** What could not be done, or "". */
export const trouble = signal("");
/** Why files of the last import were not kept. */
export const refusals = signal<string[]>([]);
/** The numbers of those that are compared, in the order in which they were chosen. */
export const chosen = signal<string[]>([]);
export const compared = computed(() =>
  chosen.value.flatMap((id) => runs.value?.find((run) => run.id === id) ?? []),
);

export type Column = "name" | "iter" | "valLoss" | "best" | "createdAt";
export const order = signal<{ by: Column; down: boolean }>({ by: "createdAt", down: true });

const key = (run: Kept, by: Column) => (by === "best" ? (run.best?.[1] ?? null) : run[by]);

/** In the order of the chosen column; what has no value there comes last. */
export const sorted = computed(() => {
  const { by, down } = order.value;
  const sign = down ? -1 : 1;
  return [...(runs.value ?? [])].sort((one, two) => {
    const [a, b] = [key(one, by), key(two, by)];
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    const way = typeof a === "string" ? a.localeCompare(String(b), "en", { numeric: true }) : 0;
    return sign * (way || (a < b ? -1 : a > b ? 1 : 0));
  });
});

export function sortBy(by: Column): void {
  const now = order.peek();
  order.value = { by, down: now.by === by ? !now.down : by === "createdAt" };
}

export function choose(id: string, on: boolean): void {
  const others = chosen.peek().filter((one) => one !== id);
  chosen.value = on ? [...others, id] : others;
}

/** Chooses all runs, in the order of the list, or none. */
export function chooseAll(on: boolean): void {
  chosen.value = on ? sorted.peek().map(({ id }) => id) : [];
}

/** Tells Python which runs are kept, so that it knows one that goes on. */
function tell(): void {
  const known = runs.peek() ?? [];
  send({
    type: "shelf",
    runs: known.map(({ id, seed, iter, iters, loss }) => ({ id, seed, iter, iters, loss })),
  });
}

function replace(run: Kept): void {
  all.value = [...(all.peek() ?? []).filter(({ id }) => id !== run.id), run];
  tell();
}

async function read(): Promise<void> {
  if (!store.isHere()) {
    all.value = [];
    trouble.value = "This browser cannot keep runs for the page. Save state keeps one as a file.";
    return;
  }
  try {
    all.value = await store.open();
  } catch (error) {
    all.value = [];
    trouble.value = `This browser keeps no runs for the page (${error}).`;
  }
  addEventListener("storage", ({ key }) => {
    if (key === store.CHANGED) void then(follow, "The list of runs is as it was.");
  });
}

/** Reads what another tab has made of the runs. */
async function follow(): Promise<void> {
  all.value = await store.list();
  tell();
}

/** The last thing that was asked of the files: they are written in the order in which runs come. */
let last: Promise<void> = Promise.resolve();

function then(act: () => Promise<void>, what: string): Promise<void> {
  last = last.then(act).catch((error: unknown) => {
    const why = error instanceof store.Refused ? error.message : `The browser said: ${error}`;
    trouble.value = `${what} ${why}`;
  });
  return last;
}

function keep(run: ShelfRun, state: Blob): void {
  if (!store.isHere()) return;
  void then(async () => {
    if (!all.peek()) await read();
    replace(await store.put(run, state));
    trouble.value = "";
  }, `“${run.name}” was not kept; all others are.`);
}

function keepBest(id: string, iter: number, weights: Blob): void {
  if (!store.isHere()) return;
  void then(async () => {
    if (!all.peek()?.some((run) => run.id === id)) return; // the run was not kept, as was told
    const run = await store.putBest(id, iter, weights);
    if (run) replace(run);
  }, "The run is kept, but not its best weights.");
}

function change(run: Kept, facts: Pick<Partial<Kept>, "name" | "deleted">): void {
  void then(async () => {
    const now = await store.change(run.id, facts);
    if (now) return replace(now);
    all.value = (all.peek() ?? []).filter(({ id }) => id !== run.id);
    trouble.value = `“${run.name}” is gone: another tab has deleted it.`;
  }, `“${run.name}” is as it was.`);
}

export const rename = (run: Kept, name: string) => change(run, { name });

export function remove(run: Kept): void {
  choose(run.id, false);
  change(run, { deleted: true });
}

export const bringBack = (run: Kept) => change(run, { deleted: false });

const lost = (run: Kept) => `“${run.name}” cannot be read: the browser has let its file go.`;

async function hand(run: Kept, file: string, end: string): Promise<void> {
  try {
    offer(run.name.replace(/[^A-Za-z0-9_-]+/g, "_") + end, await store.fileOf(file));
  } catch {
    trouble.value = lost(run);
  }
}

/** Hands the reader the run's state as a file. */
export const save = (run: Kept) => hand(run, run.state, `-iter${run.iter}.state`);

/** Hands the reader its best weights, if they are kept. */
export const saveBest = (run: Kept) =>
  hand(run, run.weights?.name ?? "", `-iter${run.best?.[0]}-best.bin`);

/** Has Python make a report of the run, which the reader gets as a file. */
export async function report(run: Kept): Promise<void> {
  try {
    const bytes = new Uint8Array(await (await store.fileOf(run.state)).arrayBuffer());
    const files = checked(run.files);
    send({ type: "report", name: run.name, bytes, files, page: page() }, [bytes.buffer]);
  } catch {
    trouble.value = lost(run);
  }
}

/** Makes the run the page's, with the edits that it was trained with. */
export async function goOn(run: Kept): Promise<void> {
  const settings = checkedSettings();
  if (!settings) return;
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = new Uint8Array(await (await store.fileOf(run.state)).arrayBuffer());
  } catch {
    trouble.value = lost(run);
    return;
  }
  const files = checked(run.files);
  batch(() => {
    edited(); // to the last keystroke
    if (JSON.stringify(files) !== JSON.stringify(overlay.peek())) newProject(run.name, files);
  });
  send({ type: "load", name: run.name, bytes, ...settings, files: edited() }, [bytes.buffer]);
}

const refuse = (why: string) => (refusals.value = [...refusals.peek(), why]);

/** Has Python read state files; each comes back to be kept. */
export async function bring(files: File[]): Promise<void> {
  trouble.value = "";
  refusals.value = [];
  for (const file of files) {
    if (file.size > MAX_SHELF_STATE) {
      refuse(
        `${file.name} has ${count(file.size)} bytes; a run on the shelf has ${count(MAX_SHELF_STATE)} at most.`,
      );
      continue;
    }
    const bytes = await bytesOf(file);
    if (typeof bytes === "string") refuse(bytes);
    else send({ type: "shelve", name: file.name, bytes }, [bytes.buffer]);
  }
}

export const reports = {
  ready() {
    void (all.peek() ? last : then(read, "")).then(tell);
  },
  shelved({ run, problem }) {
    if (run) keep(run, assembled());
    else refuse(problem);
  },
  shelved_best({ id, iter }) {
    keepBest(id, iter, assembled());
  },
} satisfies Reports;
