// Named projects: sets of edits, kept in the browser. What is read back is checked as if a stranger
// had written it. A project is never run by itself.

import { signal } from "@preact/signals";
import { drop, keys, recall, remember } from "../base/localStorage";
import { EDITABLE, type Files, MAX_FILE, MAX_FILES, MAX_NAME } from "../base/protocol";

const CURRENT = "groundling-project";
const PREFIX = "groundling-project:";
const FIRST = "My edits";

const PATH = new RegExp(`^(?:${EDITABLE})$`);

/** The names of all projects, in alphabetical order, and the one that is open. */
export const names = signal<string[]>([]);
export const current = signal(FIRST);
/** Why the edits are not kept, or "". */
export const notKept = signal("");

export const isPath = (path: string): boolean => PATH.test(path);

/** What of a value is a set of edits; the rest is left out. */
export function checked(value: unknown): Files {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(
    Object.entries(value)
      .filter(([path, text]) => isPath(path) && typeof text === "string" && text.length <= MAX_FILE)
      .slice(0, MAX_FILES),
  ) as Files;
}

/** What is wrong with a project's name, or "". */
export function nameProblem(name: string, but = ""): string {
  const plain = name.trim();
  if (!plain) return "A project needs a name.";
  if (plain.length > MAX_NAME) return `At most ${MAX_NAME} characters.`;
  if (plain !== but && names.value.includes(plain)) return "There is a project of that name.";
  return "";
}

/** A name that is free: the one wished for, or that with a number. */
export function freeName(wish: string): string {
  const plain = wish.trim().slice(0, MAX_NAME - 4) || FIRST;
  for (let n = 1; ; n++) {
    const name = n === 1 ? plain : `${plain} ${n}`;
    if (!names.value.includes(name)) return name;
  }
}

function list(): void {
  const kept = keys().flatMap((key) => (key.startsWith(PREFIX) ? key.slice(PREFIX.length) : []));
  names.value = [...new Set([...kept, current.value])].sort((a, b) => a.localeCompare(b));
}

/** The edits of a project, as far as they can be read. */
export function read(name: string): Files {
  try {
    return checked(JSON.parse(recall(PREFIX + name) ?? "{}"));
  } catch {
    return {};
  }
}

/** Keeps the edits as those of the open project. */
export function write(files: Files): void {
  const isKept =
    remember(PREFIX + current.value, JSON.stringify(files)) && remember(CURRENT, current.value);
  notKept.value = isKept
    ? ""
    : "This browser gives no room for your edits: a reload loses them, unless you download the .zip.";
  list();
}

/** Opens a project, an empty one if there is none of that name. */
export function choose(name: string): Files {
  const files = read(name);
  current.value = name;
  write(files);
  return files;
}

export function rename(name: string, files: Files): void {
  drop(PREFIX + current.value);
  current.value = name;
  write(files);
}

/** Removes the open project; another one is to be chosen. */
export function remove(): void {
  drop(PREFIX + current.value);
  list();
}

/** What another tab made of the open project. */
export function follow(change: (files: Files) => void): void {
  addEventListener("storage", ({ key }) => {
    if (key === PREFIX + current.value) change(read(current.value));
    else if (key?.startsWith(PREFIX)) list();
  });
}

/** The project that was open last. */
export function last(): Files {
  current.value = recall(CURRENT) ?? FIRST;
  list();
  return read(current.value);
}
