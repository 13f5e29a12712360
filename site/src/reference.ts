// The reference checkpoint: fetched when a tab needs it, and kept for visits without a network.

import { send } from "./link";
import { refused, voices } from "./talk";

const REFERENCE = "tinker-shakespeare-hamlet-iter2000.bin";

let fetching = false;

/** Hands the worker the reference checkpoint, if it has none yet. */
export async function loadReference(): Promise<void> {
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
