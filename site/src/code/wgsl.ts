// Enough of WGSL, and of the AssemblyScript of shaders/wasm/, to colour them.

import { StreamLanguage } from "@codemirror/language";

const WGSL_KEYWORDS =
  /^(?:alias|break|case|const|const_assert|continue|continuing|default|diagnostic|discard|else|enable|fn|for|if|let|loop|override|requires|return|struct|switch|var|while)\b/;
const WGSL_TYPES =
  /^(?:array|atomic|bool|f16|f32|i32|u32|vec[234][fhiu]?|mat[234]x[234][fh]?|ptr|storage|uniform|workgroup|private|function|read|read_write|write)\b/;

const SCRIPT_KEYWORDS =
  /^(?:as|break|const|continue|do|else|export|for|from|function|if|import|let|return|type|while)\b/;
const SCRIPT_TYPES = /^(?:bool|f32|f64|f32x4|i32|i32x4|i64|u32|u64|usize|v128|void)\b/;

const language = (name: string, keywords: RegExp, types: RegExp) =>
  StreamLanguage.define<{ comment: boolean }>({
    name,
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
      if (stream.match(keywords)) return "keyword";
      if (stream.match(types)) return "typeName";
      if (stream.match(/^(?:true|false)\b/)) return "bool";
      if (stream.match(/^(?:0x[\da-f]+|\d+\.?\d*(?:e[+-]?\d+)?)[fhiu]?/i)) return "number";
      if (stream.match(/^[A-Za-z_]\w*/)) return "variableName";
      stream.next();
      return null;
    },
    languageData: { commentTokens: { line: "//" } },
  });

export const wgsl = language("wgsl", WGSL_KEYWORDS, WGSL_TYPES);
export const assemblyScript = language("assemblyscript", SCRIPT_KEYWORDS, SCRIPT_TYPES);
