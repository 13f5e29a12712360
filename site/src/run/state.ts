// What the page knows of Python and of the run, as signals. Only what the worker tells changes it, and
// what the reader asks of it.

import { computed, signal } from "@preact/signals";
import { assembled } from "../base/receivedFiles";
import type {
  Adapter,
  AskedReport,
  AutosavedReport,
  ErrorReport,
  LoadedReport,
  Config,
  Copy,
  Keeping,
  Phase,
  Progress,
  Sample,
  SamplesReport,
  Settings,
  SettingsLimits,
  Stage,
} from "../base/protocol";
import { into, type Reports } from "../base/reports";
import { onRestart } from "../base/restarts";
import { Curve } from "./curve";

export const phase = signal<Phase>("booting");
export const reason = signal("");
export const stages = signal<
  Partial<Record<Stage, { done: number; total: number; detail: string }>>
>({});
export const compiling = signal(""); // the kernel that is being compiled
export const adapter = signal<Adapter | null>(null);
export const model = signal({
  uniformLoss: Math.log(65),
  vocabSize: 65,
  unit: "character" as "character" | "byte",
  parameters: 206_016,
  opening: null as string | null,
});

/** The fields, as they are typed; `readSettings` in settings.ts makes numbers of them. */
export const fields = {
  seed: signal("hamlet"),
  iters: signal("2000"),
  batchSize: signal("32"),
  lr: signal("0.0003"),
};

/** The model and the training that the next run has, as the form of Text and model has them. */
export const config = signal<Config | null>(null);

/** The least and the most that each of them may be, once Python has told. */
export const limits = signal<SettingsLimits | null>(null);

/** Every loss of the run. */
export const curve = new Curve();
/** Counts up when `curve` has changed. */
export const historyVersion = signal(0);

/** What the run has written, the first sample first. */
export const samples = signal<Sample[]>([]);
/** What all of them go on from, and the two ends of the scale they are measured on. */
export const setting = signal<Omit<SamplesReport, "type" | "first" | "samples"> | null>(null);

const noProgress: Progress = {
  iter: 0,
  iters: 2000,
  trainLoss: null,
  valLoss: null,
  perplexity: null,
  lr: null,
  itersPerSecond: null,
  tokensPerSecond: null,
  elapsed: 0,
  cores: 1,
  best: null,
};
export const progress = signal<Progress>(noProgress);

export type Panel = Omit<ErrorReport, "type">;
export const panel = signal<Panel | null>(null);
/** The share of a new run's first weights that is drawn, where that takes long. */
export const drawing = signal<number | null>(null);
export const notice = signal("");
export const loaded = signal<LoadedReport | null>(null);
/** The iteration of the run that Undo would bring back, if there is one. */
export const undo = signal<number | null>(null);
/** The last copy of the run; its file, where the browser's storage does not have it. */
export const kept = signal<{ name: string; iter: number; file: Blob | null } | null>(null);
/** What autosave offers to continue from, and whether it keeps copies of this run. */
export const offer = signal<Copy | null>(null);
/** The copy that was offered and discarded, as long as it can be brought back. */
export const discarded = signal<Copy | null>(null);
export const keeping = signal<{ keeping: Keeping; problem: string }>({
  keeping: "here",
  problem: "",
});
export const autosaved = signal<AutosavedReport | null>(null);
/** A state of other code or text, which waits for the reader to agree. */
export const asked = signal<AskedReport | null>(null);
/** The run ended badly: what is left of it is `kept`. */
export const rescued = signal(false);
/** A stop was asked for, and the phase has not changed since. */
export const stopping = signal(false);
/** How many of what was typed at the console's prompt have not run to their end. */
export const evaluating = signal(0);
/** Python takes long to stop: the reader may end it. */
export const stuck = signal(false);
/** Code of the reader's was sent, and has not come to the end of an iteration yet. */
export const untried = signal(false);

/** A run exists: its seed, length and batch are settled. */
export const hasRun = computed(
  () => !["booting", "ready"].includes(phase.value) && adapter.value !== null,
);

/** Why nothing beside the run can be computed now, or "". */
export function hindrance(): string {
  switch (phase.value) {
    case "booting":
      return "Python is on its way.";
    case "training":
      return "A run is training. Pause it first: it stays as it is.";
    case "error":
      return "Reset the run first.";
    default:
      return "";
  }
}
export const minutesLeft = computed(() => {
  const { iter, iters, itersPerSecond } = progress.value;
  return itersPerSecond ? (iters - iter) / itersPerSecond / 60 : null;
});

onRestart(() => {
  stages.value = {};
  evaluating.value = 0;
  progress.value = { ...progress.value, itersPerSecond: null, tokensPerSecond: null };
  loaded.value = adapter.value = discarded.value = null;
});

export function showSettings(settings: Settings): void {
  fields.seed.value = settings.seed;
  fields.iters.value = String(settings.iters);
  fields.batchSize.value = String(settings.batchSize);
  fields.lr.value = String(settings.lr);
}

function clearHistory(): void {
  curve.clear();
  historyVersion.value++;
  samples.value = [];
}

export const reports = {
  stage(message) {
    stages.value = { ...stages.value, [message.stage]: message };
    compiling.value = message.stage === "kernels" ? message.detail : "";
  },
  ready(message) {
    adapter.value = message.adapter;
    limits.value = message.limits;
  },
  model: into(model),
  phase(message) {
    if (message.phase === "ready") {
      clearHistory();
      progress.value = noProgress;
      loaded.value = null;
    }
    if (message.phase === "booting") {
      const { adapter: _, kernels: __, ...done } = stages.value;
      stages.value = done; // another device, the same Python
      offer.value = asked.value = null;
    }
    if (message.phase === "training" || message.phase === "ready") panel.value = null;
    if (message.phase === "training") notice.value = "";
    if (message.phase === "error") rescued.value = true;
    phase.value = message.phase;
    reason.value = message.reason;
    undo.value = message.undo;
    stopping.value = stuck.value = false;
    drawing.value = null;
  },
  drawing(message) {
    drawing.value = message.done / message.total;
  },
  setup(message) {
    showSettings(message.settings);
  },
  run(message) {
    clearHistory();
    panel.value = kept.value = offer.value = autosaved.value = asked.value = null;
    rescued.value = false;
    showSettings(message);
  },
  steps({ type: _, records, ...rest }) {
    curve.add(records);
    if (records.length) historyVersion.value++;
    progress.value = rest;
  },
  samples({ type: _, first, samples: fresh, ...rest }) {
    samples.value = [...samples.value.slice(0, first), ...fresh];
    setting.value = rest;
  },
  kept({ name, iter, here }) {
    kept.value = { name, iter, file: here ? null : assembled() };
  },
  loaded(message) {
    loaded.value = message;
    notice.value = "";
  },
  asked(message) {
    asked.value = message;
    panel.value = null;
  },
  keeping: into(keeping),
  offer(message) {
    offer.value = message.copy;
    if (message.copy) discarded.value = null;
  },
  autosaved(message) {
    autosaved.value = message;
    discarded.value = null; // it has made room for this one
  },
  evaluated() {
    evaluating.value = Math.max(0, evaluating.value - 1);
    if (!evaluating.value && !stopping.value) stuck.value = false;
  },
  notice(message) {
    notice.value = message.message;
  },
  error(message) {
    panel.value = message;
    drawing.value = null;
  },
} satisfies Reports;
