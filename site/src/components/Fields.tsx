import { LIMITS, problem, type FieldName } from "../fields";
import { send } from "../link";
import { fields, hasRun } from "../state";
import type { Word } from "../words";
import { Term } from "./Term";

const INPUTS: { name: FieldName; label: string; word: Word; ask: string }[] = [
  { name: "seed", label: "Seed", word: "seed", ask: "What is it?" },
  { name: "iters", label: "Iterations", word: "iterations", ask: "What are they?" },
  { name: "batchSize", label: "Batch size", word: "batch", ask: "What is it?" },
  { name: "lr", label: "Peak learning rate", word: "peak", ask: "What is it?" },
];

export function Fields() {
  const locked = hasRun.value;
  return (
    <div class="fields" data-locked={locked}>
      {INPUTS.map(({ name, label, word, ask }) => {
        const wrong = problem(name);
        const note = `note-${name}`;
        const fixed = locked && name !== "lr";
        return (
          <div class="field" key={name} data-wrong={wrong !== ""}>
            <span class="label">
              <label for={`field-${name}`}>{label}</label>
              <Term word={word}>
                <span aria-hidden="true">?</span>
                <span class="for-readers">{ask}</span>
              </Term>
            </span>
            <input
              id={`field-${name}`}
              {...(name === "seed"
                ? { type: "text", list: undefined }
                : { type: "number", ...LIMITS[name] })}
              inputMode={name === "seed" ? "text" : "decimal"}
              autocomplete="off"
              autocapitalize="off"
              spellcheck={false}
              readOnly={fixed}
              aria-describedby={note}
              aria-invalid={wrong !== ""}
              value={fields[name].value}
              onInput={(event) => {
                fields[name].value = event.currentTarget.value;
                if (name === "lr" && problem("lr") === "") {
                  send({ type: "lr", value: Number(fields.lr.value) });
                }
              }}
            />
            <span class="note" id={note}>
              {wrong || (fixed ? "Settled until Reset" : locked ? "Can change as it trains" : " ")}
            </span>
          </div>
        );
      })}
    </div>
  );
}
