import { count } from "../base/format";
import { useSignal } from "@preact/signals";
import { edits } from "./state";
import { nameOf } from "../base/paths";
import { parseDiff, tally } from "../ui/unified";
import { Diff } from "../ui/Diff";

/** The edits that the run took on, as the marks on its curve number them; each shows its diff. */
export function EditList() {
  const shown = useSignal<number | null>(null);
  if (!edits.value.length) return null;
  const at = shown.value;
  return (
    <div class="edits stack">
      <h3>Edits of the code</h3>
      <ol>
        {edits.value.map(({ iter, diff }, n) => {
          const files = parseDiff(diff).map((file) => `${nameOf(file.path)} ${tally(file)}`);
          return (
            <li key={n}>
              <button aria-expanded={at === n} onClick={() => (shown.value = at === n ? null : n)}>
                <span class="flag" aria-hidden="true">
                  {n + 1}
                </span>
                <span>
                  iteration {count(iter)}
                  <small>{files.join(", ") || "nothing differs"}</small>
                </span>
              </button>
            </li>
          );
        })}
      </ol>
      {at !== null && edits.value[at] && <Diff text={edits.value[at].diff} />}
    </div>
  );
}
