import { effect, useSignal, type ReadonlySignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { colour, colours } from "../theme";

interface Props {
  /** What it shows, for those who do not see it. */
  label: string;
  /** Made anew when a theme or a signal that it reads changes. */
  options: (width: number, height: number) => uPlot.Options;
  data: () => uPlot.AlignedData;
  /** Another one when the data have changed. */
  version: ReadonlySignal<unknown>;
  /** How many points of the first column have come: the rest of it is only the axis. */
  length: () => number;
  /** One point in words. */
  tell: (index: number) => string;
  /** Above it, of the point under the cursor, or the last. */
  children: (index: number) => ComponentChildren;
  /** In front of it. */
  over?: ComponentChildren;
}

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

/** A chart that mouse, touch or arrow keys read out, point by point. */
export function Plot({ label, options, data, version, length, tell, children, over }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const hovered = useSignal<number | null>(null);

  useEffect(() => {
    const element = box.current!;
    const size = () => [element.clientWidth, element.clientHeight] as const;
    const remake = effect(() => {
      colours.value;
      plot.current?.destroy();
      const setCursor = [(plot: uPlot) => void (hovered.value = plot.cursor.idx ?? null)];
      const made = options(...size());
      plot.current = new uPlot({ ...made, hooks: { ...made.hooks, setCursor } }, data(), element);
    });
    let frame = 0;
    const follow = effect(() => {
      version.value;
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        plot.current?.setData(data());
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
  const [x] = data();
  const end = length() - 1;
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
    const index = Math.max(0, Math.min(end, to));
    plot.current.setCursor({ left: plot.current.valToPos(x[index]!, "x"), top: 10 });
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
          onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
        />
        {over}
      </div>
    </div>
  );
}
