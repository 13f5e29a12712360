import { openSearchPanel } from "@codemirror/search";
import { nextDiagnostic } from "@codemirror/lint";
import { useSignal, useSignalEffect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { announce } from "../ui/announce";
import { byKey } from "../ui/keys";
import {
  applied,
  fit,
  isDeclined,
  kernels,
  late,
  originals,
  overlay,
  pendingFiles,
  raised,
  recipes,
  refusal,
  sent,
  sources,
} from "./state";
import { nameOf } from "../base/paths";
import { LIBRARY, SHADERS } from "../base/protocol";
import { addFile, apply, canApply, placeOf, revert, run, trouble, undoable } from "./edits";
import {
  cursor,
  flush,
  goToFirstChange,
  goToNote,
  mountEditor,
  open,
  problems,
  setFiles,
  showsDiff,
  textOf,
  theView,
} from "./editor";
import { notes, problem as notesProblem, showNotes, showsNotes } from "./notes";
import * as format from "../base/format";
import { current, isPath } from "./projects";
import { adapter, asked, hasRun, phase } from "../run/state";
import { formatter } from "./ruff";
import { Console } from "./Console";
import { NameForm } from "./NameForm";
import { News } from "./News";
import { Projects } from "./ProjectDrawer";
import { Recipes } from "./Recipes";

const mod = () => (/Mac|iP(?:hone|ad)/.test(navigator.platform) ? "⌘" : "Ctrl");
const FIRST = ["train", "model", "optim", "sampling", "data", "config", "rng"].map(
  (name) => `${LIBRARY}${name}.py`,
);

/** What there is to say where notes are asked for and not shown, or "". */
function notesSay(): string {
  const all = notes.value;
  if (!showsNotes.value || !all || open.value in all) return notesProblem.value;
  const files = Object.keys(all).filter((path) => path.startsWith(LIBRARY));
  return `No notes on this file. They are on ${files.map(nameOf).join(", ")} and the kernels of a step.`;
}

const counted = (n: number) => (n === 1 ? "1 file" : `${n} files`);

/** Where the edits stand, in a line. */
function standing(): string {
  const changed = Object.keys(overlay.value).length;
  if (late.value) {
    const what = sent.value?.as === "run" ? "begun a run" : "come to the end of an iteration";
    const how = phase.value === "training" ? "Pause" : "Reset";
    return `The code has not ${what} yet. If it never does, ${how} ends it.`;
  }
  if (sent.value?.as === "apply") return "Applying at the next iteration …";
  if (sent.value?.as === "run" && !asked.value) return "Starting with this code …";
  if (isDeclined.value) {
    if (fit.value) return "Nothing was applied yet: the model has other parameters.";
    if (kernels.value?.some((row) => !row.ok))
      return "Nothing was applied: a kernel differs from its NumPy reference.";
    if (refusal.value) {
      if (!hasRun.value) return "Refused: nothing was started.";
      const goesOn = phase.value !== "error";
      return `Refused: ${goesOn ? "the old code goes on" : "the run stays as it stopped"}.`;
    }
  }
  if (!hasRun.value) {
    if (!changed) return "The code as it came. Edit any file: Start trains with your edits.";
    return `${counted(changed)} changed. Start trains with your edits.`;
  }
  const pending = pendingFiles.value.length;
  if (pending) return `${counted(pending)} changed, not applied.`;
  const now = applied.value;
  if (now)
    return `Applied at iteration ${format.count(now.iter)}, ${format.elapsed(now.ms / 1000)} s after you asked.`;
  return changed ? "The run has your edits." : "The run has the code as it came.";
}

/** The files by folder: those to read first, what stands beside them, and the others. */
function groups(): { title: string; paths: string[] }[] {
  const known = sources.value.map(({ path }) => path);
  const fresh = Object.keys(overlay.value).filter((path) => !originals.value.has(path));
  const found = new Map([["The model", FIRST.filter((path) => known.includes(path))]]);
  for (const path of [...known, ...fresh.sort()]) {
    if (FIRST.includes(path)) continue;
    const folder = path.slice(0, path.lastIndexOf("/") + 1);
    const title = folder === LIBRARY ? "Beside it" : nameOf(folder) || folder;
    found.set(title, [...(found.get(title) ?? []), path]);
  }
  return [...found].map(([title, paths]) => ({ title, paths }));
}

const remark = (path: string): string => {
  if (raised.value.some((frame) => frame.path === path)) return "error";
  if (!(path in overlay.value)) return "";
  return originals.value.has(path) ? "changed" : "new";
};

/** The files: a list where there is room, else a menu. Tab stops at it once; arrow keys move in it. */
function Tree() {
  const list = useRef<HTMLElement>(null);
  if (!sources.value.length) return null;
  const move = (event: KeyboardEvent) => {
    const all = list.current!.querySelectorAll<HTMLElement>("summary, button");
    const files = [...all].filter((one) => one.checkVisibility());
    const at = files.indexOf(event.target as HTMLElement);
    const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: files.length - 1 };
    byKey(event, steps, (to) => files[to]?.focus());
  };
  return (
    <nav class="tree" aria-label="Files" ref={list} onKeyDown={move}>
      {groups().map(({ title, paths }, at) => (
        <details
          key={title}
          open={at === 0 || paths.some((path) => path === open.value || remark(path) !== "")}
        >
          <summary tabIndex={-1}>{title}</summary>
          <ul>
            {paths.map((path) => (
              <li key={path}>
                <button
                  aria-current={open.value === path}
                  data-remark={remark(path)}
                  tabIndex={open.value === path ? 0 : -1}
                  onClick={() => (open.value = path)}
                >
                  {path.split("/").at(-1)}
                  {remark(path) && <span class="for-readers">, {remark(path)}</span>}
                </button>
              </li>
            ))}
          </ul>
        </details>
      ))}
    </nav>
  );
}

function Menu() {
  return (
    <span class="menu">
      <label class="for-readers" for="file-choice">
        File
      </label>
      <select
        id="file-choice"
        disabled={!sources.value.length}
        value={open.value}
        onChange={(event) => (open.value = event.currentTarget.value)}
      >
        {groups().map(({ title, paths }) => (
          <optgroup key={title} label={title}>
            {paths.map((path) => (
              <option key={path} value={path}>
                {nameOf(path)}
                {remark(path) && ` (${remark(path)})`}
              </option>
            ))}
          </optgroup>
        ))}
      </select>
    </span>
  );
}

/** What can be done with the file that is open. */
function FileBar({ add }: { add: () => void }) {
  const path = open.value;
  const isNew = !originals.value.has(path);
  const changed = path in overlay.value;
  const formatting = useSignal(false);
  const tidy = async () => {
    if (formatting.value) return;
    formatting.value = true;
    trouble.value = "";
    const project = current.peek();
    try {
      const ruff = await formatter();
      if (current.peek() !== project) return;
      flush();
      if (isNew && !(path in overlay.peek())) return; // it was removed
      setFiles({ ...overlay.peek(), [path]: ruff(textOf(path)) });
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      trouble.value = /fetch|import|network/i.test(said)
        ? "ruff could not be fetched. It is 11 MB, and comes over the network when it is first used."
        : `ruff could not format ${nameOf(path)}: ${said}`;
    } finally {
      formatting.value = false;
    }
  };
  return (
    <div class="file">
      <Menu />
      <h3>
        {nameOf(path)} {remark(path) && <small data-remark={remark(path)}>{remark(path)}</small>}
      </h3>
      <div class="row">
        <button class="link" onClick={add}>
          New file
        </button>
        <button
          class="link"
          onClick={() => {
            const view = theView();
            if (view) openSearchPanel(view);
          }}
        >
          Search
        </button>
        {path.endsWith(".py") && (
          <button class="link" aria-disabled={formatting.value} onClick={tidy}>
            {formatting.value ? "Fetching ruff …" : "Format"}
          </button>
        )}
        <button
          class="link"
          aria-pressed={showsDiff.value}
          disabled={!changed && !showsDiff.value}
          onClick={() => {
            showsDiff.value = !showsDiff.value;
            if (showsDiff.value) goToFirstChange();
          }}
        >
          {showsDiff.value ? "Hide changes" : "Show changes"}
        </button>
        <button
          class="link"
          aria-pressed={showsNotes.value}
          onClick={() => void showNotes(!showsNotes.value).then(goToNote)}
        >
          {showsNotes.value ? "Hide notes" : "Show notes"}
        </button>
        <button class="link" disabled={!changed} onClick={() => revert(path)}>
          {isNew && changed ? "Remove" : "Revert"}
        </button>
      </div>
      {notesSay() && <p class="note">{notesSay()}</p>}
    </div>
  );
}

const isOnCpu = () => adapter.value !== null && adapter.value.device !== "webgpu";

function Foot() {
  const [line, column] = cursor.value;
  const { count, first } = problems.value;
  const isWgsl = open.value.startsWith(SHADERS);
  return (
    <div class="foot">
      <span class="at">
        {line}:{column}
      </span>
      {count > 0 && (
        <button
          class="link"
          title={first}
          onClick={() => {
            const view = theView();
            if (!view) return;
            nextDiagnostic(view);
            view.focus();
          }}
        >
          {count === 1 ? first : `${count} problems; ${first}`}
        </button>
      )}
      <span class="keys">
        {isPath(open.value) ? (
          <>
            <kbd>Tab</kbd> indents; <kbd>Esc</kbd> then <kbd>Tab</kbd> leaves the editor.{" "}
            {!isWgsl && (
              <>
                <kbd>F1</kbd> tells of the word at the cursor.
              </>
            )}
            {isWgsl && isOnCpu() && "Used on a GPU. For the CPU, edit devices/kernels.py."}
          </>
        ) : (
          "Read-only: it was compiled when the page was built. On the CPU, an edited function of devices/kernels.py replaces its kernel."
        )}
      </span>
    </div>
  );
}

/** The code that trains, to be read and edited while it does. */
export function Code({ guide }: { guide: ComponentChildren }) {
  const place = useRef<HTMLDivElement>(null);
  const drawer = useSignal<"recipes" | "project" | null>(null);
  const adding = useSignal(false);
  useEffect(() => mountEditor(place.current!), []);
  useSignalEffect(() => announce(trouble.value || notesSay() || (undoable.value?.text ?? "")));

  const toggle = (name: "recipes" | "project", label: string) => (
    <button
      aria-expanded={drawer.value === name}
      aria-controls="code-drawer"
      onClick={() => (drawer.value = drawer.value === name ? null : name)}
    >
      {label}
    </button>
  );
  const busy = sent.value?.as === "apply";
  return (
    <section
      class="coding card"
      aria-labelledby="code-title"
      onKeyDown={(event) => {
        if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        if (event.repeat) return; // held down, it is still one press
        if (event.shiftKey) run();
        else apply();
      }}
    >
      <header>
        <h2 id="code-title">The code</h2>
        <div class="row">
          {recipes.value.length > 0 && toggle("recipes", "Recipes")}
          {toggle("project", "Keep and share")}
        </div>
      </header>
      {guide}
      <div class="go">
        <button
          class={canApply() && pendingFiles.value.length ? "primary" : ""}
          aria-busy={busy}
          aria-disabled={!canApply()}
          aria-describedby="go-note"
          title={`${mod()} Enter`}
          onClick={() => apply()}
        >
          Apply
        </button>
        <button
          disabled={phase.value === "booting"}
          aria-describedby="go-note"
          title={`${mod()} Shift Enter`}
          onClick={() => run()}
        >
          Run
        </button>
        <p class="standing" aria-live="polite">
          {standing()}
        </p>
        <p class="note" id="go-note">
          <b>Apply</b>
          <span class="keys">
            {" "}
            (<kbd>{mod()}</kbd> <kbd>Enter</kbd>)
          </span>
          : the run goes on with this code. <b>Run</b>
          <span class="keys">
            {" "}
            (<kbd>{mod()}</kbd> <kbd>Shift</kbd> <kbd>Enter</kbd>)
          </span>
          : a new run begins{hasRun.value ? ", and this one ends" : " with it"}.
        </p>
      </div>
      <News />
      {drawer.value && (
        <div class="drawer" id="code-drawer">
          {drawer.value === "recipes" ? (
            <Recipes close={() => (drawer.value = null)} />
          ) : (
            <Projects />
          )}
        </div>
      )}
      {(undoable.value || trouble.value) && (
        <p class="done">
          {trouble.value || undoable.value!.text}{" "}
          {!trouble.value && (
            <button class="link" onClick={undoable.value!.undo}>
              Undo
            </button>
          )}
          <button
            class="link"
            onClick={() => {
              undoable.value = null;
              trouble.value = "";
            }}
          >
            Close
          </button>
        </p>
      )}
      <FileBar add={() => (adding.value = true)} />
      {adding.value && (
        <NameForm
          label="Name of the new file"
          action="Make it"
          placeholder="my_op.py, my_op.wgsl"
          problemOf={(name) => placeOf(name.trim()).problem}
          take={(name) => {
            addFile(placeOf(name).path);
            theView()?.focus();
          }}
          done={() => (adding.value = false)}
        />
      )}
      <div class="desk">
        <Tree />
        <div class="code" ref={place} />
        {!sources.value.length && (
          <p class="empty">The files appear here as soon as Python has unpacked them.</p>
        )}
      </div>
      <Foot />
      <Console />
    </section>
  );
}
