// The marks on the loss curve where the run took on other code: a thin line with a numbered flag.

import type uPlot from "uplot";
import type { Overlay } from "../run/Chart";
import { edits } from "./state";
import { colour } from "../ui/theme";

const FLAG = 15; // CSS pixels

function plugin(): uPlot.Plugin {
  const drawn = edits.value;
  const ink = colour("--edit");
  const onInk = colour("--card");
  const font = getComputedStyle(document.body).fontFamily;
  return {
    hooks: {
      draw(plot) {
        const { ctx, bbox } = plot;
        const unit = devicePixelRatio;
        ctx.save();
        ctx.textAlign = "center";
        ctx.textBaseline = "middle";
        ctx.font = `600 ${10.5 * unit}px ${font}`;
        let [last, row] = [-Infinity, 0];
        drawn.forEach(({ iter }, n) => {
          const x = plot.valToPos(iter, "x", true);
          if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) return;
          row = x - last < (FLAG + 1) * unit ? (row + 1) % 4 : 0; // side by side they would overlap
          last = x;
          const top = bbox.top + row * (FLAG + 1) * unit;
          ctx.fillStyle = ink;
          ctx.fillRect(x - unit / 2, top, unit, bbox.top + bbox.height - top);
          ctx.beginPath();
          ctx.roundRect(x - (FLAG / 2) * unit, top, FLAG * unit, FLAG * unit, 3 * unit);
          ctx.fill();
          ctx.fillStyle = onInk;
          ctx.fillText(String(n + 1), x, top + (FLAG / 2 + 0.5) * unit);
        });
        ctx.restore();
      },
    },
  };
}

export const marks: Overlay = { plugin };
