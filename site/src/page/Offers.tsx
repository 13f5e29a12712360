import { forgetRun } from "../code/state";
import { edited } from "../code/edits";
import * as format from "../base/format";
import { send } from "../run/supervision";
import type { Copy } from "../base/protocol";
import { asked, discarded } from "../run/state";
import { kept, reopen } from "../text/state";
import { handOn } from "./Controls";
import { Panel } from "../ui/Panel";

/** Continues, on the run's own text where it is here; where it is not, Python says which it needs. */
async function goOn({ text }: Copy): Promise<void> {
  if (text?.ours) send({ type: "untext" });
  else if (text && kept.value[text.hash]) await reopen(text.hash);
  send({ type: "continue", files: edited() });
}

/** The run that was going on when the page was left, and what to do with it. */
export function Offer({ copy }: { copy: Copy }) {
  const { seed, iter, iters, valLoss, createdAt } = copy;
  const where = format.count(iter);
  const isDone = iter >= iters;
  const when = new Date(createdAt).toLocaleString(undefined, {
    dateStyle: "medium",
    timeStyle: "short",
  });
  return (
    <Panel
      tone="notice"
      class="offer"
      title={isDone ? "A finished run is kept here" : "A run can go on"}
    >
      <p class="facts">
        <span>seed {seed || "(empty)"}</span>
        <span>
          iteration {where} of {format.count(iters)}
        </span>
        {valLoss !== null && <span>val {format.loss(valLoss)}</span>}
        <span>
          <time dateTime={createdAt}>{when}</time>
        </span>
      </p>
      <div class="row">
        <button
          onClick={(event) => {
            handOn(event.currentTarget);
            void goOn(copy);
          }}
        >
          {isDone ? "Open it" : `Continue from iteration ${where}`}
        </button>
        <button
          class="link"
          onClick={() => {
            discarded.value = copy;
            send({ type: "discard" });
          }}
        >
          Discard
        </button>
      </div>
    </Panel>
  );
}

/** The copies that were let go, and can be brought back until there is another one. */
export function Discarded() {
  const { seed, iter } = discarded.value!;
  return (
    <Panel tone="notice" label="The kept run was discarded">
      <p>
        The run of seed {seed || "(empty)"}, kept at iteration {format.count(iter)}, was discarded.
        It can be brought back until this browser keeps another run, or you leave.{" "}
        <button class="link" onClick={() => send({ type: "undiscard" })}>
          Undo
        </button>
      </p>
    </Panel>
  );
}

/** A state of other code or another text: whether to go on with it all the same. */
export function Asked() {
  const { name, seed, iter, differences } = asked.value!;
  return (
    <Panel tone="advice" class="offer" title="This run began with something else">
      <p>
        {name}: seed {seed}, iteration {format.count(iter)}.
      </p>
      <ul>
        {differences.map((difference) => (
          <li key={difference}>{difference}</li>
        ))}
      </ul>
      <div class="row">
        <button
          onClick={(event) => {
            handOn(event.currentTarget);
            send({ type: "anyway" });
          }}
        >
          Go on with it
        </button>
        <button
          class="link"
          onClick={() => {
            asked.value = null;
            forgetRun();
          }}
        >
          Leave it
        </button>
      </div>
    </Panel>
  );
}
