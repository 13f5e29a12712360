// Light, dark, or as the system has it. base.css does the rest with light-dark().

import { effect, signal } from "@preact/signals";
import { recall, remember, THEME } from "../base/localStorage";

export type Theme = "system" | "light" | "dark";

export const theme = signal<Theme>("system");

/** Counts up whenever the colours may have changed: what draws on a canvas draws again. */
export const colours = signal(0);

const known = new Map<string, string>(); // colours, as they are now

function recolour(): void {
  known.clear();
  colours.value = colours.peek() + 1;
}

/** The theme of the last visit, and from then on the page in whichever is chosen. A frame that was
 * given one has it and keeps no other. */
export function followTheme(given = ""): void {
  const first = given || recall(THEME);
  if (first === "light" || first === "dark") theme.value = first;
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    if (!given) remember(THEME, theme.value);
    recolour();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
}

/** A colour of base.css, by the name of its custom property, as the canvas takes it. */
export function colour(name: string): string {
  const kept = known.get(name);
  if (kept) return kept; // whatever draws asks at every frame
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  known.set(name, value);
  return value;
}
