// The console: what the code prints, and what was asked of the run. Lines come in blocks, so that
// only the last is drawn again when more comes, and the oldest goes when there are too many.

import { signal, type Signal } from "@preact/signals";
import type { ConsoleEntry } from "../base/protocol";
import type { Reports } from "../base/reports";

export const MOST_LINES = 5000;
const BLOCK = 100;
const MOST_WIDTH = 4000; // characters of a line
const HISTORY = 100;

export type Line = ConsoleEntry & { id: number };
export interface Block {
  id: number;
  lines: Signal<Line[]>;
}

export const blocks = signal<Block[]>([]);
/** How many lines were let go, as there were too many. */
export const dropped = signal(0);
/** What is searched for. */
export const query = signal("");
/** What was asked, the last at the end. */
export const asked: string[] = [];

let lineCount = 0;
let open = false; // the last line has no line break yet

export function matches(line: Line, wanted: string): boolean {
  return !wanted || line.text.toLowerCase().includes(wanted.toLowerCase());
}

export function clearConsole(): void {
  blocks.value = [];
  dropped.value = 0;
  open = false;
}

const cut = (text: string) =>
  text.length > MOST_WIDTH
    ? `${text.slice(0, MOST_WIDTH)} … (${text.length - MOST_WIDTH} more characters)`
    : text;

function print(entries: ConsoleEntry[]): void {
  const fresh: Line[] = [];
  const all = blocks.peek();
  let last = all.at(-1)?.lines.peek().at(-1);
  const lastBlock = all.at(-1);
  for (const entry of entries) {
    const { kind, text } = entry;
    const streams = kind === "out" || kind === "err";
    const parts = streams ? text.split("\n") : [text];
    const isWhole = !streams || parts.at(-1) === "";
    if (streams && isWhole) parts.pop();
    parts.forEach((part, at) => {
      if (at === 0 && streams && open && last?.kind === kind) {
        const joined = { ...last, text: cut(last.text + part) };
        if (fresh.length) fresh[fresh.length - 1] = joined;
        else if (lastBlock)
          lastBlock.lines.value = [...lastBlock.lines.peek().slice(0, -1), joined];
        last = joined;
        return;
      }
      last = { ...entry, id: ++lineCount, text: cut(part) };
      fresh.push(last);
    });
    open = streams && !isWhole;
  }
  add(fresh);
}

function add(fresh: Line[]): void {
  const next = [...blocks.peek()];
  while (fresh.length) {
    let block = next.at(-1);
    if (!block || block.lines.peek().length >= BLOCK) {
      block = { id: fresh[0]!.id, lines: signal<Line[]>([]) };
      next.push(block);
    }
    const room = BLOCK - block.lines.peek().length;
    block.lines.value = [...block.lines.peek(), ...fresh.splice(0, room)];
  }
  while (next.length > MOST_LINES / BLOCK) dropped.value += next.shift()!.lines.peek().length;
  if (next.length !== blocks.peek().length || next[0] !== blocks.peek()[0]) blocks.value = next;
}

/** Notes what was asked, for Up and Down. */
export function remember(text: string): void {
  if (asked.at(-1) !== text) asked.push(text);
  if (asked.length > HISTORY) asked.shift();
}

export const reports = {
  console: ({ entries }) => print(entries),
} satisfies Reports;
