import { useComputed } from "@preact/signals";
import type uPlot from "uplot";
import * as format from "../base/format";
import { MAX_SWEEP, type SweepReport } from "../base/protocol";
import { useEffect } from "preact/hooks";
import { adapter, hindrance } from "../run/state";
import { send } from "../run/supervision";
import { Field } from "../ui/Field";
import { axes, fixed, Plot, type PlotOptions } from "../ui/Plot";
import { colour } from "../ui/theme";
import { begin, fields, keeps, problem, settings, sweep } from "./sweeps";

type Now = Omit<SweepReport, "type">;

const labelOf = (key: string) => settings.value.find((one) => one.key === key)?.label ?? key;

/** Whether values are so far apart that their axis is logarithmic. */
const far = (points: [number, number][]) =>
  points.length > 1 && points[0]![0] > 0 && points.at(-1)![0] >= 10 * points[0]![0];

const LABEL = 56; // pixels that a value on the axis takes

/** The values on the axis; null in the place of those whose label has no room after the last one. */
function roomy(plot: uPlot, values: number[]): (number | null)[] {
  let last = -Infinity;
  return values.map((value) => {
    const at = plot.valToPos(value, "x");
    if (at - last < LABEL) return null;
    last = at;
    return value;
  });
}

function options(): PlotOptions {
  const points = sweep.peek()?.points ?? [];
  const values = points.map(([value]) => value);
  const plain = (_: unknown, ticks: (number | null)[]) =>
    ticks.map((tick) => tick?.toString() ?? "");
  return {
    padding: [8, 24, 0, 8],
    scales: {
      x: {
        time: false,
        ...(far(points) && { distr: 3 as const, range: (_, min, max) => [min, max] }),
      },
    },
    axes: axes(
      { size: 52, label: "final validation loss, nats", values: fixed(2) },
      {
        label: labelOf(sweep.peek()?.key ?? ""),
        splits: () => values,
        filter: roomy,
        values: plain,
      },
    ),
    series: [{}, { stroke: colour("--val"), width: 2, points: { show: true, size: 9 } }],
  };
}

/** The final loss by value. */
function FinalLosses({ now }: { now: Now }) {
  const version = useComputed(() => sweep.value?.points);
  const values = now.points.map(([value]) => value);
  const losses = now.points.map(([, loss]) => loss);
  const name = labelOf(now.key);
  return (
    <Plot
      label="Final loss by value: arrow keys read it out"
      what={name}
      options={options}
      data={() => {
        const points = sweep.peek()?.points ?? [];
        return [points.map(([value]) => value), points.map(([, loss]) => loss)];
      }}
      version={version}
      points={() => values}
      tell={(at) => `${name} ${values[at]}: ${format.loss(losses[at])}`}
      legend={(at) => [["val", "final validation loss", format.loss(losses[at])]]}
    />
  );
}

function Results({ now }: { now: Now }) {
  return (
    <div class="wide" role="region" aria-label="Results of the sweep" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">{labelOf(now.key)}</th>
            <th scope="col">Iteration</th>
            <th scope="col">Training</th>
            <th scope="col">Validation</th>
            <td />
          </tr>
        </thead>
        <tbody>
          {now.results.map(({ value, iter, trainLoss, valLoss, problem }) => (
            <tr key={value} data-best={value === now.best}>
              <th scope="row">{value}</th>
              <td>{format.count(iter)}</td>
              <td>{format.loss(trainLoss)}</td>
              <td>
                {value === now.best ? (
                  <strong>{format.loss(valLoss)}</strong>
                ) : (
                  format.loss(valLoss)
                )}
              </td>
              <td>{problem || (value === now.best && "lowest")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function status(now: Now | null): string {
  if (!now) return "";
  const { phase, results, values, message } = now;
  if (phase === "failed") return message;
  if (phase === "running")
    return values.length ? `Run ${results.length} of ${values.length}.` : "Making the first model.";
  if (phase === "stopped") return `Stopped in run ${results.length} of ${values.length}.`;
  return now.best === null ? "No run has come to its end." : "";
}

/** One setting, several values, and a run of each. */
export function Sweep() {
  const now = sweep.value;
  const isKnown = settings.value.length > 0;
  const isUp = adapter.value !== null;
  useEffect(() => {
    if (isUp && !isKnown) send({ type: "setups" });
  }, [isUp, isKnown]);
  const running = now?.phase === "running";
  const wrong = hindrance() || problem();
  return (
    <section class="sweep stack" aria-label="Sweep" data-sweep={now?.phase ?? "none"}>
      <h3>Sweep</h3>
      <p class="intro">
        Train with several values of one setting, one run after the other, and see which ends
        lowest. All other settings are those of the next run.
      </p>
      <div class="ask">
        <div class="field">
          <label for="sweep-setting">Setting</label>
          <select
            id="sweep-setting"
            value={fields.key.value}
            onChange={(event) => (fields.key.value = event.currentTarget.value)}
          >
            {settings.value
              .filter(({ key }) => key !== "max_steps")
              .map(({ key, label }) => (
                <option key={key} value={key}>
                  {label}
                </option>
              ))}
          </select>
        </div>
        <Field
          id="sweep-values"
          label="Values, with commas between"
          text={fields.values}
          maxLength={400}
        />
        <Field
          id="sweep-iters"
          label="Iterations of each"
          text={fields.iters}
          range={[1, MAX_SWEEP]}
        />
        <button
          class={running ? "" : "primary"}
          disabled={!running && wrong !== ""}
          aria-describedby="sweep-hint"
          onClick={() => (running ? send({ type: "unsweep" }) : begin())}
        >
          {running ? "Stop sweep" : "Run sweep"}
        </button>
        <label>
          <input
            type="checkbox"
            checked={keeps.value}
            onChange={(event) => (keeps.value = event.currentTarget.checked)}
          />
          Keep the runs of the sweep in the list above
        </label>
        <p class="note" id="sweep-hint">
          {!running && wrong}
        </p>
      </div>
      {now && now.points.length > 0 && (
        <FinalLosses key={`${now.key} ${far(now.points)} ${now.points.length}`} now={now} />
      )}
      {now && now.results.length > 0 && <Results now={now} />}
      <p class="status" aria-live="polite">
        {status(now)}
      </p>
    </section>
  );
}
