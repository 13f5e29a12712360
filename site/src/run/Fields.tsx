import { firstProblem, noteInput, problem, type FieldName } from "./settings";
import { parse } from "../base/numbers";
import { send } from "./supervision";
import { fields, hasRun, limits, phase, progress } from "./state";
import type { Word } from "../ui/glossary";
import { Term } from "../ui/Term";

const INPUTS: { name: FieldName; label: string; word: Word }[] = [
  { name: "seed", label: "Seed", word: "seed" },
  { name: "iters", label: "Iterations", word: "iterations" },
  { name: "batchSize", label: "Batch size", word: "batch" },
  { name: "lr", label: "Peak learning rate", word: "peak" },
];

/** What an arrow key adds. It would count from `min`: from 1, to 9 and 17. So there is none. */
const STEPS = { iters: 1, batchSize: 8 };
const LR_STEP = 5e-5;

/** What there is to say of the fields: the first thing that is wrong, or what can be changed. */
function remark(): string {
  const wrong = firstProblem();
  if (wrong) return `${INPUTS.find(({ name }) => name === wrong)!.label}: ${problem(wrong)}`;
  if (phase.value === "done") return "To train further, raise Iterations, then Resume.";
  return hasRun.value
    ? "Iterations and the peak learning rate can change; seed and batch are settled until Reset. More in Text and model."
    : "Change what you like. The same settings on the same device give the same run, to the last bit.";
}

/** Tells a run of its new rate; not while that is typed: on its way to 3e-4 it is a 3. */
function tellRate(): void {
  if (hasRun.value && problem("lr") === "") send({ type: "lr", value: parse(fields.lr.value) });
}

/** Tells a run of its new length. */
function tellLength(): void {
  const value = parse(fields.iters.value, true);
  if (hasRun.value && problem("iters") === "" && value !== progress.value.iters)
    send({ type: "iters", value });
}

const CHANGEABLE: Partial<Record<FieldName, () => void>> = { iters: tellLength, lr: tellRate };

export function Fields() {
  return (
    <div class="fields">
      {INPUTS.map(({ name, label, word }) => (
        <div class="field" key={name} data-wrong={problem(name) !== ""}>
          <span class="label">
            <label for={`field-${name}`}>{label}</label>
            <Term word={word} ask={`${label}: what is it?`}>
              ?
            </Term>
          </span>
          <input
            id={`field-${name}`}
            ref={(input) => noteInput(name, input)}
            {...(name === "seed" || name === "lr" // where a number's comma is the browser's to judge
              ? { type: "text", list: undefined }
              : { type: "number", step: STEPS[name], max: limits.value?.[name][1] })}
            inputMode={name === "seed" ? "text" : name === "lr" ? "decimal" : "numeric"}
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            readOnly={hasRun.value && !(name in CHANGEABLE)}
            aria-describedby="fields-note"
            aria-invalid={problem(name) !== ""}
            value={fields[name].value}
            onInput={(event) => (fields[name].value = event.currentTarget.value)}
            onKeyDown={(event) => {
              const up = { ArrowUp: 1, ArrowDown: -1 }[event.key];
              if (name !== "lr" || !up || problem("lr")) return;
              event.preventDefault();
              const next = Math.max(0, parse(fields.lr.value) + up * LR_STEP);
              fields.lr.value = String(Number(next.toPrecision(12)));
              tellRate(); // a script's change is no `change` to the browser
            }}
            onChange={() => CHANGEABLE[name]?.()}
          />
        </div>
      ))}
      <p class="note" id="fields-note" data-wrong={firstProblem() !== undefined}>
        {remark()}
      </p>
    </div>
  );
}
