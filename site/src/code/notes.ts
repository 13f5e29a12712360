// Notes on the code: each stands in the editor above the line that it quotes a piece of, when the
// reader asks for them. They are no part of the text. site/notes has them, a file a source.

import { computed, signal } from "@preact/signals";
import { type EditorState, type Extension, StateField } from "@codemirror/state";
import { Decoration, type DecorationSet, EditorView, WidgetType } from "@codemirror/view";
import { recall, remember } from "../base/localStorage";
import { type Line, translated } from "../base/translated";
import { pathOf } from "./assist";

/** As site/notes.py reads it. */
interface Note {
  quote: string;
  text: Line;
}

const KEY = "groundling-notes";

/** Whether notes are shown. */
export const showsNotes = signal(false);
/** The notes by the path of their file, once they have come. */
export const notes = signal<Record<string, Note[]> | null>(null);
/** Why they did not come, or "". */
export const problem = signal("");
let language = "en";

/** Resolves once they are shown, or are not. */
export async function showNotes(shows: boolean): Promise<void> {
  showsNotes.value = shows;
  remember(KEY, shows ? "shown" : "");
  if (shows && !notes.peek()) await load();
}

export function recallNotes(): void {
  if (recall(KEY) === "shown") void showNotes(true);
}

async function load(): Promise<void> {
  problem.value = "";
  try {
    const found = await translated<Record<string, Note[]>>("notes.json");
    language = found.language;
    notes.value = found.texts;
  } catch (error) {
    showsNotes.value = false;
    problem.value = `The notes could not be fetched: ${error instanceof Error ? error.message : error}.`;
  }
}

class Shown extends WidgetType {
  constructor(private readonly note: Note) {
    super();
  }

  override eq(other: Shown): boolean {
    return other.note === this.note;
  }

  toDOM(): HTMLElement {
    const shown = document.createElement("p");
    shown.className = "cm-note";
    shown.lang = language;
    shown.setAttribute("role", "note");
    for (const span of this.note.text) {
      if (typeof span === "string") shown.append(span);
      else {
        const part = document.createElement(span.as === "code" ? "code" : "strong");
        part.textContent = span.text;
        shown.append(part);
      }
    }
    return shown;
  }
}

/** A note is shown while its quote is in the file, and there once. */
function placed(state: EditorState): DecorationSet {
  const text = state.doc.toString();
  const found = notes.peek()?.[state.facet(pathOf)] ?? [];
  const shown = found.flatMap((note) => {
    const at = text.indexOf(note.quote);
    if (at < 0 || at !== text.lastIndexOf(note.quote)) return [];
    const widget = Decoration.widget({ widget: new Shown(note), block: true, side: -1 });
    return widget.range(state.doc.lineAt(at).from);
  });
  return Decoration.set(shown, true);
}

const field = StateField.define<DecorationSet>({
  create: placed,
  update: (shown, { docChanged, state }) => (docChanged ? placed(state) : shown),
  provide: (field) => EditorView.decorations.from(field),
});

/** Where the first note at or after a position is, if notes are shown and there is one. */
export function noteAfter(state: EditorState, position: number): number | null {
  const at = state.field(field, false)?.iter(position);
  return at?.value ? at.from : null;
}

/** What the editor has of it. */
export const noted = computed<Extension>(() => (showsNotes.value && notes.value ? field : []));
