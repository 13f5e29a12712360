// Texts that are apart from the code, in files of site/ that are read when the page is built: each in one
// language or more.

import { here } from "./host";

/** A part of a text: plain, or code, a name, a word that is explained, a place on the page. */
export type Span = string | { as: "code" | "strong" | "term" | "place"; text: string; to: string };
export type Line = Span[];

export const plain = (line: Line): string =>
  line.map((span) => (typeof span === "string" ? span : span.text)).join("");

/** Fetches texts, in the reader's language if they are there in it; and says which it is. */
export async function translated<T>(file: string): Promise<{ language: string; texts: T }> {
  const response = await fetch(here(file));
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const all: Record<string, T> = await response.json();
  const wanted = navigator.languages.map((tag) => tag.split("-")[0]!);
  const language = wanted.find((tag) => tag in all) ?? "en";
  return { language, texts: all[language]! };
}
