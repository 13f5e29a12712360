import { computed, signal } from "@preact/signals";
import * as format from "../base/format";
import { diffOf } from "../code/edits";
import { Diff } from "../ui/Diff";
import { axes, fixed, Plot, type PlotOptions } from "../ui/Plot";
import { colour } from "../ui/theme";
import { overlaid, type Points } from "./resample";
import { compared, type Kept } from "./state";

const HUES = 8; // in shelf.css; after those the lines are dashed

/** Which loss is drawn. */
const drawn = signal<"curve" | "validation">("curve");
const data = computed(() => overlaid(compared.value.map((run) => run[drawn.value] as Points)));

function options(): PlotOptions {
  const unit = devicePixelRatio;
  return {
    padding: [8, 16, 0, 0],
    scales: { x: { time: false } },
    axes: axes({ size: 44, label: "loss, nats", values: fixed(2) }),
    series: [
      {},
      ...compared.value.map((_, at) => ({
        stroke: colour(`--run-${at % HUES}`),
        width: compared.value.length > HUES ? 1 : 2, // thin lines are drawn much faster
        points: { show: false },
        ...(at >= HUES && { dash: [6 * unit, 3 * unit * Math.floor(at / HUES)] }),
      })),
    ],
  };
}

/** The curves of all runs in one plot. */
function Curves() {
  const names = compared.value.map(({ name }) => name);
  const [iters, ...losses] = data.value as [number[], ...(number | null)[][]];
  return (
    <section class="stack" aria-label="Curves">
      <div class="switch" role="group" aria-label="Loss">
        {(["curve", "validation"] as const).map((which) => (
          <button
            key={which}
            aria-pressed={drawn.value === which}
            onClick={() => (drawn.value = which)}
          >
            {which === "curve" ? "Training average" : "Validation"}
          </button>
        ))}
      </div>
      <Plot
        label="The curves of the runs: arrow keys read them out"
        options={options}
        data={() => data.peek()}
        version={data}
        points={() => iters}
        tell={(at) =>
          `iteration ${iters[at]}: ` +
          names.map((name, i) => `${name} ${format.loss(losses[i]![at])}`).join(", ")
        }
        legend={(at) =>
          names.map((name, i) => [
            `run-${i % HUES}${i >= HUES ? " dashed" : ""}`,
            name,
            format.loss(losses[i]![at], 3),
          ])
        }
      />
    </section>
  );
}

interface Setting {
  name: string;
  values: string[]; // of each run
}

/** The settings, apart: those that are not the same in all runs, and those that are. */
export function apart(runs: Kept[]): [Setting[], Setting[]] {
  const maps = runs.map(({ settings }) => new Map(settings));
  const names = [...new Set(maps.flatMap((map) => [...map.keys()]))];
  const all = names.map((name) => ({ name, values: maps.map((map) => map.get(name) ?? "") }));
  const differs = ({ values }: Setting) => new Set(values).size > 1;
  return [all.filter(differs), all.filter((setting) => !differs(setting))];
}

/** What differs; what does not is folded away, unless there is but one run. */
function Settings() {
  const [differing, same] = apart(compared.value);
  const isOne = compared.value.length === 1;
  return (
    <>
      {differing.length > 0 && (
        <div class="wide" role="region" aria-label="Settings of the runs" tabIndex={0}>
          <table class="settings">
            <thead>
              <tr>
                <th scope="col">Setting</th>
                {compared.value.map(({ id, name }) => (
                  <th scope="col" key={id}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {differing.map(({ name, values }) => (
                <tr key={name} data-differs={true}>
                  <th scope="row">{name}</th>
                  {values.map((value, at) => (
                    <td key={at}>
                      <strong>{value}</strong>
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {same.length > 0 && (
        <details open={isOne}>
          <summary>
            {isOne
              ? `${same.length} settings`
              : differing.length
                ? `${same.length} settings are the same in all`
                : `All ${same.length} settings are the same`}
          </summary>
          <dl class="pairs">
            {same.map(({ name, values }) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{values[0]}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </>
  );
}

/** How each run's code differs from the first one's, and how it was changed on the way. */
function Edits() {
  const [first, ...others] = compared.value;
  const diffs = others.map((run) => ({ run, text: diffOf(first!.files, run.files) }));
  const changed = compared.value.filter(({ changes }) => changes.length);
  if (!changed.length && diffs.every(({ text }) => !text))
    return <p class="note">All were trained by the same code.</p>;
  return (
    <>
      {diffs
        .filter(({ text }) => text)
        .map(({ run, text }) => (
          <section key={run.id} class="stack" aria-label={`Edits of ${run.name}`}>
            <h4>
              From the code of {first!.name} to that of {run.name}
            </h4>
            <Diff text={text} />
          </section>
        ))}
      {changed.map((run) => (
        <section key={run.id} class="stack" aria-label={`Changes of ${run.name}`}>
          <h4>Changed while {run.name} trained</h4>
          {run.changes.map(({ iter, diff }) => (
            <div key={iter} class="stack">
              <p class="note">From iteration {format.count(iter)} on</p>
              <Diff text={diff} />
            </div>
          ))}
        </section>
      ))}
    </>
  );
}

function Samples() {
  const wrote = compared.value.filter(({ samples }) => samples.length);
  const silent = compared.value.length - wrote.length;
  return (
    <>
      {silent > 0 && (
        <p class="note">
          {wrote.length ? `${silent} of them have written nothing.` : "Nothing has been written."}
        </p>
      )}
      <div class="writings">
        {wrote.map(({ id, name, samples }) => (
          <figure key={id}>
            <figcaption>
              {name} <small>at iteration {format.count(samples.at(-1)!.iter)}</small>
            </figcaption>
            <blockquote>{samples.at(-1)!.text}</blockquote>
          </figure>
        ))}
      </div>
    </>
  );
}

/** The chosen runs side by side. */
export function Compare() {
  const count = compared.value.length;
  if (!count) return null;
  return (
    <section class="compare stack" aria-label="Comparison">
      <h3>{count === 1 ? compared.value[0]!.name : `${count} runs compared`}</h3>
      {/* A new plot for another number of lines. */}
      <Curves key={compared.value.map(({ id }) => id).join()} />
      <h3>Settings</h3>
      <Settings />
      <h3>Edits</h3>
      <Edits />
      <h3>What they wrote</h3>
      <Samples />
    </section>
  );
}
