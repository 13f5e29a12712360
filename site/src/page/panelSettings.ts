// The panels that an address may ask for: their settings in and out of the fields.

import type { Signal } from "@preact/signals";
import { isFrame } from "../base/fragment";
import { type PanelName, readPanel, type Settings } from "../base/panels";
import * as doctor from "../doctor/state";
import * as inside from "../inside/state";
import { fields } from "../run/state";
import * as talk from "../talk/state";
import { twinFields } from "../twin/state";

const { source: _, ...talkFields } = talk.fields;

/** The field of each setting. Links are read by fragment.ts. */
const FIELDS: Record<PanelName, Record<string, Signal<string> | Signal<number>>> = {
  run: fields,
  talk: talkFields,
  inside: { prompt: inside.prompt },
  doctor: { case: doctor.picked, iters: doctor.iterations },
  twin: twinFields,
  lesson: {},
};

export function fill(name: PanelName, settings: Settings): void {
  for (const [setting, text] of Object.entries(settings)) {
    const field = FIELDS[name][setting];
    if (field) field.value = typeof field.peek() === "number" ? Number(text) : text;
  }
}

/** The settings of a panel as they are in its fields now. */
export const settingsOf = (name: PanelName): Settings =>
  Object.fromEntries(
    Object.entries(FIELDS[name]).map(([setting, { value }]) => [setting, String(value)]),
  );

/** The colours that a frame was given, or "". */
export function themeAsked(): string {
  const asked = readPanel(location.hash.slice(1));
  return isFrame() && asked.problem === undefined ? asked.theme : "";
}
