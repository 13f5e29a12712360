import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import * as format from "../base/format";
import { NameForm } from "../code/NameForm";
import { hindrance } from "../run/state";
import { announce } from "../ui/announce";
import { FileButton } from "../ui/FileButton";
import { Compare } from "./Compare";
import { Sweep } from "./Sweep";
import {
  bring,
  bringBack,
  choose,
  chooseAll,
  chosen,
  type Column,
  compared,
  deleted,
  goOn,
  type Kept,
  order,
  refusals,
  remove,
  rename,
  report,
  runs,
  save,
  saveBest,
  sortBy,
  sorted,
  trouble,
} from "./state";

const MAX_NAME = 60;

const COLUMNS: [Column, string][] = [
  ["name", "Name"],
  ["iter", "Iteration"],
  ["valLoss", "Validation"],
  ["best", "Best"],
  ["createdAt", "Kept"],
];

const nameProblem = (name: string) =>
  !name.trim()
    ? "A run needs a name."
    : name.trim().length > MAX_NAME
      ? `At most ${MAX_NAME} characters.`
      : "";

/** The run whose Delete or Undo was pressed with a key: the focus goes on to the other of the two. */
let pressed = "";

function useHandedOn(run: Kept) {
  const button = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    if (pressed !== run.id) return;
    pressed = "";
    button.current!.focus();
  }, []);
  return button;
}

const press = ({ detail }: MouseEvent, run: Kept, act: (run: Kept) => void) => {
  if (detail === 0) pressed = run.id; // no pointer
  act(run);
};

function Row({ run }: { run: Kept }) {
  const naming = useSignal(false);
  const erase = useHandedOn(run);
  const { name, iter, iters, valLoss, best, createdAt, bytes, weights } = run;
  const when = new Date(createdAt).toLocaleString(undefined, {
    dateStyle: "medium",
    timeStyle: "short",
  });
  const hindered = hindrance();
  return (
    <tr>
      <td>
        <input
          type="checkbox"
          aria-label={`Compare ${name}`}
          checked={chosen.value.includes(run.id)}
          onChange={(event) => choose(run.id, event.currentTarget.checked)}
        />
      </td>
      <th scope="row">
        {naming.value ? (
          <NameForm
            label="Name"
            action="Rename"
            initial={name}
            maxLength={MAX_NAME}
            problemOf={nameProblem}
            take={(fresh) => rename(run, fresh)}
            done={() => (naming.value = false)}
          />
        ) : (
          name
        )}
      </th>
      <td>
        {format.count(iter)} <small>of {format.count(iters)}</small>
      </td>
      <td>{format.loss(valLoss)}</td>
      <td>
        {best ? (
          <>
            {format.loss(best[1])} <small>at {format.count(best[0])}</small>
          </>
        ) : (
          format.loss(null)
        )}
      </td>
      <td>
        <time dateTime={createdAt}>{when}</time>{" "}
        <small>{format.megabytes(bytes + (weights?.bytes ?? 0))} MB</small>
      </td>
      <td class="acts">
        <button
          class="link"
          disabled={hindered !== ""}
          aria-label={`${iter < iters ? "Continue" : "Open"} ${name}`}
          onClick={() => void goOn(run)}
        >
          {iter < iters ? "Continue" : "Open"}
        </button>
        <button class="link" aria-label={`Export ${name}`} onClick={() => void save(run)}>
          Export
        </button>
        {weights && (
          <button
            class="link"
            aria-label={`Export the best weights of ${name}`}
            onClick={() => void saveBest(run)}
          >
            Best weights
          </button>
        )}
        <button class="link" aria-label={`Report of ${name}`} onClick={() => void report(run)}>
          Report
        </button>
        <button class="link" aria-label={`Rename ${name}`} onClick={() => (naming.value = true)}>
          Rename
        </button>
        <button
          ref={erase}
          class="link"
          aria-label={`Delete ${name}`}
          onClick={(event) => press(event, run, remove)}
        >
          Delete
        </button>
      </td>
    </tr>
  );
}

function Deleted({ run }: { run: Kept }) {
  const undo = useHandedOn(run);
  useEffect(() => announce(`“${run.name}” was deleted.`), []);
  return (
    <li>
      “{run.name}” was deleted. Until you leave this page it can be brought back.{" "}
      <button
        ref={undo}
        class="link"
        aria-label={`Undo: ${run.name}`}
        onClick={(event) => press(event, run, bringBack)}
      >
        Undo
      </button>
    </li>
  );
}

function List() {
  const { by, down } = order.value;
  const isAll = compared.value.length === sorted.value.length;
  return (
    <div class="wide" role="region" aria-label="Runs that are kept" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <td>
              <input
                type="checkbox"
                aria-label="Compare all"
                checked={isAll}
                ref={(box) => {
                  if (box) box.indeterminate = !isAll && compared.value.length > 0;
                }}
                onChange={(event) => chooseAll(event.currentTarget.checked)}
              />
            </td>
            {COLUMNS.map(([column, title]) => (
              <th
                key={column}
                scope="col"
                aria-sort={by !== column ? "none" : down ? "descending" : "ascending"}
              >
                <button class="link" onClick={() => sortBy(column)}>
                  {title}
                  <span aria-hidden="true">{by === column ? (down ? " ↓" : " ↑") : ""}</span>
                </button>
              </th>
            ))}
            <td>
              <span class="for-readers">Actions</span>
            </td>
          </tr>
        </thead>
        <tbody>
          {sorted.value.map((run) => (
            <Row key={run.id} run={run} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The runs that are kept in this browser, and those among them that are compared. */
export function Shelf() {
  const all = runs.value;
  return (
    <div class="body stack" data-runs={all?.length}>
      {all?.length === 0 && (
        <p class="empty">
          No run is kept yet. Each run comes here by itself when it pauses, ends or is replaced by
          another, and stays in this browser: press Start above, then Pause. A run that was saved as
          a state (.state) can be imported.
        </p>
      )}
      {all && all.length > 0 && <List />}
      {deleted.value.length > 0 && (
        <ul class="stack" aria-label="Deleted runs">
          {deleted.value.map((run) => (
            <Deleted key={run.id} run={run} />
          ))}
        </ul>
      )}
      <div class="row">
        <FileButton
          accept=".state"
          label="State files to keep"
          multiple
          take={(files) => void bring(files)}
        >
          Import states
        </FileButton>
        <p class="note">
          {hindrance() ||
            "Choose runs in the first column to compare them. Continue takes the edits of a run with it."}
        </p>
      </div>
      <p class="problem" role="status">
        {[trouble.value, ...refusals.value].join(" ").trim()}
      </p>
      <Compare />
      <Sweep />
    </div>
  );
}
