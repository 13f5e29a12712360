// A run as a link: the panel of the link that the page was opened with, and the button that makes
// one. What a link says was written by anyone: it is shown as text, and nothing of it runs.

import { runFragment } from "../base/fragment";
import { focusHome } from "../ui/focus";
import { claim, copy, dismiss, embed, link, replayShown } from "./state";
import * as format from "../base/format";
import { send } from "../run/supervision";
import type { Facts, ReplayReport } from "../base/protocol";
import { adapter, phase } from "../run/state";
import { Diff, Revealed } from "../ui/Diff";
import { MadeLink } from "../ui/MadeLink";

/** What is claimed, fact by fact: name, what the link says, and how that compares with here. */
function told(facts: Facts): [string, string, string?][] {
  const here = adapter.value && `${adapter.value.device}: ${adapter.value.name}`;
  const same = here?.replace(/[^ -~]/g, "?").slice(0, 200) === facts.device;
  const [first, last] = [facts.losses[0], facts.losses.at(-1)];
  const recorded =
    first && last ? `${format.loss(first[1])} at first, ${format.loss(last[1])} at last` : "—";
  return [
    ["Seed", facts.seed],
    ["Trained", `${format.count(facts.iter)} of ${format.count(facts.iters)} iterations`],
    ["Batch size", format.count(facts.batchSize)],
    ["Peak learning rate", String(facts.lr)],
    ...(facts.others ? [["Other settings", facts.others] satisfies [string, string]] : []),
    ["Train loss", recorded, `${facts.losses.length} recorded`],
    ["Validation loss", format.loss(facts.valLoss)],
    ["Model", facts.model],
    ["Adapter", facts.device, same ? "the same as here" : `here: ${here ?? "none yet"}`],
    [
      "Code",
      facts.diff
        ? "edited, as below"
        : facts.sameCode
          ? "the same as here"
          : "other code than here",
      facts.diff && !facts.sameCode ? "on another version than this one" : "",
    ],
    ["Text", facts.sameText ? "the same as here" : "another text than here"],
  ];
}

/** The recorded losses, hollow; those that the replay has reached are filled at its own losses. */
function Dots({ facts, replay }: { facts: Facts; replay: ReplayReport | null }) {
  const losses = facts.losses.map(([, loss]) => loss);
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  const x = (iter: number) => `${2 + (96 * iter) / Math.max(1, facts.iter - 1)}%`;
  const y = (loss: number) => {
    const up = (loss - low) / (high - low || 1);
    return `${90 - 80 * Math.min(1.1, Math.max(-0.1, up))}%`;
  };
  return (
    <svg class="dots" aria-hidden="true">
      {facts.losses.map(([iter, loss]) => (
        <circle key={iter} cx={x(iter)} cy={y(loss)} r="3.5" />
      ))}
      {replay?.losses.map(([iter, loss]) => (
        <circle key={`r${iter}`} class="found" cx={x(iter)} cy={y(loss)} r="3.5" />
      ))}
    </svg>
  );
}

const MARKS: Record<string, string> = { identical: "✓", close: "≈", different: "≠" };

/** Why Replay cannot be pressed now, or "". */
function obstacle(facts: Facts): string {
  if (facts.problem) return facts.problem;
  if (phase.value === "training")
    return "A run is training here: pause it, and it can be replayed.";
  if (["booting", "error"].includes(phase.value)) return "There is no device to replay it on yet.";
  return "";
}

function Claimed({ facts, text }: { facts: Facts; text: string }) {
  const replay = replayShown();
  const running = replay?.phase === "running";
  const why = running ? "" : obstacle(facts);
  return (
    <>
      <dl class="facts">
        {told(facts).map(([name, value, note]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <bdi>
                <Revealed text={value} />
              </bdi>
              {note && <span class="note"> {note}</span>}
            </dd>
          </div>
        ))}
      </dl>
      {facts.diff && (
        <details open>
          <summary>Its code was edited. Replay runs these edits: read them first.</summary>
          <Diff text={facts.diff} />
        </details>
      )}
      {facts.losses.length > 0 && (
        <div>
          <Dots facts={facts} replay={replay} />
          <p class="note">Hollow: the losses that the link tells. Filled: those of a replay.</p>
        </div>
      )}
      {replay ? (
        <>
          <progress aria-label="Replayed so far" max={replay.iters || 1} value={replay.iter} />
          <p class="verdict">
            {running && (
              <b>{`Iter ${format.count(replay.iter)} of ${format.count(replay.iters)}. `}</b>
            )}
            {MARKS[replay.verdict] && <b aria-hidden="true">{`${MARKS[replay.verdict]} `}</b>}
            {replay.message}
          </p>
        </>
      ) : (
        <p>
          Nothing of it has run. Replay trains it here from nothing, {format.count(facts.iter)}{" "}
          iterations, and compares each recorded loss. A run of your own stays as it is.
        </p>
      )}
      {why && <p class="why">{why}</p>}
      <div class="row">
        <button
          class={running ? "" : "primary"}
          disabled={why !== ""}
          onClick={() => send(running ? { type: "unreplay" } : { type: "replay", text })}
        >
          {running ? "Stop replay" : "Replay"}
        </button>
        <Dismiss />
      </div>
    </>
  );
}

function Dismiss() {
  return (
    <button
      onClick={() => {
        dismiss();
        focusHome();
      }}
    >
      Dismiss
    </button>
  );
}

/** For screen readers: what has been read, and how a replay ended. */
function said(): string {
  const replay = replayShown();
  if (replay && replay.phase !== "running") return replay.message;
  if (replay) return "The replay has begun.";
  if (claim.value?.problem) return claim.value.problem;
  return claim.value ? "The link has been read. Nothing of it has run." : "";
}

/** The link that the page was opened with. */
export function Claim() {
  const claimed = claim.value;
  const replay = replayShown();
  if (!runFragment.value) return null;
  const state = (replay && (replay.verdict || replay.phase)) ?? "none";
  const tone = ["different", "failed"].includes(state) ? "error" : "advice";
  return (
    <section class={`panel claim ${tone}`} aria-labelledby="claim" data-replay-verdict={state}>
      <h2 id="claim">{claimed?.problem ? "This link cannot be read" : "A run, told by a link"}</h2>
      <p class="for-readers" aria-live="polite">
        {said()}
      </p>
      {!claimed && <p>It is read as soon as Python is ready. Nothing of it runs by itself.</p>}
      {claimed?.facts && <Claimed facts={claimed.facts} text={claimed.text} />}
      {claimed?.problem && <p>{claimed.problem} Nothing of it has run.</p>}
      {!claimed?.facts && (
        <div class="row">
          <Dismiss />
        </div>
      )}
    </section>
  );
}

/** This page's run, to be told as a link. */
export function Share() {
  const usable = ["paused", "done"].includes(phase.value);
  return (
    <div class="share stack">
      <div class="row">
        <button disabled={!usable} onClick={() => copy(link)}>
          Copy link
        </button>
        <button disabled={!usable} onClick={() => copy(embed)}>
          Copy embed
        </button>
        <p class="note">
          {usable || phase.value === "booting" || phase.value === "ready"
            ? "The run as a link, or as a line of HTML for another page: whoever opens it sees what it claims, and can train it again to check."
            : "A run that is paused or done can be told as a link."}
        </p>
      </div>
      <MadeLink of={link} />
      <MadeLink of={embed} />
    </div>
  );
}
