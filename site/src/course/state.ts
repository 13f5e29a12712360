// The lesson that is open, which is the one that the address names, and what Python says of the work.

import { computed, effect, signal } from "@preact/signals";
import { lessonFragment, page } from "../base/fragment";
import { LESSONS } from "../base/panels";
import { Questions } from "../base/questions";
import type { Reports } from "../base/reports";
import { onRestart } from "../base/restarts";
import { type Line, plain, translated } from "../base/translated";
import { send } from "../run/supervision";
import type { Choice, Lesson, Named } from "./lesson";
import { doneOf, isDone, type Part, pass, recallProgress } from "./progress";

/** All lessons in their order; null until they have come. */
export const lessons = signal<Lesson[] | null>(null);
/** The language that they are in. */
export const language = signal("en");
/** Why they did not come, or "". */
export const problem = signal("");

/** The number of the lesson that is open, from 1; null if none is. */
export const open = computed(() => {
  if (!lessonFragment.value) return null;
  const number = Number(lessonFragment.value.slice("lesson=".length));
  const last = lessons.value?.length ?? Infinity;
  return Number.isInteger(number) && number >= 1 && number <= last ? number : 1;
});

/** The first lesson that is not done, among as many as there may be. */
export const next = computed(() => {
  const all = Array.from({ length: lessons.value?.length ?? LESSONS }, (_, i) => i + 1);
  return all.find((number) => !isDone(number)) ?? 1;
});

/** The last verdict on each part of the open lesson. */
export const verdicts = signal<Partial<Record<Part, { done: boolean; says: string }>>>({});
/** The parts that are being checked. */
export const checking = signal<Part | null>(null);
/** How many hints of the open lesson are shown. */
export const hints = signal(0);
/** What is typed or chosen as the answer. */
export const typed = signal("");
export const chosen = signal<number | null>(null);
/** The last answer that was given on this visit, in words, or "". */
const answered = signal("");

let loading = false;

/** Fetches the lessons, in the reader's language if they are there in it. */
export async function loadLessons(): Promise<void> {
  if (loading || lessons.peek()) return;
  loading = true;
  problem.value = "";
  try {
    const found = await translated<Lesson[]>("./lessons.json");
    language.value = found.language;
    lessons.value = found.texts;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    problem.value = `The lessons could not be fetched: ${why}.`;
  }
  loading = false;
}

/** Follows the address; a lesson that is opened begins with nothing typed. */
export function watchLessons(): void {
  recallProgress();
  effect(() => {
    if (open.value === null) return;
    verdicts.value = {};
    hints.value = 0;
    typed.value = answered.value = "";
    checking.value = chosen.value = null;
    questions.drop();
    void loadLessons();
  });
}

const questions = new Questions<{ number: number; part: Part }>();

function ask(part: Part, named: Named, value: number | null): void {
  checking.value = part;
  send({ type: "check", id: questions.ask({ number: open.value!, part }), ...named, value });
}

export const checkTask = (lesson: Lesson) => ask("task", lesson.check, null);

export function checkAnswer(named: Named, value: number): void {
  answered.value = typed.value;
  if (Number.isNaN(value))
    judge(open.value!, "question", false, "The answer is a number, such as 0.5 or 12.");
  else ask("question", named, value);
}

function judge(number: number, part: Part, done: boolean, says: string): void {
  if (done) pass(number, { [part]: says, ...(part === "question" && { answer: answered.peek() }) });
  verdicts.value = { ...verdicts.value, [part]: { done, says } };
}

export function checkChoice({ text, right, says }: Choice): void {
  answered.value = plain(text);
  judge(open.value!, "question", right, plain(says));
}

/** Has Python make a report of the lesson, which the reader gets as a file. */
export function report(lesson: Lesson, number: number): void {
  const all = (lines: Line[]) => lines.map(plain).join("\n");
  const done = doneOf(number);
  const verdict = (part: Part) =>
    done[part] === undefined
      ? `Not yet. ${verdicts.peek()[part]?.says ?? ""}`.trim()
      : `Done. ${done[part]}`;
  const answers: [string, string][] = [
    ["To do", all(lesson.task)],
    ["Found", verdict("task")],
    ["Question", all(lesson.question)],
    ["Answer", done.answer ?? (answered.peek() || "none")],
    ["Verdict", verdict("question")],
  ];
  send({ type: "lesson_report", number, title: lesson.title, answers, page: page() });
}

export const reports = {
  checked({ id, done, says }) {
    const asked = questions.answer(id);
    if (!asked) return;
    checking.value = null;
    judge(asked.number, asked.part, done, says);
  },
} satisfies Reports;

onRestart(() => {
  questions.drop();
  checking.value = null;
});
