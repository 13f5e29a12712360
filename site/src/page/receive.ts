// What the worker tells, handed to each part of the page that has to do with it.

import { batch } from "@preact/signals";
import * as files from "../base/receivedFiles";
import type { Reports, Told } from "../base/reports";
import * as console from "../code/output";
import * as code from "../code/state";
import * as course from "../course/state";
import * as credits from "../credits/state";
import * as doctor from "../doctor/state";
import * as inside from "../inside/state";
import * as inspector from "../inspector/state";
import * as run from "../run/state";
import * as voices from "../run/voices";
import * as share from "../share/state";
import * as shelf from "../shelf/state";
import * as sweep from "../shelf/sweeps";
import * as speed from "../speed/state";
import * as step from "../step/state";
import * as talk from "../talk/state";
import * as text from "../text/state";
import * as twin from "../twin/state";

type TypesOf<R> = R extends Reports ? keyof R : never;

/** The reports of all parts as one. */
function joined<R extends Reports[]>(...parts: R): Pick<Required<Reports>, TypesOf<R[number]>> {
  const all: Record<string, (message: never) => void> = {};
  for (const [type, take] of parts.flatMap((part) => Object.entries(part))) {
    const before = all[type];
    all[type] = before ? (message) => (before(message), take(message)) : take;
  }
  return all as Pick<Required<Reports>, TypesOf<R[number]>>;
}

// A type of message that no part takes is an error here.
const reports: Required<Reports> = joined(
  run.reports,
  files.reports,
  voices.reports,
  code.reports,
  console.reports,
  text.reports,
  talk.reports,
  inside.reports,
  step.reports,
  doctor.reports,
  twin.reports,
  inspector.reports,
  speed.reports,
  share.reports,
  shelf.reports,
  sweep.reports,
  credits.reports,
  course.reports,
);

export function receive(message: Told): void {
  batch(() => (reports[message.type] as (message: Told) => void)(message));
}
