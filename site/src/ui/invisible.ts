// Shows what a text hides: characters that are invisible, or look like others.
// See "Trojan Source: Invisible Vulnerabilities", Boucher and Anderson, 2021.

/** Characters that take no room, that turn the direction of those after them, or that are a space of
 * another kind: all that is control, format, separator or unassigned, but for space and tab.
 */
export const UNSEEN = /(?![\t ])[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/u;

const WORDS = /[\p{L}\p{M}\p{N}_]+/gu;

/** A character that stands for itself, or one that is told: by its code, and by itself if it shows. */
export type Part = string | { shown: string; code: string };

const codeOf = (character: string): string =>
  `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;

/** Whether a letter passes for one of ASCII: Python and the eye take it for that (ｘ, 𝐱), or it stands
 * among them and comes from another script (the Cyrillic а in pаth).
 */
function poses(character: string, amongAscii: boolean): boolean {
  if (character < "\x80") return false;
  if (/^[\x21-\x7e]+$/.test(character.normalize("NFKC"))) return true;
  return amongAscii && /\p{L}/u.test(character) && !/\p{Script=Latin}/u.test(character);
}

/** A text in parts, so that nothing in it is hidden. */
export function reveal(text: string): Part[] {
  if (/^[\t -~]*$/.test(text)) return [text];
  const marked = new Set<number>();
  for (const { 0: word, index } of text.matchAll(WORDS)) {
    const amongAscii = /[A-Za-z]/.test(word);
    let at = index;
    for (const character of word) {
      if (poses(character, amongAscii)) marked.add(at);
      at += character.length;
    }
  }
  const parts: Part[] = [];
  let plain = "";
  let at = 0;
  for (const character of text) {
    const unseen = UNSEEN.test(character);
    if (unseen || marked.has(at)) {
      if (plain) parts.push(plain);
      plain = "";
      parts.push({ shown: unseen ? "" : character, code: codeOf(character) });
    } else plain += character;
    at += character.length;
  }
  if (plain) parts.push(plain);
  return parts;
}
