import { useEffect, useRef } from "preact/hooks";
import { isFrame, leaveFragment, lessonAddress } from "../base/fragment";
import { parse } from "../base/numbers";
import type { Line, Span } from "../base/translated";
import { phase } from "../run/state";
import { CopyEmbed } from "../ui/CopyEmbed";
import { Field } from "../ui/Field";
import { focusHome } from "../ui/focus";
import { Term } from "../ui/Term";
import { calm } from "../ui/visibility";
import type { Word } from "../ui/glossary";
import type { Lesson } from "./lesson";
import { before, doneOf, isDone, type Part, progress, reset, undo } from "./progress";
import {
  checkAnswer,
  checkChoice,
  checking,
  checkTask,
  chosen,
  hints,
  language,
  lessons,
  loadLessons,
  next,
  open,
  problem,
  report,
  typed,
  verdicts,
} from "./state";

// ---- texts ---------------------------------------------------------------------------------------

/** Goes to a place on the page, opens it if it is a tab, and puts the focus there. */
function goTo(id: string): void {
  const place = document.getElementById(id);
  if (!place) return;
  const tab = place.matches("[role=tab]");
  if (tab) place.click();
  const around = tab ? place : (place.closest("section") ?? place);
  const find = (what: string) => around.querySelector<HTMLElement>(what);
  const first = tab ? place : (find(".primary:enabled") ?? find("button:enabled, input:enabled"));
  first?.focus({ preventScroll: true });
  around.scrollIntoView({ block: "start", behavior: calm() ? "auto" : "smooth" });
}

function Part({ span }: { span: Span }) {
  if (typeof span === "string") return <>{span}</>;
  switch (span.as) {
    case "code":
      return <code>{span.text}</code>;
    case "strong":
      return <strong>{span.text}</strong>;
    case "term":
      return <Term word={span.to as Word}>{span.text}</Term>;
    case "place":
      return (
        <button class="link" onClick={() => goTo(span.to)}>
          {span.text}
        </button>
      );
  }
}

const Spans = ({ line }: { line: Line }) => line.map((span, at) => <Part key={at} span={span} />);

// ---- the parts of a lesson -----------------------------------------------------------------------

/** What was said of a part: the last verdict, or that of an earlier visit. */
function Verdict({ number, part }: { number: number; part: Part }) {
  const kept = doneOf(number)[part];
  const { done, says } = verdicts.value[part] ?? { done: kept !== undefined, says: kept };
  return (
    <p class="verdict-line" aria-live="polite" data-part={part} data-done={done}>
      {says && (
        <>
          <b>{done ? "✓ Done." : kept === undefined ? "Not yet." : "Done before, not now."}</b>{" "}
          {says}
        </>
      )}
    </p>
  );
}

function Task({ lesson, number }: { lesson: Lesson; number: number }) {
  const ready = phase.value !== "booting";
  return (
    <section class="stack" aria-labelledby="lesson-do">
      <h3 id="lesson-do">Do this</h3>
      <ol>
        {lesson.task.map((step, at) => (
          <li key={at}>
            <Spans line={step} />
          </li>
        ))}
      </ol>
      <div class="row">
        <button
          aria-disabled={!ready || checking.value !== null}
          onClick={() => ready && checking.peek() === null && checkTask(lesson)}
        >
          Check
        </button>
        {!ready && <span class="note">Python is on its way.</span>}
      </div>
      <Verdict number={number} part="task" />
    </section>
  );
}

function Question({ lesson, number }: { lesson: Lesson; number: number }) {
  const { answer, choices } = lesson;
  const whole = answer !== null && !("within" in answer.given); // its digits may be grouped
  const value = answer ? parse(typed.value, whole) : chosen.value;
  const usable = value !== null && checking.value === null;
  const ready = phase.value !== "booting" || !answer;
  const submit = () => {
    if (!usable || !ready) return;
    if (answer) checkAnswer(answer, value);
    else checkChoice(choices[value]!);
  };
  return (
    <section class="stack" aria-labelledby="lesson-question">
      <h3 id="lesson-question">Question</h3>
      {lesson.question.map((line, at) => (
        <p key={at}>
          <Spans line={line} />
        </p>
      ))}
      {answer ? (
        <Field id="lesson-answer" label="Your answer, a number" text={typed} onEnter={submit} />
      ) : (
        <div class="choices" role="radiogroup" aria-labelledby="lesson-question">
          {choices.map((choice, at) => (
            <label key={at}>
              <input
                type="radio"
                name="lesson-choice"
                checked={chosen.value === at}
                onChange={() => (chosen.value = at)}
              />
              <span>
                <Spans line={choice.text} />
              </span>
            </label>
          ))}
        </div>
      )}
      <div class="row">
        <button aria-disabled={!usable || !ready} onClick={submit}>
          Answer
        </button>
      </div>
      <Verdict number={number} part="question" />
    </section>
  );
}

/** The hints that were asked for, and a button for the next one, which gets the focus. */
function Hints({ lesson }: { lesson: Lesson }) {
  const list = useRef<HTMLOListElement>(null);
  const shown = Math.min(hints.value, lesson.hints.length);
  const more = shown < lesson.hints.length;
  return (
    <div class="hints stack">
      {shown > 0 && (
        <ol ref={list} aria-label="Hints">
          {lesson.hints.slice(0, shown).map((hint, at) => (
            <li key={at} tabIndex={-1}>
              <Spans line={hint} />
            </li>
          ))}
        </ol>
      )}
      {more && (
        <button
          class="link"
          onClick={() => {
            hints.value = shown + 1;
            requestAnimationFrame(() => (list.current?.lastElementChild as HTMLElement)?.focus());
          }}
        >
          {shown ? "Another hint" : "A hint"} ({shown + 1} of {lesson.hints.length})
        </button>
      )}
    </div>
  );
}

// ---- the panel -----------------------------------------------------------------------------------

function Steps({ all, number }: { all: Lesson[]; number: number }) {
  return (
    <nav aria-label="Lessons">
      <ol class="steps">
        {all.map(({ title }, at) => (
          <li key={at}>
            <a
              href={lessonAddress(at + 1)}
              title={title}
              aria-label={`${at + 1}: ${title}${isDone(at + 1) ? ", done" : ""}`}
              data-done={isDone(at + 1)}
              {...(number === at + 1 ? { "aria-current": "step" } : {})}
            >
              {at + 1}
            </a>
          </li>
        ))}
      </ol>
    </nav>
  );
}

function Forget() {
  const some = Object.keys(progress.value).length > 0;
  if (before.value)
    return (
      <p class="note" role="status">
        Your progress was reset.{" "}
        <button class="link" onClick={undo}>
          Undo
        </button>
      </p>
    );
  if (!some) return null;
  return (
    <button class="link" onClick={reset}>
      Reset progress
    </button>
  );
}

function Open({ all, number }: { all: Lesson[]; number: number }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const lesson = all[number - 1]!;
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
    heading.current?.closest(".lesson")?.scrollTo(0, 0);
  }, [number]);
  return (
    <>
      <Steps all={all} number={number} />
      <div class="words stack" lang={language.value}>
        <h2 ref={heading} tabIndex={-1}>
          {lesson.title}
        </h2>
        {lesson.text.map((line, at) => (
          <p key={at}>
            <Spans line={line} />
          </p>
        ))}
        <Task lesson={lesson} number={number} />
        <Question lesson={lesson} number={number} />
        <Hints lesson={lesson} />
      </div>
      <p class="ways row">
        {number > 1 && <a href={lessonAddress(number - 1)}>Previous</a>}
        {number < all.length && <a href={lessonAddress(number + 1)}>Next lesson</a>}
        {phase.value !== "booting" && (
          <button class="link" onClick={() => report(lesson, number)}>
            Report
          </button>
        )}
        <Forget />
        <CopyEmbed panel="lesson" settings={() => ({ lesson: String(number) })} />
      </p>
    </>
  );
}

/** The open lesson, beside the run: docked at the right, or at the bottom of a narrow screen. */
export function Course() {
  const number = open.value;
  const isOpen = number !== null;
  useEffect(() => {
    document.documentElement.toggleAttribute("data-course", isOpen);
  }, [isOpen]);
  if (!isOpen) return null;
  return (
    <aside class="lesson stack" aria-label="Course" data-lesson={number}>
      <header>
        <p class="note">
          The course, lesson {number}
          {lessons.value && ` of ${lessons.value.length}`}
        </p>
        {!isFrame() && (
          <button
            class="link"
            onClick={() => {
              leaveFragment();
              focusHome({ preventScroll: true });
            }}
          >
            Close
          </button>
        )}
      </header>
      {lessons.value ? (
        <Open all={lessons.value} number={number} />
      ) : problem.value ? (
        <p role="alert">
          {problem.value}{" "}
          <button class="link" onClick={() => void loadLessons()}>
            Try again
          </button>
        </p>
      ) : (
        <p class="empty">The lessons are on their way.</p>
      )}
    </aside>
  );
}

/** The way into the course, to the first lesson that is not done. */
export function CourseLink() {
  const begun = Object.keys(progress.value).length > 0;
  return (
    <a class="course-link" href={lessonAddress(next.value)}>
      {begun ? "Go on with the course" : "Take the course"}
    </a>
  );
}
