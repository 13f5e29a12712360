import type { Signal } from "@preact/signals";
import type { InputHTMLAttributes } from "preact";
import { composes } from "./keys";

type More = Pick<InputHTMLAttributes, "maxLength" | "aria-describedby">;

interface Props extends More {
  id: string;
  label: string;
  /** What is typed. */
  text: Signal<string>;
  /** The least and the most of a whole number; without them, any text. */
  range?: [number, number];
  onEnter?: () => void;
}

/** A line to fill in, and its label. */
export function Field({ id, label, text, range, onEnter, ...more }: Props) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        {...(range
          ? { type: "number", inputMode: "numeric", min: range[0], max: range[1], step: 1 }
          : { type: "text", list: undefined })}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        value={text.value}
        onInput={(event) => (text.value = event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Enter" && !composes(event) && onEnter?.()}
        {...more}
      />
    </div>
  );
}
