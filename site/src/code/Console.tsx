import { count } from "../base/format";
import { history as undoHistory, historyKeymap, standardKeymap } from "@codemirror/commands";
import { acceptCompletion } from "@codemirror/autocomplete";
import { python } from "@codemirror/lang-python";
import { bracketMatching } from "@codemirror/language";
import { EditorState } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { help, pathOf } from "./assist";
import {
  asked,
  type Block,
  blocks,
  clearConsole,
  dropped,
  type Line,
  matches,
  query,
  remember,
} from "./output";
import { restart, send } from "../run/supervision";
import { looks } from "./editorTheme";
import { evaluating, stuck } from "../run/state";
import type { ArrayView } from "../base/protocol";
import { Fault } from "./Frames";

const MOST_SIDE = 64;
const number = (value: number | null) => (value === null ? "—" : value.toPrecision(4));

/** An array in short: shape, dtype, statistics, and a small picture, dark for low. */
function Picture({ array }: { array: ArrayView }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = Math.min(array.width, MOST_SIDE);
  const height = Math.min(array.height, MOST_SIDE);
  useLayoutEffect(() => {
    if (!canvas.current || !width || !height) return;
    const context = canvas.current.getContext("2d")!;
    const image = context.createImageData(width, height);
    array.pixels.slice(0, width * height).forEach((value, at) => {
      image.data.set([value, value, value, 255], 4 * at);
    });
    context.putImageData(image, 0, 0);
  }, [array]);
  const scale = Math.max(1, Math.min(8, Math.floor(128 / Math.max(width, height, 1))));
  return (
    <span class="picture">
      {width > 0 && height > 0 && (
        <canvas
          ref={canvas}
          width={width}
          height={height}
          style={{ width: `${width * scale}px`, height: `${height * scale}px` }}
          role="img"
          aria-label="The array as a picture: dark for low, light for high"
        />
      )}
      <span class="facts">
        <b>{`(${array.shape.join(", ")})`}</b> {array.dtype}
        <br />
        mean {number(array.mean)}, std {number(array.std)}
        <br />
        from {number(array.min)} to {number(array.max)}
      </span>
    </span>
  );
}

const NAMES: Record<Line["kind"], string> = {
  in: "asked: ",
  out: "",
  err: "error output: ",
  value: "",
  array: "",
  error: "error: ",
};

function Row({ line }: { line: Line }) {
  return (
    <li class={line.kind}>
      {NAMES[line.kind] && <span class="for-readers">{NAMES[line.kind]}</span>}
      {line.error ? (
        <Fault error={{ ...line.error, message: line.text || line.error.message }} />
      ) : (
        line.text
      )}
      {line.array && <Picture array={line.array} />}
    </li>
  );
}

function Rows({ block }: { block: Block }) {
  const wanted = query.value;
  return (
    <ol>
      {block.lines.value.map((line) =>
        matches(line, wanted) ? <Row key={line.id} line={line} /> : null,
      )}
    </ol>
  );
}

/** Where expressions are typed; Enter asks, Shift-Enter is a new line, Up and Down go back. */
function Prompt() {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const root = place.current!.shadowRoot ?? place.current!.attachShadow({ mode: "open" });
    let at = asked.length;
    let draft = "";
    const put = (view: EditorView, text: string) => {
      const changes = { from: 0, to: view.state.doc.length, insert: text };
      view.dispatch({ changes, selection: { anchor: text.length } });
    };
    const evaluate = (view: EditorView) => {
      const text = view.state.doc.toString().trim();
      if (!text) return true;
      remember(text);
      at = asked.length;
      send({ type: "evaluate", text });
      put(view, "");
      return true;
    };
    const go = (step: number) => (view: EditorView) => {
      const { doc, selection } = view.state;
      const line = doc.lineAt(selection.main.head).number;
      const to = at + step;
      if (line !== (step < 0 ? 1 : doc.lines) || to < 0 || to > asked.length) return false;
      if (at === asked.length) draft = doc.toString();
      at = to;
      put(view, at === asked.length ? draft : asked[at]!);
      return true;
    };
    const view = new EditorView({
      parent: root,
      root,
      state: EditorState.create({
        extensions: [
          pathOf.of(""),
          undoHistory(),
          bracketMatching(),
          python(),
          help,
          looks,
          EditorView.lineWrapping,
          EditorView.theme({
            "&": { height: "auto", borderBottomRightRadius: "calc(2 * var(--radius))" },
            ".cm-content": { padding: ".45rem .6rem .45rem 0" },
          }),
          placeholder("model.parameters, run.iter, sample()"),
          EditorView.contentAttributes.of({ "aria-label": "Ask the run", tabindex: "0" }),
          keymap.of([
            { key: "Tab", run: acceptCompletion },
            { key: "Enter", run: evaluate },
            { key: "ArrowUp", run: go(-1) },
            { key: "ArrowDown", run: go(1) },
            ...historyKeymap,
            ...standardKeymap.filter(({ key }) => key !== "Mod-Enter"),
          ]),
        ],
      }),
    });
    return () => view.destroy();
  }, []);
  return (
    <div class="prompt">
      <span aria-hidden="true">&gt;&gt;&gt;</span>
      <div ref={place} />
    </div>
  );
}

/** Ends what was typed, if that takes a while. */
function StopEvaluating() {
  const shown = useSignal(false);
  const running = evaluating.value > 0;
  useEffect(() => {
    const timer = setTimeout(() => (shown.value = running), running ? 500 : 0);
    return () => clearTimeout(timer);
  }, [running]);
  if (!shown.value || !running) return null;
  return (
    <button class="link" onClick={() => (stuck.value ? restart() : send({ type: "interrupt" }))}>
      {stuck.value ? "End Python" : "Stop it"}
    </button>
  );
}

/** What the code prints, and a prompt that asks the live run. */
export function Console() {
  const box = useRef<HTMLDivElement>(null);
  const top = useRef(0); // where we scrolled to; above it, the reader did
  const stays = useRef(false); // the reader scrolled up: what comes does not move it
  const all = blocks.value;
  const last = all.at(-1)?.lines.value;
  useLayoutEffect(() => {
    if (!box.current || stays.current) return;
    box.current.scrollTop = box.current.scrollHeight;
    top.current = box.current.scrollTop;
  }, [all, last, query.value]);
  const found = query.value
    ? all.reduce(
        (sum, { lines }) => sum + lines.value.filter((line) => matches(line, query.value)).length,
        0,
      )
    : 0;
  return (
    <section class="console" aria-labelledby="console-title">
      <header>
        <h3 id="console-title">Console</h3>
        <label>
          <span class="for-readers">Search the console</span>
          <input
            type="search"
            placeholder="Search"
            value={query.value}
            onInput={(event) => (query.value = event.currentTarget.value)}
          />
        </label>
        <span class="found" aria-live="polite">
          {query.value && (found === 1 ? "1 line" : `${count(found)} lines`)}
        </span>
        <StopEvaluating />
        <button class="link" disabled={!all.length} onClick={clearConsole}>
          Clear
        </button>
      </header>
      <div
        class="lines"
        ref={box}
        role="log"
        aria-label="Console"
        tabIndex={0}
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
          if (scrollTop < top.current - 1) stays.current = true;
          if (scrollHeight - scrollTop - clientHeight < 24) stays.current = false;
          top.current = scrollTop;
        }}
      >
        {dropped.value > 0 && <p class="note">{count(dropped.value)} earlier lines were let go.</p>}
        {all.length === 0 && (
          <p class="empty">
            What your code prints appears here. Below, ask the run something while it trains: it is
            answered between two iterations.
          </p>
        )}
        {all.map((block) => (
          <Rows key={block.id} block={block} />
        ))}
      </div>
      <Prompt />
    </section>
  );
}
