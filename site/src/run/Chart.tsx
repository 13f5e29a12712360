import { useComputed } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type uPlot from "uplot";
import { planned } from "./settings";
import * as format from "../base/format";
import { COLUMNS } from "./curve";
import { send } from "./supervision";
import { curve, drawing, historyVersion, hasRun, model, phase, progress } from "./state";
import { colour } from "../ui/theme";
import { Boot } from "./Boot";
import { axes, drawLevel, fixed, Plot, type PlotOptions } from "../ui/Plot";
import { Term } from "../ui/Term";

/** The end of the x axis: round, and not far beyond what has been trained. */
function xEnd(last: number): number {
  const iters = planned.peek();
  const wanted = Math.max(20, last * 1.1);
  const scale = 10 ** Math.floor(Math.log10(wanted));
  const round = [1, 2, 2.5, 5, 10].map((n) => n * scale).find((n) => n >= wanted)!;
  return curve.length ? Math.min(round, Math.max(iters, last + 1)) : iters;
}

/** What is drawn on the curve besides: a signal that `plugin` reads makes a new chart as it changes. */
export interface Overlay {
  plugin: () => uPlot.Plugin;
  /** The least losses that the axis is to have room for. */
  lowest?: () => number[];
}

function options(overlays: Overlay[]): PlotOptions {
  const uniform = model.value.uniformLoss;
  return {
    padding: [6, 20, 0, 0],
    scales: {
      x: {
        time: false,
        range: (_, min) => [curve.length ? min : 0, xEnd(curve.get("iter").at(-1) ?? 0)],
      },
      y: {
        range: (_, min, max) => [
          Math.floor(
            2 *
              Math.min(
                min ?? 2,
                uniform - 1.2,
                ...overlays.flatMap(({ lowest }) => lowest?.() ?? []),
              ) -
              0.1,
          ) / 2,
          Math.max(max ?? uniform, uniform) + 0.2,
        ],
      },
    },
    axes: axes({ size: 36, incrs: [0.1, 0.2, 0.5, 1, 2, 5], values: fixed(1) }),
    series: [
      {},
      { stroke: colour("--train-faint"), width: 1, points: { show: false } },
      { stroke: colour("--train"), width: 2, points: { show: false } },
      {
        stroke: colour("--val"),
        paths: () => null, // points alone: a line would hide the average
        points: { show: true, size: 6, fill: colour("--val") },
      },
    ],
    plugins: overlays.map(({ plugin }) => plugin()),
    hooks: {
      draw: [
        (plot) => {
          const name = `ln(${model.peek().vocabSize}) = ${uniform.toFixed(2)}, an even guess`;
          drawLevel(plot, name, uniform);
        },
      ],
    },
  };
}

/** What the curve waits for, while it has no point. */
function awaited(): string {
  if (drawing.value !== null) return "Drawing the first weights …";
  switch (phase.value) {
    case "ready":
      return "Press Start, and the curve begins here.";
    case "training":
      return progress.value.iter === 0
        ? "Measuring the first validation loss …"
        : "Making the first step …";
    case "paused":
      return "Resume, and the curve begins here.";
    default:
      return "";
  }
}

interface Props {
  overlays: Overlay[];
  /** Below it. */
  children: ComponentChildren;
}

/** The loss curve. */
export function Chart({ overlays, children }: Props) {
  const version = useComputed(() => [historyVersion.value, planned.value]);
  historyVersion.value;
  const [iters, train, smooth, val] = COLUMNS.map((column) => curve.get(column)) as [
    number[],
    number[],
    number[],
    number[],
  ];
  return (
    <section class="chart" aria-labelledby="loss-title">
      <header>
        <h2 id="loss-title">
          Loss{" "}
          <span class="unit">
            <Term word="nats">nats</Term> a {model.value.unit}
          </span>
        </h2>
        <button class="link" disabled={!hasRun.value} onClick={() => send({ type: "log" })}>
          Download CSV
        </button>
      </header>
      <Plot
        label="Loss curve: arrow keys read it out"
        options={() => options(overlays)}
        data={() => curve.drawn()}
        version={version}
        points={() => curve.get("iter")}
        tell={(at) =>
          `iteration ${iters[at]}: batch ${format.loss(train[at])}, ` +
          `average ${format.loss(smooth[at])}` +
          (Number.isNaN(val[at]) ? "" : `, validation ${format.loss(val[at])}`)
        }
        over={
          phase.value === "booting" ? <Boot /> : !curve.length && <p class="empty">{awaited()}</p>
        }
        legend={(at) => [
          ["raw", "batch", format.loss(train[at], 3)],
          ["smooth", "average", format.loss(smooth[at], 3)],
          ["val", "validation", format.loss(lastOf(val, at), 3)],
        ]}
      />
      {children}
    </section>
  );
}

/** The latest validation loss at or before an index. */
function lastOf(values: number[], from: number): number | null {
  for (let i = from; i >= 0; i--) if (!Number.isNaN(values[i])) return values[i]!;
  return null;
}
