// What became of the edits that were sent, and what was opened: each a panel that asks or tells.

import { useLayoutEffect, useRef } from "preact/hooks";
import { ending, fit, kernels, offered, refusal } from "./state";
import { nameOf } from "../base/paths";
import { apply, diffOf, leaveOffered, run, takeOffered } from "./edits";
import { checked } from "./projects";
import type { KernelCheck } from "../base/protocol";
import { hasRun, phase, progress } from "../run/state";
import { Diff, Revealed } from "../ui/Diff";
import { Fault } from "./Frames";
import { Head } from "../ui/Head";
import { Panel } from "../ui/Panel";
import { Term } from "../ui/Term";

function Refused() {
  const error = refusal.value!;
  return (
    <Panel level={3} tone="error" title={error.title}>
      <Fault error={error} />
      <p>
        {!hasRun.value
          ? "Nothing was started."
          : phase.value === "error"
            ? "The run stays as it stopped."
            : "Nothing is lost: the run goes on with the code that it had."}
      </p>
      <button class="link" onClick={() => (refusal.value = null)}>
        Close
      </button>
    </Panel>
  );
}

function Names({ what, names }: { what: string; names: string[] }) {
  if (!names.length) return null;
  return (
    <div>
      <dt>{what}</dt>
      <dd>{names.join(", ")}</dd>
    </div>
  );
}

/** The new code's parameters have other names or shapes. */
function Fit() {
  const { kept, fresh, dropped } = fit.value!;
  return (
    <Panel level={3} tone="advice" title="Other parameters than the run has">
      <p>
        With these edits the model has other parameters. Those that still fit by name and shape can
        be kept, with <Term word="adamw">AdamW</Term>'s averages of them; or a new run begins.
      </p>
      <dl class="fit pairs wide">
        <Names what="Kept" names={kept} />
        <Names what="Drawn anew" names={fresh} />
        <Names what="Let go" names={dropped} />
      </dl>
      <div class="row">
        <button disabled={!kept.length} onClick={() => apply({ fit: true })}>
          Keep what fits
        </button>
        <button onClick={() => run()}>Begin a new run</button>
        <button class="link" onClick={() => (fit.value = null)}>
          Leave it
        </button>
      </div>
    </Panel>
  );
}

const figure = (value: number | null) => (value === null ? "no number" : value.toExponential(1));

function Kernels({ rows }: { rows: KernelCheck[] }) {
  const wrong = rows.filter((row) => !row.ok).length;
  const table = (
    <div class="checks scroll">
      <table>
        <Head titles={["Kernel", "Largest error", "Allowed", "Where"]} />
        <tbody>
          {rows.map(({ kernel, ok, largest, tolerance, where, message }) => (
            <tr key={kernel} data-ok={ok}>
              <th scope="row">
                {kernel} <span>{ok ? "agrees" : "differs"}</span>
              </th>
              <td>{figure(largest)}</td>
              <td>{tolerance.toExponential(1)}</td>
              <td>{message || where}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
  if (!wrong) {
    return (
      <details class="panel notice">
        <summary>
          {rows.length === 1 ? "The kernel agrees" : `All ${rows.length} kernels agree`} with NumPy
        </summary>
        {table}
      </details>
    );
  }
  return (
    <Panel
      level={3}
      tone="error"
      title={`${wrong === 1 ? "A kernel differs" : `${wrong} kernels differ`} from NumPy`}
    >
      <p>
        An edited kernel is first run on random input and compared with its reference in NumPy. The
        run goes on with the old code.
      </p>
      {table}
      <div class="row">
        <button onClick={() => apply({ anyway: true })}>Use it anyway</button>
        <button class="link" onClick={() => (kernels.value = null)}>
          Leave it
        </button>
      </div>
    </Panel>
  );
}

/** A project that came by a link or a file: a diff to read. */
function Offered() {
  const box = useRef<HTMLDivElement>(null);
  const { origin, name, files, settings, problem } = offered.value!;
  const source = origin === "zip" ? "file" : "link";
  useLayoutEffect(() => box.current?.scrollIntoView({ block: "nearest" }), [offered.value]);
  const theirs = checked(files);
  const count = Object.keys(theirs).length;
  return (
    <div ref={box} class="offered">
      {problem ? (
        <Panel level={3} tone="error" title={`This ${source} was refused`}>
          <p>{problem} Nothing of it has run.</p>
          <button class="link" onClick={leaveOffered}>
            Close
          </button>
        </Panel>
      ) : (
        <Panel level={3} tone="advice" title={`“${name}”: edits to read`}>
          <p>
            A {source} brought edits of{" "}
            {count === 1 ? nameOf(Object.keys(theirs)[0]!) : `${count} files`}. Anyone may have
            written them. Nothing of them has run.
          </p>
          <Diff text={diffOf({}, theirs)} />
          <p class="note">
            With them: seed {settings.seed ? <Revealed text={settings.seed} /> : "(empty)"},{" "}
            {settings.iters.toLocaleString("en")} iterations, batch size {settings.batchSize}, peak
            learning rate {settings.lr}
            {hasRun.value ? "; your run keeps its own." : "."}
          </p>
          <div class="row">
            <button class="primary" onClick={takeOffered}>
              Use these edits
            </button>
            <button onClick={leaveOffered}>Not now</button>
          </div>
          <p class="note">
            They become a project of their own, beside yours. Even then, nothing runs until you
            Start, Apply or Run.
          </p>
        </Panel>
      )}
    </div>
  );
}

/** Asks before Run ends a long run. */
function Ending() {
  const no = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => no.current?.focus(), []);
  return (
    <Panel level={3} tone="advice" title="End this run?">
      <p>
        It is at iteration {progress.value.iter.toLocaleString("en")}. Run begins another one at 0
        with the code as it is now, and lets this one go. Apply would go on with it.
      </p>
      <div class="row">
        <button onClick={() => run({ sure: true })}>Begin a new run</button>
        <button class="link" ref={no} onClick={() => (ending.value = false)}>
          Keep this one
        </button>
      </div>
    </Panel>
  );
}

export function News() {
  return (
    <div class="news stack">
      {ending.value && <Ending />}
      {offered.value && <Offered key={offered.value.name} />}
      {refusal.value && <Refused key={refusal.value.title} />}
      {fit.value && <Fit />}
      {kernels.value && <Kernels rows={kernels.value} />}
    </div>
  );
}
