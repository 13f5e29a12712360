// What each part of the page does with what the worker tells: its `reports`, a function for each type
// of message that it takes. page/receive.ts joins them.

import type { Signal } from "@preact/signals";
import type { Report } from "./protocol";

/** All but the answer to a ping, which base/connection.ts counts. */
export type Told = Exclude<Report, { type: "heard" }>;

/** Takes a message as a signal's value. */
export const into =
  <T>(signal: Signal<T>) =>
  (message: T): void => {
    signal.value = message;
  };

export type Reports = { [T in Told["type"]]?: (message: Extract<Told, { type: T }>) => void };
