import { useLayoutEffect, useRef } from "preact/hooks";
import { firstProblem, readSettings } from "../fields";
import { send } from "../link";
import type { Phase } from "../protocol";
import * as format from "../format";
import { hasRun, loaded, phase, stopping, undo } from "../state";
import { load } from "../files";

/** In which phase each button can be pressed. */
const USABLE: Record<string, readonly Phase[]> = {
  Start: ["ready"],
  Pause: ["training"],
  Resume: ["paused"],
  Reset: ["training", "paused", "done", "error"],
};

/** The button that most will want. */
const USEFUL: Partial<Record<Phase, string>> = {
  ready: "Start",
  training: "Pause",
  paused: "Resume",
};

function start(): void {
  const wrong = firstProblem();
  if (wrong) return document.getElementById(`field-${wrong}`)?.focus();
  send({ type: "start", ...readSettings() });
}

export function Controls() {
  const file = loaded.value;
  const row = useRef<HTMLDivElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const pressed = useRef<HTMLButtonElement | null>(null);

  // The button that was pressed goes dim; the focus goes on to the one that is now of use.
  useLayoutEffect(() => {
    const active = document.activeElement ?? document.body;
    if (!pressed.current || (active !== document.body && active !== pressed.current)) return;
    const next = USEFUL[phase.value];
    row.current?.querySelector<HTMLButtonElement>(`[data-button="${next}"]`)?.focus();
    pressed.current = null;
  }, [phase.value]);

  const button = (name: string, act: () => void, busy = false) => {
    const usable = USABLE[name]!.includes(phase.value) && !stopping.value;
    return (
      <button
        type="button"
        class={USEFUL[phase.value] === name ? "primary" : ""}
        data-button={name}
        disabled={!usable}
        aria-busy={busy}
        onClick={(event) => {
          pressed.current = event.currentTarget;
          act();
        }}
      >
        {name}
      </button>
    );
  };

  return (
    <div class="controls" ref={row}>
      <div class="transport">
        {button("Start", start)}
        {button("Pause", () => send({ type: "pause" }), stopping.value)}
        {button("Resume", () => send({ type: "resume" }))}
        {button("Reset", () => send({ type: "reset" }))}
      </div>
      <div class="weights">
        <button type="button" disabled={!hasRun.value} onClick={() => send({ type: "save" })}>
          Save weights
        </button>
        <button
          type="button"
          disabled={!["ready", "paused", "done"].includes(phase.value)}
          onClick={() => picker.current?.click()}
        >
          Load weights
        </button>
        <input
          ref={picker}
          type="file"
          accept=".bin"
          hidden
          onChange={(event) => {
            const file = event.currentTarget.files?.[0];
            event.currentTarget.value = "";
            if (file) void load(file);
          }}
        />
      </div>
      {undo.value !== null && phase.value !== "training" && (
        <p class="undo">
          The run at iteration {undo.value.toLocaleString("en")} was put aside.{" "}
          <button
            type="button"
            class="link"
            onClick={(event) => {
              pressed.current = event.currentTarget;
              send({ type: "undo" });
            }}
          >
            Undo
          </button>
        </p>
      )}
      {file && (
        <div class="chip">
          <p>
            <strong>{file.name}</strong>
            <span>seed {file.seed}</span>
            <span>iteration {file.iter.toLocaleString("en")}</span>
            {file.valLoss !== null && <span>val {format.loss(file.valLoss)}</span>}
          </p>
          <p class="note">{file.note}</p>
        </div>
      )}
    </div>
  );
}
