// What the reference model goes on writing while the files pass.

import { signal } from "@preact/signals";
import type { Reports } from "../base/reports";
import { onRestart } from "../base/restarts";

/** What has been written and is not shown yet. */
export const recited = signal("");
/** How many questions for more were answered, and what was wrong with the last one. */
export const recital = signal({ answers: 0, problem: "" });

export const reports = {
  recited({ text, problem }) {
    recited.value += text;
    recital.value = { answers: recital.value.answers + 1, problem };
  },
} satisfies Reports;

onRestart(() => {
  recital.value = { answers: recital.value.answers + 1, problem: "" };
});
