/** Whether a key is an input method's, which composes a character by it. Of the one that ends it Safari
 * tells by its code alone.
 */
export const composes = ({ isComposing, keyCode }: KeyboardEvent): boolean =>
  isComposing || keyCode === 229;

/** Goes where a key leads, if it is one of these, in place of what the browser would do. */
export function byKey<T>(
  event: KeyboardEvent,
  steps: Record<string, T>,
  go: (to: T) => void,
): void {
  const to = steps[event.key];
  if (to === undefined) return;
  event.preventDefault();
  go(to);
}
