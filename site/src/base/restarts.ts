// What each part of the page does when the worker has been ended and another one starts: it forgets
// questions that will not be answered, and gives the next worker what the last one had.

const handlers: (() => void)[] = [];

/** Calls this whenever a worker has been ended. What it sends, the next worker gets once it is ready. */
export function onRestart(handler: () => void): void {
  handlers.push(handler);
}

export function restarted(): void {
  for (const handler of handlers) handler();
}
