// The models that can be asked besides the run: the reference checkpoint, which is fetched when a tab
// needs it and kept for visits without a network, and a file of the reader's.

import { signal } from "@preact/signals";
import { send } from "./supervision";
import type { Voice } from "../base/protocol";
import { Questions } from "../base/questions";
import { reader } from "../base/reading";
import type { Reports } from "../base/reports";
import { onRestart } from "../base/restarts";

const REFERENCE = "tinker-shakespeare-hamlet-iter2000.bin";
const MOST_BYTES = 1 << 28;

/** The models that were read from files, and why the last file of each was not. */
export const voices = {
  reference: signal<Voice | null>(null),
  file: signal<Voice | null>(null),
};
export const refused = { reference: signal(""), file: signal("") };

let wanted = false; // the reference, by a tab
let fetching = false;
let sent = false; // to the worker, which has not answered yet
const offered = new Questions<File>(); // files that were handed over
let taken: File | null = null; // the one that is a voice now
const read = reader();

/** Hands the worker the reference checkpoint, if it has none yet. */
export async function loadReference(): Promise<void> {
  wanted = true;
  if (fetching || sent || voices.reference.peek()) return;
  fetching = true;
  refused.reference.value = "";
  try {
    const response = await fetch(new URL(`./reference/${REFERENCE}`, import.meta.url));
    if (!response.ok) throw new Error(`it could not be fetched (HTTP ${response.status})`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    send({ type: "voice", source: "reference", name: REFERENCE, bytes }, [bytes.buffer]);
    sent = true;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    refused.reference.value = `The reference checkpoint is not here: ${why}.`;
  }
  fetching = false;
}

/** Hands the worker a file, which says whether it is a model. */
export async function openVoice(file: File): Promise<void> {
  if (file.size > MOST_BYTES) {
    refused.file.value = `${file.name} is too large for weights or a state.`;
    return;
  }
  const bytes = await read(file);
  if (bytes === null) return;
  if (typeof bytes === "string") {
    refused.file.value = bytes;
    return;
  }
  offered.ask(file);
  send({ type: "voice", source: "file", name: file.name, bytes }, [bytes.buffer]);
}

export const reports = {
  voice({ source, problem, voice }) {
    const file = source === "file" && offered.next();
    if (source === "reference") sent = false;
    refused[source].value = problem;
    if (!voice) return;
    voices[source].value = voice;
    if (file) taken = file;
  },
} satisfies Reports;

onRestart(() => {
  voices.reference.value = voices.file.value = null;
  refused.reference.value = refused.file.value = "";
  offered.drop();
  sent = false;
  if (wanted) void loadReference();
  if (taken) void openVoice(taken);
});
