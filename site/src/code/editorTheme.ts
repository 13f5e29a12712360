// How CodeMirror looks: in the page's colours, which its shadow root inherits. Nothing here may ask
// for an image, not even a data: one; the page's content security policy refuses it.

import { syntaxHighlighting } from "@codemirror/language";
import type { Extension } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { tagHighlighter, tags } from "@lezer/highlight";

const button = {
  background: "var(--card)",
  border: "1px solid var(--edge)",
  borderRadius: "4px",
  color: "var(--ink)",
  fontFamily: "var(--sans)",
  fontSize: "var(--text-1)",
  cursor: "pointer",
};
const wave = (colour: string) => ({
  backgroundImage: "none",
  paddingBottom: "0",
  textDecoration: `underline wavy ${colour} 1px`,
  textUnderlineOffset: "3px",
  textDecorationSkipInk: "none",
});
const edge = (colour: string) => ({ borderLeft: `3px solid ${colour}`, fontFamily: "var(--sans)" });

/** What is coloured in code, by the custom property that has its colour: --code-NAME. */
const COLOURED = {
  comment: [tags.comment, tags.docString],
  string: [tags.string, tags.special(tags.string)],
  keyword: [tags.keyword, tags.operatorKeyword, tags.self],
  number: [tags.number, tags.bool, tags.null, tags.meta],
  name: [
    tags.definition(tags.function(tags.variableName)),
    tags.definition(tags.className),
    tags.typeName,
  ],
};

/** Gives each of these the class tok-NAME. */
export const tokens = tagHighlighter(
  Object.entries(COLOURED).map(([name, tag]) => ({ tag, class: `tok-${name}` })),
);

export const looks: Extension = [
  EditorView.theme({
    "&": { height: "100%", color: "var(--ink)", fontSize: "var(--code-size)" },
    "&.cm-focused": { outline: "2px solid var(--focus)", outlineOffset: "-2px" },
    ".cm-scroller": {
      fontFamily: "var(--mono)",
      lineHeight: "1.6",
      overflow: "auto",
      containerType: "inline-size", // its width is that of notes, which are in wider lines
    },
    ".cm-gutters": { background: "var(--card)", color: "var(--muted)", border: "none" },
    ".cm-lineNumbers .cm-gutterElement": { padding: "0 .5em 0 .8em", minWidth: "2.6em" },
    ".cm-foldGutter .cm-gutterElement": { padding: "0 .3em", cursor: "pointer" },
    ".cm-content": { padding: ".7em 1em 1.5em 0", caretColor: "var(--ink)" },
    ".cm-cursor, .cm-dropCursor": { borderLeftColor: "var(--ink)", borderLeftWidth: "2px" },
    ".cm-activeLine, .cm-activeLineGutter": { background: "var(--code-line)" },
    "& > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground":
      { background: "var(--code-selection)" },
    ".cm-content ::selection, &.cm-focused .cm-content ::selection": {
      backgroundColor: "var(--code-selection)",
    },
    ".cm-selectionMatch": { background: "var(--code-match)" },
    ".cm-searchMatch, &.cm-focused .cm-matchingBracket": {
      background: "var(--code-match)",
      outline: "1px solid var(--edge)",
    },
    ".cm-searchMatch-selected": {
      background: "var(--code-found)",
      outline: "2px solid var(--code-number)",
    },
    "&.cm-focused .cm-nonmatchingBracket": { color: "var(--accent)", background: "none" },
    ".cm-foldPlaceholder": { ...button, padding: "0 .4em", margin: "0 .2em" },

    ".cm-panels": { background: "var(--wash)", color: "var(--ink)", border: "none" },
    ".cm-panels.cm-panels-top": { borderBottom: "1px solid var(--line)" },
    ".cm-panels.cm-panels-bottom": { borderTop: "1px solid var(--line)" },
    ".cm-panel.cm-search": { padding: ".45rem 2rem .45rem .7rem", fontFamily: "var(--sans)" },
    ".cm-panel.cm-search label": { fontSize: "var(--text-1)", whiteSpace: "nowrap" },
    ".cm-panel.cm-search [name=close]": { ...button, right: ".4rem", top: ".4rem", border: "none" },
    ".cm-textfield": {
      ...button,
      cursor: "text",
      fontFamily: "var(--mono)",
      padding: ".3em .5em",
    },
    ".cm-textfield:focus": { outline: "2px solid var(--focus)" },
    ".cm-button": { ...button, backgroundImage: "none", padding: ".35em .7em" },
    ".cm-panel.cm-panel-lint ul [aria-selected], .cm-panel.cm-panel-lint ul:focus [aria-selected]":
      { background: "var(--code-match)" },

    ".cm-tooltip": {
      background: "var(--card)",
      border: "1px solid var(--edge)",
      borderRadius: "6px",
      boxShadow: "0 .3rem 1.2rem #0003",
      color: "var(--ink)",
      overflow: "hidden",
    },
    ".cm-tooltip.cm-tooltip-autocomplete > ul": {
      fontFamily: "var(--mono)",
      fontSize: ".78rem",
      maxHeight: "14em",
      minWidth: "14em",
      maxWidth: "min(36em, 85vw)",
    },
    ".cm-tooltip-autocomplete ul li[aria-selected]": {
      background: "var(--accent)",
      color: "var(--on-accent)",
    },
    ".cm-completionLabel": { color: "inherit" },
    ".cm-completionDetail": { color: "inherit", opacity: ".8", marginLeft: "1em" },
    ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700" },
    ".cm-tooltip.cm-completionInfo": {
      padding: ".5rem .7rem",
      maxWidth: "24rem",
      fontFamily: "var(--sans)",
      fontSize: ".82rem",
      whiteSpace: "pre-wrap",
    },
    ".cm-doc": { maxWidth: "34rem", maxHeight: "16rem", overflow: "auto", padding: ".5rem .75rem" },
    ".cm-doc pre": {
      margin: "0",
      font: "600 .78rem/1.5 var(--mono)",
      whiteSpace: "pre-wrap",
      overflowWrap: "anywhere",
    },
    ".cm-doc p": { margin: ".35rem 0 0", font: ".82rem/1.5 var(--sans)", whiteSpace: "pre-wrap" },

    ".cm-lintRange-error": wave("var(--accent)"),
    ".cm-lintRange-warning, .cm-lintRange-info": wave("var(--code-number)"),
    ".cm-diagnostic": { padding: ".35rem .6rem", fontSize: ".82rem" },
    ".cm-diagnostic-error": edge("var(--accent)"),
    ".cm-diagnostic-warning": edge("var(--code-number)"),
    ".cm-lintPoint:after": { borderBottomColor: "var(--accent)" },
    ".cm-raised": {
      background: "var(--removed)",
      ...wave("var(--accent)"),
      textDecorationThickness: "2px",
    },
    ".cm-raised-line": { background: "color-mix(in oklab, var(--removed) 45%, transparent)" },

    ".cm-note": {
      boxSizing: "border-box",
      position: "sticky", // however far the code beside it is scrolled sideways
      left: "4.5em", // beside the gutter
      maxWidth: "min(44rem, 100cqi - 6em)",
      margin: "0",
      padding: ".5rem 0 .15rem .7rem",
      borderLeft: "3px solid var(--edge)",
      color: "var(--muted)",
      font: "var(--text-1)/1.5 var(--sans)",
      whiteSpace: "normal",
    },
    ".cm-note code": { color: "var(--ink)", font: ".94em var(--mono)" },
    ".cm-note strong": { color: "var(--ink)" },

    ".cm-changedLine, &.cm-merge-b .cm-changedLine, .cm-inlineChangedLine": {
      background: "var(--added)",
    },
    "&.cm-merge-b .cm-changedText, .cm-changedText": { background: "var(--added-text)" },
    ".cm-insertedLine": { background: "var(--added)", textDecoration: "none" },
    ".cm-deletedChunk": { background: "var(--removed)", paddingLeft: "0" },
    ".cm-deletedChunk .cm-deletedText, .cm-deletedText": { background: "var(--removed-text)" },
    ".cm-deletedLine, del": { textDecoration: "none" },
    ".cm-changedLineGutter": { background: "var(--added-edge)" },
    ".cm-deletedLineGutter": { background: "var(--accent)" },
    ".cm-deletedChunk .cm-chunkButtons": { insetInlineEnd: "8px" },
    ".cm-chunkButtons button": { ...button, padding: ".1em .6em" },
    ".cm-placeholder": { color: "var(--muted)" },

    ...Object.fromEntries(
      Object.keys(COLOURED).map((name) => [`.tok-${name}`, { color: `var(--code-${name})` }]),
    ),
  }),
  syntaxHighlighting(tokens),
];
