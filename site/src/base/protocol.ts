// What the page and the worker say to each other: plain objects, told apart by `type`.
// The page only draws; every number in these messages was computed in Python, by
// py_src/browser/session.py.

export type Phase = "booting" | "ready" | "training" | "paused" | "done" | "error";
export type DeviceName = "webgpu" | "numpy";

/** What the fields of the page hold: a run is made from it. */
export interface Settings {
  seed: string;
  iters: number;
  batchSize: number;
  lr: number;
}

/** The least and the most that each field may hold; of the seed, its characters as JSON. */
export type SettingsLimits = Record<keyof Settings, [number, number]>;

// ---- page to worker ----------------------------------------------------------------------------

export type Command =
  /** With `files`, the run is made by the code under the reader's edits; without, by the last. */
  | ({ type: "start"; files?: Files } & Settings)
  | { type: "pause" }
  | { type: "resume" }
  | { type: "reset" }
  /** Brings back the run that the last reset or load put aside. */
  | { type: "undo"; bytes?: Uint8Array }
  /** A new peak learning rate, also while training. */
  | { type: "lr"; value: number }
  /** Asks for the weights file, `.bin`. `bytes`, here and elsewhere: of a run that is lost, the
   * copy that the page has. */
  | { type: "save"; bytes?: Uint8Array }
  /** Asks for the state file, `.state`: the whole run. */
  | { type: "state"; bytes?: Uint8Array }
  /** Asks for the log of losses, as CSV. */
  | { type: "log" }
  /** A weights file or a state; it tells which it is. */
  | ({ type: "load"; name: string; bytes: Uint8Array; files?: Files } & Settings)
  /** The answer to `asked`: load it all the same. */
  | { type: "anyway" }
  /** Goes on from the copy of `offer`. */
  | { type: "continue"; files?: Files }
  /** Lets go of that copy, and of those before it; and brings them back. */
  | { type: "discard" }
  | { type: "undiscard" }
  | { type: "hidden"; hidden: boolean }
  | { type: "device"; name: DeviceName }
  | TextCommand
  | TwinCommand
  | SpeedCommand
  | InspectorCommand
  | DoctorCommand
  | LensCommand
  | TalkCommand
  | CodeCommand
  /** Asks for the run as a link. */
  | { type: "share" }
  /** Asks what a link claims: of the address's fragment. */
  | { type: "claim"; text: string }
  /** Trains a link's run again, beside the page's own, and checks it; and ends that early. */
  | { type: "replay"; text: string }
  | { type: "unreplay" }
  /** Asks for nothing but `heard`. */
  | { type: "ping" };

/** The reader's edits: path to whole text, for every file that differs from the original. */
export type Files = Record<string, string>;

/** `path` is that of a source, or "" for the console; `at` counts UTF-16 code units. */
export type CodeCommand =
  /** Goes on with other code. `fit`: with the parameters that still fit by name and shape, the
   * others drawn anew. `anyway`: with kernels that differ from their NumPy twins. */
  | { type: "apply"; files: Files; fit?: boolean; anyway?: boolean; bytes?: Uint8Array }
  /** Runs what was typed at the console's prompt, against the live run. */
  | { type: "evaluate"; text: string }
  /** Ends what was typed there, at its next wait for the device. */
  | { type: "interrupt" }
  | { type: "complete"; id: number; path: string; text: string; at: number }
  | { type: "hover"; id: number; path: string; text: string; at: number }
  | { type: "lint"; id: number; path: string; text: string }
  /** Asks for the project as a file. */
  | ({ type: "zip"; name: string; files: Files } & Settings)
  /** A project's file, to be read. */
  | { type: "unzip"; name: string; bytes: Uint8Array }
  | ({ type: "share_code"; name: string; files: Files } & Settings)
  /** Asks what edits a link holds: of the address's fragment. */
  | { type: "code_claim"; text: string };

/** `text` is a config as JSON: a model, its training, or both. */
export type TextCommand =
  /** Asks for the presets as this device can train them, the form's fields, and what is in force. */
  | { type: "setups" }
  /** A file of the reader's text; `more` of them are still to come. */
  | { type: "text"; turn: number; name: string; bytes: Uint8Array; more: number }
  /** Goes back to tiny-shakespeare. */
  | { type: "untext" }
  /** Asks what a config costs, or what is wrong with it. */
  | { type: "draft"; text: string; bytes?: Uint8Array }
  /** Makes it the next run's; or changes the run, in what can change. */
  | { type: "use"; text: string }
  /** The run, or the next one, is to warm up for so many iterations. */
  | { type: "warmup"; value: number }
  /** Asks for it as a file. */
  | { type: "config"; text: string };

/** Two files can be open in the inspector. */
export type Slot = "a" | "b";

/** Measures a step on the reader's device, and where its time goes; or ends that. */
export type SpeedCommand = { type: "speed"; batchSize: number } | { type: "unspeed" };

export type TwinCommand =
  | { type: "twin"; seeds: [string, string]; iters: number }
  /** Ends the twin that runs, without a verdict. */
  | { type: "untwin" }
  /** Asks for A's file, or B's, once there is a verdict. */
  | { type: "twin_file"; which: 0 | 1 };

export type DoctorCommand =
  /** Examines cases, one after the other, while no run trains. */
  | { type: "case"; names: string[]; iters: number }
  /** Ends the one on its way, and those to come. */
  | { type: "uncase" };

export type LensCommand =
  /** Looks into a model as it reads a prompt; and into the run again and again as it trains. */
  | { type: "lens"; source: VoiceName; prompt: string }
  /** Nobody looks any more. */
  | { type: "unlens" };

export type InspectorCommand =
  | { type: "inspect"; slot: Slot; name: string; bytes: Uint8Array }
  | { type: "inspect_run"; slot: Slot }
  /** Asks for a page of 512 bytes. */
  | { type: "look"; slot: Slot; page: number }
  | { type: "close"; slot: Slot };

// ---- text and model ----------------------------------------------------------------------------

export type ConfigValue = number | string | boolean | number[];
/** A config file of both parts; its keys are those of `FormField`, and some that have no choice. */
export type Config = Record<"model" | "training", Record<string, ConfigValue>>;

export interface FormField {
  part: "model" | "training";
  key: string;
  label: string;
  about: string;
  min: number;
  max: number;
  whole: boolean;
  /** A run keeps it until its end. */
  settled: boolean;
}

export interface Preset {
  name: string;
  layers: number;
  heads: number;
  width: number;
  context: number;
  parameters: number;
  weights: number;
  moments: number;
  activations: number;
  /** They are one block's, which are made again on the way back. */
  recomputed: boolean;
  flops: number;
  seconds: number | null;
  refusal: string;
  config: Config;
}

export interface TextFacts {
  ours: boolean;
  manifest: {
    dataset_id: string;
    name: string;
    raw_bytes: number;
    token_count: number;
    tokenizer: string;
    train_split: number;
    val_split: number;
    seed: string;
  };
  characters: number;
  lines: number;
  words: number;
  distinct: number;
  common: [string, number][];
  unusual: { character: string; name: string; count: number; why: string }[];
  nUnusual: number;
  ratio: number;
  advice: string;
}

/** With a problem, `config` is null where it is none at all, and the rest is missing then. */
export interface Draft {
  problem: string;
  config: Config | null;
  /** To a question of the page's. */
  answer?: boolean;
  inForce?: boolean;
  parameters?: number;
  memory?: number;
  flops?: number;
  seconds?: number | null;
  advice?: string;
}

export type TextReport =
  | { type: "setups"; presets: Preset[]; fields: FormField[] }
  | ({ type: "text"; turn: number | null; problem: string } & Partial<TextFacts>)
  | ({ type: "draft" } & Draft)
  /** The settings that the next run begins with, or that the run has now. */
  | { type: "setup"; settings: Settings };

// ---- worker to page ----------------------------------------------------------------------------

/** What the worker does before it is ready, in the order it is shown. Some overlap. */
export const STAGES = ["download", "python", "numpy", "adapter", "kernels"] as const;
export type Stage = (typeof STAGES)[number];

/** Why the device is not WebGPU, or "": what the browser lacks. */
export type Missing = "" | "insecure" | "webgpu" | "jspi" | "adapter";

export interface Adapter {
  device: DeviceName;
  name: string;
  /** Slower than it could be: NumPy for want of WebGPU, or a GPU that the CPU emulates. */
  fallback: boolean;
  missing: Missing;
  detail: string;
}

export interface Source {
  path: string;
  text: string;
}

// The editor, the console and the errors. Lines count from 1, columns from 0 in UTF-16 code units.

/** A place in a traceback; `yours` if the file is one that the reader edited, or the console. */
export interface Frame {
  path: string;
  /** The function's. */
  name: string;
  line: number;
  column: number;
  endLine: number;
  endColumn: number;
  /** The line's. */
  text: string;
  yours: boolean;
}

/** What went wrong in code, the innermost frame last. */
export interface CodeError {
  title: string;
  message: string;
  hint: string;
  detail: string;
  frames: Frame[];
}

/** A worked edit: in each file, `old` is to become `new`; an empty `old` makes a new file. */
export interface Recipe {
  name: string;
  title: string;
  text: string;
  edits: { path: string; old: string; new: string }[];
}

/** An edit that a run took on: `iter` is the first under the new code; `diff` is a unified one. */
export interface Edit {
  iter: number;
  diff: string;
}

/** How a changed kernel compares with its NumPy twin. */
export interface KernelCheck {
  kernel: string;
  ok: boolean;
  /** The largest difference, and where that is; null where it is no number. */
  largest: number | null;
  tolerance: number;
  where: string;
  message: string;
}

/** An array in short: `pixels` from 0 to 255, row by row. */
export interface ArrayView {
  shape: number[];
  dtype: string;
  mean: number | null;
  std: number | null;
  min: number | null;
  max: number | null;
  width: number;
  height: number;
  pixels: number[];
}

export interface ConsoleEntry {
  kind: "in" | "out" | "err" | "value" | "array" | "error";
  text: string;
  array?: ArrayView;
  error?: CodeError;
}

export interface Completion {
  label: string;
  type: string;
  detail: string;
  info: string;
}

export interface Problem {
  line: number;
  column: number;
  endLine: number;
  endColumn: number;
  severity: "error" | "warning";
  message: string;
}

export type CodeReport =
  | { type: "recipes"; recipes: Recipe[] }
  | ({ type: "applied"; files: string[] } & Edit)
  /** The new code was not taken on; the old goes on. */
  | { type: "refused"; error: CodeError }
  /** The new code's parameters are others: nothing has changed yet. */
  | { type: "fit"; kept: string[]; fresh: string[]; dropped: string[] }
  /** Of an apply with changed kernels. Unless all are ok, nothing was applied. */
  | { type: "kernels"; rows: KernelCheck[] }
  | { type: "console"; entries: ConsoleEntry[] }
  /** What was typed at the prompt has run to its end; one for each `evaluate`. */
  | { type: "evaluated" }
  /** They replace what stands from `from` on to where they were asked for. */
  | { type: "completions"; id: number; from: number; options: Completion[] }
  /** What stands from `from` to `to`; "" where there is nothing to tell. */
  | { type: "doc"; id: number; from: number; to: number; signature: string; text: string }
  | { type: "linted"; id: number; path: string; problems: Problem[] }
  /** A project that was opened, to be read; or what is wrong with it. It was not run. */
  | {
      type: "project";
      origin: "zip" | "link";
      name: string;
      files: Files;
      settings: Settings;
      problem: string;
    }
  /** The edits as a link's fragment, or why they cannot be one. */
  | { type: "code_link"; text: string; problem: string };

/** One iteration. Losses are in nats a character. */
export interface Step {
  iter: number;
  /** Null where it is no number any more. */
  train: number | null;
  /** The running average of `train`. */
  smooth: number | null;
  lr: number;
  val: number | null;
}

/** Where a run stands. `elapsed` is in seconds of training. */
export interface Progress {
  iter: number;
  iters: number;
  trainLoss: number | null;
  valLoss: number | null;
  perplexity: number | null;
  lr: number | null;
  itersPerSecond: number | null;
  tokensPerSecond: number | null;
  elapsed: number;
}

/** A state that autosave has kept. */
export interface Copy {
  seed: string;
  iter: number;
  iters: number;
  valLoss: number | null;
  createdAt: string;
  /** The text it was trained on, where another one is in use. */
  text: { hash: string; name: string; ours: boolean } | null;
}

/** Whether states are kept: not when another tab does, or the browser gives no room. */
export type Keeping = "here" | "taken" | "none";

export interface Verdict {
  kind: "identical" | "weights" | "differ";
  text: string;
  /** SHA-256, and so are `weights`. */
  files: [string, string];
  weights: [string, string];
  /** What each seed decides, if they are two. */
  feeds: string[][];
}

/** How long a step takes; seconds and bytes, as groundling/bench.py has them. */
export interface Figures {
  device: string;
  model: string;
  batch_size: number;
  step: number;
  spread: [number, number];
  host: number;
  /** A step with the same dispatches and next to nothing to do; null on NumPy. */
  floor: number | null;
  /** The size of the tiles that products are made in, and why; "" on NumPy. */
  tiles: string;
  first: number;
  dispatches: number;
  submits: number;
  bind_groups: number;
  /** Times that Python waits for the device: for losses of steps before. */
  waits: number;
  uploaded: number;
  memory: number;
  tokens_per_second: number;
  flops: number;
  /** What the device does at its best: operations a second, bytes a second. */
  best_flops: number;
  best_bytes: number;
}

/** What a line of Python costs in a step. */
export interface LineCost {
  line: string;
  text: string[];
  seconds: number;
  /** How often each kernel runs for it. */
  kernels: Record<string, number>;
}

export interface SpeedReport {
  type: "speed";
  phase: "running" | "stopped" | "failed" | "done";
  figures: Figures | null;
  lines: LineCost[];
  message: string;
  /** Kernels that have been timed. */
  done: number;
}

export interface TwinReport {
  type: "twin";
  phase: "running" | "done" | "stopped" | "failed";
  /** Those that run, whatever the fields hold by now. */
  seeds: [string, string];
  iters: number;
  /** The new ones: iter, and the loss of each, in nats. */
  records: [number, number, number][];
  /** The first iteration that differs. */
  parted: number | null;
  message: string;
  verdict: Verdict | null;
}

/** Settings that a verdict would change. */
export type Fix = Partial<Record<"lr" | "iters" | "warmup", number>>;

/** What a loss curve shows. */
export interface Diagnosis {
  kind: "early" | "clean" | "fork" | "plateau" | "divergence" | "dead" | "slow" | "spike";
  title: string;
  says: string;
  /** What was measured, and what came out. */
  evidence: [string, string][];
  change: string;
  fix: Fix;
  /** The iteration where it shows. */
  at: number | null;
  healthy: boolean;
}

/** One of the doctor's six runs. */
export interface Case {
  name: string;
  title: string;
  wrong: string;
  /** The diagnosis that it should get. */
  expected: string;
  /** The curve that it should have: [share of the run, training loss, validation loss]. */
  shape: [number, number, number][];
}

/** A line on the loss curve, in nats; a band where it has `to`. */
export interface Level {
  name: string;
  label: string;
  nats: number;
  to: number | null;
  says: string;
}

/** A character and its probability. */
export type Guess = [string, number];

/** A look into a model: what n characters do in it. */
export interface Look {
  source: VoiceName;
  /** Of the run. */
  iter: number | null;
  text: string[];
  layers: number;
  heads: number;
  /** For every layer, before the first and after each, and every position: the likeliest next. */
  guesses: Guess[][][];
  /** uint16, in 65,535ths: (layers, heads, n, n), how much each takes from each. */
  bytes: Uint8Array<ArrayBuffer>;
}

/** How a part of a model fares; `update` is a share of its weights' norm. */
export interface Health {
  name: string;
  size: number;
  mean: number | null;
  rms: number | null;
  norm: number | null;
  gradient: number | null;
  update: number | null;
}

export type LensReport =
  | ({ type: "lens" } & Look)
  | { type: "layers"; source: VoiceName; iter: number | null; rows: Health[] }
  /** Why there is nothing to see. */
  | { type: "unlens"; source: VoiceName; message: string };

export type DoctorReport =
  | { type: "cases"; cases: Case[]; iters: number; fewest: number; most: number }
  | {
      type: "case";
      name: string;
      phase: "running" | "done" | "stopped" | "failed";
      iters: number;
      /** The new ones: iter, training loss, validation loss; null for what is no number. */
      records: [number, number | null, number | null][];
      message: string;
      verdict: Diagnosis | null;
    }
  /** What the page's own run shows so far. */
  | { type: "diagnosis"; iter: number; verdict: Diagnosis | null }
  | { type: "levels"; levels: Level[] };

/** A tensor in a file; `byte` is where it begins. */
export interface Part {
  name: string;
  group: "embedding" | "attention" | "mlp" | "norm";
  shape: number[];
  byte: number;
  floats: number;
  mean: number;
  std: number;
  min: number;
  max: number;
  histogram: number[];
}

export interface Inspected {
  name: string;
  kind: "weights" | "state";
  seed: string;
  iter: number;
  valLoss: number | null;
  header: string;
  /** In bytes; `start` is the first float's, `end` what follows the last: a vocabulary, or none. */
  size: number;
  start: number;
  end: number;
  explained: { rows: { what: string; count: number }[]; total: number; note: string; sum: string };
  parts: Part[];
}

/** 512 bytes from `at` on: their digits, and what every four of them say. */
export interface PageOfBytes {
  page: number;
  at: number;
  hex: string;
  cells: (string | number)[];
}

/** How two tensors differ: numbers whose bits do, the largest |a - b|, the root mean square. */
export interface Difference {
  name: string;
  count: number;
  floats: number;
  largest: number;
  rms: number;
}

export type InspectorReport =
  | ({ type: "inspected"; slot: Slot } & Inspected)
  | { type: "uninspected"; slot: Slot; name: string; message: string }
  | ({ type: "bytes"; slot: Slot } & PageOfBytes)
  | { type: "compared"; text: string; rows: Difference[] };

/** What a link claims of a run. Anyone may have written it. */
export interface Facts extends Settings {
  iter: number;
  /** The settings that the page has no field for, where they are not the usual ones, or "". */
  others: string;
  model: string;
  valLoss: number | null;
  /** The recorded losses: [iter, loss]. */
  losses: [number, number][];
  device: string;
  sameCode: boolean;
  /** How the run's code was edited, as a unified diff, or "". */
  diff: string;
  sameText: boolean;
  /** Why it cannot be replayed here, or "". */
  problem: string;
}

/** How far a link's replay is; `id` is that of its claim. */
export interface ReplayReport {
  id: string;
  phase: "running" | "done" | "stopped" | "failed";
  /** Of one that is done. */
  verdict: "" | "identical" | "close" | "different";
  message: string;
  iter: number;
  iters: number;
  /** Its own losses where the link has recorded one: [iter, loss]. */
  losses: [number, number][];
}

// ---- what the model writes ----------------------------------------------------------------------

/** How a text compares with the corpus: shares, and divergences in nats (groundling/samples.py). */
export interface Measures {
  characters: number;
  unigram_kl: number;
  bigram_kl: number;
  words: number | null;
}

export interface Sample {
  iter: number;
  /** The validation loss by then. */
  loss: number | null;
  /** "" for other models and texts than the default ones. */
  phase: string;
  /** What the phase is, in a sentence or two. */
  about: string;
  text: string;
  measures: Measures;
}

/** Samples of the run from the `first` on; 0 is a run that is new to the page. */
export interface SamplesReport {
  type: "samples";
  first: number;
  prompt: string;
  vocabSize: number;
  /** The measures of the corpus's own text, and of even guesses. */
  scale: { written: Measures; even: Measures };
  /** In iterations. */
  every: number;
  samples: Sample[];
}

/** The models that can write. */
export type VoiceName = "reference" | "file" | "run";

export interface Knobs {
  temperature: number;
  topK: number;
  topP: number;
}

export type TalkCommand =
  /** Reads weights or a state as one of the models. */
  | { type: "voice"; source: "reference" | "file"; name: string; bytes: Uint8Array }
  /** Begins a text. A length of 0 looks at the prompt and writes nothing. */
  | ({
      type: "talk";
      id: number;
      source: VoiceName;
      prompt: string;
      seed: string;
      length: number;
    } & Knobs)
  | { type: "untalk" }
  /** Asks what the character at a place was chosen from, or the last one: with these knobs. */
  | ({ type: "weigh"; turn: number; at: number | null } & Knobs)
  /** Asks for the next characters of the text that Credits shows. */
  | { type: "recite"; prompt: string; seed: string };

export interface Voice {
  name: string;
  seed: string;
  iter: number;
  valLoss: number | null;
  parameters: number;
  opening: string | null;
}

/** Why a character cannot be drawn, if it cannot: it is among the top_k, but not in the nucleus;
 * or not among the top_k. */
export type Fate = "kept" | "top_p" | "top_k";

export type TalkReport =
  /** A file that was read, or why it was not. */
  | ({ type: "voice"; source: "reference" | "file"; problem: string } & Partial<Voice>)
  /** How far a text is. `nats` are the surprises of the new characters, `chances` with which they
   * were drawn; those of the prompt come with `begun`, null where the model saw nothing before. */
  | {
      type: "talk";
      id: number;
      phase: "begun" | "writing" | "done" | "stopped" | "failed";
      prompt: string | null;
      text: string;
      nats: (number | null)[];
      chances: number[];
      problem: string;
    }
  /** What the character at a place was chosen from, the likeliest first: character, its chance at
   * this temperature, its chance to be drawn, and its fate. */
  | {
      type: "weighed";
      id: number;
      turn: number;
      at: number;
      /** The one that is there; null for the one to come. */
      character: string | null;
      bars: [string, number, number, Fate][];
      /** `nats` is null where it is infinite: where the model had ruled the character out. */
      chosen: { nats: number | null; rank: number; drawn: number | null } | null;
    }
  | { type: "recited"; text: string; problem: string };

export type Report =
  | TextReport
  | DoctorReport
  | LensReport
  | TwinReport
  | SpeedReport
  | InspectorReport
  | SamplesReport
  | TalkReport
  | CodeReport
  /** `total` is 0 where it is not known. Bytes for downloads, else a count. */
  | { type: "stage"; stage: Stage; done: number; total: number; detail: string }
  /** The Python and WGSL that is about to run. */
  | { type: "sources"; files: Source[] }
  | {
      type: "ready";
      adapter: Adapter;
      defaults: Settings;
      limits: SettingsLimits;
    }
  /** The model of the run, or of the next one. uniformLoss is that of an even guess, ln(vocabSize);
   * opening is a prompt of its text's, null where Shakespeare's will do. */
  | {
      type: "model";
      uniformLoss: number;
      vocabSize: number;
      parameters: number;
      opening: string | null;
    }
  /** How many of a new run's first weights are drawn, where that takes long. */
  | { type: "drawing"; done: number; total: number }
  /** `undo` is the iteration of the run that was put aside, if one was. */
  | { type: "phase"; phase: Phase; reason: string; undo: number | null }
  /** The run that is now the page's: a new one, a loaded one, or one brought back. */
  | ({ type: "run"; edits?: Edit[] } & Settings)
  | ({ type: "steps"; records: Step[] } & Progress)
  /** A piece of a file, and its place in it. The message after its last one says what it is for. */
  | { type: "piece"; first: boolean; at: number; bytes: Uint8Array<ArrayBuffer> }
  /** A file for the reader to keep; without bytes, that of the pieces before. */
  | { type: "file"; name: string; mime: string; bytes?: Uint8Array<ArrayBuffer> }
  /** A copy of the run's state, in case the worker is lost: in the browser's storage, or `here` is
   * false and the pieces before are it. */
  | { type: "kept"; name: string; iter: number; here: boolean }
  | {
      type: "loaded";
      kind: "weights" | "state";
      name: string;
      seed: string;
      iter: number;
      valLoss: number | null;
      note: string;
    }
  /** A state of other code or text: it is loaded once the reader agrees. */
  | { type: "asked"; name: string; seed: string; iter: number; differences: string[] }
  /** `problem` is what the browser said where it keeps none. */
  | { type: "keeping"; keeping: Keeping; problem: string }
  /** The newest copy that autosave has, before a run begins. */
  | { type: "offer"; copy: Copy | null }
  /** A state was written to the browser's storage. */
  | { type: "autosaved"; iter: number; copies: number }
  | { type: "notice"; message: string }
  | ({ type: "error"; frames?: Frame[] } & Omit<CodeError, "frames">)
  /** The run as a link, or why it cannot be one. */
  | { type: "link"; text: string; problem: string }
  /** What a link claims, or what is wrong with it. */
  | { type: "claim"; id: string; text: string; problem: string; facts: Facts | null }
  | ({ type: "replay" } & ReplayReport)
  /** The answer to every command, at once: the worker's event loop is alive. */
  | { type: "heard" };
