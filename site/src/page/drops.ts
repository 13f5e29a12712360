// Files that are dropped anywhere on the page, and which of its readers takes each.

import { unzip } from "../code/edits";
import { load } from "./load";
import { notice } from "../run/state";
import { bring, openConfig } from "../text/state";
import { openView } from "./views";

const TEXTS = /\.(txt|md)$/i; // as in texts.py
const MOST_FILES = 10_000; // of a folder
const READERS: [RegExp, (file: File) => void][] = [
  [/\.zip$/i, (file) => void unzip(file)],
  [/\.(bin|state)$/i, (file) => void load(file)],
  [/\.json$/i, (file) => (openView("text"), void openConfig(file))],
];
const KINDS =
  "a text (.txt, .md), weights (.bin), a state (.state), a project (.zip) or a config (.json)";

interface Found {
  path: string;
  file: File;
}

/** The texts in a folder and those within it. */
async function textsIn(folder: FileSystemDirectoryEntry): Promise<Found[]> {
  const found: Found[] = [];
  const left: FileSystemDirectoryEntry[] = [folder];
  for (let next = left.pop(); next; next = left.pop()) {
    const reader = next.createReader();
    for (;;) {
      const some = await new Promise<FileSystemEntry[]>((done, fail) =>
        reader.readEntries(done, fail),
      );
      if (!some.length) break; // a browser may give a hundred at a time
      for (const entry of some) {
        if (entry.name.startsWith(".")) continue;
        if (entry.isDirectory) left.push(entry as FileSystemDirectoryEntry);
        else if (TEXTS.test(entry.name) && found.length < MOST_FILES) {
          const file = await new Promise<File>((done, fail) =>
            (entry as FileSystemFileEntry).file(done, fail),
          );
          found.push({ path: entry.fullPath, file });
        }
      }
    }
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1)); // as `groundling --text FOLDER`
}

async function take(files: File[], folders: FileSystemDirectoryEntry[]): Promise<void> {
  const texts = files.filter(({ name }) => TEXTS.test(name));
  const others = files.filter(({ name }) => !TEXTS.test(name));
  for (const folder of folders) {
    let found: Found[];
    try {
      found = await textsIn(folder);
    } catch {
      notice.value = `The folder ${folder.name} cannot be read. Drop its files instead.`;
      return;
    }
    if (!found.length) {
      notice.value = `The folder ${folder.name} has no text (.txt, .md) in it. A project comes as its .zip.`;
      return;
    }
    texts.push(...found.map(({ file }) => file));
  }
  const [one] = others;
  if (!one) {
    if (!texts.length) return;
    openView("text");
    return bring(texts);
  }
  const reader = READERS.find(([ending]) => ending.test(one.name))?.[1];
  if (!reader) notice.value = `${one.name} was not taken: the page reads ${KINDS}.`;
  else if (others.length + texts.length > 1)
    notice.value = `Nothing was taken: drop files such as ${one.name} one at a time. Only texts may be several.`;
  else reader(one);
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
    if (!carriesFile(event)) return;
    event.preventDefault();
    // What was dropped is there only until the handler returns.
    const files = [...event.dataTransfer!.files];
    const entries = [...event.dataTransfer!.items].map((item) => item.webkitGetAsEntry?.() ?? null);
    const folders = entries.filter((entry) => entry?.isDirectory) as FileSystemDirectoryEntry[];
    const names = new Set(folders.map(({ name }) => name));
    void take(
      files.filter(({ name }) => !names.has(name)), // a folder is among the files, too
      folders,
    );
  });
}
