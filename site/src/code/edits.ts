// What the reader does with the edits: applies them, runs them, keeps and shares them.

import { effect, signal } from "@preact/signals";
import { editsFragment, leaveFragment } from "../base/fragment";
import {
  codeLink,
  ending,
  forgetNews,
  offered,
  originals,
  overlay,
  raised,
  reserved,
  sent,
} from "./state";
import { nameOf } from "../base/paths";
import { unified } from "../ui/unified";
import { flush, open, replaceFiles, setFiles } from "./editor";
import { checkedSettings, readSettings } from "../run/settings";
import { send } from "../run/supervision";
import * as projects from "./projects";
import { reader } from "../base/reading";
import { type Files, LIBRARY, MAX_ZIP, type Recipe, SHADERS } from "../base/protocol";
import { adapter, hasRun, phase, progress, showSettings } from "../run/state";

const LONG = 100; // iterations of a run that is not ended without a question

/** Something was done that can be taken back; it stands until the next such thing. */
export const undoable = signal<{ text: string; undo: () => void } | null>(null);
/** What could not be done, or "". */
export const trouble = signal("");

function did(text: string, undo: () => void): void {
  trouble.value = "";
  undoable.value = {
    text,
    undo: () => {
      undoable.value = null;
      undo();
    },
  };
}

// ---- to the run ----------------------------------------------------------------------------------

/** The edits, to the last keystroke, as the code of a run that is about to begin. */
export function edited(): Files {
  flush();
  const files = overlay.peek();
  sent.value = { files, at: performance.now(), as: "run" };
  return files;
}

/** Whether there is a run that can take on other code. */
export const canApply = () => hasRun.value && sent.value?.as !== "apply";

/** The run goes on with the code as it is now. */
export function apply(options: { fit?: boolean; anyway?: boolean } = {}): void {
  flush();
  if (!canApply()) return;
  forgetNews();
  sent.value = { files: overlay.peek(), at: performance.now(), as: "apply" };
  send({ type: "apply", files: overlay.peek(), ...options });
}

/** A new run with the code as it is now. Before a long run is ended the reader is asked, unless `sure`. */
export function run({ sure = false } = {}): void {
  if (!sure && hasRun.value && progress.value.iter >= LONG) {
    ending.value = true;
    return;
  }
  ending.value = false;
  const settings = checkedSettings();
  if (!settings) return;
  forgetNews();
  if (hasRun.value) send({ type: "reset" });
  // If Python had ended, that has started another, which does not have the reader's text yet.
  if (phase.value === "booting" || !adapter.value) return;
  send({ type: "start", ...settings, files: edited() });
}

// ---- files ---------------------------------------------------------------------------------------

export function revert(path: string): void {
  flush();
  const before = overlay.peek();
  const { [path]: text, ...others } = before;
  if (text === undefined) return;
  setFiles(others);
  raised.value = raised.peek().filter((frame) => frame.path !== path); // that line is gone
  const was = originals.peek().has(path) ? "was put back as it came" : "was removed";
  did(`${path.split("/").at(-1)} ${was}.`, () => {
    setFiles({ ...overlay.peek(), [path]: text });
    open.value = path;
  });
}

/** Where a new file of that name goes, or why there can be none. */
export function placeOf(name: string): { path: string; problem: string } {
  const path = (name.endsWith(".wgsl") ? SHADERS : LIBRARY) + name;
  return { path, problem: pathProblem(path) };
}

function pathProblem(path: string): string {
  const has = (file: string) => originals.peek().has(file) || file in overlay.peek();
  if (!projects.isPath(path))
    return "A name such as my_op.py or my_op.wgsl, in lower-case letters, digits and _.";
  if (has(path)) return "That file exists.";
  if (path.startsWith(SHADERS))
    return nameOf(path).includes("/")
      ? "A new kernel has no folder: a name such as my_op.wgsl."
      : "";
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  if (!has(`${folder}__init__.py`))
    return `The library has no folder ${nameOf(folder).slice(0, -1)}.`;
  const module = path.slice(folder.length, -".py".length);
  if (has(`${folder}${module}/__init__.py`)) return `${module} is a folder of the library.`;
  if (reserved.keywords.has(module))
    return `${module} is a keyword of Python, so no file of that name can be imported.`;
  if (reserved.modules.has(module))
    return `import ${module} would give the module ${module} that is there already. Choose another name.`;
  return "";
}

const BLANKS = {
  py: '"""What this module is for."""\n',
  wgsl: "// What this kernel computes.\n// grid: size / 64\n",
};

export function addFile(path: string): void {
  flush();
  const text = BLANKS[path.endsWith(".py") ? "py" : "wgsl"];
  setFiles({ ...overlay.peek(), [path]: text });
  open.value = path;
}

// ---- recipes -------------------------------------------------------------------------------------

const count = (text: string, part: string) => text.split(part).length - 1;

/** The edits with a recipe's, or why it does not go with them. */
export function withRecipe({ edits }: Recipe): { files: Files; problem: string } {
  const files = { ...overlay.value };
  for (const { path, old, new: fresh } of edits) {
    const text = files[path] ?? originals.value.get(path);
    const name = path.split("/").at(-1);
    if (!old && text !== undefined && text !== fresh)
      return { files: {}, problem: `There is another ${name} in your edits.` };
    if (old && text === undefined) return { files: {}, problem: `There is no ${name}.` };
    if (old && count(text!, old) !== 1) {
      const problem =
        fresh && text!.includes(fresh)
          ? `${name} has this edit already.`
          : `${name} was changed where this edit goes. Revert it, and the recipe fits again.`;
      return { files: {}, problem };
    }
    files[path] = old ? text!.replace(old, () => fresh) : fresh;
  }
  return { files, problem: "" };
}

/** All that differs between two sets of edits, as one unified diff. */
export function diffOf(before: Files, after: Files): string {
  const paths = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  const text = (files: Files, path: string) => files[path] ?? originals.value.get(path) ?? "";
  return paths.map((path) => unified(path, text(before, path), text(after, path))).join("");
}

export function useRecipe(recipe: Recipe): void {
  flush();
  const before = overlay.peek();
  const { files, problem } = withRecipe(recipe);
  if (problem) return void (trouble.value = problem);
  setFiles(files);
  open.value = recipe.edits[0]!.path;
  did(`“${recipe.title}” is in your edits.`, () => {
    flush();
    const now = { ...overlay.peek() };
    for (const { path } of recipe.edits) {
      if (before[path] === undefined) delete now[path];
      else now[path] = before[path];
    }
    setFiles(now);
  });
}

// ---- projects ------------------------------------------------------------------------------------

/** Opens a project in place of the one that is open; its files stay where they are kept. */
export function switchTo(name: string): void {
  flush();
  replaceFiles(projects.choose(name));
  undoable.value = null;
}

/** A new project, which begins with the given edits. */
export function newProject(wish: string, files: Files): void {
  flush();
  projects.choose(projects.freeName(wish));
  replaceFiles(files);
}

export function deleteProject(): void {
  flush();
  const [name, files] = [projects.current.peek(), overlay.peek()];
  projects.remove();
  const next = projects.names.peek().find((other) => other !== name);
  replaceFiles(projects.choose(next ?? projects.freeName("My edits")));
  did(`“${name}” was deleted.`, () => newProject(name, files));
}

const readZip = reader();

/** Has Python read a project's file. It comes back as `offered`, to be read. */
export async function unzip(file: File): Promise<void> {
  trouble.value = "";
  if (file.size > MAX_ZIP) {
    trouble.value = `${file.name} has ${file.size.toLocaleString("en")} bytes: too many for a project.`;
    return;
  }
  const bytes = await readZip(file);
  if (bytes === null) return;
  if (typeof bytes === "string") trouble.value = bytes;
  else send({ type: "unzip", name: file.name, bytes }, [bytes.buffer]);
}

const project = () => {
  flush();
  return { name: projects.current.peek(), files: overlay.peek(), ...readSettings() };
};

export const downloadZip = () => send({ type: "zip", ...project() });

export function shareCode(): void {
  codeLink.begin();
  send({ type: "share_code", ...project() });
}

/** Takes the edits of what was opened as a project of its own. They are not run. */
export function takeOffered(): void {
  const theirs = offered.peek();
  if (!theirs) return;
  newProject(theirs.name, projects.checked(theirs.files));
  if (!hasRun.value) showSettings(theirs.settings);
  leaveOffered();
}

/** Lets what was opened go, and the link with it. */
export function leaveOffered(): void {
  if (offered.peek()?.origin === "link") leaveFragment();
  offered.value = null;
}

/** Has Python read the edits of the address's link whenever there are new ones. */
export function watchOffers(): void {
  let read = "";
  effect(() => {
    const text = editsFragment.value;
    if (text !== read && offered.peek()?.origin === "link") offered.value = null;
    read = text;
    if (adapter.value && text && !offered.peek()) send({ type: "code_claim", text });
  });
}

/** The edits of the last visit come back, and each change of them is kept. */
export function keepEdits(): void {
  overlay.value = projects.last();
  let first = true;
  effect(() => {
    const files = overlay.value;
    if (first) first = false;
    else projects.write(files);
    codeLink.made.value = null; // it is of the edits as they were
  });
  addEventListener("pagehide", flush);
  projects.follow(setFiles);
}
