import type { ComponentChildren } from "preact";
import { planned } from "./settings";
import * as format from "../base/format";
import { progress } from "./state";
import type { Word } from "../ui/words";
import { Term } from "../ui/Term";

interface Readout {
  name: string;
  label: string;
  word?: Word;
  unit?: string;
  children: ComponentChildren;
}

function Readout({ name, label, word, unit, children }: Readout) {
  return (
    <div class="readout">
      <dt>{word ? <Term word={word}>{label}</Term> : label}</dt>
      <dd>
        <span data-readout={name}>{children}</span>
        {unit && <span class="unit"> {unit}</span>}
      </dd>
    </div>
  );
}

export function Readouts() {
  const now = progress.value;
  return (
    <dl class="readouts">
      <Readout name="iter" label="Iteration" word="iteration">
        {`${now.iter} / ${planned.value}`}
      </Readout>
      <Readout name="train-nll" label="Train NLL" word="nll">
        {format.loss(now.trainLoss)}
      </Readout>
      <Readout name="val-nll" label="Val NLL" word="validation">
        {format.loss(now.valLoss)}
      </Readout>
      <Readout name="perplexity" label="Perplexity" word="perplexity">
        {now.perplexity?.toFixed(2) ?? "—"}
      </Readout>
      <Readout name="iters-per-second" label="Speed" unit="it / s">
        {format.rate(now.itersPerSecond)}
      </Readout>
      <Readout name="tokens-per-second" label="Tokens" word="tokens" unit="/ s">
        {format.whole(now.tokensPerSecond)}
      </Readout>
      <Readout name="elapsed" label="Elapsed" {...(now.elapsed < 60 ? { unit: "s" } : {})}>
        {format.elapsed(now.elapsed)}
      </Readout>
      <Readout name="lr" label="Learning rate" word="schedule">
        {format.learningRate(now.lr)}
      </Readout>
    </dl>
  );
}
