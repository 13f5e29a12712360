import { useSignal } from "@preact/signals";
import type { InputHTMLAttributes } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { composes } from "../ui/keys";

interface Asked {
  label: string;
  action: string; // what its button says
  initial?: string;
  /** What is wrong with a name, told once it was submitted; "" for one that can be. */
  problemOf: (name: string) => string;
  take: (name: string) => void;
  done: () => void;
}

/** Asks for a name. Escape, or Cancel, takes none. */
export function NameForm(asked: Asked & Pick<InputHTMLAttributes, "placeholder" | "maxLength">) {
  const { label, action, initial = "", problemOf, take, done, ...input } = asked;
  const name = useSignal(initial);
  const tried = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    field.current?.focus();
    field.current?.select();
  }, []);
  const problem = problemOf(name.value);
  return (
    <form
      class="naming"
      onSubmit={(event) => {
        event.preventDefault();
        tried.value = true;
        if (problem) return field.current?.focus();
        take(name.value.trim());
        done();
      }}
      onKeyDown={(event) => event.key === "Escape" && !composes(event) && done()}
    >
      <label>
        <span>{label}</span>
        <input
          ref={field}
          {...input}
          value={name.value}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          aria-invalid={tried.value && problem !== ""}
          aria-describedby={id}
          onInput={(event) => (name.value = event.currentTarget.value)}
        />
      </label>
      <button type="submit">{action}</button>
      <button type="button" class="link" onClick={done}>
        Cancel
      </button>
      <p class="problem" id={id}>
        {tried.value && problem}
      </p>
    </form>
  );
}
