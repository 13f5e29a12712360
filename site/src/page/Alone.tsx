// A panel alone, in a frame of another page.

import { askedPanel } from "../base/fragment";
import { readPanel } from "../base/panels";
import { OneCase } from "../doctor/Doctor";
import { Boot } from "../run/Boot";
import { phase } from "../run/state";
import { Troubles } from "./Panels";
import { VIEWS } from "./views";

/** The tab of the name that the address asks for, or of the doctor's cases the one it names. */
export function Alone() {
  const asked = readPanel(askedPanel.value);
  const view = VIEWS.find(({ id }) => id === asked.name);
  if (!view || asked.problem !== undefined) return null;
  const one = view.id === "doctor" ? asked.settings.case : undefined;
  return (
    <section class={`tool card ${view.id}`} aria-label={view.title} data-phase={phase.value}>
      <div class="panels stack">
        <Troubles />
      </div>
      {phase.value === "booting" ? <Boot /> : one ? <OneCase name={one} /> : <view.component />}
    </section>
  );
}
