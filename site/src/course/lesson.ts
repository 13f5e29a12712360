// A lesson, as site/course.py reads it from its file in site/lessons.

import type { Line } from "../base/translated";

/** A function of groundling/labs/course.py, and its parameters. */
export interface Named {
  name: string;
  given: Record<string, number | string>;
}

export interface Choice {
  text: Line;
  right: boolean;
  says: Line;
}

export interface Lesson {
  title: string;
  text: Line[];
  task: Line[];
  check: Named;
  question: Line[];
  /** The number that is asked for, or null: one of the choices is. */
  answer: Named | null;
  choices: Choice[];
  hints: Line[];
}
