// Lines on the loss curve, each with its name: what a loss there would mean.

import type uPlot from "uplot";
import type { Overlay } from "../run/Chart";
import { levels, rangeOf, showLevels } from "./state";
import { drawLevel } from "../ui/Plot";

const drawing: uPlot.Plugin = {
  hooks: {
    drawClear: (plot) => {
      for (const { name, label, nats, to } of levels.peek()) {
        if (name === "uniform") continue;
        drawLevel(plot, `${label}, ${rangeOf(nats, to)}`, nats, to ?? nats);
      }
    },
  },
};

/** The lines, where they are switched on. The even guess is the chart's own. */
export const levelLines: Overlay = {
  plugin: () => (showLevels.value ? drawing : { hooks: {} }),
  lowest: () => (showLevels.peek() ? levels.peek().map(({ nats }) => nats - 0.1) : []),
};
