import { useSignal } from "@preact/signals";
import { python } from "@codemirror/lang-python";
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { EditorState, type Extension } from "@codemirror/state";
import { EditorView, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "preact/hooks";
import { sources } from "../state";
import { wgsl } from "../wgsl";

const LIBRARY = "py_src/groundling/";

const looks: Extension = [
  EditorView.theme({
    "&": { height: "100%", color: "var(--ink)", fontSize: "var(--code-size)" },
    "&.cm-focused": { outline: "2px solid var(--focus)", outlineOffset: "-2px" },
    ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6" },
    ".cm-gutters": { background: "var(--card)", color: "var(--muted)", border: "none" },
    ".cm-lineNumbers .cm-gutterElement": { padding: "0 .9em 0 1em" },
    ".cm-content": { padding: "1em 1em 1em 0" },
  }),
  syntaxHighlighting(
    HighlightStyle.define([
      { tag: [tags.comment, tags.docString], color: "var(--code-comment)" },
      { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
      { tag: [tags.keyword, tags.operatorKeyword, tags.self], color: "var(--code-keyword)" },
      { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
      {
        tag: [
          tags.definition(tags.function(tags.variableName)),
          tags.definition(tags.className),
          tags.typeName,
        ],
        color: "var(--code-name)",
      },
      { tag: [tags.meta], color: "var(--code-number)" },
    ]),
  ),
];

const nameOf = (path: string) => path.replace(LIBRARY, "").replace("shaders/", "");

function stateOf(path: string, text: string): EditorState {
  return EditorState.create({
    doc: text,
    extensions: [
      lineNumbers(),
      looks,
      path.endsWith(".py") ? python() : wgsl,
      EditorState.readOnly.of(true),
      EditorView.editable.of(false),
      EditorView.contentAttributes.of({
        tabindex: "0",
        "aria-label": `${nameOf(path)}, to read`,
        "aria-readonly": "true",
      }),
    ],
  });
}

/** The files that run, to be read. The editor sits in a shadow root, where CodeMirror's style
 * sheets are constructed ones, which the page's content security policy allows. */
export function Source() {
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const open = useSignal(0);
  const files = sources.value;
  const file = files[open.value];

  useEffect(() => {
    if (!file) return;
    if (!view.current) {
      const root = box.current!.shadowRoot ?? box.current!.attachShadow({ mode: "open" });
      view.current = new EditorView({ parent: root, root });
    }
    view.current.setState(stateOf(file.path, file.text));
    view.current.scrollDOM.scrollTop = 0;
  }, [file]);

  const group = (title: string, prefix: string) => (
    <optgroup label={title}>
      {files.map(({ path }, at) =>
        path.startsWith(prefix) ? (
          <option key={path} value={at}>
            {nameOf(path)}
          </option>
        ) : null,
      )}
    </optgroup>
  );

  return (
    <section class="source" aria-labelledby="source-title">
      <header>
        <h2 id="source-title">What runs</h2>
        <div class="pick">
          <label for="source-file">File</label>
          <select
            id="source-file"
            disabled={!file}
            value={open.value}
            onChange={(event) => (open.value = Number(event.currentTarget.value))}
          >
            {file ? (
              <>
                {group("Python", LIBRARY)}
                {group("Kernels for the GPU, WGSL", "shaders/")}
              </>
            ) : (
              <option value={0}>train.py</option>
            )}
          </select>
        </div>
      </header>
      <div class="code" ref={box} />
      <p class="note">
        {file
          ? `${file.path} · ${file.text.trimEnd().split("\n").length} lines · as loaded into this page`
          : "The files appear here as soon as Python has unpacked them."}
      </p>
    </section>
  );
}
