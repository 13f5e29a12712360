import { effect, useSignal, type ReadonlySignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { byKey } from "./keys";
import { colour, colours } from "./theme";

/** A chart's own part of the options: its size and cursor are those of every chart. */
export type PlotOptions = Omit<uPlot.Options, "width" | "height" | "legend" | "cursor">;

interface Props {
  /** What it shows, for those who do not see it. */
  label: string;
  /** Made anew when a theme or a signal that it reads changes. */
  options: () => PlotOptions;
  data: () => uPlot.AlignedData;
  /** Another one when the data have changed. */
  version: ReadonlySignal<unknown>;
  /** The x values that can be read out, in order. `data` may draw fewer of them. */
  points: () => ArrayLike<number>;
  /** One point in words. */
  tell: (index: number) => string;
  /** Above it, of the point under the cursor, or the last: a class, a name and a value each. */
  legend: (index: number) => [string, string, string?][];
  /** What x is. */
  what?: string;
  /** In front of it. */
  over?: ComponentChildren;
}

/** What every chart has in common. */
const SHARED = {
  legend: { show: false },
  cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
};

function axis(): uPlot.Axis {
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return {
    stroke: colour("--muted"),
    font,
    labelFont: font,
    labelSize: 18,
    ticks: { show: false },
    grid: { stroke: colour("--line"), width: 1 },
  };
}

/** The steps between two whole numbers of an axis. */
const WHOLE = [1, 10, 100, 1e3, 1e4, 1e5, 1e6].flatMap((n) => [n, 2 * n, 5 * n]);

/** The axes of a chart by iteration: `y` is its own part of the other one. */
export function axes(y: uPlot.Axis, x: uPlot.Axis = {}): uPlot.Axis[] {
  const { grid, ...rest } = axis();
  return [
    { ...rest, grid: { show: false }, size: 26, label: "iteration", incrs: WHOLE, ...x },
    { ...rest, ...y, grid: { ...grid, ...y.grid } },
  ];
}

/** Numbers of an axis with so many digits, or with as many more as the step between them has. */
export const fixed =
  (least: number) =>
  (_: uPlot, ticks: number[], _axis: number, _space: number, step: number): string[] => {
    let digits = least;
    while (digits < 12 && Number(step.toFixed(digits)) !== step) digits++;
    return ticks.map((tick) => tick.toFixed(digits));
  };

/** Draws a dotted line at a loss, or a band up to another one, with its name at the right. */
export function drawLevel({ ctx, bbox, valToPos }: uPlot, name: string, from: number, to = from) {
  const unit = devicePixelRatio;
  const { left, width } = bbox;
  const [bottom, top] = [valToPos(from, "y", true), valToPos(to, "y", true)];
  const band = to !== from;
  ctx.save();
  ctx.fillStyle = colour("--wash");
  if (band) ctx.fillRect(left, top, width, bottom - top);
  ctx.strokeStyle = ctx.fillStyle = colour("--muted");
  ctx.lineWidth = unit;
  ctx.setLineDash([2 * unit, 4 * unit]);
  for (const y of new Set([bottom, top])) {
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
  }
  ctx.font = `${12 * unit}px ${getComputedStyle(document.body).fontFamily}`;
  ctx.textAlign = "right";
  // A band has its name inside it, where no line of the grid runs through the words.
  ctx.textBaseline = band ? "middle" : "bottom";
  ctx.fillText(name, left + width - 4 * unit, band ? (bottom + top) / 2 : top - 3 * unit);
  ctx.restore();
}

/** The point at x, or the next one after it; of none beyond the end, the last. */
function find(points: ArrayLike<number>, x: number): number {
  let [from, to] = [0, points.length - 1];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (points[middle]! < x) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** A chart that mouse, touch or arrow keys read out, point by point. */
export function Plot(props: Props) {
  const { label, options, data, version, points, tell, legend, what = "iteration", over } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const hovered = useSignal<number | null>(null);
  const keyed = useRef<number | null>(null); // the point that keys have gone to

  /** Puts the cursor where keys have brought it, whatever has been drawn since. */
  const point = () => {
    const x = keyed.current === null ? undefined : points()[keyed.current];
    if (x !== undefined) plot.current?.setCursor({ left: plot.current.valToPos(x, "x"), top: 10 });
  };

  useEffect(() => {
    const element = box.current!;
    const size = () => [element.clientWidth, element.clientHeight] as const;
    const remake = effect(() => {
      colours.value;
      plot.current?.destroy();
      const read = ({ cursor: { idx }, data }: uPlot) => {
        const pointed = idx == null ? null : find(points(), data[0][idx]!);
        hovered.value = keyed.current ?? pointed;
      };
      const setCursor = [read];
      const [width, height] = size();
      const own = options();
      const made = { ...SHARED, width, height, ...own, hooks: { ...own.hooks, setCursor } };
      plot.current = new uPlot(made, data(), element);
    });
    let frame = 0;
    const follow = effect(() => {
      version.value;
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        plot.current?.setData(data());
        point();
      });
    });
    // In a frame of its own: what moves within an observer's call may be seen too late, an error.
    let sizing = 0;
    const resize = new ResizeObserver(() => {
      sizing ||= requestAnimationFrame(() => {
        sizing = 0;
        const [width, height] = size();
        if (width) plot.current?.setSize({ width, height });
      });
    });
    resize.observe(element);
    return () => {
      remake();
      follow();
      cancelAnimationFrame(frame);
      cancelAnimationFrame(sizing);
      resize.disconnect();
      plot.current?.destroy();
    };
  }, []);

  version.value;
  const x = points();
  const end = x.length - 1;
  const at = Math.min(hovered.value ?? end, end);
  const page = Math.max(10, Math.round(end / 20));
  const steps = {
    ArrowLeft: at - 1,
    ArrowDown: at - 1,
    ArrowRight: at + 1,
    ArrowUp: at + 1,
    PageUp: at + page,
    PageDown: at - page,
    Home: 0,
    End: end,
  };
  const go = (to: number) => {
    keyed.current = Math.max(0, Math.min(end, to));
    point();
  };
  return (
    <div>
      <ul class="legend" aria-hidden="true">
        {legend(at).map(([kind, name, value]) => (
          <li key={kind} class={kind}>
            {name} {value !== undefined && <b>{value}</b>}
          </li>
        ))}
        <li class="at">{at < 0 ? "" : `${what} ${x[at]}`}</li>
      </ul>
      <div class="area">
        <div
          class="plot"
          ref={box}
          tabIndex={0}
          role="slider"
          aria-label={label}
          aria-valuemin={x[0] ?? 0}
          aria-valuemax={Math.max(0, x[Math.max(0, end)] ?? 0)}
          aria-valuenow={x[Math.max(0, at)] ?? 0}
          aria-valuetext={end < 0 ? "nothing yet" : tell(at)}
          onKeyDown={(event) => end >= 0 && byKey(event, steps, go)}
          onPointerMove={() => (keyed.current = null)}
          onBlur={() => {
            keyed.current = null;
            plot.current?.setCursor({ left: -10, top: -10 });
          }}
        />
        {over}
      </div>
    </div>
  );
}
