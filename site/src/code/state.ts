// What the page knows of the reader's edits, and what the worker says of them. The edits live here,
// in the page; the worker gets them with a command, and never by itself.

import { computed, effect, signal } from "@preact/signals";
import { CopiedLink } from "../base/clipboard";
import type {
  CodeError,
  CompletionsReport,
  DocReport,
  Edit,
  Files,
  FitReport,
  Frame,
  KernelCheck,
  LintedReport,
  ProjectReport,
  Recipe,
  Source,
} from "../base/protocol";
import { Questions } from "../base/questions";
import { into, type Reports } from "../base/reports";
import { onRestart } from "../base/restarts";
import { asked, drawing, untried } from "../run/state";

/** The files as they came, in the order to read them in. */
export const sources = signal<Source[]>([]);
export const originals = computed(
  () => new Map(sources.value.map(({ path, text }) => [path, text] as const)),
);
/** The names that no new module may have. */
export const reserved = { keywords: new Set<string>(), modules: new Set<string>() };
export const recipes = signal<Recipe[]>([]);

/** The whole text of every file that is not as it came. editor.ts keeps it up with the typing. */
export const overlay = signal<Files>({});
/** The edits that the worker has in force: those of the last start, load or apply that it took. */
export const inForce = signal<Files>({});
/** The code that was sent, until it is known what becomes of it. */
export const sent = signal<{ files: Files; at: number; as: "apply" | "run" } | null>(null);

const LATE_MS = 5000;
/** The code has not come to the end of an iteration for a while, or to the beginning of a run. */
export const late = signal(false);

effect(() => {
  late.value = false;
  untried.value = sent.value !== null;
  if (!sent.value || asked.value || drawing.value !== null) return;
  const timer = setTimeout(() => (late.value = true), LATE_MS);
  return () => clearTimeout(timer);
});

/** The edits that the run has taken on. */
export const edits = signal<Edit[]>([]);
/** What became of the last apply or start. */
export const applied = signal<{ iter: number; ms: number } | null>(null);
export const refusal = signal<CodeError | null>(null);
export const fit = signal<FitReport | null>(null);
export const kernels = signal<KernelCheck[] | null>(null);
/** The code that `refusal`, `fit` or `kernels` is about, where the run did not take it on. */
const declined = signal<Files | null>(null);
/** Run was asked for, which ends the present run: it waits for a yes. */
export const ending = signal(false);
/** A project that was opened and is to be read. */
export const offered = signal<ProjectReport | null>(null);
/** The edits as a link, when that was asked for. */
export const codeLink = new CopiedLink();

/** Where the last error was raised, to be underlined: in the reader's files, or else the innermost. */
export const raised = signal<Frame[]>([]);

function raise(frames: Frame[]): void {
  const yours = frames.filter((frame) => frame.yours);
  raised.value = yours.length ? yours : frames.slice(-1);
}

/** The files that differ between two sets of edits. */
const differing = (a: Files, b: Files) =>
  [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((path) => a[path] !== b[path]);

/** The files whose edits are not in force. */
export const pendingFiles = computed(() => differing(inForce.value, overlay.value));

/** Whether the code was not taken on, and has not been edited since. */
export const isDeclined = computed(
  () => declined.value !== null && !differing(declined.value, overlay.value).length,
);

/** Lets go what was said of code that was sent. */
export function forgetNews(): void {
  refusal.value = fit.value = kernels.value = declined.value = null;
}

// So it is once the edits are those in force again.
effect(() => {
  if (declined.value && !isDeclined.value && !pendingFiles.value.length) forgetNews();
});

// ---- questions to the worker that have one answer ------------------------------------------------

type Answer = CompletionsReport | DocReport | LintedReport;

const questions = new Questions<(answer: Answer | null) => void>();

/** Sends a question under a number of its own; null when the worker ends before it answers. */
export function ask<T extends Answer["type"]>(
  put: (id: number) => void,
): Promise<Extract<Answer, { type: T }> | null> {
  return new Promise((resolve) => {
    put(questions.ask((answer) => resolve(answer as Extract<Answer, { type: T }> | null)));
  });
}

onRestart(() => {
  for (let give; (give = questions.next());) give(null);
});

function answer(message: Answer): void {
  questions.answer(message.id)?.(message);
}

// ---- what the worker says ------------------------------------------------------------------------

/** The last word on the code that was sent; clears what was said of it before. */
function settle(): typeof sent.value {
  const last = sent.value;
  sent.value = null;
  forgetNews();
  return last;
}

/** The run does not take on the code that was sent. */
function decline(): void {
  declined.value = sent.value?.files ?? overlay.value;
  sent.value = null;
}

/** No run came of what was sent: a file was refused, or left. */
export function forgetRun(): void {
  if (sent.value?.as === "run") sent.value = null;
}

export const reports = {
  sources({ files, keywords, modules }) {
    sources.value = files;
    reserved.keywords = new Set(keywords);
    reserved.modules = new Set(modules);
  },
  recipes(message) {
    recipes.value = message.recipes;
  },
  /** It has taken on these edits so far. */
  run({ edits: history = [] }) {
    const last = settle();
    if (last) inForce.value = last.files;
    if (history.at(-1)?.iter !== applied.value?.iter) applied.value = null;
    edits.value = history;
    raised.value = [];
  },
  /** When it fails or boots, what was sent never comes about. */
  phase({ phase }) {
    if (phase === "booting" || phase === "error") sent.value = null;
    if (phase === "booting") inForce.value = {};
    if (phase === "booting" || phase === "ready") {
      applied.value = fit.value = null;
      ending.value = false; // that run has ended
      edits.value = [];
    }
  },
  applied({ iter, diff }) {
    const rows = kernels.value;
    const last = settle();
    kernels.value = rows;
    if (last) inForce.value = last.files;
    applied.value = { iter, ms: last ? performance.now() - last.at : 0 };
    edits.value = [...edits.value, { iter, diff }];
    raised.value = [];
  },
  refused({ error }) {
    decline();
    fit.value = kernels.value = null;
    refusal.value = error;
    raise(error.frames);
  },
  fit(message) {
    decline();
    fit.value = message;
  },
  kernels({ rows }) {
    if (rows.some((row) => !row.ok)) decline();
    kernels.value = rows;
  },
  project: into(offered),
  code_link: (message) => codeLink.take(message),
  completions: answer,
  doc: answer,
  linted: answer,
  error({ frames = [] }) {
    forgetRun();
    raise(frames);
  },
} satisfies Reports;
