// Every message between the page and the worker: plain objects, told apart by `type`.
// Written by site/protocol.py from py_src/browser/messages: edit those modules, and build.

// ---- base --------------------------------------------------------------------------------------

export type Phase = "booting" | "ready" | "training" | "paused" | "done" | "error";

export type DeviceName = "webgpu" | "wasm" | "numpy";

/** The models that can write: the reference checkpoint, a file of the reader's, and the run. */
export type VoiceName = "reference" | "file" | "run";

/** The reader's edits: path to whole text, for every file that differs from the original. */
export type Files = Record<string, string>;

/** The fields of the page that a run is made from. */
export interface Settings {
  seed: string;
  iters: number;
  batchSize: number;
  lr: number;
}

/** The smallest and the largest value of each field; for the seed, its length as JSON. */
export interface SettingsLimits {
  seed: [number, number];
  iters: [number, number];
  batchSize: [number, number];
  lr: [number, number];
}

/** A place in a traceback. */
export interface Frame {
  path: string;
  /** of the function */
  name: string;
  /** from 1 */
  line: number;
  /** from 0, in UTF-16 code units */
  column: number;
  endLine: number;
  endColumn: number;
  /** of the line */
  text: string;
  /** whether the reader edited the file, or typed it in the console */
  yours: boolean;
}

/** An error in words. */
export interface Panel {
  title: string;
  message: string;
  hint: string;
  detail: string;
}

/** An error in code. */
export interface CodeError extends Panel {
  /** the innermost last */
  frames: Frame[];
}

/** A command that needs the run, or a copy of one that is lost. */
export interface WithCopy {
  /** the last copy of the run, where the page has it */
  bytes?: Uint8Array<ArrayBuffer>;
}

/** A command about a text: of the console's prompt, a link's fragment, or a config as JSON. */
export interface WithText {
  text: string;
}

/** An edit of the code that a run took on. */
export interface Edit {
  /** the first under the new code */
  iter: number;
  /** unified */
  diff: string;
}

/** A link, or why there can be none. */
export interface LinkText {
  /** the address's fragment */
  text: string;
  problem: string;
}

/** A sentence for the reader. */
export interface NoticeReport {
  type: "notice";
  message: string;
}

/** A piece of a file. The message after the last piece says what the file is for. */
export interface PieceReport {
  type: "piece";
  first: boolean;
  /** where in the file it begins */
  at: number;
  bytes: Uint8Array<ArrayBuffer>;
}

/** A file for the reader to keep. Without bytes, it is made of the pieces before. */
export interface FileReport {
  type: "file";
  name: string;
  mime: string;
  bytes?: Uint8Array<ArrayBuffer>;
}

/** Asks for nothing but `heard`. */
export interface PingCommand {
  type: "ping";
}

/** The immediate answer to every command: the worker's event loop is alive. */
export interface HeardReport {
  type: "heard";
}

// ---- code --------------------------------------------------------------------------------------

/** How a kernel compares with its reference at the worst place; None if not finite. */
export interface KernelCheck {
  kernel: string;
  ok: boolean;
  largest: number | null;
  tolerance: number;
  /** which buffer, which number of it, in a call with which parameters */
  where: string;
  message: string;
}

/** Continues the run with other code. */
export interface ApplyCommand extends WithCopy {
  type: "apply";
  files: Files;
  /** keep the parameters that fit by name and shape, draw the others anew */
  fit?: boolean;
  /** also if kernels differ from their NumPy references */
  anyway?: boolean;
}

/** A question about a text that is being edited. */
export interface AtCursor {
  /** the answer's too */
  id: number;
  /** of the source; empty for the console */
  path: string;
  text: string;
  /** the cursor, in UTF-16 code units */
  at: number;
}

/** Asks for problems. */
export interface LintCommand {
  type: "lint";
  id: number;
  path: string;
  text: string;
}

/** The page's project: its edits, and the settings to train them with. */
export interface Project extends Settings {
  name: string;
  files: Files;
}

/** Brings a project's file, to be read. */
export interface UnzipCommand {
  type: "unzip";
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Runs what was typed at the console's prompt, against the live run. */
export interface EvaluateCommand extends WithText {
  type: "evaluate";
}

/** Ends what was typed there, at its next wait for the device. */
export interface InterruptCommand {
  type: "interrupt";
}

/** Asks for completions. */
export interface CompleteCommand extends AtCursor {
  type: "complete";
}

/** Asks for documentation. */
export interface HoverCommand extends AtCursor {
  type: "hover";
}

/** Asks for the project as a file. */
export interface ZipCommand extends Project {
  type: "zip";
}

/** Asks for the project as a link. */
export interface ShareCodeCommand extends Project {
  type: "share_code";
}

/** Asks what edits a link holds. */
export interface CodeClaimCommand extends WithText {
  type: "code_claim";
}

/** A file of the library. */
export interface Source {
  path: string;
  text: string;
}

/** The Python and WGSL that is about to run, and the names that a new file must not have. */
export interface SourcesReport {
  type: "sources";
  files: Source[];
  /** of Python */
  keywords: string[];
  /** that come with it */
  modules: string[];
}

/** In a file, `old` is to become `new`; an empty `old` makes a new file. */
export interface RecipeEdit {
  path: string;
  old: string;
  new: string;
}

/** A worked edit. */
export interface Recipe {
  name: string;
  title: string;
  text: string;
  edits: RecipeEdit[];
}

/** All recipes. */
export interface RecipesReport {
  type: "recipes";
  recipes: Recipe[];
}

/** The run goes on with other code. */
export interface AppliedReport extends Edit {
  type: "applied";
  files: string[];
}

/** The new code was not taken on; the old goes on. */
export interface RefusedReport {
  type: "refused";
  error: CodeError;
}

/** The new code's parameters are others; nothing has changed yet. */
export interface FitReport {
  type: "fit";
  kept: string[];
  fresh: string[];
  dropped: string[];
}

/** The checks of edited kernels. Unless all are ok, nothing was applied. */
export interface KernelsReport {
  type: "kernels";
  rows: KernelCheck[];
}

/** An array in short. */
export interface ArrayView {
  shape: number[];
  dtype: string;
  mean: number | null;
  std: number | null;
  min: number | null;
  max: number | null;
  width: number;
  height: number;
  /** from 0 to 255, row by row */
  pixels: number[];
}

/** Something printed, typed, evaluated or raised. */
export interface ConsoleEntry {
  kind: "in" | "out" | "err" | "value" | "array" | "error";
  text: string;
  array?: ArrayView;
  error?: CodeError;
}

/** What is new in the console. */
export interface ConsoleReport {
  type: "console";
  entries: ConsoleEntry[];
}

/** What was typed at the prompt has ended; one for each `evaluate`. */
export interface EvaluatedReport {
  type: "evaluated";
}

/** What could be typed next. */
export interface Completion {
  label: string;
  type: string;
  detail: string;
  info: string;
}

/** Completions. They replace the text from `start` to where they were asked for. */
export interface CompletionsReport {
  type: "completions";
  id: number;
  start: number;
  options: Completion[];
}

/** The documentation of what stands from `start` to `end`; empty if there is none. */
export interface DocReport {
  type: "doc";
  id: number;
  start: number;
  end: number;
  signature: string;
  text: string;
}

/** What the linter found. */
export interface Problem {
  line: number;
  column: number;
  endLine: number;
  endColumn: number;
  severity: "error" | "warning";
  message: string;
}

/** The problems in a text. */
export interface LintedReport {
  type: "linted";
  id: number;
  path: string;
  problems: Problem[];
}

/** A project that was opened, to be read, or what is wrong with it. Nothing of it has run. */
export interface ProjectReport {
  type: "project";
  origin: "zip" | "link";
  name: string;
  files: Files;
  settings: Settings;
  problem: string;
}

/** The edits as a link, or why they cannot be one. */
export interface CodeLinkReport extends LinkText {
  type: "code_link";
}

// ---- course ------------------------------------------------------------------------------------

/** Asks whether a lesson's task is done, or a number answers its question. */
export interface CheckCommand {
  type: "check";
  id: number;
  /** of a check or an answer of groundling/labs/course.py */
  name: string;
  /** its parameters */
  given: Record<string, number | string>;
  /** the answer; null for the task */
  value: number | null;
}

/** The verdict. */
export interface CheckedReport {
  type: "checked";
  /** of its `check` */
  id: number;
  done: boolean;
  says: string;
}

/** Asks for a report of a lesson, with the run that there is: one HTML file. */
export interface LessonReportCommand {
  type: "lesson_report";
  number: number;
  title: string;
  /** what the lesson asks for and what the reader did, by name */
  answers: [string, string][];
  /** the address of this page */
  page: string;
}

// ---- doctor ------------------------------------------------------------------------------------

/** A level of the loss in nats, or a range up to `to`, and what it means. */
export interface Level {
  name: string;
  label: string;
  nats: number;
  says: string;
  to: number | null;
}

/** Examines cases, one after the other, while no run trains. */
export interface CaseCommand {
  type: "case";
  names: string[];
  iters: number;
}

/** Settings that a diagnosis would change. */
export interface Fix {
  lr?: number;
  iters?: number;
  warmup?: number;
}

/** What a loss curve shows. */
export interface Diagnosis {
  kind: "early" | "clean" | "fork" | "plateau" | "divergence" | "dead" | "slow" | "spike";
  title: string;
  says: string;
  /** what was measured, and the result */
  evidence: [string, string][];
  change: string;
  fix: Fix;
  /** the iteration where it shows */
  at: number | null;
  healthy: boolean;
}

/** One of the doctor's runs. */
export interface Case {
  name: string;
  title: string;
  wrong: string;
  /** the diagnosis that it should get */
  expected: string;
  /** The curve that it should have: share of the run, training loss, validation loss. */
  shape: [number, number, number][];
}

/** All cases, and how many iterations they may have. */
export interface CasesReport {
  type: "cases";
  cases: Case[];
  iters: number;
  fewest: number;
  most: number;
}

/** How far a case is. */
export interface CaseReport {
  type: "case";
  name: string;
  phase: "running" | "done" | "stopped" | "failed";
  iters: number;
  /** The new ones: iteration, training loss, validation loss; null if not finite. */
  records: [number, number | null, number | null][];
  message: string;
  verdict: Diagnosis | null;
}

/** What the page's own run shows so far. */
export interface DiagnosisReport {
  type: "diagnosis";
  iter: number;
  verdict: Diagnosis | null;
}

/** The lines on the loss curve. */
export interface LevelsReport {
  type: "levels";
  levels: Level[];
}

/** Stops the case in progress, and those after it. */
export interface UncaseCommand {
  type: "uncase";
}

// ---- inside ------------------------------------------------------------------------------------

/** Looks into a model as it reads a prompt; if it is the run, again and again as it trains. */
export interface LensCommand {
  type: "lens";
  source: VoiceName;
  prompt: string;
}

/** A character and its probability. */
export type Guess = [string, number];

/** What n characters do in a model. */
export interface Look {
  source: VoiceName;
  /** of the run */
  iter: number | null;
  text: string[];
  layers: number;
  heads: number;
  /** For every layer, before the first and after each, and every position: the likeliest next.
   * */
  guesses: Guess[][][];
  /** uint16, in 65,535ths: attention weights, (layers, heads, n, n) */
  bytes: Uint8Array<ArrayBuffer>;
}

/** A look into a model. */
export interface LensReport extends Look {
  type: "lens";
}

/** How a part of a model fares. */
export interface Health {
  name: string;
  size: number;
  mean: number | null;
  rms: number | null;
  norm: number | null;
  gradient: number | null;
  /** as a share of the norm of its weights */
  update: number | null;
}

/** The parts of the model that was looked into. */
export interface LayersReport {
  type: "layers";
  source: VoiceName;
  iter: number | null;
  rows: Health[];
}

/** Why there is nothing to see. */
export interface UnlensReport {
  type: "unlens";
  source: VoiceName;
  message: string;
}

/** The reader looks no more. */
export interface UnlensCommand {
  type: "unlens";
}

// ---- inspector ---------------------------------------------------------------------------------

/** Two files can be open in the inspector. */
export type Slot = "a" | "b";

/** Opens a file. */
export interface InspectCommand {
  type: "inspect";
  slot: Slot;
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Opens the weights of the run. */
export interface InspectRunCommand {
  type: "inspect_run";
  slot: Slot;
}

/** Asks for a page of 512 bytes. */
export interface LookCommand {
  type: "look";
  slot: Slot;
  page: number;
}

/** Closes a file. */
export interface CloseCommand {
  type: "close";
  slot: Slot;
}

/** A tensor in a file. */
export interface Part {
  name: string;
  group: "embedding" | "attention" | "mlp" | "norm";
  shape: number[];
  /** where it begins */
  byte: number;
  floats: number;
  mean: number;
  std: number;
  min: number;
  max: number;
  histogram: number[];
}

/** A kind of parameters, and how many there are. */
export interface SizeRow {
  what: string;
  count: number;
}

/** Why a file is as large as it is. */
export interface Explained {
  rows: SizeRow[];
  total: number;
  note: string;
  sum: string;
}

/** A file that is open. */
export interface Inspected {
  name: string;
  kind: "weights" | "state";
  seed: string;
  iter: number;
  valLoss: number | null;
  header: string;
  /** bytes */
  size: number;
  /** the byte of the first float */
  start: number;
  /** the byte after the last: a vocabulary follows, or nothing */
  end: number;
  explained: Explained;
  parts: Part[];
}

/** A file was opened. */
export interface InspectedReport extends Inspected {
  type: "inspected";
  slot: Slot;
}

/** A file was not opened. */
export interface UninspectedReport {
  type: "uninspected";
  slot: Slot;
  name: string;
  message: string;
}

/** A file was closed. */
export interface ClosedReport {
  type: "closed";
  slot: Slot;
}

/** 512 bytes of a file. */
export interface PageOfBytes {
  page: number;
  /** the first byte */
  at: number;
  hex: string;
  /** what every four bytes say */
  cells: (string | number)[];
}

/** A page of a file. */
export interface BytesReport extends PageOfBytes {
  type: "bytes";
  slot: Slot;
}

/** How two tensors differ. */
export interface Difference {
  name: string;
  /** numbers whose bits differ */
  count: number;
  floats: number;
  /** |a - b| */
  largest: number;
  /** of a - b */
  rms: number;
}

/** How the two open files differ. */
export interface ComparedReport {
  type: "compared";
  text: string;
  rows: Difference[];
}

// ---- limits ------------------------------------------------------------------------------------

/** the folder of the library's Python, in the project */
export const LIBRARY = "py_src/groundling/";

/** and that of its kernels */
export const SHADERS = "shaders/";

/** a regular expression of the paths that edits may have */
export const EDITABLE =
  "py_src/groundling/([a-z]+/){0,2}[a-z_][a-z0-9_]{0,60}\\.py|(shaders/|shaders/tiles/)[a-z][a-z0-9_]{0,60}\\.wgsl";

/** files in a project */
export const MAX_FILES = 100;

/** bytes of UTF-8 in one of them */
export const MAX_FILE = 500000;

/** characters in the name of a project */
export const MAX_NAME = 60;

/** bytes of a project's .zip file */
export const MAX_ZIP = 4000000;

/** bytes of the reader's own text, all files together */
export const MAX_TEXT = 100000000;

/** bytes of a config file */
export const MAX_CONFIG = 100000;

/** characters of a prompt, and of a text that a model writes after it */
export const MAX_TALK = 2000;

/** bytes of a run's state that the shelf keeps */
export const MAX_SHELF_STATE = 134217728;

/** runs on it */
export const MAX_SHELF = 200;

/** iterations of a run of a sweep */
export const MAX_SWEEP = 10000;

/** iterations of a twin, which is a demonstration */
export const MAX_TWIN = 1000;

// ---- run ---------------------------------------------------------------------------------------

/** How a text compares with the corpus. KL is the Kullback-Leibler divergence, in nats: how much
 * longer a code made for the corpus would be than one made for the text, a character or a pair. */
export interface Measures {
  /** the share of the vocabulary that it uses */
  characters: number;
  /** of its characters from the corpus's */
  unigram_kl: number;
  /** of its pairs of neighbours from the corpus's */
  bigram_kl: number;
  /** the share of its whole words that the training text has; None without any */
  words: number | null;
}

/** Why the device is not WebGPU: what the browser lacks, or that the CPU emulates its GPU. Empty
 * if it is, or if the reader chose so. */
export type Missing = "" | "insecure" | "webgpu" | "jspi" | "adapter" | "emulated";

/** Starts a run. */
export interface StartCommand extends Settings {
  type: "start";
  /** the code to run it by; without them, by the code of the last run */
  files?: Files;
}

/** Sets the peak learning rate, also while training. */
export interface LrCommand {
  type: "lr";
  value: number;
}

/** Sets the run's last iteration: a run that is done can then be trained further. */
export interface ItersCommand {
  type: "iters";
  value: number;
}

/** Loads a weights file or a state; the file says which it is. */
export interface LoadCommand extends Settings {
  type: "load";
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
  /** a new run with the file's weights alone */
  begin?: boolean;
  /** as of `start` */
  files?: Files;
}

/** Continues from the copy of `offer`. */
export interface ContinueCommand {
  type: "continue";
  /** as of `start` */
  files?: Files;
}

/** Tells whether the page is hidden. */
export interface HiddenCommand {
  type: "hidden";
  hidden: boolean;
}

/** Opens a device. */
export interface DeviceCommand {
  type: "device";
  name: DeviceName;
  /** from the worker itself, which opens the first */
  missing?: Missing;
}

/** Pauses the run. */
export interface PauseCommand {
  type: "pause";
}

/** Resumes the run. */
export interface ResumeCommand {
  type: "resume";
}

/** Puts the run aside; after an error, opens the device again. */
export interface ResetCommand {
  type: "reset";
}

/** Brings back the run that the last reset or load put aside. */
export interface UndoCommand extends WithCopy {
  type: "undo";
}

/** Asks for the weights file, `.bin`. */
export interface SaveCommand extends WithCopy {
  type: "save";
}

/** Asks for the weights of the lowest validation loss, `.bin`. */
export interface BestCommand {
  type: "best";
}

/** Asks for the state file, `.state`: the whole run. */
export interface StateCommand extends WithCopy {
  type: "state";
}

/** Asks for the log of losses, as CSV. */
export interface LogCommand {
  type: "log";
}

/** Answers `asked`: load it all the same. */
export interface AnywayCommand {
  type: "anyway";
}

/** Discards the copy of `offer`, and those before it. */
export interface DiscardCommand {
  type: "discard";
}

/** Restores the copies that `discard` has discarded. */
export interface UndiscardCommand {
  type: "undiscard";
}

/** What the worker does before it is ready. Some of it overlaps. */
export type Stage = "download" | "python" | "numpy" | "adapter" | "kernels";

/** How far a stage is: bytes of a download, else a count. */
export interface StageReport {
  type: "stage";
  stage: Stage;
  done: number;
  /** 0 if it is not known */
  total: number;
  detail: string;
}

/** The device in use. */
export interface Adapter {
  device: DeviceName;
  name: string;
  /** slower than a GPU: on the CPU, or on a GPU that it emulates */
  fallback: boolean;
  missing: Missing;
  detail: string;
}

/** A device is open. */
export interface ReadyReport {
  type: "ready";
  adapter: Adapter;
  defaults: Settings;
  limits: SettingsLimits;
}

/** The model of the run, or of the next one. */
export interface ModelReport {
  type: "model";
  /** ln(vocabSize), the loss of a uniform guess */
  uniformLoss: number;
  vocabSize: number;
  /** that a token is */
  unit: "character" | "byte";
  parameters: number;
  /** a prompt from its text; null where one of Shakespeare's will do */
  opening: string | null;
}

/** The settings of the next run, or those that the run has now. */
export interface SetupReport {
  type: "setup";
  settings: Settings;
}

/** How many of a new run's initial weights are drawn, where that takes long. */
export interface DrawingReport {
  type: "drawing";
  done: number;
  total: number;
}

/** The session is in another phase. */
export interface PhaseReport {
  type: "phase";
  phase: Phase;
  reason: string;
  /** the iteration of the run that was put aside, if there is one */
  undo: number | null;
}

/** The run that is now the page's: a new one, a loaded one, or one that was brought back. */
export interface RunReport extends Settings {
  type: "run";
  edits: Edit[];
}

/** One iteration. Losses are in nats per character; null if not finite. */
export interface Step {
  iter: number;
  train: number | null;
  /** the running average of `train` */
  smooth: number | null;
  lr: number;
  val: number | null;
}

/** The weights of the lowest validation loss. */
export interface Best {
  iter: number;
  valLoss: number;
}

/** Where a run stands. */
export interface Progress {
  iter: number;
  iters: number;
  trainLoss: number | null;
  valLoss: number | null;
  perplexity: number | null;
  lr: number | null;
  itersPerSecond: number | null;
  tokensPerSecond: number | null;
  /** seconds of training */
  elapsed: number;
  /** of the CPU, that a step is done on */
  cores: number;
  /** if they are kept */
  best: Best | null;
}

/** The iterations since the last such message. */
export interface StepsReport extends Progress {
  type: "steps";
  records: Step[];
}

/** What stopped the run, or a command that failed. */
export interface ErrorReport extends Panel {
  type: "error";
  frames?: Frame[];
}

/** A copy of the run's state, in case the worker is lost. */
export interface KeptReport {
  type: "kept";
  name: string;
  iter: number;
  /** in the browser's storage; else it is the pieces before */
  here: boolean;
}

/** A file was loaded. */
export interface LoadedReport {
  type: "loaded";
  kind: "weights" | "state";
  name: string;
  seed: string;
  iter: number;
  valLoss: number | null;
  note: string;
}

/** A state of other code or text: it is loaded once the reader agrees. */
export interface AskedReport {
  type: "asked";
  name: string;
  seed: string;
  iter: number;
  differences: string[];
}

/** Whether states are kept: not if another tab keeps them, or the browser has no room. */
export type Keeping = "here" | "taken" | "none";

/** Whether this browser keeps states. */
export interface KeepingReport {
  type: "keeping";
  keeping: Keeping;
  /** what the browser said if it keeps none */
  problem: string;
}

/** A text that is not the one in use. */
export interface CopyText {
  hash: string;
  name: string;
  ours: boolean;
}

/** A state that autosave has kept. */
export interface Copy {
  seed: string;
  iter: number;
  iters: number;
  valLoss: number | null;
  createdAt: string;
  /** the text it was trained on, if another one is in use */
  text: CopyText | null;
}

/** The newest copy that autosave has, before a run begins. */
export interface OfferReport {
  type: "offer";
  copy: Copy | null;
}

/** A state was written to the browser's storage. */
export interface AutosavedReport {
  type: "autosaved";
  iter: number;
  copies: number;
}

/** What the run wrote at an iteration. */
export interface Sample {
  iter: number;
  /** the validation loss by then */
  loss: number | null;
  /** empty for other models and texts than the default ones */
  phase: string;
  /** the phase in a sentence or two */
  about: string;
  text: string;
  measures: Measures;
}

/** The measures of the corpus's own text, and of uniform guesses. */
export interface Scale {
  written: Measures;
  even: Measures;
}

/** What a model writes that only counts pairs of the run's text. */
export interface Counted {
  loss: number;
  /** what it knows, in a sentence */
  about: string;
  text: string;
  measures: Measures;
}

/** The run's samples from the `first` on; 0 is a run that is new to the page. */
export interface SamplesReport {
  type: "samples";
  first: number;
  prompt: string;
  vocabSize: number;
  scale: Scale;
  counted: Counted;
  /** iterations */
  every: number;
  samples: Sample[];
}

// ---- share -------------------------------------------------------------------------------------

/** What a link claims of a run. Anyone may have written it. */
export interface Facts extends Settings {
  iter: number;
  /** the settings without a field on the page that are not the usual ones, or empty */
  others: string;
  model: string;
  valLoss: number | null;
  /** that were recorded, by iteration */
  losses: [number, number][];
  device: string;
  sameCode: boolean;
  /** how the run's code was edited, as a unified diff, or empty */
  diff: string;
  sameText: boolean;
  /** why it cannot be replayed here, or empty */
  problem: string;
}

/** What a link claims, or what is wrong with it. */
export interface ClaimReport {
  type: "claim";
  id: string;
  text: string;
  problem: string;
  facts: Facts | null;
}

/** How far a link's replay is. */
export interface ReplayReport {
  type: "replay";
  /** of its claim */
  id: string;
  phase: "running" | "done" | "stopped" | "failed";
  /** of one that is done */
  verdict: "" | "identical" | "close" | "different";
  message: string;
  iter: number;
  iters: number;
  /** its own, where the link has recorded one */
  losses: [number, number][];
}

/** Asks for the run as a link. */
export interface ShareCommand {
  type: "share";
}

/** Asks what a link claims. */
export interface ClaimCommand extends WithText {
  type: "claim";
}

/** Trains a link's run again, beside the page's own, and checks it. */
export interface ReplayCommand extends WithText {
  type: "replay";
}

/** Stops that. */
export interface UnreplayCommand {
  type: "unreplay";
}

/** The run as a link, or why it cannot be one. */
export interface LinkReport extends LinkText {
  type: "link";
}

// ---- shelf -------------------------------------------------------------------------------------

/** How Python knows that a run goes on from one that is kept. */
export interface ShelfMark {
  id: string;
  seed: string;
  iter: number;
  iters: number;
  /** the running average at its last iteration, which depends on every loss before */
  loss: number;
}

/** Tells which runs are kept. */
export interface ShelfCommand {
  type: "shelf";
  runs: ShelfMark[];
}

/** Reads a state file that is to be kept. */
export interface ShelveCommand {
  type: "shelve";
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Asks for a report of a run that is kept: one HTML file. */
export interface ReportCommand {
  type: "report";
  name: string;
  /** its state */
  bytes: Uint8Array<ArrayBuffer>;
  /** its edits */
  files: Files;
  /** the address of this page */
  page: string;
}

/** What a run wrote at an iteration. */
export interface ShelfSample {
  iter: number;
  text: string;
}

/** What is shown of a run that is kept. */
export interface ShelfRun {
  /** 16 hexadecimal digits */
  id: string;
  name: string;
  seed: string;
  iter: number;
  iters: number;
  /** as in ShelfMark */
  loss: number;
  valLoss: number | null;
  /** the iteration of the lowest validation loss, and that */
  best: [number, number] | null;
  createdAt: string;
  settings: [string, string][];
  /** the running average by iteration, thinned */
  curve: [number, number][];
  validation: [number, number][];
  /** the last ones */
  samples: ShelfSample[];
  /** the edits that it is trained with */
  files: Files;
  /** of the code, while it trained */
  changes: Edit[];
}

/** A run to be kept, whose state file is the pieces before; or why it cannot be. */
export interface ShelvedReport {
  type: "shelved";
  run: ShelfRun | null;
  problem: string;
}

/** The weights of a kept run's lowest validation loss, whose file is the pieces before. */
export interface ShelvedBestReport {
  type: "shelved_best";
  id: string;
  iter: number;
}

// ---- speed -------------------------------------------------------------------------------------

/** Measures a step on the reader's device, and where its time goes. */
export interface SpeedCommand {
  type: "speed";
  batchSize: number;
}

/** How long a step takes; seconds and bytes, as groundling/labs/bench.py measures them. */
export interface Figures {
  device: string;
  model: string;
  batch_size: number;
  step: number;
  spread: [number, number];
  host: number;
  /** a step with the same dispatches and no work; null on NumPy */
  floor: number | null;
  /** the forms of matrix products and of attention, and why; empty on NumPy */
  tiles: string;
  first: number;
  /** per step, and so are the next four */
  dispatches: number;
  submits: number;
  bind_groups: number;
  /** how often Python waits for the device, for losses of earlier steps */
  waits: number;
  uploaded: number;
  memory: number;
  /** of the CPU, that a step is done on */
  cores: number;
  /** how many times as fast two are; 0 where that was not tried */
  gain: number;
  tokens_per_second: number;
  flops: number;
  /** the most operations per second that the device reaches */
  best_flops: number;
  /** the most bytes per second */
  best_bytes: number;
}

/** What a line of Python costs in a step. */
export interface LineCost {
  line: string;
  text: string[];
  seconds: number;
  /** how often each kernel runs for it */
  kernels: Record<string, number>;
}

/** How far the measurement is. */
export interface SpeedReport {
  type: "speed";
  phase: "running" | "stopped" | "failed" | "done";
  figures: Figures | null;
  lines: LineCost[];
  message: string;
  /** kernels that have been timed */
  done: number;
}

/** Stops that. */
export interface UnspeedCommand {
  type: "unspeed";
}

// ---- step --------------------------------------------------------------------------------------

/** What the reader has chosen: a character of the batch, and a weight. */
export interface Choice {
  sequence: number;
  position: number;
  /** the first, unless it is one of the model's */
  tensor: string;
  row: number;
  column: number;
}

/** Figures. `bars` are how much each row is, from 0 to 1; none where that says nothing. */
export interface Table {
  title: string;
  head: string[];
  rows: string[][];
  bars: number[];
}

/** A line of Python in a stage, and how often it runs each kernel. */
export interface Place {
  path: string;
  line: number;
  /** whether its gradient is computed */
  back: boolean;
  text: string;
  kernels: Record<string, number>;
}

/** One stage of a step. */
export interface StepStage {
  title: string;
  says: string;
  formula: string;
  tables: Table[];
  places: Place[];
  /** what the reader chooses here: "character", "surprise", "weight", or nothing */
  chooses: string;
}

/** Takes the next step of a model apart, and tells of what was chosen. */
export interface StepCommand {
  type: "step";
  source: VoiceName;
  chosen: Choice;
}

/** A parameter of the model. */
export interface Sized {
  name: string;
  rows: number;
  columns: number;
}

/** A step and its stages. */
export interface Apart {
  /** whose step it is */
  about: string;
  /** the sequences of the batch, a character a token */
  text: string[];
  /** the same, one further on */
  targets: string[];
  /** the surprise of each target */
  nats: number[][];
  chosen: Choice;
  tensors: Sized[];
  stages: StepStage[];
}

/** A step that was taken apart, or why it cannot be. */
export interface StepReport {
  type: "step";
  source: VoiceName;
  /** of the run */
  iter: number | null;
  problem: string;
  apart: Apart | null;
}

// ---- sweep -------------------------------------------------------------------------------------

/** Trains a run of each value of a setting, beside the page's own. `iters` is each run's. */
export interface SweepCommand extends Settings {
  type: "sweep";
  /** of the setting, in a config file */
  key: string;
  /** separated by commas */
  values: string;
  /** each run on the shelf */
  keep: boolean;
}

/** A run of the sweep, as far as it is. */
export interface SweepResult {
  value: number;
  iter: number;
  /** the running average */
  trainLoss: number | null;
  /** once it has ended */
  valLoss: number | null;
  /** why it ended early, or empty */
  problem: string;
}

/** How far a sweep is. */
export interface SweepReport {
  type: "sweep";
  phase: "running" | "done" | "stopped" | "failed";
  key: string;
  values: number[];
  iters: number;
  message: string;
  /** of those that have begun */
  results: SweepResult[];
  /** the final losses by value, in order */
  points: [number, number][];
  /** the value with the lowest */
  best: number | null;
}

/** Stops the sweep. */
export interface UnsweepCommand {
  type: "unsweep";
}

// ---- talk --------------------------------------------------------------------------------------

/** The settings of the sampler. */
export interface Knobs {
  temperature: number;
  topK: number;
  topP: number;
}

/** Brings weights or a state, to be read as one of the models. */
export interface VoiceCommand {
  type: "voice";
  source: "reference" | "file";
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Begins a text. */
export interface TalkCommand extends Knobs {
  type: "talk";
  id: number;
  source: VoiceName;
  prompt: string;
  seed: string;
  /** characters; 0 looks at the prompt and writes nothing */
  length: number;
}

/** Asks what a character was chosen from, with these settings. */
export interface WeighCommand extends Knobs {
  type: "weigh";
  turn: number;
  /** the character's place; null: the last one */
  at: number | null;
}

/** Asks for the next characters of the text in Credits. */
export interface ReciteCommand {
  type: "recite";
  prompt: string;
  seed: string;
}

/** Stops the text. */
export interface UntalkCommand {
  type: "untalk";
}

/** A model that can write. */
export interface Voice {
  /** of its file */
  name: string;
  seed: string;
  iter: number;
  valLoss: number | null;
  parameters: number;
  vocabSize: number;
  /** a prompt from its text; null where one of Shakespeare's will do */
  opening: string | null;
}

/** A file was read as a model, or why it was not. */
export interface VoiceReport {
  type: "voice";
  source: "reference" | "file";
  /** with the file's name, or empty */
  problem: string;
  voice: Voice | null;
}

/** How far a text is. */
export interface TalkReport {
  type: "talk";
  id: number;
  phase: "begun" | "writing" | "done" | "stopped" | "failed";
  prompt: string | null;
  /** the new characters */
  text: string;
  /** Their surprises; with "begun" those of the prompt, null where there is no context. */
  nats: (number | null)[];
  /** the probabilities with which they were drawn */
  probabilities: number[];
  problem: string;
}

/** Whether a character can be drawn; if not, whether top_p or top_k excludes it. */
export type Fate = "kept" | "top_p" | "top_k";

/** The character that is there, among those that it was chosen from. */
export interface Chosen {
  /** its surprise; null if it is infinite */
  nats: number | null;
  rank: number;
  /** the probability with which it was drawn */
  drawn: number | null;
}

/** What the character at a place was chosen from. */
export interface WeighedReport {
  type: "weighed";
  /** of the text */
  id: number;
  turn: number;
  at: number;
  /** null if it is still to come */
  character: string | null;
  /** Characters, the likeliest first: each with its probability at this temperature, its
   * probability to be drawn, and its fate. */
  bars: [string, number, number, Fate][];
  chosen: Chosen | null;
}

/** The next characters of the text in Credits. */
export interface RecitedReport {
  type: "recited";
  text: string;
  problem: string;
}

// ---- text --------------------------------------------------------------------------------------

/** A character that is rare, or that does not show: a control character, a mark, a gap. */
export interface Unusual {
  character: string;
  /** of Unicode */
  name: string;
  count: number;
  why: string;
}

/** Which text a run was trained on, in the guide's keys. */
export interface Manifest {
  /** SHA-256 of the raw bytes */
  dataset_id: string;
  name: string;
  raw_bytes: number;
  token_count: number;
  tokenizer: string;
  train_split: number;
  val_split: number;
  seed: string;
}

/** Brings a file of the reader's text. */
export interface TextCommand {
  type: "text";
  turn: number;
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
  /** files of this text that follow */
  more: number;
}

/** Asks what a config costs, or what is wrong with it. */
export interface DraftCommand extends WithText {
  type: "draft";
  /** a config file, in place of `text` */
  bytes?: Uint8Array<ArrayBuffer>;
}

/** Sets the number of warmup iterations, of the run or of the next one. */
export interface WarmupCommand {
  type: "warmup";
  value: number;
}

/** Asks for the presets, the form's fields, and the config in force. */
export interface SetupsCommand {
  type: "setups";
}

/** Goes back to tiny-shakespeare. */
export interface UntextCommand {
  type: "untext";
}

/** Makes a config the next run's, or changes what can change of the run. */
export interface UseCommand extends WithText {
  type: "use";
}

/** Asks for a config as a file. */
export interface ConfigCommand extends WithText {
  type: "config";
}

export type ConfigValue = number | string | boolean | number[];

/** A config file. Its keys are those of FormField, and a few that have no choice. */
export interface Config {
  model: Record<string, ConfigValue>;
  training: Record<string, ConfigValue>;
}

/** A hyper-parameter in the form. */
export interface FormField {
  part: "model" | "training";
  key: string;
  label: string;
  about: string;
  min: number;
  max: number;
  /** whether it is an integer */
  whole: boolean;
  /** whether a run keeps it until its end */
  settled: boolean;
}

/** A model of the table of sizes, with its costs in bytes, operations and seconds. */
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
  /** the activations are one block's, computed again in the backward pass */
  recomputed: boolean;
  flops: number;
  seconds: number | null;
  /** why the device cannot train it, or empty */
  refusal: string;
  config: Config;
}

/** The presets, and the fields of the form. */
export interface SetupsReport {
  type: "setups";
  presets: Preset[];
  fields: FormField[];
}

/** What there is to know of a text. */
export interface TextFacts {
  /** whether it is tiny-shakespeare */
  ours: boolean;
  manifest: Manifest;
  characters: number;
  lines: number;
  words: number;
  distinct: number;
  common: [string, number][];
  unusual: Unusual[];
  nUnusual: number;
  /** characters per parameter */
  ratio: number;
  advice: string;
}

/** The text in use, or why the one that the page has brought is not used. */
export interface TextReport {
  type: "text";
  turn: number | null;
  problem: string;
  facts: TextFacts | null;
}

/** A config and what it costs. With a problem, the costs may be missing. */
export interface Draft {
  problem: string;
  /** null if it is not a config at all */
  config: Config | null;
  /** to the page's `draft` */
  answer?: boolean;
  inForce?: boolean;
  parameters?: number;
  memory?: number;
  flops?: number;
  seconds?: number | null;
  advice?: string;
}

/** A config that was asked about, or the one in force. */
export interface DraftReport extends Draft {
  type: "draft";
}

// ---- twin --------------------------------------------------------------------------------------

/** Trains two runs side by side. */
export interface TwinCommand {
  type: "twin";
  seeds: [string, string];
  iters: number;
}

/** Asks for the file of one of the two runs, once there is a verdict. */
export interface TwinFileCommand {
  type: "twin_file";
  which: 0 | 1;
}

/** How the two runs compare. */
export interface Verdict {
  /** "weights": they agree, the files do not */
  kind: "identical" | "weights" | "differ";
  text: string;
  /** SHA-256 */
  files: [string, string];
  /** SHA-256 */
  weights: [string, string];
  /** what each seed decides, if they are two */
  feeds: string[][];
}

/** How far a twin is. */
export interface TwinReport {
  type: "twin";
  phase: "running" | "done" | "stopped" | "failed";
  /** those that run, whatever the fields hold by now */
  seeds: [string, string];
  iters: number;
  /** the new ones: iteration, and each loss in nats */
  records: [number, number, number][];
  /** the first iteration that differs */
  parted: number | null;
  message: string;
  verdict: Verdict | null;
}

/** Stops the twin, without a verdict. */
export interface UntwinCommand {
  type: "untwin";
}

export type Command =
  | PingCommand
  | ApplyCommand
  | LintCommand
  | UnzipCommand
  | EvaluateCommand
  | InterruptCommand
  | CompleteCommand
  | HoverCommand
  | ZipCommand
  | ShareCodeCommand
  | CodeClaimCommand
  | CheckCommand
  | LessonReportCommand
  | CaseCommand
  | UncaseCommand
  | LensCommand
  | UnlensCommand
  | InspectCommand
  | InspectRunCommand
  | LookCommand
  | CloseCommand
  | StartCommand
  | LrCommand
  | ItersCommand
  | LoadCommand
  | ContinueCommand
  | HiddenCommand
  | DeviceCommand
  | PauseCommand
  | ResumeCommand
  | ResetCommand
  | UndoCommand
  | SaveCommand
  | BestCommand
  | StateCommand
  | LogCommand
  | AnywayCommand
  | DiscardCommand
  | UndiscardCommand
  | ShareCommand
  | ClaimCommand
  | ReplayCommand
  | UnreplayCommand
  | ShelfCommand
  | ShelveCommand
  | ReportCommand
  | SpeedCommand
  | UnspeedCommand
  | StepCommand
  | SweepCommand
  | UnsweepCommand
  | VoiceCommand
  | TalkCommand
  | WeighCommand
  | ReciteCommand
  | UntalkCommand
  | TextCommand
  | DraftCommand
  | WarmupCommand
  | SetupsCommand
  | UntextCommand
  | UseCommand
  | ConfigCommand
  | TwinCommand
  | TwinFileCommand
  | UntwinCommand;

export type Report =
  | NoticeReport
  | PieceReport
  | FileReport
  | HeardReport
  | SourcesReport
  | RecipesReport
  | AppliedReport
  | RefusedReport
  | FitReport
  | KernelsReport
  | ConsoleReport
  | EvaluatedReport
  | CompletionsReport
  | DocReport
  | LintedReport
  | ProjectReport
  | CodeLinkReport
  | CheckedReport
  | CasesReport
  | CaseReport
  | DiagnosisReport
  | LevelsReport
  | LensReport
  | LayersReport
  | UnlensReport
  | InspectedReport
  | UninspectedReport
  | ClosedReport
  | BytesReport
  | ComparedReport
  | StageReport
  | ReadyReport
  | ModelReport
  | SetupReport
  | DrawingReport
  | PhaseReport
  | RunReport
  | StepsReport
  | ErrorReport
  | KeptReport
  | LoadedReport
  | AskedReport
  | KeepingReport
  | OfferReport
  | AutosavedReport
  | SamplesReport
  | ClaimReport
  | ReplayReport
  | LinkReport
  | ShelvedReport
  | ShelvedBestReport
  | SpeedReport
  | StepReport
  | SweepReport
  | VoiceReport
  | TalkReport
  | WeighedReport
  | RecitedReport
  | SetupsReport
  | TextReport
  | DraftReport
  | TwinReport;
