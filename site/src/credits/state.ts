// What the reference model goes on writing while the files pass.

import { signal } from "@preact/signals";
import type { Reports } from "../base/reports";
import { onRestart } from "../base/restarts";

/** What has been written and is not shown yet. */
export const recited = signal("");
/** More was asked for, and is not there yet. */
export const asking = signal(false);
/** Why the last question for more had no answer, or "". */
export const problem = signal("");

export const reports = {
  recited(message) {
    recited.value += message.text;
    problem.value = message.problem;
    asking.value = false;
  },
} satisfies Reports;

onRestart(() => {
  problem.value = "";
  asking.value = false;
});
