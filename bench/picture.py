"""A comparison as SVG: a panel a measure, a row a way, a dot a repetition, a line the median."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from xml.sax.saxutils import escape

ROW = 26  # height of a way
LABELS = 252  # width of their names
PANEL = 250  # width of the axis
NUMBER = 58  # width of the median's number beside it
COLUMNS = 3
TOP, TITLE, FOOT, MARGIN = 64, 30, 48, 18

STYLE = """\
text { font: 13px sans-serif; fill: #1f2328 }
.title { font-size: 17px; font-weight: bold }
.small { font-size: 11px; fill: #59636e }
.number { font-weight: bold; text-anchor: end }
.tick { font-size: 11px; fill: #59636e; text-anchor: middle }
.panel { font-weight: bold }
.paper { fill: #ffffff }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.axis { stroke: #59636e; stroke-width: 1 }
.dot { fill: #0969da; fill-opacity: 0.65 }
.median { stroke: #bc4c00; stroke-width: 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .small, .tick { fill: #a5adb8 }
  .paper { fill: #0d1117 }
  .grid { stroke: #30363d }
  .axis { stroke: #a5adb8 }
  .dot { fill: #58a6ff }
  .median { stroke: #ffa657 }
}"""


@dataclass(frozen=True)
class Panel:
    """`rows` are the repetitions of each way; `ratio`: numbers from 1 up, whose range may be wide."""

    title: str
    unit: str
    rows: Sequence[Sequence[float]]
    ratio: bool = False


def svg(title: str, remarks: Sequence[str], labels: Sequence[str], panels: Sequence[Panel]) -> str:
    """The picture as text."""
    columns = min(COLUMNS, len(panels))
    height = TITLE + ROW * len(labels) + FOOT
    width = LABELS + columns * (PANEL + NUMBER + MARGIN) + MARGIN
    bottom = TOP + 16 * len(remarks) - 16
    total = bottom + height * math.ceil(len(panels) / columns) + MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{total}" viewBox="0 0 {width} {total}">',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{total}"/>',
        _text(MARGIN, 28, title, "title"),
    ]
    out += [_text(MARGIN, 48 + 16 * number, remark, "small") for number, remark in enumerate(remarks)]
    for number, panel in enumerate(panels):
        column, top = number % columns, bottom + height * (number // columns)
        if column == 0:
            out += [_text(MARGIN, _middle(top, row) + 4, label) for row, label in enumerate(labels)]
        out += _panel(panel, LABELS + column * (PANEL + NUMBER + MARGIN), top)
    return "\n".join([*out, "</svg>\n"])


def _panel(panel: Panel, left: float, top: float) -> list[str]:
    values = [value for row in panel.rows for value in row]
    logarithmic = panel.ratio and max(values, default=1) > 20
    first = 1.0 if panel.ratio else 0.0
    if logarithmic:
        ticks = _powers(max(values))
    else:
        ticks = [first + tick for tick in _ticks(max(values, default=first) - first)]

    def x(value: float) -> float:
        if logarithmic:
            return left + PANEL * math.log10(max(value, 1)) / math.log10(ticks[-1])
        return left + PANEL * max(value - first, 0) / (ticks[-1] - first)

    floor = top + TITLE + ROW * len(panel.rows)
    out = [_text(left, top + TITLE - 10, panel.title, "panel")]
    for tick in ticks:
        style = "axis" if tick == first else "grid"
        out.append(f'<line class="{style}" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top + TITLE}" y2="{floor + 4}"/>')
        out.append(_text(x(tick), floor + 17, number(tick), "tick"))
    scale = ", logarithmic" if logarithmic else ""
    out.append(_text(left + PANEL / 2, floor + 32, panel.unit + scale, "tick"))
    out.append(f'<line class="axis" x1="{left}" x2="{left + PANEL}" y1="{floor}" y2="{floor}"/>')
    for row, repetitions in enumerate(panel.rows):
        middle = _middle(top, row)
        if not repetitions:
            out.append(_text(left + 6, middle + 4, "not measured", "small"))
            continue
        out += [
            # Equal repetitions beside each other, not on top.
            f'<circle class="dot" cx="{x(value):.1f}" cy="{middle + (index % 3 - 1) * 4}" r="3.5"/>'
            for index, value in enumerate(repetitions)
        ]
        at = x(median(repetitions))
        out.append(f'<line class="median" x1="{at:.1f}" x2="{at:.1f}" y1="{middle - 10}" y2="{middle + 10}"/>')
        out.append(_text(left + PANEL + NUMBER, middle + 4, number(median(repetitions)), "number"))
    return out


def number(value: float) -> str:
    """Few digits: 0.042, 3.69, 31.7, 958, 12.9k."""
    for unit, sign in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit * 0.9995 and (sign == "M" or abs(value) >= 9999.5):
            return f"{value / unit:.3g}{sign}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.3f}".rstrip("0").rstrip(".")


def _middle(top: float, row: int) -> float:
    return top + TITLE + ROW * row + ROW / 2


def _ticks(highest: float) -> list[float]:
    """From 0 to at least the highest value, in steps of 1, 2 or 5 times a power of ten."""
    if highest <= 0:
        return [0.0, 1.0]
    rough = highest / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough * 0.999)
    return [step * count for count in range(math.ceil(highest / step - 1e-9) + 1)]


def _powers(highest: float) -> list[float]:
    return [10.0**power for power in range(math.ceil(math.log10(highest)) + 1)]


def _text(x: float, y: float, text: str, style: str = "") -> str:
    style = f' class="{style}"' if style else ""
    return f'<text{style} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
