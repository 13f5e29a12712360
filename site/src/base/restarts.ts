// What has to be done when a worker has been ended and another one starts. Each part of the page that
// keeps something of the worker's registers its own.

const handlers: (() => void)[] = [];

/** Calls this whenever a worker has been ended: to forget what will not be answered any more, and to
 * give the next worker what the last one had. It receives what is sent once it is ready.
 */
export function onRestart(handler: () => void): void {
  handlers.push(handler);
}

export function restarted(): void {
  for (const handler of handlers) handler();
}
