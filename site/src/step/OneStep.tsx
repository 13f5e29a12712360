import { useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import { glyph } from "../base/format";
import { nameOf } from "../base/paths";
import {
  LIBRARY,
  SHADERS,
  type Apart,
  type Choice,
  type Place,
  type StepStage,
  type Table,
} from "../base/protocol";
import { goTo } from "../code/editor";
import { inForce, originals, overlay } from "../code/state";
import { Sources } from "../run/Sources";
import { evaluating, progress } from "../run/state";
import { send } from "../run/supervision";
import { loadReference, refused } from "../run/voices";
import { announce } from "../ui/announce";
import { Head } from "../ui/Head";
import { byKey } from "../ui/keys";
import { useSeen } from "../ui/visibility";
import { at, canAsk, choice, missing, now, source } from "./state";

const FUSE = `${LIBRARY}engine/fuse.py`;
const MOST_ROWS = 32; // sequences that are shown
const DARKEST = 8; // nats
const WAIT_MS = 120; // until the reader has chosen

// ---- what is chosen ------------------------------------------------------------------------------

const within = (n: number, size: number) => Math.max(0, Math.min(size - 1, n));

/** The batch as text; where `nats` are, the characters to be predicted, as dark as they surprise. */
function Batch({ apart, shaded }: { apart: Apart; shaded: boolean }) {
  const rows = (shaded ? apart.targets : apart.text).slice(0, MOST_ROWS).map((row) => [...row]);
  const T = rows[0]!.length;
  const sequence = within(choice.value.sequence, rows.length); // at once, before Python tells of it
  const position = within(choice.value.position, T);
  const choose = (row: number, t: number) => {
    const place = { sequence: within(row, rows.length), position: within(t, T) };
    choice.value = { ...choice.peek(), ...place };
  };
  const steps: Record<string, [number, number]> = {
    ArrowUp: [sequence - 1, position],
    ArrowDown: [sequence + 1, position],
    ArrowLeft: [sequence, position - 1],
    ArrowRight: [sequence, position + 1],
    Home: [sequence, 0],
    End: [sequence, T - 1],
  };
  const reads = glyph([...apart.text[sequence]!][position]!);
  const follows = glyph([...apart.targets[sequence]!][position]!);
  const nats = apart.nats[sequence]![position]!.toFixed(2);
  const saying =
    `Sequence ${sequence + 1}, character ${position + 1}: “${reads}”, then “${follows}”` +
    (shaded ? `, a surprise of ${nats} nats` : "");
  return (
    <div class="stack">
      <p class="told">{saying}.</p>
      <div
        class="sequences"
        tabIndex={0}
        role="slider"
        aria-label="Characters of the batch: arrow keys choose one"
        aria-valuemin={1}
        aria-valuemax={rows.length * T}
        aria-valuenow={sequence * T + position + 1}
        aria-valuetext={saying}
        onKeyDown={(event) => byKey(event, steps, (to) => choose(...to))}
        onClick={({ target }) => {
          const { row, t } = (target as HTMLElement).dataset;
          if (t) choose(Number(row), Number(t));
        }}
      >
        {rows.map((characters, row) => (
          <div key={row} aria-hidden="true">
            {characters.map((character, t) => (
              <span
                key={t}
                data-row={row}
                data-t={t}
                data-on={row === sequence && t === position}
                style={
                  shaded
                    ? { "--share": `${Math.min(100, (100 * apart.nats[row]![t]!) / DARKEST)}%` }
                    : {}
                }
              >
                {glyph(character)}
              </span>
            ))}
          </div>
        ))}
      </div>
      {apart.text.length > MOST_ROWS && (
        <p class="note">
          The first {MOST_ROWS} of {apart.text.length} sequences.
        </p>
      )}
    </div>
  );
}

function Weight({ apart }: { apart: Apart }) {
  const sizes = new Map(apart.tensors.map((tensor) => [tensor.name, tensor]));
  const chosen = sizes.has(choice.value.tensor) ? choice.value : apart.chosen;
  const { rows, columns } = sizes.get(chosen.tensor)!;
  const set = (part: Partial<Choice>) => (choice.value = { ...chosen, ...part });
  const number = (label: string, key: "row" | "column", size: number) => (
    <div class="field">
      <label for={`step-${key}`}>{label}</label>
      <input
        id={`step-${key}`}
        type="number"
        inputMode="numeric"
        min={0}
        max={size - 1}
        disabled={size === 1}
        value={chosen[key]}
        onInput={({ currentTarget: { valueAsNumber: value } }) => {
          if (Number.isInteger(value)) set({ [key]: within(value, size) });
        }}
      />
    </div>
  );
  return (
    <div class="weight">
      <div class="field">
        <label for="step-tensor">Tensor</label>
        <select
          id="step-tensor"
          value={chosen.tensor}
          onChange={({ currentTarget: { value: tensor } }) => set({ tensor, row: 0, column: 0 })}
        >
          {[...sizes.keys()].map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </div>
      {number(`Row, to ${rows - 1}`, "row", rows)}
      {number(`Column, to ${columns - 1}`, "column", columns)}
    </div>
  );
}

// ---- a stage -------------------------------------------------------------------------------------

function Figures({ table: { title, head, rows, bars } }: { table: Table }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={title}>
      <table class={head[1] === "From" ? "figures sums" : "figures"}>
        <caption>{title}</caption>
        <Head titles={head} />
        <tbody>
          {rows.map(([name, ...cells], row) => (
            <tr key={row}>
              <th scope="row">{name}</th>
              {cells.map((cell, column) => {
                const bar = column === cells.length - 1 ? bars[row] : undefined;
                return (
                  <td
                    key={column}
                    class={bar === undefined ? "" : "length"}
                    style={bar === undefined ? {} : { "--length": `${100 * bar}%` }}
                  >
                    {cell}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const openFile = (path: string) => goTo({ path, line: 1, column: 0, endLine: 1, endColumn: 0 });

/** A kernel's name; pressing it opens its file. */
function Kernel({ name, times }: { name: string; times: number }) {
  const path = `${SHADERS}${name}.wgsl`;
  return (
    <li>
      {times > 1 && `${times} × `}
      {originals.value.has(path) || path in overlay.value ? (
        <button class="link" aria-label={`${name}, its kernel`} onClick={() => openFile(path)}>
          {name}
        </button>
      ) : (
        name
      )}
    </li>
  );
}

/** The lines of Python of a stage, and what they run. */
function Places({ places }: { places: Place[] }) {
  return (
    <aside class="stack" aria-labelledby="step-code">
      <h4 id="step-code">The lines of Python, and the kernels they run</h4>
      <ol class="stack">
        {places.map(({ path, line, back, text, kernels }, i) => (
          <li key={i}>
            {path ? (
              <button
                class="link"
                onClick={() => goTo({ path, line, column: 0, endLine: line, endColumn: 1000 })}
              >
                {nameOf(path)}, line {line}
              </button>
            ) : (
              "Elsewhere"
            )}
            {back && ", its gradient"}
            <code>{text}</code>
            <ul class="kernels">
              {Object.entries(kernels).map(([name, times]) => (
                <Kernel key={name} name={name} times={times} />
              ))}
            </ul>
          </li>
        ))}
      </ol>
      <p class="note">
        While a run trains,{" "}
        <button class="link" onClick={() => openFile(FUSE)}>
          {nameOf(FUSE)}
        </button>{" "}
        joins some of these kernels into one.
      </p>
    </aside>
  );
}

function Stage({ apart, stage }: { apart: Apart; stage: StepStage }) {
  return (
    <section class="stage" aria-labelledby="step-stage">
      <div class="stack">
        <h3 id="step-stage">{stage.title}</h3>
        <p>{stage.says}</p>
        <p class="formula">
          {stage.formula.split(/ {2,}/).map((part) => (
            <code key={part}>{part}</code>
          ))}
        </p>
        {stage.chooses === "weight" && <Weight apart={apart} />}
        {["character", "surprise"].includes(stage.chooses) && (
          <Batch apart={apart} shaded={stage.chooses === "surprise"} />
        )}
        {stage.tables.map((table) => (
          <Figures key={table.title} table={table} />
        ))}
      </div>
      <Places places={stage.places} />
    </section>
  );
}

/** The stages, one at a time. */
function Stepper({ apart }: { apart: Apart }) {
  const list = useRef<HTMLOListElement>(null);
  const last = apart.stages.length - 1;
  const here = Math.min(at.value, last);
  const go = (to: number) => {
    at.value = within(to, last + 1);
    announce(`${at.value + 1} of ${last + 1}: ${apart.stages[at.value]!.title}`);
    const buttons = list.current!.querySelectorAll("button");
    if (list.current!.contains(document.activeElement)) buttons[at.value]!.focus();
  };
  const steps = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: last };
  const onKeyDown = (event: KeyboardEvent) => {
    const own = (event.target as HTMLElement).closest("input, select, .scroll, [role=slider]");
    if (!own && !event.altKey && !event.ctrlKey && !event.metaKey) byKey(event, steps, go);
  };
  const turn = (label: string, to: number) => (
    <button aria-disabled={to < 0 || to > last} onClick={() => to >= 0 && to <= last && go(to)}>
      {label}
    </button>
  );
  return (
    <div class="stepper stack" onKeyDown={onKeyDown}>
      <p class="status">{apart.about}</p>
      <ol class="stages" aria-label="Stages" ref={list}>
        {apart.stages.map(({ title }, i) => (
          <li key={i}>
            <button
              aria-current={i === here ? "step" : undefined}
              tabIndex={i === here ? 0 : -1}
              onClick={() => go(i)}
            >
              {title}
            </button>
          </li>
        ))}
      </ol>
      <div class="row">
        {turn("Back", here - 1)}
        {turn("Next", here + 1)}
        <span class="note">
          {here + 1} of {last + 1}; <kbd>←</kbd> and <kbd>→</kbd> move between stages.
        </span>
      </div>
      <Stage apart={apart} stage={apart.stages[here]!} />
    </div>
  );
}

// ---- the tab -------------------------------------------------------------------------------------

/** A step of training, taken apart. */
export function OneStep() {
  const body = useRef<HTMLDivElement>(null);
  const seen = useSeen(body); // only then is a step asked for

  useSignalEffect(() => {
    if (seen.value && source.value === "reference") void loadReference();
  });
  useSignalEffect(() => {
    const command = { type: "step", source: source.value, chosen: choice.value } as const;
    if (!seen.value || !canAsk.value || evaluating.value) return;
    inForce.value; // by other code or settings, too, the step of this iteration is another one
    progress.value;
    const wait = setTimeout(() => send(command), WAIT_MS);
    return () => clearTimeout(wait);
  });

  const of = source.value;
  const apart = now.value?.apart;
  return (
    <div class="body stack" ref={body}>
      <p class="intro">
        The very next step of training, taken apart on a copy: from the text of the batch to the
        loss, back to every weight, and the update. Every number is the device's own, or is computed
        from numbers shown here.
      </p>
      <Sources name="step-source" chosen={of} choose={(of) => (source.value = of)} />
      {apart ? (
        <Stepper apart={apart} />
      ) : (
        <>
          <p class="empty" aria-live="polite">
            {missing(of === "run" ? "" : refused[of].value)}
          </p>
          {of === "run" && (
            <p>
              <button onClick={() => (source.value = "reference")}>
                Take apart a step of the reference model
              </button>
            </p>
          )}
        </>
      )}
    </div>
  );
}
