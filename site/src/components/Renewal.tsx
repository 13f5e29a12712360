import { isRenewed, renew } from "../renewal";
import { hasRun, keeping } from "../state";
import { Panel } from "./Panel";

/** Another build is on the server: the reader may reload. */
export function Renewal() {
  if (!isRenewed.value) return null;
  const said = !hasRun.value
    ? ""
    : keeping.value.keeping === "here"
      ? "The run is kept in this browser, and can go on after that."
      : "The run is not kept in this browser: save its state first.";
  return (
    <Panel tone="notice" class="offer" title="A new version of this page is there">
      <p>This tab still has the one before. Reload to get the new one. {said}</p>
      <div class="actions">
        <button type="button" onClick={renew}>
          Reload
        </button>
      </div>
    </Panel>
  );
}
