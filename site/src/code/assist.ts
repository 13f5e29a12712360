// Completion, docs and lint: what the worker knows of the code, shown where it is typed.

import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
  type Completion,
  type CompletionContext,
  type CompletionResult,
} from "@codemirror/autocomplete";
import { linter, lintKeymap, type Diagnostic } from "@codemirror/lint";
import {
  type EditorState,
  type Extension,
  Facet,
  StateEffect,
  StateField,
} from "@codemirror/state";
import {
  EditorView,
  hoverTooltip,
  keymap,
  showTooltip,
  type Tooltip,
  type TooltipView,
} from "@codemirror/view";
import { ask } from "./state";
import { send } from "../run/supervision";
import { phase } from "../run/state";

const LINT_MS = 500; // of no typing

/** The source that a document is; "" for the console's prompt. */
export const pathOf = Facet.define<string, string>({ combine: (paths) => paths[0] ?? "" });

const question = (state: EditorState) => ({
  path: state.facet(pathOf),
  text: state.doc.toString(),
});

/** Where a line and column are in a document; the nearest place there is. */
export function offset(state: EditorState, line: number, column: number): number {
  const { from, length } = state.doc.line(Math.max(1, Math.min(line, state.doc.lines)));
  return from + Math.max(0, Math.min(column, length));
}

async function complete(context: CompletionContext): Promise<CompletionResult | null> {
  const typed = context.matchBefore(/[\w.@]+/);
  if (!context.explicit && !typed) return null;
  if (phase.value === "booting") return null;
  const answer = await ask<"completions">((id) =>
    send({ type: "complete", id, ...question(context.state), at: context.pos }),
  );
  if (!answer?.options.length) return null;
  const options = answer.options.map(({ label, type, detail, info }): Completion => {
    return { label, type, ...(detail ? { detail } : {}), ...(info ? { info } : {}) };
  });
  return { from: answer.start, options, validFor: /^\w*$/ };
}

// ---- docs ----------------------------------------------------------------------------------------

async function docAt(state: EditorState, at: number): Promise<Tooltip | null> {
  if (phase.value === "booting") return null;
  const answer = await ask<"doc">((id) => send({ type: "hover", id, ...question(state), at }));
  if (!answer || (!answer.signature && !answer.text)) return null;
  const create = (): TooltipView => {
    const dom = document.createElement("div");
    dom.className = "cm-doc";
    const signature = dom.appendChild(document.createElement("pre"));
    signature.textContent = answer.signature;
    if (answer.text) dom.appendChild(document.createElement("p")).textContent = answer.text;
    return { dom };
  };
  return { pos: answer.start, end: answer.end, above: true, create };
}

const setDoc = StateEffect.define<Tooltip | null>();

/** The docs that a key asked for; they go with the next move. */
const keyedDoc = StateField.define<Tooltip | null>({
  create: () => null,
  update(shown, transaction) {
    for (const effect of transaction.effects) if (effect.is(setDoc)) return effect.value;
    return transaction.docChanged || transaction.selection ? null : shown;
  },
  provide: (field) => showTooltip.from(field),
});

function showDoc(view: EditorView): boolean {
  const { state } = view;
  void docAt(state, state.selection.main.head).then((doc) => {
    if (doc && view.state.doc.eq(state.doc)) view.dispatch({ effects: setDoc.of(doc) });
  });
  return true;
}

function hideDoc(view: EditorView): boolean {
  if (!view.state.field(keyedDoc, false)) return false;
  view.dispatch({ effects: setDoc.of(null) });
  return true;
}

// ---- lint ----------------------------------------------------------------------------------------

/** Asked as Python boots, too: it is not asked again before the text changes. */
async function lint({ state }: EditorView): Promise<Diagnostic[]> {
  const answer = await ask<"linted">((id) => send({ type: "lint", id, ...question(state) }));
  return (answer?.problems ?? []).map((problem) => {
    const from = offset(state, problem.line, problem.column);
    const to = Math.max(from, offset(state, problem.endLine, problem.endColumn));
    return { from, to, severity: problem.severity, message: problem.message };
  });
}

/** CodeMirror would insert the text of a file that is dropped on it; the page takes it (drops.ts). */
const leaveFiles = EditorView.domEventHandlers({
  drop: (event) => event.dataTransfer?.types.includes("Files") ?? false,
});

/** Completion and docs; for the console's prompt this is all. */
export const help: Extension = [
  leaveFiles,
  closeBrackets(),
  autocompletion({ override: [complete], icons: false }),
  hoverTooltip((view, at) => docAt(view.state, at), { hoverTime: 400 }),
  keyedDoc,
  keymap.of([
    ...closeBracketsKeymap,
    ...completionKeymap,
    { key: "F1", run: showDoc },
    { key: "Escape", run: hideDoc },
  ]),
];

export const lints: Extension = [linter(lint, { delay: LINT_MS }), keymap.of(lintKeymap)];
