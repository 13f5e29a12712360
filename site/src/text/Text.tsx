import { FileButton } from "../ui/FileButton";
import { Head } from "../ui/Head";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { send } from "../run/supervision";
import { count as number } from "../base/format";
import { outside, parse } from "../base/numbers";
import { type FormField, MAX_TEXT, type Preset } from "../base/protocol";
import { config, adapter, hasRun, phase } from "../run/state";
import {
  bring,
  draft,
  facts,
  forgetText,
  form,
  formFields,
  kept,
  openConfig,
  place,
  presets,
  propose,
  reading,
  reopen,
  setTokenizer,
  textProblem,
  type,
  use,
  written,
} from "./state";

/** In MB or GB, to a tenth. */
const bytes = (n: number) => {
  const [size, unit] = n < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  return `${(n / size).toLocaleString("en", { maximumFractionDigits: 1 })} ${unit}`;
};

/** 0.04 s, 12 s, 3 min, 5 h, 2 days. */
function duration(seconds: number): string {
  const sizes = { days: 86400, h: 3600, min: 60, s: 1 };
  const [unit, size] = Object.entries(sizes).find(([, size]) => seconds >= 2 * size) ?? ["s", 1];
  return `${number(Number((seconds / size).toPrecision(2)))} ${unit}`;
}

/** Why nothing can be chosen now, or "". */
function hindrance(): string {
  if (phase.value === "ready") return "";
  return phase.value === "booting"
    ? "Python is on its way."
    : "The text and the model are the run's until Reset.";
}

// ---- the text --------------------------------------------------------------------------------------

function Facts() {
  const now = facts.value;
  if (!now) return null;
  const { manifest } = now;
  return (
    <>
      <p class="verdict">
        {manifest.name}: {number(manifest.raw_bytes)} bytes, read as{" "}
        {manifest.tokenizer === "byte-v1"
          ? "bytes"
          : `${number(manifest.token_count)} characters of ${number(now.distinct)} kinds`}
        .
      </p>
      <p>{now.advice}</p>
      <dl class="facts pairs wide">
        <dt>Lines, words</dt>
        <dd>
          {number(now.lines)}, {number(now.words)}
        </dd>
        <dt>Split</dt>
        <dd>
          {manifest.train_split * 100}% to train on, {manifest.val_split * 100}% to validate on
        </dd>
        <dt>SHA-256</dt>
        <dd>
          <code>{manifest.dataset_id}</code>
        </dd>
        <dt>Unusual characters</dt>
        <dd>
          {now.nUnusual === 0 ? "none" : null}
          {now.unusual.map(({ character, name, count, why }) => (
            <span class="odd" key={character}>
              {name.toLowerCase()}{" "}
              <small>
                ({number(count)}; {why})
              </small>
            </span>
          ))}
          {now.nUnusual > now.unusual.length &&
            `and ${number(now.nUnusual - now.unusual.length)} more`}
        </dd>
      </dl>
    </>
  );
}

function TextPart() {
  const pasted = useSignal("");
  const stuck = hindrance();
  return (
    <section class="stack" aria-label="Text">
      <h3>Text</h3>
      <Facts />
      <div class="row">
        <FileButton
          accept=".txt,.md,text/plain"
          label="Text files"
          multiple
          disabled={stuck !== ""}
          take={(files) => void bring(files)}
        >
          Open text files
        </FileButton>
        {facts.value && !facts.value.ours && (
          <button disabled={stuck !== ""} onClick={() => send({ type: "untext" })}>
            Back to Shakespeare
          </button>
        )}
        <span class="note">
          {stuck ||
            `UTF-8 or UTF-16, up to ${MAX_TEXT / 1e6} MB in all. You can also drop them on the page.`}
        </span>
      </div>
      <details>
        <summary>Paste a text</summary>
        <textarea
          aria-label="Your text"
          rows={6}
          spellcheck={false}
          value={pasted.value}
          onInput={(event) => (pasted.value = event.currentTarget.value)}
        />
        <button
          disabled={stuck !== "" || pasted.value === ""}
          onClick={() => void bring([new File([pasted.value], "pasted text")])}
        >
          Use this text
        </button>
      </details>
      {Object.keys(kept.value).length > 0 && (
        <ul class="kept stack" aria-label="Texts kept in this browser">
          {Object.entries(kept.value).map(([hash, name]) => (
            <li key={hash}>
              <span>{name}</span>
              <code>{hash.slice(0, 8)}</code>
              <button
                class="link"
                disabled={stuck !== ""}
                aria-label={`Use ${name}`}
                onClick={() => void reopen(hash)}
              >
                Use
              </button>
              <button
                class="link"
                aria-label={`Forget ${name}`}
                onClick={() => void forgetText(hash)}
              >
                Forget
              </button>
            </li>
          ))}
        </ul>
      )}
      <p class="problem" role="status">
        {reading.value ? "Reading the text." : textProblem.value}
      </p>
    </section>
  );
}

// ---- the model -------------------------------------------------------------------------------------

function PresetRow({ preset }: { preset: Preset }) {
  const { name, config: theirs } = preset;
  const memory = 2 * preset.weights + preset.moments + preset.activations;
  return (
    <tr
      data-refused={preset.refusal !== ""}
      data-chosen={config.value?.model["model_name"] === name}
    >
      <th scope="row">
        <button
          class="link"
          disabled={preset.refusal !== "" || hasRun.value}
          onClick={() => propose(JSON.stringify(theirs))}
        >
          {name}
        </button>
      </th>
      <td>{[preset.layers, preset.heads, preset.width, preset.context].join(" / ")}</td>
      <td>{number(preset.parameters)}</td>
      {preset.refusal ? (
        <td colSpan={3} class="why">
          {preset.refusal}
        </td>
      ) : (
        <>
          <td
            title={`weights and gradients ${bytes(preset.weights)} each, m and v ${bytes(preset.moments)}, activations ${bytes(preset.activations)}${preset.recomputed ? ", made again block by block on the way back" : ""}`}
          >
            {bytes(memory)}
          </td>
          <td>{(preset.flops / 1e9).toLocaleString("en", { maximumSignificantDigits: 3 })}</td>
          <td>{preset.seconds === null ? "" : duration(preset.seconds)}</td>
        </>
      )}
    </tr>
  );
}

function Input({ field }: { field: FormField }) {
  const at = place(field.part, field.key);
  const text = form.value[at] ?? "";
  const fine = outside(text, [field.min, field.max], field.whole) === "";
  const range = `From ${number(field.min)} to ${field.max.toLocaleString("en", { maximumSignificantDigits: 8 })}.`;
  return (
    <div class="hyper stack" data-wrong={!fine}>
      <label for={`hyper-${at}`}>{field.label}</label>
      <input
        id={`hyper-${at}`}
        inputMode={field.whole ? "numeric" : "decimal"}
        autocomplete="off"
        value={text}
        readOnly={field.key === "vocab_size" || (field.settled && hasRun.value)}
        aria-invalid={!fine}
        aria-describedby={`about-${at}`}
        onInput={(event) => type(field.part, field.key, event.currentTarget.value)}
      />
      <small id={`about-${at}`}>
        {field.about} {fine ? "" : range}
      </small>
    </div>
  );
}

function Cost() {
  const now = draft.value;
  if (!now) return null;
  const steps = parse(form.value[place("training", "max_steps")] ?? "", true);
  return (
    <div class="cost" role="status">
      {now.parameters !== undefined && (
        <p class="verdict">
          {number(now.parameters)} parameters, about {bytes(now.memory!)} on the device
          {now.seconds
            ? `, ${duration(now.seconds)} a step, ${duration(now.seconds * steps)} in all`
            : ""}
          .
        </p>
      )}
      {now.problem ? <p class="problem">{now.problem}</p> : <p>{now.advice}</p>}
    </div>
  );
}

/** What can be done with the form now. */
function remark(): string {
  if (phase.value === "booting") return "Python is on its way.";
  if (hasRun.value)
    return "The model, the seed and the batch are the run's until Reset. The rest can change as it trains.";
  return draft.value?.inForce ? "Start trains it." : "Start trains it once it is in use.";
}

function ModelPart() {
  const bad = draft.value?.problem !== "";
  const tokenizer = config.value?.model["tokenizer"];
  return (
    <section class="stack" aria-label="Model">
      <h3>Model</h3>
      <div class="scroll" tabIndex={0} role="group" aria-label="Presets">
        <table class="presets figures">
          <Head
            titles={[
              "Preset",
              "Layers / heads / width / context",
              "Parameters",
              "Memory",
              "GFLOP a step",
              "A step here, about",
            ]}
          />
          <tbody>
            {presets.value.map((preset) => (
              <PresetRow key={preset.name} preset={preset} />
            ))}
          </tbody>
        </table>
      </div>
      {config.value && (
        <>
          <div class="row">
            <label for="tokenizer">Tokens</label>
            <select
              id="tokenizer"
              value={String(tokenizer)}
              disabled={hasRun.value}
              onChange={(event) => setTokenizer(event.currentTarget.value)}
            >
              <option value="char-v1">the characters of the text</option>
              <option value="byte-v1">bytes</option>
            </select>
          </div>
          {(["model", "training"] as const).map((part) => (
            <details key={part} open={part === "model"}>
              <summary>{part === "model" ? "Shape" : "Training"}</summary>
              <div class="hypers">
                {formFields.value
                  .filter((field) => field.part === part)
                  .map((field) => (
                    <Input key={field.key} field={field} />
                  ))}
              </div>
            </details>
          ))}
          <Cost />
          <div class="row">
            <button
              class="primary"
              disabled={phase.value === "booting" || bad || draft.value?.inForce === true}
              onClick={use}
            >
              {draft.value?.inForce ? "In use" : hasRun.value ? "Change the run" : "Use this model"}
            </button>
            <button disabled={bad} onClick={() => send({ type: "config", text: written() })}>
              Download config
            </button>
            <FileButton
              accept=".json,application/json"
              label="Config file"
              take={([file]) => void openConfig(file!)}
            >
              Open config
            </FileButton>
            <span class="note">{remark()}</span>
          </div>
        </>
      )}
    </section>
  );
}

export function Text() {
  const device = adapter.value;
  useEffect(() => {
    if (device) send({ type: "setups" });
  }, [device]);
  if (!config.value) {
    return (
      <div class="body stack">
        <p class="empty">Python is on its way. Here you will choose a text and a model.</p>
      </div>
    );
  }
  return (
    <div class="body stack">
      <TextPart />
      <ModelPart />
    </div>
  );
}
