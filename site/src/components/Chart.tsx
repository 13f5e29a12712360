import { effect, signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { edits } from "../code";
import { showLevels } from "../doctor";
import * as format from "../format";
import { levelLines, lowest } from "../levels";
import { send } from "../link";
import { marks } from "../marks";
import { history, historyVersion, hasRun, model, phase, progress } from "../state";
import { colour, colours } from "../theme";
import { Boot } from "./Boot";
import { Edits } from "./Edits";
import { Levels } from "./Levels";

const hovered = signal<number | null>(null); // an index into `history`

/** The end of the x axis: round, and not far beyond what has been trained. */
function xEnd(last: number): number {
  const { iters } = progress.peek();
  const wanted = Math.max(20, last * 1.1);
  const scale = 10 ** Math.floor(Math.log10(wanted));
  const round = [1, 2, 2.5, 5, 10].map((n) => n * scale).find((n) => n >= wanted)!;
  return history[0].length ? Math.min(round, Math.max(iters, last + 1)) : iters;
}

function options(width: number, height: number): uPlot.Options {
  const uniform = model.peek().uniformLoss;
  const ink = colour("--muted");
  const line = colour("--line");
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: ink, font, ticks: { show: false }, grid: { stroke: line, width: 1 } };
  return {
    width,
    height,
    padding: [6, 20, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: {
        time: false,
        range: (_, min) => [history[0].length ? min : 0, xEnd(history[0].at(-1) ?? 0)],
      },
      y: {
        range: (_, min, max) => [
          Math.floor(2 * Math.min(min ?? 2, uniform, ...lowest()) - 0.1) / 2,
          Math.max(max ?? uniform, uniform) + 0.2,
        ],
      },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 30 },
      {
        ...axis,
        size: 36,
        incrs: [0.1, 0.2, 0.5, 1, 2, 5],
        values: (_, ticks) => ticks.map((tick) => tick.toFixed(1)),
      },
    ],
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
    plugins: [levelLines, marks()],
    hooks: {
      setCursor: [(plot) => void (hovered.value = plot.cursor.idx ?? null)],
      draw: [
        (plot) => {
          const y = plot.valToPos(uniform, "y", true);
          const { left, width } = plot.bbox;
          const { ctx } = plot;
          ctx.save();
          ctx.strokeStyle = ctx.fillStyle = ink;
          ctx.lineWidth = devicePixelRatio;
          ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
          ctx.beginPath();
          ctx.moveTo(left, y);
          ctx.lineTo(left + width, y);
          ctx.stroke();
          ctx.font = `${12 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
          ctx.textAlign = "right";
          ctx.textBaseline = "bottom";
          const { vocabSize } = model.peek();
          const label = `ln(${vocabSize}) = ${uniform.toFixed(2)}, an even guess`;
          ctx.fillText(label, left + width - 4 * devicePixelRatio, y - 3 * devicePixelRatio);
          ctx.restore();
        },
      ],
    },
  };
}

/** The loss curve. By mouse, touch or arrow keys it tells the values of one iteration. */
export function Chart() {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const empty = useSignal(true);

  useEffect(() => {
    const element = box.current!;
    let frame = 0;
    const size = () => [element.clientWidth, element.clientHeight] as const;
    const stop = effect(() => {
      colours.value; // a new theme, another vocabulary, or lines that come make a new chart
      model.value;
      showLevels.value;
      plot.current?.destroy();
      plot.current = new uPlot(options(...size()), history as uPlot.AlignedData, element);
    });
    const draw = () => {
      frame = 0;
      empty.value = history[0].length === 0;
      plot.current?.setData(history as uPlot.AlignedData);
    };
    const follow = effect(() => {
      historyVersion.value;
      progress.value.iters;
      edits.value;
      frame ||= requestAnimationFrame(draw);
    });
    const resize = new ResizeObserver(() => {
      const [width, height] = size();
      plot.current?.setSize({ width, height });
    });
    resize.observe(element);
    return () => {
      stop();
      follow();
      resize.disconnect();
      cancelAnimationFrame(frame);
      plot.current?.destroy();
    };
  }, []);

  const [iters, train, smooth, val] = history;
  historyVersion.value;
  const at =
    hovered.value !== null && hovered.value < iters.length ? hovered.value : iters.length - 1;

  const move = (event: KeyboardEvent) => {
    const end = iters.length - 1;
    const steps: Record<string, number> = {
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      PageUp: at + 50,
      PageDown: at - 50,
      Home: 0,
      End: end,
    };
    const to = steps[event.key];
    if (to === undefined || !plot.current || end < 0) return;
    event.preventDefault();
    const index = Math.max(0, Math.min(end, to));
    plot.current.setCursor({ left: plot.current.valToPos(iters[index]!, "x"), top: 10 });
  };

  const text = empty.value
    ? "nothing yet"
    : `iteration ${iters[at]}: batch ${format.loss(train[at])}, average ${format.loss(smooth[at])}` +
      (val[at] == null ? "" : `, validation ${format.loss(val[at])}`);

  return (
    <section class="chart" aria-labelledby="loss-title">
      <header>
        <h2 id="loss-title">
          Loss <span class="unit">nats a character</span>
        </h2>
        <button
          type="button"
          class="link"
          disabled={!hasRun.value}
          onClick={() => send({ type: "log" })}
        >
          Download CSV
        </button>
      </header>
      <ul class="legend" aria-hidden="true">
        <li class="raw">
          batch <b>{format.loss(train[at])}</b>
        </li>
        <li class="smooth">
          average <b>{format.loss(smooth[at])}</b>
        </li>
        <li class="val">
          validation <b>{format.loss(val[at] ?? lastOf(val, at))}</b>
        </li>
        <li class="at">{empty.value ? "" : `iteration ${iters[at]}`}</li>
      </ul>
      <div class="area">
        <div
          class="plot"
          ref={box}
          tabIndex={0}
          role="slider"
          aria-label="Loss curve: arrow keys read it out"
          aria-valuemin={iters[0] ?? 0}
          aria-valuemax={iters.at(-1) ?? 0}
          aria-valuenow={iters[at] ?? 0}
          aria-valuetext={text}
          onKeyDown={move}
          onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
        />
        {phase.value === "booting" ? (
          <Boot />
        ) : (
          empty.value && (
            <p class="empty">
              {phase.value === "ready" ? "Press Start" : "Resume"}, and the curve begins here.
            </p>
          )
        )}
      </div>
      <Edits />
      <Levels />
    </section>
  );
}

/** The latest validation loss at or before an index. */
function lastOf(values: (number | null)[], from: number): number | null {
  for (let i = from; i >= 0; i--) if (values[i] !== null) return values[i]!;
  return null;
}
