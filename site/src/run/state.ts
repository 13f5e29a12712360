// What the page knows, as signals. `receive` is the only place that worker messages change it.

import { batch, computed, signal } from "@preact/signals";
import { beginCode, followPhase, forgetRun, raise, receiveCode, sources } from "../code/state";
import { receiveConsole } from "../code/output";
import { Curve } from "./curve";
import { receiveDoctor } from "../doctor/state";
import { receiveInspector } from "../inspector/state";
import { assembled } from "../base/pieces";
import type {
  Adapter,
  Copy,
  Keeping,
  Phase,
  Progress,
  ReplayReport,
  Report,
  Settings,
  SettingsLimits,
  Stage,
  Step,
} from "../base/protocol";
import { clearSamples, receiveSamples } from "./samples";
import { receiveLens } from "../inside/state";
import { onRestart } from "../base/restarts";
import { followVocabulary, receiveTalk } from "../talk/state";
import { receiveSpeed } from "../speed/state";
import { receiveText } from "../text/state";
import { receiveTwin } from "../twin/state";

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
  parameters: 206_016,
  opening: null as string | null,
});

/** The fields, as they are typed; `readSettings` in fields.ts makes numbers of them. */
export const fields = {
  seed: signal("hamlet"),
  iters: signal("2000"),
  batchSize: signal("32"),
  lr: signal("0.0003"),
};

/** The least and the most that each of them may be, once Python has told. */
export const limits = signal<SettingsLimits | null>(null);

/** Every loss of the run. */
export const curve = new Curve();
/** Counts up when `curve` has changed. */
export const historyVersion = signal(0);

export const noProgress: Progress = {
  iter: 0,
  iters: 2000,
  trainLoss: null,
  valLoss: null,
  perplexity: null,
  lr: null,
  itersPerSecond: null,
  tokensPerSecond: null,
  elapsed: 0,
};
export const progress = signal<Progress>(noProgress);

export type Panel = Omit<Extract<Report, { type: "error" }>, "type">;
export const panel = signal<Panel | null>(null);
/** The share of a new run's first weights that is drawn, where that takes long. */
export const drawing = signal<number | null>(null);
export const notice = signal("");
export const loaded = signal<Extract<Report, { type: "loaded" }> | null>(null);
/** The run as a link, when it was asked for; the link of the address; and its replay. */
export const shared = signal<Extract<Report, { type: "link" }> | null>(null);
export const claim = signal<Extract<Report, { type: "claim" }> | null>(null);
export const replay = signal<ReplayReport | null>(null);
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
export const autosaved = signal<Extract<Report, { type: "autosaved" }> | null>(null);
/** A state of other code or text, which waits for the reader to agree. */
export const asked = signal<Extract<Report, { type: "asked" }> | null>(null);
/** The run ended badly: what is left of it is `kept`. */
export const rescued = signal(false);
/** A stop was asked for, and the phase has not changed since. */
export const stopping = signal(false);
/** How many of what was typed at the console's prompt have not run to their end. */
export const evaluating = signal(0);
/** Python takes long to stop: the reader may end it. */
export const stuck = signal(false);

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
  loaded.value = adapter.value = replay.value = discarded.value = null;
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
}

function addSteps(steps: Step[]): void {
  curve.add(steps);
  if (steps.length) historyVersion.value++;
}

/** Files are not state: link.ts hands them to the reader. */
export function receive(message: Report): void {
  batch(() => {
    switch (message.type) {
      case "stage":
        stages.value = { ...stages.value, [message.stage]: message };
        compiling.value = message.stage === "kernels" ? message.detail : "";
        break;
      case "sources":
        sources.value = message.files;
        break;
      case "ready":
        adapter.value = message.adapter;
        limits.value = message.limits;
        break;
      case "model":
        followVocabulary(model.peek().vocabSize, message.vocabSize);
        model.value = message;
        break;
      case "phase":
        if (message.phase === "ready") {
          clearHistory();
          clearSamples();
          progress.value = noProgress;
          loaded.value = null;
        }
        followPhase(message.phase);
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
        break;
      case "drawing":
        drawing.value = message.done / message.total;
        break;
      case "run":
        clearHistory();
        clearSamples();
        panel.value = kept.value = offer.value = autosaved.value = asked.value = null;
        rescued.value = false;
        beginCode(message.edits ?? []);
        showSettings(message);
        break;
      case "steps": {
        const { type: _, records, ...rest } = message;
        addSteps(records);
        progress.value = rest;
        break;
      }
      case "kept":
        kept.value = {
          name: message.name,
          iter: message.iter,
          file: message.here ? null : assembled(),
        };
        break;
      case "link":
        shared.value = message;
        break;
      case "claim":
        claim.value = message;
        break;
      case "replay":
        replay.value = message;
        break;
      case "loaded":
        loaded.value = message;
        notice.value = "";
        break;
      case "asked":
        asked.value = message;
        panel.value = null;
        break;
      case "keeping":
        keeping.value = message;
        break;
      case "offer":
        offer.value = message.copy;
        if (message.copy) discarded.value = null;
        break;
      case "autosaved":
        autosaved.value = message;
        discarded.value = null; // it has made room for this one
        break;
      case "speed":
        receiveSpeed(message);
        break;
      case "setup":
        showSettings(message.settings);
        break;
      case "setups":
      case "text":
      case "draft":
        receiveText(message);
        break;
      case "twin":
        receiveTwin(message);
        break;
      case "cases":
      case "case":
      case "diagnosis":
      case "levels":
        receiveDoctor(message);
        break;
      case "lens":
      case "layers":
      case "unlens":
        receiveLens(message);
        break;
      case "inspected":
      case "uninspected":
      case "bytes":
      case "compared":
        receiveInspector(message);
        break;
      case "samples":
        receiveSamples(message);
        break;
      case "voice":
      case "talk":
      case "weighed":
      case "recited":
        receiveTalk(message);
        break;
      case "recipes":
      case "applied":
      case "refused":
      case "fit":
      case "kernels":
      case "completions":
      case "doc":
      case "linted":
      case "project":
      case "code_link":
        receiveCode(message);
        break;
      case "evaluated":
        evaluating.value = Math.max(0, evaluating.value - 1);
        if (!evaluating.value && !stopping.value) stuck.value = false;
        break;
      case "console":
        receiveConsole(message.entries);
        break;
      case "notice":
        notice.value = message.message;
        break;
      case "error":
        panel.value = message;
        drawing.value = null;
        forgetRun();
        raise(message.frames ?? []);
        break;
    }
  });
}
