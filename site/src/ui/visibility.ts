// What is computed or moves only while somebody can see it.

import { type ReadonlySignal, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";

/** Whether any of an element is on view: not scrolled away, and in no hidden tab of ours or the browser's. */
export function useSeen(
  element: RefObject<Element | null>,
  options: IntersectionObserverInit = {},
): ReadonlySignal<boolean> {
  const seen = useSignal(false);
  useEffect(() => {
    let inSight = false;
    const look = () => (seen.value = inSight && document.visibilityState === "visible");
    const watch = new IntersectionObserver((entries) => {
      inSight = entries.at(-1)!.isIntersecting;
      look();
    }, options);
    watch.observe(element.current!);
    document.addEventListener("visibilitychange", look);
    return () => {
      watch.disconnect();
      document.removeEventListener("visibilitychange", look);
    };
  }, []);
  return seen;
}

/** Whether the reader has asked for little motion. */
export const calm = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;
