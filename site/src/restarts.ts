// What has to be done when Python was ended and is started again. Each part of the page says it for
// itself, where it keeps what the old worker knew.

import type { Command } from "./protocol";

export type Send = (command: Command, transfer?: Transferable[]) => void;

const handlers: ((send: Send) => void)[] = [];

/** Calls this whenever a worker has been ended: to forget what no one answers any more, and to ask the
 * next one, which gets what is sent as soon as it is ready, for what the last one had.
 */
export function onRestart(handler: (send: Send) => void): void {
  handlers.push(handler);
}

export function restarted(send: Send): void {
  for (const handler of handlers) handler(send);
}
