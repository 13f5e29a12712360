// A panel in a frame of another page. Until the reader wants it, nothing is loaded but this: then the
// page's own script comes, and Python. What the address says is shown as text, and nothing of it runs.

import "./embed.css";
import { megabytes } from "../base/format";
import { allBytes, faultOfScript, here } from "../base/host";
import { recall, THEME } from "../base/localStorage";
import { type PanelName, PANELS, readPanel, type Settings } from "../base/panels";

/** Where the page's script puts its parts: a lesson has the run, the code and the tabs beside it. */
const PLACES: Partial<Record<string, string[]>> = {
  run: ["runner"],
  lesson: ["course", "runner", "code", "views"],
};

const root = document.documentElement;
const main = document.querySelector("main")!;
const full = document.querySelector<HTMLAnchorElement>("footer a")!;
const asked = readPanel(location.hash.slice(1));

function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  text: string,
  className = "",
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

/** Resolves once the page's style is there. */
const style = () =>
  new Promise<void>((done) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.onload = link.onerror = () => done(); // without it the panel works all the same
    link.href = here("main.css");
    document.head.append(link);
  });

async function load(name: string): Promise<void> {
  await style();
  const places = (PLACES[name] ?? ["panel"]).map((id) => {
    const place = document.createElement("div");
    place.id = id;
    return place;
  });
  main.replaceChildren(...places);
  main.tabIndex = -1;
  main.focus();
  try {
    await import(here("main.js"));
  } catch (error) {
    const { message, hint } = await faultOfScript("main.js", error);
    tell(`${message} ${hint}`, "Try again", () => location.reload());
  }
}

/** Puts a card with a sentence in place of the panel, and perhaps a button. */
function tell(text: string, label = "", act = () => {}): void {
  const card = element("section", "", "unloaded card stack");
  const said = element("p", text);
  said.role = "status";
  card.append(said);
  if (label) {
    const button = element("button", label, "primary");
    button.onclick = () => {
      button.disabled = true;
      act();
    };
    card.append(button);
  }
  main.replaceChildren(card);
}

/** Names the panel, and has the link to the full page lead to it. */
function head(name: PanelName, { lesson = "1" }: Settings): void {
  const heading = name === "lesson" ? `Lesson ${lesson}` : PANELS[name].title;
  document.title = `${heading} · Groundling`;
  document.querySelector("h1")!.textContent = heading;
  full.hash = location.hash;
}

const theme = asked.problem === undefined ? asked.theme : "";
root.dataset.theme = theme || recall(THEME) || "system";

if (asked.problem !== undefined) tell(asked.problem);
else {
  const { name, settings } = asked;
  root.dataset.panel = name;
  document.querySelector("header")!.append(element("p", PANELS[name].what));
  head(name, settings);
  tell(
    `Load fetches Python and what it needs from this site, ${megabytes(allBytes())} MB. The panel ` +
      "then runs on your own device.",
    "Load",
    () => void load(name),
  );
}

// Another panel in the address is another page. A lesson that follows is not.
addEventListener("hashchange", () => {
  const now = readPanel(location.hash.slice(1));
  if (now.problem !== undefined || asked.problem !== undefined || now.name !== asked.name)
    location.reload();
  else head(now.name, now.settings);
});
