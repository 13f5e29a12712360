// The reader's own text and model: what Python says of them, and the texts that this browser keeps,
// in the origin's private file system by the SHA-256 of their bytes.

import { count } from "../base/format";
import { signal } from "@preact/signals";
import { config } from "../run/state";
import { send } from "../run/supervision";
import { recall, remember } from "../base/localStorage";
import { parse } from "../base/numbers";
import { bytesOf } from "../base/reading";
import { Questions } from "../base/questions";
import type { Reports } from "../base/reports";
import { onRestart } from "../base/restarts";
import {
  type Config,
  type ConfigValue,
  type Draft,
  type FormField,
  MAX_CONFIG,
  MAX_TEXT,
  type Preset,
  type TextFacts,
} from "../base/protocol";

const FOLDER = "texts";
const NAMES = "groundling.texts";

export const presets = signal<Preset[]>([]);
export const formFields = signal<FormField[]>([]);
export const facts = signal<TextFacts | null>(null);
export const textProblem = signal("");
export const reading = signal(false);
/** The config as the form has it: by part and key, as typed. */
export const form = signal<Record<string, string>>({});
export const draft = signal<Draft | null>(null);
/** Texts that are kept here: their names by hash. */
export const kept = signal<Record<string, string>>({});

/** What Python is reading: its files, and their bytes as one, to be kept. */
const questions = new Questions<{ files: File[]; bytes: Uint8Array<ArrayBuffer> }>();
let using: File[] = []; // none: it is tiny-shakespeare
let inForce: Config | null = null; // the model and the training of the next run, as last told
/** Configs that were asked about: whether the form takes them, once Python has read them. */
const drafts = new Questions<boolean>();

function readNames(): Record<string, string> {
  try {
    const names: unknown = JSON.parse(recall(NAMES) ?? "{}");
    if (typeof names !== "object" || names === null) return {};
    return Object.fromEntries(
      Object.entries(names)
        .filter(([hash, name]) => /^[0-9a-f]{64}$/.test(hash) && typeof name === "string")
        .slice(0, 50),
    ) as Record<string, string>;
  } catch {
    return {};
  }
}

/** The texts of earlier visits are there to be opened. */
export function recallTexts(): void {
  kept.value = readNames();
}

function writeNames(names: Record<string, string>): void {
  kept.value = names;
  remember(NAMES, JSON.stringify(names)); // if not, the text is in use all the same
}

async function folder(): Promise<FileSystemDirectoryHandle> {
  if (!navigator.storage?.getDirectory) throw new Error("it has no private files for pages");
  return (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true });
}

/** Files as one text, as texts.py joins them: by a line break where one does not end with it. */
function joined(parts: Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length + 1, 0));
  let end = 0;
  for (const part of parts) {
    if (end && bytes[end - 1] !== 10) bytes[end++] = 10;
    bytes.set(part, end);
    end += part.length;
  }
  return bytes.slice(0, end);
}

async function sha256(data: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function keep(
  hash: string,
  name: string,
  data: Uint8Array<ArrayBuffer>,
  several: boolean,
): Promise<void> {
  try {
    if (several && (await sha256(data)) !== hash) return; // other encodings cannot be joined so
    const file = await (await folder()).getFileHandle(hash, { create: true });
    const stream = await file.createWritable();
    await stream.write(data);
    await stream.close();
    writeNames({ ...kept.value, [hash]: name });
  } catch (error) {
    textProblem.value = `The text is in use, but this browser does not keep it (${error}): after a reload, bring it again.`;
  }
}

/** A text that is kept becomes the one in use. */
export async function reopen(hash: string): Promise<void> {
  try {
    const file = await (await (await folder()).getFileHandle(hash)).getFile();
    await bring([new File([file], kept.value[hash] ?? "text")]);
  } catch {
    await forgetText(hash);
    textProblem.value = "The browser has let that text go. Bring it again.";
  }
}

export async function forgetText(hash: string): Promise<void> {
  const { [hash]: _, ...rest } = kept.value;
  writeNames(rest);
  try {
    await (await folder()).removeEntry(hash);
  } catch {
    // It was gone.
  }
}

/** Hands files to Python, which reads them as one text. */
export async function bring(files: File[]): Promise<void> {
  const size = files.reduce((sum, file) => sum + file.size, 0);
  if (size > MAX_TEXT) {
    const [has, most] = [size, MAX_TEXT].map(count);
    textProblem.value = `The text has ${has} bytes; it may have ${most} in all.`;
    return;
  }
  textProblem.value = "";
  reading.value = true;
  const mine = questions.number();
  const parts = await Promise.all(files.map(bytesOf));
  if (mine !== questions.last) return; // another text was brought meanwhile
  const problem = parts.find((part) => typeof part === "string");
  if (problem !== undefined) {
    reading.value = false;
    textProblem.value = problem;
    return;
  }
  const whole = parts as Uint8Array<ArrayBuffer>[];
  const turn = questions.ask({ files, bytes: joined(whole) });
  for (const [at, data] of whole.entries()) {
    const [name, more] = [files[at]!.name, files.length - 1 - at];
    send({ type: "text", turn, name, bytes: data, more }, [data.buffer]);
  }
}

// ---- the form -------------------------------------------------------------------------------------

export const place = (part: string, key: string) => `${part}.${key}`;

function show(now: Config): void {
  config.value = now;
  const typed: Record<string, string> = {};
  for (const { part, key } of formFields.value)
    typed[place(part, key)] = String(valueOf(now, part, key));
  form.value = typed;
}

function valueOf(now: Config, part: "model" | "training", key: string): ConfigValue {
  const beta = /^betas\[(\d)\]$/.exec(key);
  if (beta) return (now.training["betas"] as number[])[Number(beta[1])]!;
  return now[part][key]!;
}

/** The config that the form stands for, as JSON. What is no number stays as it was typed, for
 * Python to refuse. */
export function written(): string {
  const now = structuredClone(config.value!);
  for (const { part, key, whole } of formFields.value) {
    const text = form.value[place(part, key)]!.trim();
    const number = parse(text, whole);
    const value = Number.isNaN(number) ? text : number;
    const beta = /^betas\[(\d)\]$/.exec(key);
    if (beta) (now.training["betas"] as ConfigValue[])[Number(beta[1])] = value;
    else now[part][key] = value;
  }
  return JSON.stringify(now);
}

/** Asks what a config costs, as a file in `bytes` or as text. */
function ask(text: string, fills = false, bytes?: Uint8Array<ArrayBuffer>): void {
  drafts.ask(fills);
  send({ type: "draft", text, ...(bytes && { bytes }) }, bytes && [bytes.buffer]);
}

export function type(part: string, key: string, text: string): void {
  form.value = { ...form.value, [place(part, key)]: text };
  if (config.value) ask(written());
}

/** The form takes the config, once Python has read it. */
export const propose = (text: string) => ask(text, true);

/** A config from a file, which Python reads: it may be in any encoding of an editor's. */
export async function openConfig(file: File): Promise<void> {
  const bytes = await bytesOf(new File([file.slice(0, MAX_CONFIG + 1)], file.name));
  if (typeof bytes === "string") textProblem.value = bytes;
  else ask("", true, bytes);
}

export function setTokenizer(tokenizer: string): void {
  if (!config.value) return;
  const now = JSON.parse(written()) as Config;
  now.model["tokenizer"] = tokenizer;
  if (tokenizer === "byte-v1") now.model["vocab_size"] = 256;
  else if (facts.value) now.model["vocab_size"] = facts.value.distinct;
  show(now);
  ask(JSON.stringify(now));
}

/** The next worker knows neither the text nor the model: it is given both. */
onRestart(async () => {
  const [files, config] = [using, inForce];
  reading.value = false;
  drafts.drop();
  questions.drop();
  if (files.length) await bring(files);
  if (config) send({ type: "use", text: JSON.stringify(config) });
});

export function use(): void {
  send({ type: "use", text: written() });
}

export const reports = {
  setups(message) {
    presets.value = message.presets;
    formFields.value = message.fields;
  },
  text(message) {
    const answered = questions.answer(message.turn);
    if (answered || !questions.wait) reading.value = questions.wait;
    textProblem.value = message.problem;
    if (!message.facts) return;
    facts.value = message.facts;
    const { ours, manifest } = message.facts;
    if (ours) using = [];
    else if (answered) using = answered.files;
    if (answered && !ours) {
      const { dataset_id, name } = manifest;
      void keep(dataset_id, name, answered.bytes, answered.files.length > 1);
    }
  },
  draft(message) {
    const fills = message.answer && drafts.next();
    if (message.inForce && message.config) inForce = message.config;
    if (drafts.wait) return; // a newer one is on its way
    draft.value = message;
    if (message.config && (fills || message.inForce || !config.value)) show(message.config);
  },
} satisfies Reports;
