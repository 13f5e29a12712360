// What a prompt says before the reader types: something that the model's own text has.

import { type Signal, useSignalEffect } from "@preact/signals";
import type { VoiceName } from "../base/protocol";
import { model } from "./state";
import { voices } from "./voices";

const given = new Map<Signal<string>, string>(); // what was put there; anything else was typed

/** Has a prompt follow the model, as long as nothing else is typed. `usual` is Shakespeare's. */
export function useOpening(prompt: Signal<string>, usual: string, source: () => VoiceName): void {
  useSignalEffect(() => {
    const name = source();
    const of = name === "run" ? model.value : voices[name].value;
    if (!of || prompt.peek() !== (given.get(prompt) ?? usual)) return;
    given.set(prompt, of.opening ?? usual);
    prompt.value = of.opening ?? usual;
  });
}
