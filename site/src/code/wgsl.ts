// Enough of WGSL to colour it: CodeMirror has no package for it.

import { StreamLanguage } from "@codemirror/language";

const KEYWORDS =
  /^(?:alias|break|case|const|const_assert|continue|continuing|default|diagnostic|discard|else|enable|fn|for|if|let|loop|override|requires|return|struct|switch|var|while)\b/;
const TYPES =
  /^(?:array|atomic|bool|f16|f32|i32|u32|vec[234][fhiu]?|mat[234]x[234][fh]?|ptr|storage|uniform|workgroup|private|function|read|read_write|write)\b/;

export const wgsl = StreamLanguage.define<{ comment: boolean }>({
  name: "wgsl",
  startState: () => ({ comment: false }),
  token(stream, state) {
    if (state.comment) {
      state.comment = !stream.match(/^.*?\*\//);
      if (state.comment) stream.skipToEnd();
      return "comment";
    }
    if (stream.eatSpace()) return null;
    if (stream.match("/*")) {
      state.comment = true;
      return "comment";
    }
    if (stream.match("//")) {
      stream.skipToEnd();
      return "comment";
    }
    if (stream.match(/^@\w+/)) return "meta";
    if (stream.match(KEYWORDS)) return "keyword";
    if (stream.match(TYPES)) return "typeName";
    if (stream.match(/^(?:true|false)\b/)) return "bool";
    if (stream.match(/^(?:0x[\da-f]+|\d+\.?\d*(?:e[+-]?\d+)?)[fhiu]?/i)) return "number";
    if (stream.match(/^[A-Za-z_]\w*/)) return "variableName";
    stream.next();
    return null;
  },
  languageData: { commentTokens: { line: "//" } },
});
