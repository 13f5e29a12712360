import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import * as format from "../base/format";
import { drawing, hasRun, minutesLeft, phase, progress, reason, stopping } from "../run/state";
import { Chart } from "../run/Chart";
import { EditList } from "../code/EditList";
import { marks } from "../code/marks";
import { Levels } from "../doctor/Levels";
import { levelLines } from "../doctor/lines";
import { Controls } from "./Controls";
import { Fields } from "../run/Fields";
import { Files } from "./Files";
import { Stop } from "../guide/Guide";
import { Claim, Share } from "../share/Link";
import { Panels } from "./Panels";
import { Device } from "../run/Device";
import { Readouts } from "../run/Readouts";
import { Samples } from "../run/SampleList";

/** The phase in words. */
function status(): string {
  if (stopping.value) return "Finishing the step";
  switch (phase.value) {
    case "booting":
      return "Getting ready";
    case "ready":
      return drawing.value === null ? "Ready" : "Drawing the first weights";
    case "training":
      return "Training";
    case "paused":
      return reason.value === "hidden" ? "Paused while this tab is hidden" : "Paused";
    case "done":
      return "Done";
    case "error":
      return "Stopped";
  }
}

/** Tells a screen reader the phase when it changes, and the losses at every tenth of the run. */
function Announcer() {
  const text = useSignal("");
  const tenth = useComputed(() => Math.floor((10 * progress.value.iter) / progress.value.iters));
  useSignalEffect(() => {
    const { iter, iters, trainLoss, valLoss } = progress.peek();
    const where =
      hasRun.value && iter
        ? `Iteration ${format.count(iter)} of ${format.count(iters)}, train loss ${trainLoss?.toFixed(2)}` +
          (valLoss === null ? "." : `, validation loss ${valLoss.toFixed(2)}.`)
        : "";
    tenth.value;
    text.value = [`${status()}.`, where].filter(Boolean).join(" ");
  });
  return (
    <p class="for-readers" role="status">
      {text.value}
    </p>
  );
}

export function Runner() {
  const { iter, iters } = progress.value;
  const left = minutesLeft.value;
  return (
    <section class="runner card stack" data-phase={phase.value} aria-labelledby="phase">
      <header>
        <h2 id="phase">
          {status()} {left !== null && <small>{format.timeLeft(left)}</small>}
          {drawing.value !== null && <small>{Math.floor(100 * drawing.value)}%</small>}
        </h2>
        <Device />
      </header>
      <Announcer />
      <Panels />
      <Claim />
      <Stop at="start" />
      <Controls />
      <progress aria-label="Training so far" max={iters} value={iter} />
      <Stop at="curve" />
      <Chart overlays={[levelLines, marks]}>
        <EditList />
        <Levels />
      </Chart>
      <Readouts />
      <Fields />
      <Stop at="samples" />
      <Samples />
      <section class="keep stack" aria-labelledby="keep-title">
        <h2 id="keep-title">Keep it</h2>
        <Files />
        <Share />
      </section>
    </section>
  );
}
