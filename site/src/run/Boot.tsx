import * as format from "../base/format";
import { again } from "./supervision";
import type { Stage } from "../base/protocol";
import { compiling, stages } from "./state";

const NAMES: Record<Stage, string> = {
  download: "Downloading",
  python: "Starting Python",
  numpy: "Loading NumPy",
  adapter: "Finding the GPU",
  kernels: "Compiling kernels",
};
const STAGES = Object.keys(NAMES) as Stage[]; // in the order they are shown

function detail(stage: Stage): string {
  const at = stages.value[stage];
  if (!at) return "";
  if (stage === "download") {
    const came = format.megabytes(at.done);
    const so = at.total > at.done ? `${came} of ${format.megabytes(at.total)} MB` : `${came} MB`;
    return at.detail ? `${so}, stalled` : so;
  }
  return stage === "kernels" ? `${at.done} of ${at.total}` : "";
}

/** What is being done now, in a line. */
export function doing(): string {
  const begun = STAGES.filter((stage) => stages.value[stage]);
  const now = begun.find((stage) => stages.value[stage]!.done < stages.value[stage]!.total);
  const name = now ?? begun.at(-1);
  return name ? [NAMES[name], detail(name)].filter(Boolean).join(", ") : "Python is on its way.";
}

/** What happens between opening the page and being ready. */
export function Boot() {
  const waiting = stages.value.download?.detail;
  return (
    <ol class="boot stack" aria-label="Getting ready">
      {STAGES.map((stage) => {
        const at = stages.value[stage];
        const state = !at ? "waiting" : at.total > 0 && at.done >= at.total ? "done" : "active";
        return (
          <li key={stage} data-state={state}>
            <span class="name">{NAMES[stage]}</span>
            <span class="status">{detail(stage)}</span>
            <progress
              aria-label={NAMES[stage]}
              max={at?.total || 1}
              {...(state === "active" && !at?.done ? {} : { value: at?.done ?? 0 })}
            />
          </li>
        );
      })}
      <li class="compiling" aria-hidden="true">
        {compiling.value && `${compiling.value}.wgsl`}
      </li>
      {waiting && (
        <li class="stalled">
          <p role="status">
            The download has stalled: no more of {waiting} has come for a while. It goes on by
            itself once the connection does.{" "}
            <button class="link" onClick={() => again()}>
              Try again
            </button>
          </p>
        </li>
      )}
    </ol>
  );
}
