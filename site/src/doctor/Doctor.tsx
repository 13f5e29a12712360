import { useComputed } from "@preact/signals";
import type uPlot from "uplot";
import {
  beginCase,
  bounds,
  cases,
  curves,
  curvesVersion,
  diagnosis,
  examined,
  iterations,
  iterationsProblem,
  picked,
} from "./state";
import * as format from "../base/format";
import { send } from "../run/supervision";
import { parse } from "../base/numbers";
import type { Case, Diagnosis, Fix } from "../base/protocol";
import { isRunHere } from "../base/fragment";
import { adapter, config, fields, hasRun, hindrance, model } from "../run/state";
import { colour } from "../ui/theme";
import { Field } from "../ui/Field";
import { axes, fixed, Plot, type PlotOptions } from "../ui/Plot";
import { Explained, Term } from "../ui/Term";

const busy = () =>
  Object.values(examined.value).some(({ phase }) => phase === "asked" || phase === "running");

function examine(names: string[]): void {
  const iters = Number(iterations.value);
  for (const name of names) beginCase(name, iters);
  picked.value = names[0]!;
  send({ type: "case", names, iters });
}

// ---- the fix -------------------------------------------------------------------------------------

/** The settings of a fix, to be read. */
function Settings({ fix: { lr, iters, warmup } }: { fix: Fix }) {
  return (
    <>
      {lr !== undefined && <span class="pill">peak learning rate {lr}</span>}
      {iters !== undefined && <span class="pill">{format.count(iters)} iterations</span>}
      {warmup !== undefined && (
        <span class="pill">
          <Term word="warmup">warm-up</Term> of {warmup} iterations
        </span>
      )}
    </>
  );
}

/** Sets what a verdict advises: for the run, but for its length, or for the next one. */
function FixButton({ fix }: { fix: Fix }) {
  const { lr, iters, warmup } = fix;
  if (!Object.keys(fix).length) return null;
  const later = hasRun.value && iters !== undefined;
  const isSet =
    (lr === undefined || parse(fields.lr.value) === lr) &&
    (later || iters === undefined || parse(fields.iters.value, true) === iters) &&
    (warmup === undefined || config.value?.training["warmup_steps"] === warmup);
  const apply = () => {
    if (lr !== undefined) {
      fields.lr.value = String(lr);
      if (hasRun.value) send({ type: "lr", value: lr });
    }
    if (warmup !== undefined) send({ type: "warmup", value: warmup });
    if (iters !== undefined && !later) fields.iters.value = String(iters);
  };
  const nothing = later && lr === undefined && warmup === undefined;
  return (
    <div class="stack">
      <p class="wanted row">
        <Settings fix={fix} />
      </p>
      {isRunHere() && (
        <p class="row">
          <button disabled={nothing || isSet} onClick={apply}>
            {isSet && !nothing ? "Set" : "Set it so"}
          </button>
          <span class="note">
            {later
              ? "The length is for the next run: Reset first."
              : isSet && (hasRun.value ? "The run goes on with it." : "Start trains with it.")}
          </span>
        </p>
      )}
    </div>
  );
}

/** As of a panel. */
const toneOf = ({ kind, healthy }: Diagnosis) =>
  kind === "early" ? "notice" : healthy ? "advice" : "error";

function Card({ verdict, children }: { verdict: Diagnosis; children?: preact.ComponentChildren }) {
  return (
    <div class={`diagnosis panel ${toneOf(verdict)}`} data-kind={verdict.kind}>
      <h3>{verdict.title}</h3>
      <p>
        <Explained text={verdict.says} />
      </p>
      {children}
      {verdict.evidence.length > 0 && (
        <dl class="pairs">
          {verdict.evidence.map(([what, value]) => (
            <div key={what}>
              <dt>{what}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      )}
      {verdict.change && (
        <p>
          <Explained text={verdict.change} />
        </p>
      )}
      <FixButton fix={verdict.fix} />
    </div>
  );
}

// ---- one case ------------------------------------------------------------------------------------

/** The columns of the chart: iter, expected training and validation, training, validation. */
function columns(one: Case): uPlot.AlignedData {
  const wish = iterationsProblem() ? bounds.value.iters : Number(iterations.value);
  const iters = examined.value[one.name]?.iters ?? wish;
  const curve = curves[one.name] ?? [[], [], []];
  const x = Array.from({ length: iters }, (_, i) => i);
  const wanted = (column: 1 | 2) =>
    x.map((i) => {
      const share = (i / (iters - 1)) * (one.shape.length - 1);
      const low = Math.min(Math.floor(share), one.shape.length - 2);
      const [a, b] = [one.shape[low]![column], one.shape[low + 1]![column]];
      return a * (b / a) ** (share - low);
    });
  const padded = (column: (number | null)[]) => x.map((i) => column[i] ?? null);
  return [x, wanted(1), wanted(2), padded(curve[1]), padded(curve[2])];
}

/** Of a logarithmic axis, the powers of ten. */
const powers = (_: uPlot, ticks: number[]) =>
  ticks.map((tick) => (Number.isInteger(Math.round(1e6 * Math.log10(tick)) / 1e6) ? tick : null));

function options(one: Case): () => PlotOptions {
  return () => {
    const { uniformLoss, unit } = model.peek();
    const wild = Math.max(...one.shape.map((row) => row[1])) > 3 * uniformLoss;
    const forked = one.shape.some(([, train, val]) => train !== val);
    const expected = { width: 1.5, dash: [5, 4], points: { show: false } };
    return {
      padding: [8, 16, 0, 0],
      scales: {
        x: { time: false, range: (plot) => [0, plot.data[0].length - 1] },
        y: wild
          ? { distr: 3, range: (_, min, max) => [Math.min(min, 1), Math.max(max, 1000)] }
          : { range: (_, min, max) => [min > 1.6 ? Math.min(min - 0.1, 2) : 0, max + 0.2] },
      },
      axes: axes({
        size: 44,
        label: `loss, nats a ${unit}`,
        ...(wild
          ? {
              filter: powers,
              grid: { filter: powers },
              values: (_, ticks) => ticks.map((tick) => tick?.toLocaleString("en") ?? ""),
            }
          : { incrs: [0.1, 0.2, 0.5, 1, 2, 5], values: fixed(1) }),
      }),
      series: [
        {},
        { ...expected, stroke: colour("--train") },
        { ...expected, stroke: forked ? colour("--val") : "transparent" },
        { stroke: colour("--train"), width: 1.5, points: { show: false } },
        {
          stroke: colour("--val"),
          width: 1.5,
          spanGaps: true,
          points: { show: true, size: 5, fill: colour("--val") },
        },
      ],
    };
  };
}

function status(name: string): string {
  const now = examined.value[name];
  curvesVersion.value;
  const done = curves[name]?.[0].length ?? 0;
  switch (now?.phase) {
    case undefined:
      return "Not run yet. The dashed curve is what to expect.";
    case "asked":
      return "Waiting for its turn.";
    case "running":
      return done
        ? `Iteration ${format.count(done)} of ${format.count(now.iters)}.`
        : "Making the model; the first step prepares the kernels.";
    case "stopped":
      return `Stopped after ${format.count(done)} of ${format.count(now.iters)} iterations. This is what the doctor sees in those:`;
    case "failed":
      return now.message;
    case "done":
      return now.message || `All ${format.count(now.iters)} iterations.`;
  }
}

function One({ one }: { one: Case }) {
  const now = examined.value[one.name];
  const curve = () => curves[one.name] ?? [[], [], []];
  const version = useComputed(() => [curvesVersion.value, examined.value, iterations.value]);
  const asked = now?.phase === "asked";
  const running = now?.phase === "running" || asked;
  const wrong = hindrance() || iterationsProblem();
  const said = (at: number) => {
    const [iters, train, val] = curve();
    const beside = val[at] == null ? "" : `, validation ${format.loss(val[at])}`;
    return `iteration ${iters[at]}: training ${format.loss(train[at])}${beside}`;
  };
  return (
    <div class="one" data-case={one.name} data-phase={now?.phase ?? "none"}>
      <div>
        <p class="wrong">
          <Explained text={one.wrong} />
        </p>
        <Plot
          key={one.name}
          label={`${one.title}, losses in nats a ${model.value.unit}: arrow keys read them out`}
          options={options(one)}
          data={() => columns(one)}
          version={version}
          points={() => curve()[0]}
          tell={said}
          legend={(at) => {
            const [, train, val] = curve();
            return [
              ["expected", "expected"],
              ["smooth", "training", format.loss(train[at])],
              ["val", "validation", format.loss(val.slice(0, at + 1).findLast((x) => x !== null))],
            ];
          }}
        />
      </div>
      <div class="stack">
        <div class="act row">
          <button
            class={running ? "" : "primary"}
            disabled={!running && (wrong !== "" || busy())}
            aria-disabled={asked} // not disabled: it was pressed, and keeps the focus
            onClick={() => {
              if (!running) examine([one.name]);
              else if (!asked) send({ type: "uncase" });
            }}
          >
            {running ? "Stop" : now ? "Run again" : "Run this case"}
          </button>
          {running && (
            <progress
              aria-label="Case so far"
              max={now.iters}
              value={(curvesVersion.value, curve()[0].length)}
            />
          )}
        </div>
        <p class="status" aria-live="polite">
          {status(one.name)}
        </p>
        <div aria-live="polite">
          {now?.verdict ? (
            <Card verdict={now.verdict} />
          ) : (
            <p class="empty">Expected diagnosis: {one.expected.toLowerCase()}.</p>
          )}
        </div>
      </div>
    </div>
  );
}

/** How long a case runs. */
function Iterations({ children }: { children?: preact.ComponentChildren }) {
  if (iterations.value === "" && adapter.value) {
    iterations.value = String(adapter.value.fallback ? 80 : bounds.value.iters);
  }
  const wrong = hindrance() || iterationsProblem();
  return (
    <div class="ask">
      <Field
        id="case-iters"
        label="Case iterations"
        text={iterations}
        range={[bounds.value.fewest, bounds.value.most]}
        aria-describedby="case-hint"
      />
      {children}
      <p class="note" id="case-hint">
        {(!busy() && wrong) ||
          `${isRunHere() ? "Your run stays as it is. " : ""}On a slow device, fewer iterations will do.`}
      </p>
    </div>
  );
}

/** A case alone, by its name. */
export function OneCase({ name }: { name: string }) {
  const one = cases.value.find((one) => one.name === name);
  return (
    <div class="body stack">
      {one ? (
        <>
          <h2>{one.title}</h2>
          <Iterations />
          <One one={one} />
        </>
      ) : (
        <p class="empty">
          There is no case “{name}”; there are {cases.value.map(({ name }) => name).join(", ")}.
        </p>
      )}
    </div>
  );
}

// ---- the page's own run --------------------------------------------------------------------------

function Own() {
  const { iter, verdict } = diagnosis.value;
  return (
    <section class="own stack" aria-labelledby="own-title">
      <h3 id="own-title">Your run</h3>
      {verdict ? (
        <Card verdict={verdict}>
          <p class="note">As of iteration {format.count(iter)}, from its losses alone.</p>
        </Card>
      ) : (
        <p class="empty">
          Press Start above. The doctor reads the curve as it grows and says here what it shows.
        </p>
      )}
    </section>
  );
}

/** Six runs, five of them ill, and what the page's own run shows. */
export function Doctor() {
  const one = cases.value.find(({ name }) => name === picked.value) ?? cases.value[0];
  const wrong = hindrance() || iterationsProblem();
  return (
    <div class="body stack">
      <p class="intro">
        Six short runs of the page's own model, in batches of 8. In five of them one thing is wrong.
        The dashed curve is what should come of it, the solid one is what comes. The doctor then
        reads the losses alone, and says what it sees.
      </p>
      <div class="cases" role="group" aria-label="Cases">
        {cases.value.map(({ name, title }) => {
          const now = examined.value[name];
          return (
            <button
              key={name}
              aria-pressed={name === one?.name}
              class={now?.verdict ? toneOf(now.verdict) : ""}
              onClick={() => (picked.value = name)}
            >
              <strong>{title}</strong>
              <span>
                {now?.verdict?.title ??
                  { asked: "waiting", running: "running", failed: "failed" }[
                    now?.phase as string
                  ] ??
                  "not run yet"}
              </span>
            </button>
          );
        })}
      </div>
      <Iterations>
        <button
          disabled={busy() || wrong !== ""}
          onClick={() => examine(cases.value.map(({ name }) => name))}
        >
          Run all six
        </button>
      </Iterations>
      {one && <One one={one} />}
      {isRunHere() && <Own />}
    </div>
  );
}
