import { useLayoutEffect, useRef } from "preact/hooks";
import { firstProblem, readSettings } from "../fields";
import { send } from "../link";
import type { Phase } from "../protocol";
import { askToPersist } from "../storage";
import { phase, stopping, undo } from "../state";
import { Files } from "./Files";

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
  void askToPersist();
}

export function Controls() {
  const row = useRef<HTMLDivElement>(null);
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
      <Files />
    </div>
  );
}
