import "./diff.css";
import { nameOf } from "../code";
import { parseDiff, tally } from "../diff";

const SIGNS = { same: " ", added: "+", removed: "−", gap: "" } as const;

/** A unified diff, to be read: whoever wrote it, it is shown as text. */
export function Diff({ text }: { text: string }) {
  const files = parseDiff(text);
  if (!files.length) return <p class="note">Nothing differs.</p>;
  return (
    <div class="diffs">
      {files.map((file) => (
        <figure class="diff" key={file.path}>
          <figcaption>
            <b>{nameOf(file.path)}</b>
            {file.status === "new" && " new file"}
            {file.status === "gone" && " removed"}
            <span class="tally">{tally(file)}</span>
          </figcaption>
          <pre tabIndex={0} role="region" aria-label={`What changes in ${nameOf(file.path)}`}>
            {file.lines.map(({ kind, text }, at) => (
              <span key={at} class={kind}>
                {kind === "gap" ? text : `${SIGNS[kind]} ${text}`}
                {"\n"}
              </span>
            ))}
            {file.omitted > 0 && (
              <span class="gap">{`${file.omitted.toLocaleString("en")} more lines`}</span>
            )}
          </pre>
        </figure>
      ))}
    </div>
  );
}
