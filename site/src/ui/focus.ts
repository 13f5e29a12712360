// When the focused element leaves the page (a closed panel, say), the focus goes back to where it was
// before, or else to the most useful button of the run, not to the top of the page.

const MOST = 30; // places that are remembered

const trail: HTMLElement[] = [];
let byKeys = false; // the last press was a key's; after a finger's or a mouse's nothing is focused

const isThere = (element: HTMLElement) =>
  element.isConnected && element.getClientRects().length > 0 && !element.matches(":disabled");

/** Whether what had the focus has gone from the page, or from sight. */
const isGone = (element: HTMLElement) =>
  !element.isConnected || element.getClientRects().length === 0;

/** Where the focus goes when there is nowhere else: to what most will want to press. */
let home: () => HTMLElement | null = () => null;

export function setHome(find: typeof home): void {
  home = find;
}

export function focusHome(options?: FocusOptions): void {
  home()?.focus(options);
}

let movedTo: HTMLElement | null = null;

/** Whether the focus is nowhere, or only where it was put as it was lost. */
export const isFree = () =>
  document.activeElement === document.body || document.activeElement === movedTo;

function recover(): void {
  const last = trail.at(-1);
  if (!byKeys || !last || document.activeElement !== document.body || !isGone(last)) return;
  while (trail.length && !isThere(trail.at(-1)!)) trail.pop();
  movedTo = trail.at(-1) ?? home();
  // A shadow host has no focus of its own.
  (movedTo?.shadowRoot?.querySelector<HTMLElement>("[contenteditable]") ?? movedTo)?.focus();
}

/** Follows the focus, and never lets it be lost. */
export function keepFocus(): void {
  addEventListener("focusin", ({ target }) => {
    if (!(target instanceof HTMLElement)) return;
    const at = trail.indexOf(target);
    if (at >= 0) trail.splice(at, 1);
    trail.push(target);
    if (trail.length > MOST) trail.shift();
  });
  addEventListener("keydown", () => (byKeys = true), true);
  addEventListener("pointerdown", () => (byKeys = false), true);
  const changes = { childList: true, subtree: true, attributeFilter: ["hidden"] };
  new MutationObserver(recover).observe(document.body, changes);
}
