// Hands the worker the models that Talk lets write besides the run: the reference checkpoint, which is
// fetched when a tab needs it and kept for visits without a network, and a file of the reader's.

import { effect } from "@preact/signals";
import { send } from "./supervision";
import { bytesOf } from "../base/reading";
import { onRestart } from "../base/restarts";
import { refused, voices } from "../talk/state";

const REFERENCE = "tinker-shakespeare-hamlet-iter2000.bin";
const MOST_BYTES = 1 << 28;

let wanted = false; // the reference, by a tab
let fetching = false;
let offered: File | null = null; // the file that was handed over last
let taken: File | null = null; // the one that is a voice now

/** Hands the worker the reference checkpoint, if it has none yet. */
export async function loadReference(): Promise<void> {
  wanted = true;
  if (fetching || voices.reference.peek()) return;
  fetching = true;
  refused.reference.value = "";
  try {
    const response = await fetch(new URL(`./reference/${REFERENCE}`, import.meta.url));
    if (!response.ok) throw new Error(`it could not be fetched (HTTP ${response.status})`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    send({ type: "voice", source: "reference", name: REFERENCE, bytes }, [bytes.buffer]);
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
  offered = file;
  const bytes = await bytesOf(file);
  if (typeof bytes === "string") refused.file.value = bytes;
  else send({ type: "voice", source: "file", name: file.name, bytes }, [bytes.buffer]);
}

effect(() => {
  if (voices.file.value) taken = offered;
});
onRestart(() => {
  if (wanted) void loadReference();
  if (taken) void openVoice(taken);
});
