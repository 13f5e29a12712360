import { count } from "../base/format";
import { useLayoutEffect, useRef } from "preact/hooks";
import { edited } from "../code/edits";
import { late } from "../code/state";
import { checkedSettings } from "../run/settings";
import { focusHome, isFree, setHome } from "../ui/focus";
import { send } from "../run/supervision";
import type { Phase } from "../base/protocol";
import { askToPersist } from "../run/storage";
import { drawing, phase, stopping, undo } from "../run/state";
import { Loaded } from "./Files";

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
  error: "Reset",
};

function start(): void {
  const settings = checkedSettings();
  if (!settings) return;
  send({ type: "start", ...settings, files: edited() });
  void askToPersist();
}

/** The button that was pressed, or has the focus for it: it is handed on when it goes. */
let pressed: HTMLButtonElement | null = null;

export function handOn(button: HTMLButtonElement): void {
  pressed = button;
}

export function Controls() {
  const row = useRef<HTMLDivElement>(null);

  // The button that was pressed goes dim; the focus goes on to the one that is now of use.
  useLayoutEffect(() => {
    if (!pressed || !(isFree() || document.activeElement === pressed)) return;
    pressed = row.current!.querySelector(`[data-button="${USEFUL[phase.value]}"]`);
    if (pressed) pressed.focus();
    else focusHome();
  }, [phase.value]);
  useLayoutEffect(() => {
    const first = (which: string) => row.current?.querySelector<HTMLElement>(`button${which}`);
    setHome(() => first(".primary:enabled") ?? first(":enabled") ?? null);
  }, []);

  const button = (name: string, act: () => void, busy = false) => {
    const busyWith = stopping.value || drawing.value !== null;
    const ends = name === "Reset" && late.value; // code that begins no run, too
    const usable = (ends || USABLE[name]!.includes(phase.value)) && !busyWith;
    return (
      <button
        class={USEFUL[phase.value] === name ? "primary" : ""}
        data-button={name}
        disabled={!usable}
        aria-busy={busy}
        onClick={(event) => {
          pressed = event.currentTarget;
          act();
        }}
      >
        {name}
      </button>
    );
  };

  return (
    <div class="controls" ref={row}>
      <div class="transport row">
        {button("Start", start)}
        {button("Pause", () => send({ type: "pause" }), stopping.value)}
        {button("Resume", () => send({ type: "resume" }))}
        {button("Reset", () => send({ type: "reset" }))}
      </div>
      {undo.value !== null && phase.value !== "training" && (
        <p class="undo status">
          The run at iteration {count(undo.value)} was put aside.{" "}
          <button
            class="link"
            onClick={(event) => {
              pressed = event.currentTarget;
              send({ type: "undo" });
            }}
          >
            Undo
          </button>
        </p>
      )}
      <Loaded />
    </div>
  );
}
