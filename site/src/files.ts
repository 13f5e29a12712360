// Weights, states and projects that the reader picks or drops on the page.

import { edited, unzip } from "./edits";
import { bring } from "./text";
import { send } from "./link";
import { notice, phase } from "./state";
import { firstProblem, readSettings } from "./fields";

const MOST_BYTES = 1 << 30;

const showText = () => document.getElementById("tab-text")?.click();

/** Sends a file to Python, which says whether it is one of ours. */
export async function load(file: File): Promise<void> {
  if (!["ready", "paused", "done"].includes(phase.value)) {
    notice.value = "A file can be loaded when Python is ready and nothing is training.";
    return;
  }
  if (file.size > MOST_BYTES) {
    notice.value = `${file.name} has ${file.size.toLocaleString("en")} bytes: too many for weights or a state.`;
    return;
  }
  const wrong = firstProblem();
  if (wrong) return document.getElementById(`field-${wrong}`)?.focus();
  const bytes = new Uint8Array(await file.arrayBuffer());
  const rest = { ...readSettings(), files: edited() };
  send({ type: "load", name: file.name, bytes, ...rest }, [bytes.buffer]);
}

/** Lets files be dropped anywhere; `data-dropping` on the root says that one is over the page. */
export function acceptDrops(): void {
  const root = document.documentElement;
  const carriesFile = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
  addEventListener("dragover", (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    root.dataset.dropping = "";
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) delete root.dataset.dropping;
  });
  addEventListener("drop", (event) => {
    delete root.dataset.dropping;
    const files = [...(event.dataTransfer?.files ?? [])];
    const file = files[0];
    if (!file) return;
    event.preventDefault();
    if (files.every(({ name }) => /\.txt$/i.test(name))) {
      showText();
      return void bring(files);
    }
    void (file.name.endsWith(".zip") ? unzip(file) : load(file));
  });
}
