import { FileButton } from "../ui/FileButton";
import { load } from "./load";
import * as format from "../base/format";
import { send } from "../run/supervision";
import { autosaved, hasRun, keeping, loaded, model, phase, progress } from "../run/state";
import { room } from "../run/storage";
import { Stop } from "../guide/Guide";
import { Explained } from "../ui/Term";

/** What autosave does, in small print. */
function kept(): string {
  const { keeping: how, problem } = keeping.value;
  if (how === "taken")
    return (
      "Another tab keeps its run in this browser, so this tab's run is lost unless you Save state. " +
      "To have this tab keep its runs, close the other one, then reload."
    );
  if (how === "none")
    return `This browser gives the page no storage (${problem}): a reload loses the run, unless you Save state.`;
  const last = autosaved.value;
  if (!last) return "A running run is kept in this browser too, for after a crash or a reload.";
  const said = `Kept in this browser at iteration ${format.count(last.iter)}`;
  if (!room.value) return `${said}.`;
  const { usage, quota, persisted } = room.value;
  return (
    `${said}: ${format.megabytes(usage)} MB of the ${format.bytes(quota)} there is` +
    (persisted ? ", for good." : ", for as long as the browser finds room.")
  );
}

/** About how large a file of the weights is, or of so many numbers for each. */
const size = (times: number) => format.megabytes(512 + 4 * times * model.value.parameters);

/** Save and load, for both kinds of file. Load takes either kind, and so does a drop. */
export function Files() {
  const { best } = progress.value;
  const save = (what: "weights" | "state", note: string) => (
    <div class="weights row">
      <button
        disabled={!hasRun.value}
        onClick={() => send({ type: what === "weights" ? "save" : "state" })}
      >
        Save {what}
      </button>
      <p class="note">
        {note}
        {what === "weights" && best && (
          <>
            {" "}
            <button class="link" onClick={() => send({ type: "best" })}>
              Save the best
            </button>
            : validation loss {format.loss(best.valLoss)}, at iteration {format.count(best.iter)}.
          </>
        )}
      </p>
    </div>
  );
  return (
    <div class="files">
      <Stop at="save" />
      {save("weights", `The model alone, to use or to share: ${size(1)} MB.`)}
      {save("state", `The whole run, to go on with exactly: ${size(3)} MB.`)}
      <div class="weights row">
        <FileButton
          accept=".bin,.state"
          label="File to load"
          disabled={!["ready", "paused", "done"].includes(phase.value)}
          take={([file]) => void load(file!)}
        >
          Load weights or a state
        </FileButton>
        <FileButton
          accept=".bin,.state"
          label="Weights to begin from"
          disabled={!["ready", "paused", "done"].includes(phase.value)}
          take={([file]) => void load(file!, true)}
        >
          Begin from weights
        </FileButton>
        <p class="note kept">{kept()}</p>
      </div>
    </div>
  );
}

/** What was last loaded, and what it goes on with. */
export function Loaded() {
  const file = loaded.value;
  if (!file) return null;
  return (
    <div class="chip">
      <p>
        <strong>{file.name}</strong>
        <span>{file.kind}</span>
        <span>seed {file.seed}</span>
        <span>iteration {format.count(file.iter)}</span>
        {file.valLoss !== null && <span>val {format.loss(file.valLoss)}</span>}
      </p>
      <p class="note">
        <Explained text={file.note} />
      </p>
    </div>
  );
}
