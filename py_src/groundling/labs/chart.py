"""A line chart as SVG: text that any browser shows, with no script and nothing from elsewhere.

    svg({"hamlet": [(0, 4.17), (50, 3.31)]}, x="iteration", y="loss, nats")

Axes and words have the colour of the text around it, so it can be read on light and on dark.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]
COLOURS = "#3b7dd8", "#d1583f", "#3f9b50", "#9a5fc2", "#b8860b", "#1a9aa0", "#cf5590", "#7d8894"
WIDTH, HEIGHT = 720, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 44  # margins, in pixels
ROW = 18  # of the legend


def svg(lines: Mapping[str, Points], x: str, y: str, log: bool = False, dots: bool = False) -> str:
    """The chart of some lines by name; `log`: x is logarithmic; `dots`: each point is marked."""
    points = [point for line in lines.values() for point in line if all(map(math.isfinite, point))]
    across = math.log10 if log else float
    xs, ys = [across(a) for a, _ in points] or [0.0, 1.0], [b for _, b in points] or [0.0, 1.0]
    x_ticks, y_ticks = ticks(min(xs), max(xs)), ticks(min(ys), max(ys))
    low, high = min(y_ticks[0], *ys), max(y_ticks[-1], *ys)
    start, end = (min(xs), max(xs)) if min(xs) < max(xs) else (min(xs) - 0.5, max(xs) + 0.5)

    def at(a: float, b: float) -> tuple[float, float]:
        wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return (
            round(LEFT + (a - start) / (end - start) * wide, 1),
            round(TOP + (high - b) / (high - low) * tall, 1),
        )

    height = HEIGHT + ROW * len(lines)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(y)} by {escape(x)}" fill="none" font-family="sans-serif" '
        'font-size="12">'
    ]
    for tick in y_ticks:
        _, v = at(start, tick)
        line = f'd="M{LEFT} {v}H{WIDTH - RIGHT}"'
        out.append(f'<path stroke="currentColor" stroke-opacity=".2" {line}/>')
        out.append(_text(LEFT - 6, v + 4, f"{tick:g}", "end"))
    marks = sorted({point[0] for point in points}) if log else x_ticks
    for mark in marks:
        a = across(mark) if log else mark
        if start <= a <= end:
            out.append(_text(at(a, low)[0], HEIGHT - BOTTOM + 18, f"{mark:g}", "middle"))
    out.append(_text(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 8, x, "middle"))
    middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
    turned = f' transform="rotate(-90 14 {middle})"'
    out.append(_text(14, middle, y, "middle", turned))
    for i, (name, line) in enumerate(lines.items()):
        colour = COLOURS[i % len(COLOURS)]
        dash = ' stroke-dasharray="6 3"' if i >= len(COLOURS) else ""
        places = [at(across(a), b) for a, b in line if math.isfinite(a) and math.isfinite(b)]
        path = "L".join(f"{a} {b}" for a, b in places)
        if path:
            out.append(f'<path stroke="{colour}" stroke-width="2"{dash} d="M{path}"/>')
        if dots:
            out += [f'<circle cx="{a}" cy="{b}" r="4" fill="{colour}"/>' for a, b in places]
        row = HEIGHT + ROW * i + 6
        out.append(f'<path stroke="{colour}" stroke-width="2"{dash} d="M{LEFT} {row}h20"/>')
        out.append(_text(LEFT + 28, row + 4, name, "start"))
    return "\n".join([*out, "</svg>"])


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="currentColor"{more}>'
        f"{escape(text)}</text>"
    )


def ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round numbers, at most so many steps apart, from at or below `low` to at or above `high`."""
    span = high - low or max(abs(high), 1.0)
    step = 10 ** math.floor(math.log10(span / most))
    step = next(step * n for n in (1, 2, 5, 10, 20) if span / (step * n) <= most - 1)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]
