import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { WORDS, type Word } from "./glossary";

const WAIT_MS = 250; // a pointer that only passes by opens nothing
const LEAVE_MS = 200; // time enough to go over to the explanation, or back to the word

let count = 0; // of all terms: the page has several roots, and useId is unique in one

interface Props {
  word: Word;
  /** What to call a question mark, which says nothing by itself. */
  ask?: string;
  children: ComponentChildren;
}

/** A word that explains itself: under the pointer, with the focus, or when it is pressed. */
export function Term({ word, ask, children }: Props) {
  const id = useRef("");
  id.current ||= `word-${++count}`;
  const button = useRef<HTMLButtonElement>(null);
  const popover = useRef<HTMLSpanElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const pinned = useRef(false); // by a press: it stays when the pointer or the focus goes

  const isOpen = () => popover.current?.matches(":popover-open") ?? false;
  const isHeld = () =>
    pinned.current ||
    button.current?.matches(":hover, :focus-visible") ||
    popover.current?.matches(":hover");
  const open = () => {
    if (!isOpen()) popover.current?.showPopover({ source: button.current! });
  };
  const close = () => {
    if (isOpen()) popover.current?.hidePopover();
  };
  const leave = () => {
    if (!isHeld()) close();
  };
  const soon = (act: () => void, ms: number) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(act, ms);
  };

  return (
    <>
      <button
        ref={button}
        class={ask ? "term ask" : "term"}
        aria-describedby={id.current}
        {...(ask ? { "aria-label": ask } : {})}
        onClick={() => {
          clearTimeout(timer.current);
          pinned.current = !pinned.current;
          if (pinned.current) open();
          else close();
        }}
        onPointerEnter={(event) => event.pointerType === "mouse" && soon(open, WAIT_MS)}
        onPointerLeave={() => soon(leave, LEAVE_MS)}
        onFocus={(event) => event.currentTarget.matches(":focus-visible") && open()}
        onBlur={() => soon(leave, LEAVE_MS)}
      >
        {children}
      </button>
      <span
        ref={popover}
        id={id.current}
        class="explanation"
        popover="auto"
        role="note"
        onPointerLeave={() => soon(leave, LEAVE_MS)}
        onToggle={(event) => {
          if (event.newState === "closed") pinned.current = false;
        }}
      >
        <strong>{WORDS[word].title}</strong>
        {WORDS[word].text}
      </span>
    </>
  );
}

/** What a sentence that Python wrote may have in it, in the order of the groups below. */
const FOUND = /(AdamW)|(warm-up)|(gradients?)|(logits)/g;
const MEANT: Word[] = ["adamw", "warmup", "gradient", "logits"];

/** A sentence whose new words explain themselves, each where it comes first. */
export function Explained({ text }: { text: string }) {
  const parts: ComponentChildren[] = [];
  const seen = new Set<Word>();
  let at = 0;
  for (const match of text.matchAll(FOUND)) {
    const word = MEANT[match.slice(1).findIndex((group) => group !== undefined)]!;
    if (seen.has(word)) continue;
    seen.add(word);
    parts.push(text.slice(at, match.index), <Term word={word}>{match[0]}</Term>);
    at = match.index + match[0].length;
  }
  return (
    <>
      {parts}
      {text.slice(at)}
    </>
  );
}
