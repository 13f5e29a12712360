import { again, isDead, restart } from "../run/supervision";
import { load } from "./load";
import { Fault } from "../code/Frames";
import { Asked, Discarded, Offer } from "./Offers";
import { Lacking } from "../run/Device";
import { Panel } from "../ui/Panel";
import { Renewal } from "./Renewal";
import {
  adapter,
  asked,
  discarded,
  kept,
  notice,
  offer,
  panel,
  phase,
  rescued,
  stuck,
} from "../run/state";

/** What is wrong, and what is to be known of. */
export function Troubles() {
  const wrong = panel.value;
  const copy = kept.value;
  const missing = adapter.value?.missing;
  return (
    <>
      {missing && <Lacking missing={missing} detail={adapter.value!.detail} />}
      {wrong && (
        <Panel key={`${wrong.title} ${wrong.message}`} tone="error" title={wrong.title}>
          <Fault error={wrong} />
          {isDead() && <button onClick={() => again()}>Try again</button>}
          {phase.value !== "error" && (
            <button class="link" onClick={() => (panel.value = null)}>
              Close
            </button>
          )}
        </Panel>
      )}
      {stuck.value && (
        <Panel tone="error" title="Python takes long to stop">
          <p>
            The step it is in has not ended. With a large model or on a slow machine that may take
            long, so you can wait; or end Python and boot it again.{" "}
            {copy
              ? `The copy of the run at iteration ${copy.iter} would be left.`
              : "The run would be lost."}
          </p>
          <button onClick={restart}>End Python</button>
        </Panel>
      )}
      {notice.value && (
        <Panel key={notice.value} tone="notice">
          <p>{notice.value}</p>
        </Panel>
      )}
      <Renewal />
    </>
  );
}

/** These, and what can be done with runs that are kept. */
export function Panels() {
  const copy = kept.value;
  return (
    <div class="panels stack">
      <Troubles />
      {asked.value && <Asked />}
      {offer.value && phase.value === "ready" && <Offer copy={offer.value} />}
      {discarded.value && phase.value === "ready" && <Discarded />}
      {copy?.file && rescued.value && !offer.value && phase.value === "ready" && (
        <Panel tone="notice">
          <p>
            A copy of the run at iteration {copy.iter} is left.{" "}
            <button class="link" onClick={() => void load(new File([copy.file!], copy.name))}>
              Bring it back
            </button>
          </p>
        </Panel>
      )}
    </div>
  );
}
