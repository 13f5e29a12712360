import { effect, useSignal, type ReadonlySignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
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
  /** Where on the x axis there is a point to read out, in order: of these `data` may draw fewer, and
   * its axis may go on beyond them.
   */
  points: () => ArrayLike<number>;
  /** One point in words. */
  tell: (index: number) => string;
  /** Above it, of the point under the cursor, or the last. */
  children: (index: number) => ComponentChildren;
  /** In front of it. */
  over?: ComponentChildren;
}

/** What every chart has in common. */
const SHARED = {
  legend: { show: false },
  cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
};

/** What the axes of every chart have in common. */
export function axis(): uPlot.Axis {
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
export function Plot({ label, options, data, version, points, tell, children, over }: Props) {
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
    const resize = new ResizeObserver(() => {
      const [width, height] = size();
      if (width) plot.current?.setSize({ width, height });
    });
    resize.observe(element);
    return () => {
      remake();
      follow();
      cancelAnimationFrame(frame);
      resize.disconnect();
      plot.current?.destroy();
    };
  }, []);

  version.value;
  const x = points();
  const end = x.length - 1;
  const at = Math.min(hovered.value ?? end, end);
  const page = Math.max(10, Math.round(end / 20));
  const move = (event: KeyboardEvent) => {
    const steps: Record<string, number> = {
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      PageUp: at + page,
      PageDown: at - page,
      Home: 0,
      End: end,
    };
    const to = steps[event.key];
    if (to === undefined || !plot.current || end < 0) return;
    event.preventDefault();
    keyed.current = Math.max(0, Math.min(end, to));
    point();
  };
  return (
    <div>
      {children(at)}
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
          onKeyDown={move}
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
