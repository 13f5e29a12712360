// The editor: one CodeMirror view, and a state for every file that was opened (text, undo history,
// cursor, folds). In a shadow root CodeMirror constructs its style sheets, as the page's CSP demands.

import { acceptCompletion } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import {
  bracketMatching,
  codeFolding,
  foldGutter,
  foldKeymap,
  foldService,
  indentOnInput,
  indentUnit,
} from "@codemirror/language";
import { diagnosticCount, forEachDiagnostic } from "@codemirror/lint";
import { diff, getChunks, unifiedMergeView } from "@codemirror/merge";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import {
  Compartment,
  EditorState,
  type Extension,
  StateEffect,
  StateField,
  type Text,
} from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  dropCursor,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { effect, signal } from "@preact/signals";
import { help, lints, offset, pathOf } from "./assist";
import { originals, overlay, raised, sources } from "./state";
import { nameOf } from "../base/paths";
import { looks } from "./editorTheme";
import { noteAfter, noted, recallNotes } from "./notes";
import { isPath } from "./projects";
import type { Files, Frame } from "../base/protocol";
import { UNSEEN } from "../ui/invisible";
import { assemblyScript, wgsl } from "./wgsl";

const SETTLE_MS = 150; // of no typing, then the overlay follows

/** The file that is shown. */
export const open = signal("py_src/groundling/train.py");
/** Whether it is shown with what was there before. */
export const showsDiff = signal(false);
/** The line of the cursor, from 1, and its column, from 1. */
export const cursor = signal<[number, number]>([1, 1]);
/** How many problems lint has found in the file, and the first. */
export const problems = signal<{ count: number; first: string }>({ count: 0, first: "" });

/** A file that is not shown: its state, and how far it was scrolled. */
interface Left {
  state: EditorState;
  scroll?: ReturnType<EditorView["scrollSnapshot"]>;
}
const left = new Map<string, Left>();
let view: EditorView | null = null;
const merging = new Compartment();
const noting = new Compartment();

/** What the overlay, or else the original, has. */
const keptText = (path: string) => overlay.peek()[path] ?? originals.peek().get(path) ?? "";

/** A file's text as it is now, to the last keystroke. */
export function textOf(path: string): string {
  if (view && path === shown) return view.state.doc.toString();
  return left.get(path)?.state.doc.toString() ?? keptText(path);
}

// ---- what was raised -----------------------------------------------------------------------------

const setRaised = StateEffect.define<readonly Frame[]>();

function underlines(state: EditorState, frames: readonly Frame[]): DecorationSet {
  const path = state.facet(pathOf);
  const marks = frames
    .filter((frame) => frame.path === path)
    .flatMap((frame) => {
      const from = offset(state, frame.line, frame.column);
      const to = offset(state, frame.endLine, frame.endColumn);
      const line = state.doc.lineAt(from);
      const marks = [Decoration.line({ class: "cm-raised-line" }).range(line.from)];
      if (to > from) marks.push(Decoration.mark({ class: "cm-raised" }).range(from, to));
      return marks;
    });
  return Decoration.set(marks, true);
}

/** The ranges that an error came from, until they are edited. */
const raisedField = StateField.define<DecorationSet>({
  create: (state) => underlines(state, raised.peek()),
  update(marks, transaction) {
    for (const effect of transaction.effects) {
      if (effect.is(setRaised)) return underlines(transaction.state, effect.value);
    }
    if (!transaction.docChanged) return marks;
    const touched: number[] = [];
    transaction.changes.iterChangedRanges((from) => {
      touched.push(transaction.startState.doc.lineAt(from).from);
    });
    const kept = marks.update({
      filter: (from) => !touched.includes(transaction.startState.doc.lineAt(from).from),
    });
    return kept.map(transaction.changes);
  },
  provide: (field) => EditorView.decorations.from(field),
});

// ---- states --------------------------------------------------------------------------------------

/** What a line that ends in a brace opens: up to the line that closes it. */
const bracesFold = foldService.of((state, start) => {
  const first = state.doc.lineAt(start);
  if (!first.text.trimEnd().endsWith("{")) return null;
  const indent = first.text.search(/\S/);
  for (let n = first.number + 1; n <= state.doc.lines; n++) {
    const { text, from } = state.doc.line(n);
    if (text.search(/\S/) === indent && text.trim().startsWith("}")) {
      return { from: first.to, to: from - 1 };
    }
  }
  return null;
});

const languages: Record<string, Extension> = {
  py: [python(), indentUnit.of("    ")],
  wgsl: [wgsl, indentUnit.of("  "), bracesFold],
  ts: [assemblyScript, EditorState.readOnly.of(true), bracesFold],
};

/** The view of a changed file against its original: what was taken out stands above its place. */
const against = (path: string): Extension =>
  unifiedMergeView({
    original: originals.peek().get(path) ?? "",
    mergeControls(type, act) {
      const button = document.createElement(type === "reject" ? "button" : "span");
      if (type !== "reject") return button; // the edits are the reader's already
      button.textContent = "Revert this";
      button.onmousedown = act;
      button.onclick = (event) => event.detail === 0 && act(event); // by keyboard
      return button;
    },
  });

function stateOf(path: string): EditorState {
  return EditorState.create({
    doc: keptText(path),
    extensions: [
      pathOf.of(path),
      merging.of(showsDiff.peek() ? against(path) : []),
      noting.of(noted.peek()),
      lineNumbers(),
      highlightActiveLineGutter(),
      history(),
      foldGutter({ openText: "▾", closedText: "▸" }),
      codeFolding(),
      drawSelection(),
      dropCursor(),
      EditorState.allowMultipleSelections.of(true),
      indentOnInput(),
      bracketMatching(),
      highlightActiveLine(),
      highlightSpecialChars({ specialChars: new RegExp(UNSEEN, "gu") }),
      highlightSelectionMatches(),
      search({ top: true }),
      raisedField,
      isPath(path) ? [help, lints] : [],
      looks,
      languages[path.split(".").at(-1)!] ?? [],
      keymap.of([
        { key: "Tab", run: acceptCompletion },
        ...defaultKeymap.filter(({ key }) => key !== "Mod-Enter"), // Apply's
        ...searchKeymap,
        ...historyKeymap,
        ...foldKeymap,
        indentWithTab,
      ]),
      EditorView.contentAttributes.of({
        "aria-label": `${nameOf(path)}, to ${isPath(path) ? "edit" : "read"}`,
        tabindex: "0",
      }),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) follow(path);
        if (update.docChanged || update.selectionSet) tellCursor(update.state);
        tellProblems(update.state);
      }),
    ],
  });
}

function tellCursor(state: EditorState): void {
  const { head } = state.selection.main;
  const line = state.doc.lineAt(head);
  cursor.value = [line.number, head - line.from + 1];
}

function tellProblems(state: EditorState): void {
  const count = diagnosticCount(state);
  let first = "";
  forEachDiagnostic(state, ({ message }, from) => {
    first ||= `line ${state.doc.lineAt(from).number}: ${message}`;
  });
  const last = problems.peek();
  if (count !== last.count || first !== last.first) problems.value = { count, first };
}

// ---- the overlay follows -------------------------------------------------------------------------

const dirty = new Set<string>();
let settling: ReturnType<typeof setTimeout> | undefined;

function follow(path: string): void {
  dirty.add(path);
  clearTimeout(settling);
  settling = setTimeout(flush, SETTLE_MS);
}

/** Those of the files that are not as they came. */
const edited = (files: Files): Files =>
  Object.fromEntries(
    Object.entries(files).filter(([path, text]) => text !== originals.peek().get(path)),
  );

/** Takes what was typed into the overlay. */
export function flush(): void {
  clearTimeout(settling);
  if (!dirty.size) return;
  const files = { ...overlay.peek() };
  for (const path of dirty) files[path] = textOf(path);
  dirty.clear();
  overlay.value = edited(files);
}

/** Makes the edits others, as steps that Undo in each file takes back. */
export function setFiles(wanted: Files): void {
  flush();
  const [before, files] = [overlay.peek(), edited(wanted)];
  overlay.value = files;
  for (const path of new Set([...Object.keys(before), ...Object.keys(files)])) {
    if (files[path] === before[path]) continue;
    const text = keptText(path);
    const change = (doc: Text) =>
      diff(doc.toString(), text).map(({ fromA, toA, fromB, toB }) => ({
        from: fromA,
        to: toA,
        insert: text.slice(fromB, toB),
      }));
    if (view && path === shown) view.dispatch({ changes: change(view.state.doc) });
    const kept = left.get(path);
    if (kept) kept.state = kept.state.update({ changes: change(kept.state.doc) }).state;
    if (!originals.peek().has(path) && !(path in files)) left.delete(path);
  }
  dirty.clear();
  clearTimeout(settling);
  stayOpen();
}

/** Opens another file where the open one is gone. */
function stayOpen(): void {
  if (originals.peek().has(open.peek()) || open.peek() in overlay.peek()) return;
  open.value = sources.peek()[0]?.path ?? "";
}

/** Forgets every state: another project's files come. */
export function replaceFiles(files: Files): void {
  clearTimeout(settling);
  dirty.clear();
  left.clear();
  overlay.value = files;
  stayOpen();
  if (view && shown) show(open.peek(), true);
}

// ---- the view ------------------------------------------------------------------------------------

let shown = "";

function show(path: string, anew = false): void {
  if (!view || (path === shown && !anew)) return;
  if (shown && !anew) left.set(shown, { state: view.state, scroll: view.scrollSnapshot() });
  const kept = left.get(path);
  shown = path;
  view.setState(kept?.state ?? stateOf(path));
  left.delete(path);
  view.dispatch({
    effects: [
      setRaised.of(raised.peek()),
      merging.reconfigure(showsDiff.peek() ? against(path) : []),
      noting.reconfigure(noted.peek()),
      ...(kept?.scroll ? [kept.scroll] : []),
    ],
  });
  if (!kept) view.scrollDOM.scrollTop = 0;
  tellCursor(view.state);
}

/** Opens a file at a place, which becomes the selection. */
export function goTo(
  frame: Pick<Frame, "path" | "line" | "column" | "endLine" | "endColumn">,
): void {
  open.value = frame.path;
  show(frame.path);
  if (!view) return;
  const anchor = offset(view.state, frame.line, frame.column);
  const head = offset(view.state, frame.endLine, frame.endColumn);
  view.dispatch({
    selection: { anchor: head, head: anchor },
    effects: EditorView.scrollIntoView(anchor, { y: "center" }),
  });
  view.focus();
}

/** Brings the first change into view, where changes are shown. */
export function goToFirstChange(): void {
  const [first] = (view && getChunks(view.state)?.chunks) ?? [];
  if (!first) return;
  view!.dispatch({ effects: EditorView.scrollIntoView(first.fromB, { y: "center" }) });
}

/** Brings the next note into view, where notes are shown. */
export function goToNote(): void {
  if (!view) return;
  const top = view.lineBlockAtHeight(view.scrollDOM.scrollTop).from;
  const at = noteAfter(view.state, top);
  if (at !== null) view.dispatch({ effects: EditorView.scrollIntoView(at) });
}

/** The view itself, for its commands. */
export const theView = (): EditorView | null => view;

/** Puts the editor in its place, as soon as there are files; returns what takes it out. */
export function mountEditor(place: HTMLElement): () => void {
  const root = place.shadowRoot ?? place.attachShadow({ mode: "open" });
  recallNotes();
  const stops = [
    effect(() => {
      if (!sources.value.length) return;
      view ??= new EditorView({ parent: root, root });
      show(open.value);
    }),
    effect(() => {
      const effects = merging.reconfigure(showsDiff.value ? against(shown) : []);
      if (shown) view?.dispatch({ effects });
    }),
    effect(() => {
      const effects = noting.reconfigure(noted.value);
      if (shown) view?.dispatch({ effects });
    }),
    effect(() => {
      const frames = raised.value;
      if (!shown || !view) return;
      view.dispatch({ effects: setRaised.of(frames) });
      const last = frames.findLast((frame) => frame.path === shown);
      if (last) {
        const at = offset(view.state, last.line, last.column);
        view.dispatch({ effects: EditorView.scrollIntoView(at, { yMargin: 60 }) });
      }
    }),
  ];
  return () => {
    for (const stop of stops) stop();
    if (view && shown) left.set(shown, { state: view.state, scroll: view.scrollSnapshot() });
    view?.destroy();
    shown = "";
    view = null;
  };
}
