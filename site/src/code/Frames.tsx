import { nameOf } from "../base/paths";
import { goTo } from "./editor";
import type { CodeError, Frame } from "../base/protocol";

/** A place in the code; pressing it opens the file there. */
function Place({ frame }: { frame: Frame }) {
  const text = frame.text.trim();
  const where = (
    <>
      <b>{frame.path ? `${nameOf(frame.path)}, line ${frame.line}` : "the prompt"}</b>
      {frame.name && !frame.name.startsWith("<") && ` in ${frame.name}`}
    </>
  );
  return (
    <li class="frame">
      {frame.path ? (
        <button class="link" onClick={() => goTo(frame)}>
          {where}
        </button>
      ) : (
        <span>{where}</span>
      )}
      {text && <code>{text}</code>}
    </li>
  );
}

/** The frames in runs of yours and of the library's. */
function runs(frames: Frame[]): Frame[][] {
  const all: Frame[][] = [];
  for (const frame of frames) {
    const last = all.at(-1);
    if (last && last[0]!.yours === frame.yours) last.push(frame);
    else all.push([frame]);
  }
  return all;
}

/** Where an error came from: the calls in the reader's files, with the library's folded. */
export function Frames({ frames }: { frames: Frame[] }) {
  if (!frames.length) return null;
  const yours = frames.some((frame) => frame.yours);
  return (
    <ol class="frames stack">
      {runs(frames).map((run, at) =>
        run[0]!.yours ? (
          run.map((frame, n) => <Place key={`${at}.${n}`} frame={frame} />)
        ) : (
          <li key={at}>
            <details open={!yours && run.length === 1}>
              <summary>
                {run.length === 1 ? "1 call" : `${run.length} calls`} in the library
              </summary>
              <ol class="frames stack">
                {run.map((frame, n) => (
                  <Place key={n} frame={frame} />
                ))}
              </ol>
            </details>
          </li>
        ),
      )}
    </ol>
  );
}

/** An error in the code: what happened, where, and what to try. */
export function Fault({
  error,
}: {
  error: Pick<CodeError, "message" | "hint" | "detail"> & { frames?: Frame[] };
}) {
  return (
    <>
      <p class="message">{error.message}</p>
      {error.hint && <p>{error.hint}</p>}
      <Frames frames={error.frames ?? []} />
      {error.detail && (
        <details>
          <summary>Details</summary>
          <pre>{error.detail}</pre>
        </details>
      )}
    </>
  );
}
