import type { ComponentChildren } from "preact";
import { WORDS, type Word } from "../words";

/** A word that explains itself in a popover when it is pressed. */
export function Term({ word, children }: { word: Word; children: ComponentChildren }) {
  const id = `word-${word}`;
  return (
    <>
      <button type="button" class="term" popovertarget={id}>
        {children}
      </button>
      <span id={id} class="explanation" popover="auto" role="note">
        <strong>{WORDS[word].title}</strong>
        {WORDS[word].text}
      </span>
    </>
  );
}
