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

// ---- page to worker ----------------------------------------------------------------------------

export type Command =
  | ({ type: "start" } & Settings)
  | { type: "pause" }
  | { type: "resume" }
  | { type: "reset" }
  /** Brings back the run that the last reset or load put aside. */
  | { type: "undo" }
  /** A new peak learning rate, also while training. */
  | { type: "lr"; value: number }
  /** Asks for the weights file, `.bin`. */
  | { type: "save" }
  /** Asks for the state file, `.state`: the whole run. */
  | { type: "state" }
  /** Asks for the log of losses, as CSV. */
  | { type: "log" }
  /** A weights file or a state; it tells which it is. */
  | ({ type: "load"; name: string; bytes: Uint8Array } & Settings)
  /** The answer to `asked`: load it all the same. */
  | { type: "anyway" }
  /** Goes on from the copy of `offer`. */
  | { type: "continue" }
  /** Deletes that copy, and those before it. */
  | { type: "discard" }
  | { type: "hidden"; hidden: boolean }
  | { type: "device"; name: DeviceName }
  | TwinCommand
  | InspectorCommand
  /** Asks for the run as a link. */
  | { type: "share" }
  /** Asks what a link claims: of the address's fragment. */
  | { type: "claim"; text: string }
  /** Trains a link's run again, beside the page's own, and checks it; and ends that early. */
  | { type: "replay"; text: string }
  | { type: "unreplay" }
  /** Asks for nothing but `heard`. */
  | { type: "ping" };

/** Two files can be open in the inspector. */
export type Slot = "a" | "b";

export type TwinCommand =
  | { type: "twin"; seeds: [string, string]; iters: number }
  /** Ends the twin that runs, without a verdict. */
  | { type: "untwin" };

export type InspectorCommand =
  | { type: "inspect"; slot: Slot; name: string; bytes: Uint8Array }
  | { type: "inspect_run"; slot: Slot }
  /** Asks for a page of 512 bytes. */
  | { type: "look"; slot: Slot; page: number }
  | { type: "close"; slot: Slot };

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

/** One iteration. Losses are in nats a character. */
export interface Step {
  iter: number;
  train: number;
  /** The running average of `train`. */
  smooth: number;
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
  /** In bytes; `start` is the first float's. */
  size: number;
  start: number;
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

export type Report =
  | TwinReport
  | InspectorReport
  /** `total` is 0 where it is not known. Bytes for downloads, else a count. */
  | { type: "stage"; stage: Stage; done: number; total: number; detail: string }
  /** The Python and WGSL that is about to run. */
  | { type: "sources"; files: Source[] }
  | {
      type: "ready";
      adapter: Adapter;
      defaults: Settings;
      /** The loss of guessing evenly: ln(vocabSize). */
      uniformLoss: number;
      vocabSize: number;
      parameters: number;
    }
  /** `undo` is the iteration of the run that was put aside, if one was. */
  | { type: "phase"; phase: Phase; reason: string; undo: number | null }
  /** The run that is now the page's: a new one, a loaded one, or one brought back. */
  | ({ type: "run" } & Settings)
  | ({ type: "steps"; records: Step[] } & Progress)
  /** A file for the reader to keep. */
  | { type: "file"; name: string; mime: string; bytes: Uint8Array<ArrayBuffer> }
  /** A copy of the run's state, in case the worker is lost. */
  | { type: "kept"; name: string; iter: number; bytes: Uint8Array<ArrayBuffer> }
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
  | { type: "keeping"; keeping: Keeping }
  /** The newest copy that autosave has, before a run begins. */
  | { type: "offer"; copy: Copy | null }
  /** A state was written to the browser's storage; its `size` is in bytes. */
  | { type: "autosaved"; iter: number; copies: number; size: number }
  | { type: "notice"; message: string }
  | { type: "error"; title: string; message: string; hint: string; detail: string }
  /** The run as a link, or why it cannot be one. */
  | { type: "link"; text: string; problem: string }
  /** What a link claims, or what is wrong with it. */
  | { type: "claim"; id: string; text: string; problem: string; facts: Facts | null }
  | ({ type: "replay" } & ReplayReport)
  /** The answer to every command, at once: the worker's event loop is alive. */
  | { type: "heard" };
