// What follows the # of the address, where that is not a place on the page: the link of a run, of
// edits or of a lesson, or a panel, which may have a link among its settings. It is only ever read, and
// anyone may have written it.

import { computed, signal } from "@preact/signals";

const fragment = signal("");
const kind = computed(() => /^(code|lesson)=/.exec(fragment.value)?.[1] ?? "run");
const of = (which: string) => computed(() => (kind.value === which ? fragment.value : ""));

/** The link of a run that the address has, or "". */
export const runFragment = of("run");
/** The link of edits that it has, or "". */
export const editsFragment = of("code");
/** The link of a lesson that it has, or "". */
export const lessonFragment = of("lesson");
/** The panel that it asks for, with its settings, or "". */
export const askedPanel = signal("");

/** Whether this is a panel in a frame, embed.html, and not the full page. */
export const isFrame = (): boolean => "frame" in document.documentElement.dataset;

/** Whether there is a place for a run here: in a frame another panel may stand alone. */
export const isRunHere = (): boolean => document.getElementById("runner") !== null;

/** The address of the full page. */
export const page = (): string =>
  isFrame() ? new URL("./", document.baseURI).href : location.origin + location.pathname;

/** The address of the full page with a link. */
export const address = (text: string): string =>
  `${page()}${isFrame() ? "" : location.search}#${text}`;

const asked = () => new URLSearchParams(location.hash.slice(1));

/** The address of a lesson, on the full page or in this frame. */
export function lessonAddress(number: number): string {
  if (!isFrame()) return address(`lesson=${number}`);
  const settings = asked();
  settings.set("lesson", String(number));
  return `${location.href.split("#")[0]}#${settings}`;
}

/** Forgets the link of the address, whatever it holds: it is not read again. A frame stays what it is. */
export function leaveFragment(): void {
  const settings = asked();
  for (const link of ["link", "lesson"]) settings.delete(link);
  const rest = isFrame() ? `#${settings}` : "";
  history.replaceState(history.state, "", location.pathname + location.search + rest);
  fragment.value = "";
}

/** The link among a panel's settings; of a lesson without a number, the first. */
function linkIn(settings: URLSearchParams): string {
  return settings.get("panel") === "lesson"
    ? `lesson=${settings.get("lesson") ?? 1}`
    : (settings.get("link") ?? "");
}

export function watchFragment(): void {
  const read = () => {
    const text = location.hash.slice(1);
    const isPanel = asked().has("panel");
    askedPanel.value = isPanel ? text : "";
    fragment.value = isPanel ? linkIn(asked()) : document.getElementById(text) ? "" : text;
  };
  read();
  addEventListener("hashchange", read);
}
