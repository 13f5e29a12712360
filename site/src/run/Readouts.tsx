import { planned } from "./settings";
import * as format from "../base/format";
import { progress } from "./state";
import type { Word } from "../ui/glossary";
import { Term } from "../ui/Term";

/** Where the run stands, in figures. */
export function Readouts() {
  const now = progress.value;
  const rows: [name: string, label: string, value: string, word: Word | null, unit?: string][] = [
    ["iter", "Iteration", `${now.iter} / ${planned.value}`, "iteration"],
    ["train-nll", "Train NLL", format.loss(now.trainLoss), "nll"],
    ["val-nll", "Val NLL", format.loss(now.valLoss), "validation"],
    ["perplexity", "Perplexity", format.loss(now.perplexity, 2), "perplexity"],
    ["iters-per-second", "Speed", format.rate(now.itersPerSecond), null, "it / s"],
    ["tokens-per-second", "Tokens", format.whole(now.tokensPerSecond), "tokens", "/ s"],
    ["elapsed", "Elapsed", format.elapsed(now.elapsed), null, now.elapsed < 60 ? "s" : ""],
    ["lr", "Learning rate", format.learningRate(now.lr), "schedule"],
  ];
  return (
    <dl class="readouts">
      {rows.map(([name, label, value, word, unit]) => (
        <div class="readout" key={name}>
          <dt>{word ? <Term word={word}>{label}</Term> : label}</dt>
          <dd>
            <span data-readout={name}>{value}</span>
            {unit && <span class="unit"> {unit}</span>}
          </dd>
        </div>
      ))}
    </dl>
  );
}
