import { FileButton } from "../ui/FileButton";
import { untracked, useComputed, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import * as format from "../base/format";
import { send } from "../run/supervision";
import { type Fate, MAX_TALK, type VoiceName } from "../base/protocol";
import { useOpening } from "../run/opening";
import { isRunHere } from "../base/fragment";
import { hasRun, phase, progress } from "../run/state";
import { begin, fields, knobs, most, PROMPT, picked, problem, text, weigh, weighed } from "./state";
import { isThere } from "../run/Sources";
import { loadReference, openVoice, refused, voices } from "../run/voices";
import { Field } from "../ui/Field";
import { useSeen } from "../ui/visibility";
import { Term } from "../ui/Term";

const LN2 = Math.log(2);
const LOOK_MS = 350; // after the last key in the prompt

const FATES: Record<Fate, string> = {
  kept: "kept, can be drawn",
  top_p: "cut by top-p",
  top_k: "cut by top-k",
};

const NAMES: Record<string, string> = { "\n": "line end", " ": "space", "\t": "tab" };

const name = (character: string): string => NAMES[character] ?? format.glyph(character);

const percent = (share: number): string =>
  share === 0 ? "—" : share < 0.0005 ? "<\u00a00.1%" : `${(100 * share).toFixed(1)}%`;

export const surprise = (nats: number | null): string =>
  nats === null ? "infinite" : `${nats.toFixed(2)} nats, ${(nats / LN2).toFixed(2)} bits`;

// ---- asking --------------------------------------------------------------------------------------

function write(length: number): void {
  const id = untracked(() => begin(length));
  send({
    type: "talk",
    id,
    source: fields.source.peek(),
    prompt: fields.prompt.peek(),
    seed: fields.seed.peek(),
    length,
    ...untracked(knobs),
  });
}

/** The device is there, and so is the model that was chosen. */
function canWrite(): boolean {
  return !["booting", "error"].includes(phase.value) && isThere(fields.source.value);
}

// ---- the parts -----------------------------------------------------------------------------------

const SOURCES: [VoiceName, string][] = [
  ["reference", "Reference"],
  ["file", "Your file"],
  ["run", "This run"],
];

function Source() {
  const source = fields.source.value;
  const voice = source === "run" ? null : voices[source].value;
  const wrong = source === "run" ? "" : refused[source].value;
  return (
    <div class="source-of row">
      <div class="choice" role="radiogroup" aria-label="Which model writes">
        {SOURCES.filter(([value]) => value !== "run" || isRunHere()).map(([value, label]) => (
          <label key={value}>
            <input
              type="radio"
              name="voice"
              value={value}
              checked={source === value}
              onChange={() => (fields.source.value = value)}
            />
            <span>{label}</span>
          </label>
        ))}
      </div>
      {source === "file" && (
        <FileButton accept=".bin,.state" take={([file]) => void openVoice(file!)}>
          Choose a .bin or .state
        </FileButton>
      )}
      <p class="note" data-voice={voice ? source : ""} aria-live="polite">
        {source === "run"
          ? hasRun.value
            ? `The run above, at iteration ${format.count(progress.value.iter)}, also while it trains.`
            : "There is no run yet: press Start, or load one."
          : voice
            ? `${voice.name}: seed ${voice.seed}, iteration ${format.count(voice.iter)}, ` +
              `validation loss ${format.loss(voice.valLoss)}, ${format.count(voice.parameters)} parameters.`
            : source === "file"
              ? "Weights or a state that this page or the groundling command has saved."
              : !wrong && "The reference checkpoint is on its way (0.8 MB)."}
      </p>
      {wrong && (
        <p class="wrong" role="alert">
          {wrong}{" "}
          {source === "reference" && (
            <button class="link" onClick={() => void loadReference()}>
              Try again
            </button>
          )}
        </p>
      )}
    </div>
  );
}

interface KnobProps {
  name: "temperature" | "topK" | "topP";
  label: string;
  min: number;
  max: number;
  step: number;
}

function Knob({ name, label, min, max, step }: KnobProps) {
  const value = fields[name].value;
  const told = name === "topK" ? String(value) : value.toFixed(2);
  return (
    <div class="knob">
      <label for={`knob-${name}`}>
        {label} <b>{told}</b>
      </label>
      <Term word={name} ask={`${label}: what is it?`}>
        ?
      </Term>
      <input
        id={`knob-${name}`}
        type="range"
        {...{ min, max, step }}
        value={value}
        onInput={(event) => {
          fields[name].value = Number(event.currentTarget.value);
          weigh();
        }}
      />
    </div>
  );
}

/** The text, each character as dark as it surprised the model. A press picks one. */
function Written() {
  const now = text.value;
  const box = useRef<HTMLParagraphElement>(null);
  const follows = useRef(true);
  useEffect(() => {
    const element = box.current;
    if (element && follows.current && now?.phase === "writing") {
      element.scrollTop = element.scrollHeight;
    }
  }, [now]);
  if (!now || (now.phase === "look" && !now.written.length)) {
    return (
      <p class="written empty-text">
        {canWrite()
          ? "Press Write, and the model goes on from your prompt here."
          : "Here the model goes on from your prompt."}
      </p>
    );
  }
  const characters = [...now.prompt, ...now.written];
  const at = picked.value ?? (weighed.value?.id === now.id ? weighed.value.at : -1);
  return (
    <p
      class="written"
      ref={box}
      onScroll={({ currentTarget: it }) =>
        (follows.current = it.scrollHeight - it.scrollTop - it.clientHeight < 40)
      }
      onClick={({ target }) => {
        const place = (target as HTMLElement).dataset.at;
        if (place === undefined) return;
        picked.value = Number(place);
        weigh();
      }}
    >
      {characters.map((character, i) => {
        const nats = now.nats[i];
        const bits = nats == null ? 0 : Math.min(5, Math.floor(nats / LN2));
        return (
          <span
            key={i}
            data-at={i}
            style={{ "--bits": bits }}
            class={`${i < now.prompt.length ? "given" : ""}${i === at ? " picked" : ""}`}
          >
            {character === "\n" ? "↵\n" : character}
          </span>
        );
      })}
    </p>
  );
}

/** Which character is on view, by keys too. */
function Place() {
  const now = text.value;
  const view = weighed.value;
  const end = now ? now.prompt.length + now.written.length - 1 : -1;
  if (!now || !now.written.length || end < 1) return null;
  const at = Math.min(picked.value ?? view?.at ?? end, end);
  const character = [...now.prompt, ...now.written][at]!;
  const nats = now.nats[at];
  const told = `${at + 1} of ${end + 1}: ${name(character)}${nats == null ? "" : `, ${surprise(nats)}`}`;
  return (
    <div class="reader">
      <label for="talk-place">Character</label>
      <input
        id="talk-place"
        type="range"
        min={0}
        max={end}
        step={1}
        value={at}
        aria-valuetext={told}
        onInput={(event) => {
          picked.value = Number(event.currentTarget.value);
          weigh();
        }}
      />
      <span class="note">
        {at + 1} of {end + 1}
      </span>
      <span class="heat note row" aria-hidden="true">
        expected
        {[0, 1, 2, 3, 4, 5].map((bits) => (
          <i key={bits} style={{ "--bits": bits }} />
        ))}
        surprising
        <span class="given">your prompt</span>
      </span>
    </div>
  );
}

function Chart() {
  const now = text.value;
  const view = weighed.value;
  const isEmpty = now?.phase === "look" && !fields.prompt.value; // it is of the prompt before
  if (!now || !view || view.id !== now.id || isEmpty) {
    return (
      <p class="note">
        {now?.id === 0
          ? "Python was started again since this was written: what it was chosen from is gone."
          : "The probability of each character appears here once a model has read the prompt."}
      </p>
    );
  }
  const all = [...now.prompt, ...now.written];
  const before = all
    .slice(Math.max(0, view.at - 14), view.at)
    .map(format.glyph)
    .join("");
  const counts = { kept: 0, top_p: 0, top_k: 0 };
  for (const [, , , fate] of view.bars) counts[fate]++;
  const most = view.bars[0]?.[1] ?? 1;
  const moved = JSON.stringify(now.knobs) !== JSON.stringify(knobs());
  return (
    <div class="chosen-from stack" data-at={view.at} data-character={view.character ?? ""}>
      <p class="context">
        After <code>{`${view.at > 14 ? "…" : ""}${before}`}</code>
        {view.character === null ? " comes" : ""}
        {view.character !== null && (
          <>
            {" "}
            came <code class="one">{format.glyph(view.character)}</code>
          </>
        )}
      </p>
      {view.chosen && (
        <p class="surprise" data-nats={view.chosen.nats}>
          <Term word="surprise">Surprise</Term> <b>{surprise(view.chosen.nats)}</b>: number{" "}
          {view.chosen.rank} of {view.bars.length}.
          {view.chosen.drawn !== null &&
            ` It was drawn with a probability of ${percent(view.chosen.drawn)}${moved ? ", before the knobs moved" : ""}.`}
        </p>
      )}
      {view.bars.length === 0 ? (
        <p class="note">The model had seen nothing before this character, so it chose nothing.</p>
      ) : (
        <>
          <ul class="swatches">
            {(Object.keys(FATES) as Fate[]).map((fate) => (
              <li key={fate} data-fate={fate} data-count={counts[fate]}>
                {counts[fate]} {FATES[fate]}
              </li>
            ))}
          </ul>
          <div
            class="bars"
            tabIndex={0}
            role="region"
            aria-label="Probabilities of the next character"
          >
            <table>
              <thead>
                <tr>
                  <th scope="col">
                    <span class="for-readers">Character</span>
                  </th>
                  <th scope="col">probability</th>
                  <th scope="col">
                    <span class="for-readers">as a bar</span>
                  </th>
                  <th scope="col">after cuts</th>
                </tr>
              </thead>
              <tbody>
                {view.bars.map(([character, probability, drawn, fate]) => (
                  <tr
                    key={character}
                    data-fate={fate}
                    data-token={character}
                    data-probability={probability}
                    data-drawn={drawn}
                    class={character === view.character ? "here" : ""}
                  >
                    <th scope="row">
                      <span aria-hidden="true">{format.glyph(character)}</span>
                      <span class="for-readers">
                        {name(character)}, {FATES[fate]}
                      </span>
                    </th>
                    <td>{percent(probability)}</td>
                    <td class="drawn" aria-hidden="true">
                      <span class="bar" style={{ width: `${(100 * probability) / most}%` }} />
                    </td>
                    <td>{percent(drawn)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </div>
  );
}

/** Where the text stands, in a sentence. */
function status(): string {
  const now = text.value;
  if (!now) return "";
  const count = format.count(now.written.length);
  switch (now.phase) {
    case "asked":
      return "Reading the prompt.";
    case "look":
      return "";
    case "writing":
      return `${count} characters so far.`;
    case "stopped":
      return `Stopped after ${count} characters.`;
    case "failed":
      return now.problem;
    case "done": {
      const nats = now.nats.slice(now.prompt.length) as number[];
      const mean = nats.reduce((sum, n) => sum + n, 0) / nats.length;
      return `${count} characters, ${mean.toFixed(2)} nats of surprise each on average.`;
    }
  }
}

/** A model writes, and shows what each character was chosen from. */
export function Talk() {
  const body = useRef<HTMLDivElement>(null);
  const seen = useSeen(body);
  useSignalEffect(() => {
    if (seen.value) void loadReference();
  });
  useOpening(fields.prompt, PROMPT, () => fields.source.value);
  const ready = useComputed(canWrite);
  // The effect below must run when the message changes, not whenever a field that it is made of does.
  const wrong = useComputed(problem);

  // Before anything is written: what may follow the prompt, once it rests and a model can say.
  useSignalEffect(() => {
    const prompt = fields.prompt.value;
    if (!ready.value || !isThere(fields.source.value) || wrong.value) return;
    const wait = setTimeout(() => {
      const now = text.peek();
      if (now?.written.length || now?.phase === "asked" || now?.phase === "writing") return;
      if (fields.prompt.peek() === prompt) write(0); // else it does not rest yet
    }, LOOK_MS);
    return () => clearTimeout(wait);
  });
  // The chart follows the text, one question at a time.
  useSignalEffect(() => {
    const now = text.value;
    if (now && now.nats.length && picked.peek() === null) weigh();
  });
  const now = text.value;
  const busy = now?.phase === "writing" || now?.phase === "asked";
  return (
    <div class="body stack talk-body" ref={body} data-talk={now?.phase ?? "none"}>
      <div class="talk-desk stack">
        <Source />
        <div class="field">
          <label for="talk-prompt">Prompt</label>
          <textarea
            id="talk-prompt"
            rows={3}
            spellcheck={false}
            maxLength={MAX_TALK}
            value={fields.prompt.value}
            onInput={(event) => (fields.prompt.value = event.currentTarget.value)}
          />
        </div>
        <div class="knobs">
          <Knob name="temperature" label="Temperature" min={0.1} max={2} step={0.05} />
          <Knob name="topK" label="Top-k" min={1} max={most.value} step={1} />
          <Knob name="topP" label="Top-p" min={0.1} max={1} step={0.01} />
        </div>
        <div class="talk-go">
          <Field id="talk-seed" label="Seed of the text" text={fields.seed} maxLength={100} />
          <Field id="talk-length" label="Length" text={fields.length} range={[1, MAX_TALK]} />
          {busy ? (
            <button onClick={() => send({ type: "untalk" })}>Stop writing</button>
          ) : (
            <button
              class="primary"
              disabled={!ready.value || wrong.value !== ""}
              onClick={() => write(Number(fields.length.value))}
            >
              Write
            </button>
          )}
          <p class="status" aria-live="polite" data-failed={now?.phase === "failed"}>
            {wrong.value || status()}
          </p>
        </div>
        <Written />
        <Place />
      </div>
      <section class="stack" aria-labelledby="odds-title">
        <h3 id="odds-title">
          What it <Term word="logits">chooses from</Term>
        </h3>
        <Chart />
      </section>
    </div>
  );
}
