// Unified diffs: made of two texts, and taken apart to be shown.

import { Chunk } from "@codemirror/merge";
import { Text } from "@codemirror/state";

const CONTEXT = 3; // unchanged lines around a change

const NOTHING = "/dev/null";

/** The unified diff of a file, "" where nothing differs. */
export function unified(path: string, before: string, after: string): string {
  if (before === after) return "";
  const [a, b] = [before, after].map((text) => Text.of(text.split("\n"))) as [Text, Text];
  const lineAt = (doc: Text, at: number) =>
    at > doc.length ? doc.lines : doc.lineAt(at).number - 1;
  const hunks: { a: [number, number]; b: [number, number] }[][] = [];
  for (const { fromA, toA, fromB, toB } of Chunk.build(a, b)) {
    const change = {
      a: [lineAt(a, fromA), lineAt(a, toA)] satisfies [number, number],
      b: [lineAt(b, fromB), lineAt(b, toB)] satisfies [number, number],
    };
    const last = hunks.at(-1);
    if (last && change.a[0] - last.at(-1)!.a[1] <= 2 * CONTEXT) last.push(change);
    else hunks.push([change]);
  }
  const lines = (doc: Text, from: number, to: number, sign: string) =>
    Array.from({ length: Math.max(0, to - from) }, (_, i) => sign + doc.line(from + i + 1).text);
  // A text that ends in a line break has, split at those, an empty line more than it shows.
  const ends = a.lines - (a.line(a.lines).length ? 0 : 1);
  const out = [`--- ${before ? path : NOTHING}`, `+++ ${after ? path : NOTHING}`];
  for (const changes of hunks) {
    const [first, last] = [changes[0]!, changes.at(-1)!];
    const begin = Math.max(0, first.a[0] - CONTEXT);
    const end = Math.max(last.a[1], Math.min(ends, last.a[1] + CONTEXT));
    const body: string[] = [];
    let at = begin;
    for (const change of changes) {
      body.push(...lines(a, at, change.a[0], " "));
      body.push(...lines(a, ...change.a, "-"), ...lines(b, ...change.b, "+"));
      at = change.a[1];
    }
    body.push(...lines(a, at, end, " "));
    const count = (signs: string) => body.filter((line) => signs.includes(line[0]!)).length;
    const beginB = first.b[0] - (first.a[0] - begin);
    out.push(`@@ -${begin + 1},${count(" -")} +${beginB + 1},${count(" +")} @@`, ...body);
  }
  return out.join("\n") + "\n";
}

interface DiffLine {
  kind: "same" | "added" | "removed" | "gap";
  text: string;
}

export interface FileDiff {
  path: string;
  status: "changed" | "new" | "gone";
  added: number;
  removed: number;
  lines: DiffLine[];
}

const KINDS: Record<string, DiffLine["kind"]> = { " ": "same", "+": "added", "-": "removed" };

/** A path as a diff's header has it, without what git and difflib put around it. */
const headed = (line: string) =>
  line
    .slice(4)
    .split("\t")[0]!
    .replace(/^[ab]\//, "");

/** The files of a unified diff. Lines that belong to none are passed over. */
export function parseDiff(text: string): FileDiff[] {
  const files: FileDiff[] = [];
  let [a, b] = [0, 0]; // lines to come in the hunk, on each side
  let from = "";
  for (const line of text.split("\n")) {
    const file = files.at(-1);
    const kind = KINDS[line[0] ?? " "];
    if (file && (a > 0 || b > 0) && kind) {
      if (kind !== "added") a--;
      if (kind !== "removed") b--;
      if (kind === "added") file.added++;
      if (kind === "removed") file.removed++;
      file.lines.push({ kind, text: line.slice(1) });
      continue;
    }
    const hunk = /^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(line);
    if (line.startsWith("--- ")) from = headed(line);
    else if (line.startsWith("+++ ")) {
      const to = headed(line);
      const status = from === NOTHING ? "new" : to === NOTHING ? "gone" : "changed";
      const path = to === NOTHING ? from : to;
      files.push({ path, status, added: 0, removed: 0, lines: [] });
    } else if (hunk && file) {
      [a, b] = [Number(hunk[1] ?? 1), Number(hunk[3] ?? 1)];
      const where = Number(hunk[2]);
      if (where > 1 || file.lines.length) file.lines.push({ kind: "gap", text: `line ${where}` });
    }
  }
  return files;
}

/** "+2 −1". */
export const tally = ({ added, removed }: Pick<FileDiff, "added" | "removed">): string =>
  `+${added} −${removed}`;
