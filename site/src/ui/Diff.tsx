import { count } from "../base/format";
import { useSignal } from "@preact/signals";
import { nameOf } from "../base/paths";
import { type FileDiff, parseDiff, tally } from "./unified";
import { reveal } from "./invisible";

const SIGNS = { same: " ", added: "+", removed: "−", gap: "" } as const;
const MOST_LINES = 4000; // that are shown before they are asked for: anyone may have written them

/** A text in which nothing is hidden: what would not show is told by its code. */
export function Revealed({ text }: { text: string }) {
  return (
    <>
      {reveal(text).map((part, at) =>
        typeof part === "string" ? (
          part
        ) : (
          <span key={at}>
            {part.shown}
            <span class="code-point">{part.code}</span>
          </span>
        ),
      )}
    </>
  );
}

function File({ file }: { file: FileDiff }) {
  const all = useSignal(false);
  const lines = all.value ? file.lines : file.lines.slice(0, MOST_LINES);
  const more = file.lines.length - lines.length;
  const odd = file.lines.reduce(
    (sum, { kind, text }) =>
      kind === "added" ? sum + reveal(text).filter((part) => typeof part !== "string").length : sum,
    0,
  );
  return (
    <figure class="diff">
      <figcaption>
        <b>{nameOf(file.path)}</b>
        {file.status === "new" && " new file"}
        {file.status === "gone" && " removed"}
        <span class="tally">{tally(file)}</span>
      </figcaption>
      {odd > 0 && (
        <p class="odd">
          {odd === 1 ? "One character that was added does" : `${odd} characters that were added do`}{" "}
          not show, or {odd === 1 ? "passes" : "pass"} for another: marked by{" "}
          {odd === 1 ? "its" : "their"} code.
        </p>
      )}
      <pre tabIndex={0} role="region" aria-label={`What changes in ${nameOf(file.path)}`}>
        {lines.map(({ kind, text }, at) => (
          <span key={at} class={kind}>
            {kind === "gap" ? text : `${SIGNS[kind]} `}
            {kind !== "gap" && <Revealed text={text} />}
            {"\n"}
          </span>
        ))}
      </pre>
      {more > 0 && (
        <button class="link more" onClick={() => (all.value = true)}>
          Show the other {count(more)} lines
        </button>
      )}
    </figure>
  );
}

/** A unified diff, to be read: whoever wrote it, it is shown as text, and all of it can be seen. */
export function Diff({ text }: { text: string }) {
  const files = parseDiff(text);
  if (!files.length) return <p class="note">Nothing differs.</p>;
  return (
    <div class="diffs stack">
      {files.map((file) => (
        <File key={file.path} file={file} />
      ))}
    </div>
  );
}
