// Lines on the loss curve, each with its name: what a loss there would mean.

import type uPlot from "uplot";
import type { Overlay } from "../run/Chart";
import { levels, showLevels } from "./state";
import { colour } from "../ui/theme";

const drawing: uPlot.Plugin = {
  hooks: {
    drawClear: (plot) => {
      const { ctx } = plot;
      const { left, width } = plot.bbox;
      ctx.save();
      ctx.font = `${12 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
      ctx.textAlign = "right";
      ctx.textBaseline = "bottom";
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
      for (const { name, label, nats, to } of levels.peek()) {
        if (name === "uniform") continue;
        const y = plot.valToPos(nats, "y", true);
        const top = to === null ? y : plot.valToPos(to, "y", true);
        if (to !== null) {
          ctx.fillStyle = colour("--wash");
          ctx.fillRect(left, top, width, y - top);
        }
        ctx.strokeStyle = ctx.fillStyle = colour("--muted");
        for (const at of new Set([y, top])) {
          ctx.beginPath();
          ctx.moveTo(left, at);
          ctx.lineTo(left + width, at);
          ctx.stroke();
        }
        // A range has its name inside it, where no line of the grid runs through the words.
        const place = to === null ? top - 3 * devicePixelRatio : (y + top) / 2;
        ctx.textBaseline = to === null ? "bottom" : "middle";
        const range = to === null ? nats.toFixed(2) : `${nats.toFixed(2)} to ${to.toFixed(2)}`;
        ctx.fillText(`${label}, ${range}`, left + width - 4 * devicePixelRatio, place);
      }
      ctx.restore();
    },
  },
};

/** The lines, where they are switched on. The even guess is the chart's own. */
export const levelLines: Overlay = {
  plugin: () => (showLevels.value ? drawing : { hooks: {} }),
  lowest: () => (showLevels.peek() ? levels.peek().map(({ nats }) => nats - 0.1) : []),
};
