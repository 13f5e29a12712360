// The workbench below the run and its code (which stay side by side above it): one tab for each
// thing to do or see besides.

import "./tools.css";
import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useRef } from "preact/hooks";
import { Credits } from "../credits/Credits";
import { Doctor } from "../doctor/Doctor";
import { Inspector } from "../inspector/Inspector";
import { LookInside } from "../inside/LookInside";
import { Speed } from "../speed/Speed";
import { Talk } from "../talk/Talk";
import { Text } from "../text/Text";
import { Twin } from "../twin/Twin";
import { recall, remember } from "../base/local";

/** A tab: its component is made when the tab is first opened, and stays. It renders a `.body`. */
interface View {
  id: string;
  title: string;
  what: string;
  component: ComponentType;
}

const VIEWS: View[] = [
  {
    id: "text",
    title: "Text and model",
    what: "Bring your own text, and choose the model that learns it.",
    component: Text,
  },
  {
    id: "talk",
    title: "Talk",
    what: "Let a model write, turn its knobs, and see what each character was chosen from.",
    component: Talk,
  },
  {
    id: "inside",
    title: "Look inside",
    what: "Where does each head look, and what would each layer say?",
    component: LookInside,
  },
  {
    id: "doctor",
    title: "Doctor",
    what: "What does a loss curve look like when something is wrong, and what cures it?",
    component: Doctor,
  },
  {
    id: "twin",
    title: "Twin",
    what: "Is a seed the whole run? Train two and compare the bytes.",
    component: Twin,
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

/** The tab that was open at the last visit, if there is still one of that name. */
function first(): string {
  const kept = recall(KEPT);
  return VIEWS.find(({ id }) => id === kept)?.id ?? "talk";
}

export function Views() {
  const open = useSignal(first());
  const opened = useSignal([open.value]);
  const tabs = useRef<HTMLDivElement>(null);

  const show = (id: string) => {
    open.value = id;
    if (!opened.value.includes(id)) opened.value = [...opened.value, id];
    remember(KEPT, id);
  };
  const move = (event: KeyboardEvent) => {
    const at = VIEWS.findIndex(({ id }) => id === open.value);
    const to = {
      ArrowRight: (at + 1) % VIEWS.length,
      ArrowLeft: (at + VIEWS.length - 1) % VIEWS.length,
      Home: 0,
      End: VIEWS.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    show(VIEWS[to]!.id);
    tabs.current?.querySelectorAll("button")[to]?.focus();
  };

  return (
    <>
      <div class="tabs" role="tablist" aria-label="Besides the run" ref={tabs} onKeyDown={move}>
        {VIEWS.map(({ id, title }) => (
          <button
            key={id}
            type="button"
            role="tab"
            id={`tab-${id}`}
            aria-selected={open.value === id}
            aria-controls={`view-${id}`}
            tabIndex={open.value === id ? 0 : -1}
            onClick={() => show(id)}
          >
            {title}
          </button>
        ))}
      </div>
      {VIEWS.map(({ id, title, what, component: Component }) => (
        <section
          key={id}
          id={`view-${id}`}
          class={`tool ${id}`}
          role="tabpanel"
          aria-labelledby={`tab-${id}`}
          hidden={open.value !== id}
        >
          {opened.value.includes(id) && (
            <>
              <header>
                <h2>{title}</h2>
                <p>{what}</p>
              </header>
              <Component />
            </>
          )}
        </section>
      ))}
    </>
  );
}
