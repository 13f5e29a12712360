// What the page knows of the sampler: the voices, the knobs, the text and what it was chosen from.

import { batch, computed, effect, signal, untracked } from "@preact/signals";
import { count } from "../base/format";
import { outside } from "../base/numbers";
import { type Knobs, MAX_TALK, type VoiceName, type WeighedReport } from "../base/protocol";
import { Questions } from "../base/questions";
import type { Reports } from "../base/reports";
import { onRestart } from "../base/restarts";
import { model } from "../run/state";
import { send } from "../run/supervision";
import { voices } from "../run/voices";

export const PROMPT = "ROMEO:\n"; // where the model knows Shakespeare's characters

/** The fields, as the reader has them. */
export const fields = {
  source: signal<VoiceName>("reference"),
  prompt: signal(PROMPT),
  seed: signal("hamlet"),
  length: signal("400"),
  temperature: signal(0.8),
  topK: signal(65),
  topP: signal(1),
};

export interface Text {
  /** 0: Python does not know it any more, nor what it was chosen from. */
  id: number;
  /** "look": it has only been asked what may follow the prompt. */
  phase: "asked" | "look" | "writing" | "done" | "stopped" | "failed";
  source: VoiceName;
  knobs: Knobs;
  /** Characters, not code units: `at` in a message counts them. */
  prompt: string[];
  written: string[];
  /** The surprise of each character of both, in nats. */
  nats: (number | null)[];
  /** The probability with which each of `written` was drawn. */
  probabilities: number[];
  problem: string;
}
export const text = signal<Text | null>(null);
export const weighed = signal<WeighedReport | null>(null);
/** The place of the character that the reader has picked, or null: the last one. */
export const picked = signal<number | null>(null);

/** How many characters the chosen model knows. */
export const most = computed(() => {
  const source = fields.source.value;
  const voice = source === "run" ? null : voices[source].value;
  return (voice ?? model.value).vocabSize;
});

let all = fields.topK.peek();

/** Where all characters could be drawn, all still can be, of a model that knows more or fewer. */
effect(() => {
  const k = fields.topK.peek();
  fields.topK.value = k === all ? most.value : Math.min(k, most.value);
  all = most.value;
});

export const knobs = (): Knobs => ({
  temperature: fields.temperature.value,
  topK: fields.topK.value,
  topP: fields.topP.value,
});

/** What is wrong with the fields, or "". */
export function problem(): string {
  if (fields.prompt.value === "") return "The prompt needs one character at least.";
  if (fields.prompt.value.length > MAX_TALK)
    return `The prompt may have ${count(MAX_TALK)} characters at most.`;
  const wrong = outside(fields.length.value, [1, MAX_TALK]);
  return wrong && `Length: ${wrong.toLowerCase()}`;
}

/** Before the first message of a text, so that pressing the button is seen at once. */
export function begin(length: number): number {
  questions.drop(); // what was asked of the text before may not be answered
  const id = questions.number();
  stale = false;
  batch(() => {
    picked.value = null;
    text.value = {
      id,
      phase: length ? "asked" : "look",
      source: fields.source.value,
      knobs: knobs(),
      prompt: [],
      written: [],
      nats: [],
      probabilities: [],
      problem: "",
    };
  });
  return id;
}

const questions = new Questions<true>();
let stale = false; // something else was to be asked meanwhile

/** Asks what the character on view was chosen from; one question at a time, the latest wins. */
export function weigh(): void {
  const now = text.peek();
  if (!now?.id || !now.nats.length) return; // nothing has been read yet, or all is forgotten
  stale = questions.wait;
  if (stale) return;
  const turn = questions.ask(true);
  send({ type: "weigh", turn, at: picked.peek(), ...untracked(knobs) });
}

export const reports = {
  talk(message) {
    const now = text.value;
    if (!now || message.id !== now.id) return;
    const phase = now.phase === "look" && message.phase !== "failed" ? "look" : message.phase;
    text.value = {
      ...now,
      phase: phase === "begun" ? "writing" : phase,
      prompt: message.prompt === null ? now.prompt : Array.from(message.prompt),
      written: [...now.written, ...message.text],
      nats: [...now.nats, ...message.nats],
      probabilities: [...now.probabilities, ...message.probabilities],
      problem: message.problem,
    };
  },
  weighed(message) {
    if (message.id === text.value?.id) weighed.value = message;
    if (questions.answer(message.turn) && stale) weigh();
  },
} satisfies Reports;

/** The worker is gone, with its models. What was written stays to be read. */
onRestart(() => {
  const now = text.peek();
  text.value = now?.written.length
    ? { ...now, id: 0, phase: now.phase === "writing" ? "stopped" : now.phase }
    : null;
  weighed.value = null;
  questions.drop();
});
