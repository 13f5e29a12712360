// A file in the colours of the editor, without an editor.

import { pythonLanguage } from "@codemirror/lang-python";
import { highlightCode } from "@lezer/highlight";
import { tokens } from "./editorTheme";
import type { Source } from "../base/protocol";
import { assemblyScript, wgsl } from "./wgsl";

const LANGUAGES = { py: pythonLanguage, ts: assemblyScript, wgsl };

/** The text in runs: what each is, as in editorTheme.ts, or "", and its characters. */
export function highlight({ path, text }: Source): [string, string][] {
  const { parser } = LANGUAGES[path.split(".").at(-1) as keyof typeof LANGUAGES];
  const runs: [string, string][] = [];
  highlightCode(
    text,
    parser.parse(text),
    tokens,
    (part, classes) => runs.push([classes.replace("tok-", ""), part]),
    () => runs.push(["", "\n"]),
  );
  return runs;
}
