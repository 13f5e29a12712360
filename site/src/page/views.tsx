// The workbench below the run and its code (which stay side by side above it): one tab for each
// thing to do or see besides.

import { effect, signal, untracked } from "@preact/signals";
import type { ComponentType } from "preact";
import { useRef } from "preact/hooks";
import { Credits } from "../credits/Credits";
import { Doctor } from "../doctor/Doctor";
import { Inspector } from "../inspector/Inspector";
import { LookInside } from "../inside/LookInside";
import { Shelf } from "../shelf/Shelf";
import { Speed } from "../speed/Speed";
import { OneStep } from "../step/OneStep";
import { Talk } from "../talk/Talk";
import { Text } from "../text/Text";
import { Twin } from "../twin/Twin";
import { recall, remember } from "../base/localStorage";
import { askedPanel, isFrame } from "../base/fragment";
import { isPanel, PANELS, readPanel } from "../base/panels";
import { notice } from "../run/state";
import { CopyEmbed } from "../ui/CopyEmbed";
import { byKey } from "../ui/keys";
import { fill, settingsOf } from "./panelSettings";

type ViewName =
  | "text"
  | "talk"
  | "inside"
  | "step"
  | "doctor"
  | "twin"
  | "runs"
  | "inspector"
  | "speed"
  | "credits";

/** A tab: its component is made when the tab is first opened, and stays. It renders a `.body`. */
interface View {
  id: ViewName;
  title: string;
  what: string;
  component: ComponentType;
}

export const VIEWS: View[] = [
  {
    id: "text",
    title: "Text and model",
    what: "Bring your own text, and choose the model that learns it.",
    component: Text,
  },
  {
    id: "talk",
    ...PANELS.talk,
    component: Talk,
  },
  {
    id: "inside",
    ...PANELS.inside,
    component: LookInside,
  },
  {
    id: "step",
    title: "One step, slowly",
    what: "What happens in a step of training? Forward and back, with every number.",
    component: OneStep,
  },
  {
    id: "doctor",
    ...PANELS.doctor,
    component: Doctor,
  },
  {
    id: "twin",
    ...PANELS.twin,
    component: Twin,
  },
  {
    id: "runs",
    title: "Runs",
    what: "Every run is kept in this browser. Compare them, and continue any.",
    component: Shelf,
  },
  {
    id: "inspector",
    title: "Inspector",
    what: "What is in a saved file, byte by byte and tensor by tensor?",
    component: Inspector,
  },
  {
    id: "speed",
    title: "Speed",
    what: "How fast is a step on your device, and where does each millisecond go?",
    component: Speed,
  },
  {
    id: "credits",
    title: "Credits",
    what: "The files that ran, in the order to read them.",
    component: Credits,
  },
];

const KEPT = "groundling.tab";

const open = signal<ViewName>("talk");
const opened = signal<ViewName[]>([]);

export function openView(id: ViewName): void {
  open.value = id;
  if (!opened.peek().includes(id)) opened.value = [...opened.peek(), id];
  remember(KEPT, id);
}

/** Opens the tab of the last visit, if there is still one of that name. */
export function recallView(): void {
  const kept = recall(KEPT);
  openView(VIEWS.find(({ id }) => id === kept)?.id ?? "talk");
}

/** Fills in what the address asks for, and goes to the tab of that name where there are tabs. Nothing of
 * it runs.
 */
export function watchPanel(): void {
  effect(() => {
    if (!askedPanel.value) return;
    const asked = readPanel(askedPanel.value);
    if (asked.problem !== undefined) return void (notice.value = asked.problem);
    untracked(() => fill(asked.name, asked.settings));
    const view = VIEWS.find(({ id }) => id === asked.name);
    if (!view || isFrame()) return;
    untracked(() => openView(view.id));
    document.getElementById("views")!.scrollIntoView();
  });
}

export function Views() {
  const tabs = useRef<HTMLDivElement>(null);

  const at = VIEWS.findIndex(({ id }) => id === open.value);
  const steps = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 };
  const go = (step: number) => {
    const to = (step + VIEWS.length) % VIEWS.length;
    openView(VIEWS[to]!.id);
    tabs.current?.querySelectorAll("button")[to]?.focus();
  };

  return (
    <>
      <div
        class="tabs"
        role="tablist"
        aria-label="Besides the run"
        ref={tabs}
        onKeyDown={(event) => byKey(event, steps, go)}
      >
        {VIEWS.map(({ id, title }) => (
          <button
            key={id}
            role="tab"
            id={`tab-${id}`}
            aria-selected={open.value === id}
            aria-controls={`view-${id}`}
            tabIndex={open.value === id ? 0 : -1}
            onClick={() => openView(id)}
          >
            {title}
          </button>
        ))}
      </div>
      {VIEWS.map(({ id, title, what, component: Component }) => (
        <section
          key={id}
          id={`view-${id}`}
          class={`tool card ${id}`}
          role="tabpanel"
          aria-labelledby={`tab-${id}`}
          hidden={open.value !== id}
        >
          {opened.value.includes(id) && (
            <>
              <header>
                <h2>{title}</h2>
                <p>{what}</p>
                {isPanel(id) && <CopyEmbed panel={id} settings={() => settingsOf(id)} />}
              </header>
              <Component />
            </>
          )}
        </section>
      ))}
    </>
  );
}
