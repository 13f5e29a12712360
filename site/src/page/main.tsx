// The page: draws what the worker tells and sends on what the reader does.

import "./language";
import "./style.css";
import { effect } from "@preact/signals";
import { render } from "preact";
import { connect } from "../base/connection";
import { isFrame, lessonFragment, watchFragment } from "../base/fragment";
import { Code } from "../code/Code";
import { keepEdits, watchOffers } from "../code/edits";
import { Course, CourseLink } from "../course/Course";
import { watchLessons } from "../course/state";
import { Again, Stop } from "../guide/Guide";
import { guide } from "../guide/state";
import { phase, progress } from "../run/state";
import { watchRoom } from "../run/storage";
import { watchClaims } from "../share/state";
import { recallTexts } from "../text/state";
import { Announcements } from "../ui/Panel";
import { Term } from "../ui/Term";
import { ThemeToggle } from "../ui/ThemeToggle";
import { keepFocus } from "../ui/focus";
import { followTheme } from "../ui/theme";
import type { Word } from "../ui/glossary";
import { watchForRenewal } from "./Renewal";
import { Runner } from "./Runner";
import { Alone } from "./Alone";
import { acceptDrops } from "./drops";
import { themeAsked } from "./panelSettings";
import { receive } from "./receive";
import { recallView, Views, watchPanel } from "./views";

const place = (id: string) => document.getElementById(id);

/** Puts a part where it goes; a frame has some of the places. */
function mount(id: string, component: Parameters<typeof render>[0]): void {
  const there = place(id);
  if (!there) return;
  there.replaceChildren();
  render(component, there);
}

/** A key that is held down presses a button once, whatever button has the focus after that. */
function pressOnce(): void {
  const holds = ({ key, repeat, target }: KeyboardEvent) =>
    repeat && key === "Enter" && target instanceof HTMLButtonElement;
  addEventListener("keydown", (event) => holds(event) && event.preventDefault(), true);
}

connect(receive);
followTheme(themeAsked());
if (!isFrame()) guide();
recallTexts();
recallView();
if (place("code")) keepEdits(); // where they can be seen
mount(
  "theme",
  <>
    <CourseLink />
    <ThemeToggle />
  </>,
);
mount("course", <Course />);
mount("runner", <Runner />);
mount("code", <Code guide={<Stop at="edit" />} />);
mount("views", <Views />);
mount("panel", <Alone />);
mount("around", <Again />);
mount("said", <Announcements />);
for (const word of document.querySelectorAll<HTMLElement>("[data-term]")) {
  const text = word.textContent!;
  word.replaceChildren();
  render(<Term word={word.dataset.term as Word}>{text}</Term>, word);
}
if (place("views")) acceptDrops();
pressOnce();
keepFocus();
watchFragment();
watchPanel();
watchLessons();
watchOffers();
watchClaims();
watchRoom();
watchForRenewal();

// Once the page works, it is kept for visits without a network. Not every browser lets us; and a frame
// of another page takes no such room.
const stop = effect(() => {
  if (phase.value !== "ready" || isFrame()) return;
  queueMicrotask(() => stop());
  keepPage().catch(() => {});
});

/** Rejects where the browser refuses: where it blocks cookies, asking for the property throws. */
async function keepPage(): Promise<void> {
  const workers = navigator.serviceWorker as ServiceWorkerContainer | undefined;
  if (!workers) return;
  await workers.register("sw.js", { updateViaCache: "none" });
  await workers.ready;
  place("kept")!.hidden = false;
}

const title = document.title;
const heading = document.querySelector("h1")!;
effect(() => {
  lessonFragment.value; // by which a frame has got another heading
  const name = isFrame() ? `${heading.textContent} · Groundling` : title;
  const { iter, iters, trainLoss } = progress.value;
  const words: Partial<Record<typeof phase.value, string>> = {
    training: `${iter} / ${iters}`,
    paused: `Paused at ${iter}`,
    done: "Done",
    error: "Stopped",
  };
  const said = words[phase.value];
  const loss = said && trainLoss !== null ? ` · ${trainLoss.toFixed(2)}` : "";
  document.title = said ? `${said}${loss} · ${name}` : name;
});
