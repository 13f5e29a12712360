// Weights and states that the reader picks or drops on the page.

import { count } from "../base/format";
import { edited } from "../code/edits";
import { send } from "../run/supervision";
import { notice, phase } from "../run/state";
import { reader } from "../base/reading";
import { checkedSettings } from "../run/settings";

const MOST_BYTES = 1 << 30;

const read = reader();

/** Sends a file to Python, which says whether it is one of ours: to go on with, or to begin a new
 * run with its weights. */
export async function load(file: File, begin = false): Promise<void> {
  if (file.size > MOST_BYTES) {
    notice.value = `${file.name} has ${count(file.size)} bytes: too many for weights or a state.`;
    return;
  }
  const bytes = await read(file);
  if (bytes === null) return;
  if (typeof bytes === "string") {
    notice.value = bytes;
    return;
  }
  if (!["ready", "paused", "done"].includes(phase.value)) {
    notice.value = "A file can be loaded when Python is ready and nothing is training.";
    return;
  }
  const settings = checkedSettings();
  if (!settings) return;
  const files = edited();
  send({ type: "load", name: file.name, bytes, begin, ...settings, files }, [bytes.buffer]);
}
