"""Draw ``docs/kernels.svg``: what a tick costs against the window, one line a method.

`docs/make_benchmark_table.py` calls it.

Reads the rows with ``curve`` that the benchmarks recorded; of several runs the last one counts. The
colours follow the reader's light or dark setting, and no font or script is fetched.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

Curve = dict[int, float]  #: window to nanoseconds

WIDTH, HEIGHT = 860, 400  #: of one panel
LEFT, RIGHT, TOP, BOTTOM = 70, 252, 58, 46
GAP = 15.0  #: between two labels
PANELS = (
    ("rolling tail", "One series: 99 % VaR and ES of a sliding window", "a new value"),
    ("portfolio", "A book of 50 holdings: 99 % VaR and ES after each tick", "a tick"),
)
OURS, LIMIT, NUMPY = "rtre", "touching", "numpy"
STYLE = """
svg{--paper:#fff;--ink:#1b1f24;--soft:#5b6470;--grid:#e4e8ee;
--ours:#2563eb;--numpy:#c2410c;--limit:#0f766e;--other:#6b7280}
@media(prefers-color-scheme:dark){svg{--paper:#14171b;--ink:#e7eaee;--soft:#9aa4b1;--grid:#2a313a;
--ours:#6ea8ff;--numpy:#ff9d5c;--limit:#4fd1c5;--other:#9aa4b1}}
text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--soft)}
.title{font-size:16px;font-weight:600;fill:var(--ink)}
.grid{stroke:var(--grid);stroke-width:1}
path{fill:none;stroke-width:1.6;stroke-linejoin:round}
path.ours{stroke-width:2.8}path.limit{stroke-dasharray:6 4;stroke-width:2}
path.lead{stroke-width:.8;stroke-dasharray:none;opacity:.6}
.ours{stroke:var(--ours)}.numpy{stroke:var(--numpy)}.limit{stroke:var(--limit)}
.other{stroke:var(--other)}
circle{stroke:none}circle.ours,text.ours{fill:var(--ours)}circle.numpy,text.numpy{fill:var(--numpy)}
circle.limit,text.limit{fill:var(--limit)}circle.other,text.other{fill:var(--other)}
text.ours{font-weight:600}text.ours,text.numpy,text.limit,text.other{stroke:none}
"""


def read(lines: Iterable[str]) -> dict[str, dict[str, Curve]]:
    """Panel to method to curve, out of the recorded rows."""
    found: dict[str, dict[str, Curve]] = {name: {} for name, *_ in PANELS}
    for line in lines:
        row = json.loads(line)
        window = row.get("window", row.get("size") if row.get("by") == "window" else None)
        if row.get("curve") in found and window is not None and math.isfinite(row["ns"]):
            found[row["curve"]].setdefault(row["method"], {})[window] = row["ns"]
    return found


def kind(method: str) -> str:
    """Class of the style sheet for a method."""
    known = {OURS: "ours", LIMIT: "limit", NUMPY: "numpy"}
    return next((known[word] for word in known if method.startswith(word)), "other")


def duration(ns: float) -> str:
    """A power of ten of nanoseconds in the unit that people use.

    >>> duration(10.0), duration(1e5), duration(1e6)
    ('10 ns', '100 µs', '1 ms')
    """
    power = min(math.floor(math.log10(ns) / 3.0 + 1e-9), 3)
    return f"{ns / 1000.0**power:,.0f} {('ns', 'µs', 'ms', 's')[power]}"


def spread(wanted: list[float], low: float, high: float) -> list[float]:
    """Places for labels, `GAP` apart at least, near where they are wanted and within bounds."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    places = [min(max(y, low), high) for y in wanted]
    for _ in range(200):
        for upper, lower in pairwise(order):
            short = GAP - (places[lower] - places[upper])
            if short > 0.0:
                places[upper] = max(places[upper] - short / 2.0, low)
                places[lower] = min(places[lower] + short / 2.0, high)
    return places


class Panel:
    """One log-log chart; `top` is its upper edge in the picture."""

    def __init__(self, curves: dict[str, Curve], top: float) -> None:
        # ours are drawn last, on top of the others
        self.curves = dict(sorted(curves.items(), key=lambda c: kind(c[0]) == "ours"))
        self.top = top
        windows = sorted({w for curve in curves.values() for w in curve})
        costs = [ns for curve in curves.values() for ns in curve.values()]
        self.x = math.log10(windows[0]), math.log10(windows[-1])
        self.y = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))
        self.windows = windows
        self.bottom, self.right = top + HEIGHT - BOTTOM, WIDTH - RIGHT

    def across(self, window: float) -> float:
        """Horizontal place of a window."""
        low, high = self.x
        return LEFT + (math.log10(window) - low) / ((high - low) or 1.0) * (self.right - LEFT)

    def up(self, ns: float) -> float:
        """Vertical place of a cost."""
        low, high = self.y
        share = (math.log10(ns) - low) / ((high - low) or 1.0)
        return self.bottom - share * (self.bottom - self.top - TOP)

    def axes(self, title: str, unit: str) -> list[str]:
        """Title, grid and numbers."""
        parts = [
            text(LEFT - 50, self.top + 26, title, "title"),
            text(LEFT - 50, self.top + 45, f"time for {unit}, by rows in the window"),
        ]
        for power in range(self.y[0], self.y[1] + 1):
            y = self.up(10.0**power)
            parts.append(rule(LEFT, y, self.right, y))
            parts.append(text(LEFT - 8, y + 4.5, duration(10.0**power), anchor="end"))
        for window in self.windows:
            x = self.across(window)
            parts.append(rule(x, self.top + TOP, x, self.bottom))
            parts.append(text(x, self.bottom + 19, f"{window:,}", anchor="middle"))
        return parts

    def lines(self) -> list[str]:
        """The curves, each with its name at its right end."""
        parts = []
        ends = {m: sorted(curve.items())[-1] for m, curve in self.curves.items()}
        wanted = [self.up(ns) for _, ns in ends.values()]
        places = spread(wanted, self.top + TOP, self.bottom)
        for (method, (window, _)), own, place in zip(ends.items(), wanted, places, strict=True):
            curve, style = sorted(self.curves[method].items()), kind(method)
            points = [(self.across(w), self.up(ns)) for w, ns in curve]
            parts.append(path(points, style))
            parts += [f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>'
                      for x, y in points]  # fmt: skip
            lead = [(self.across(window) + 4, own), (self.right + 14, place)]
            parts.append(path(lead, f"lead {style}"))
            parts.append(text(self.right + 18, place + 4.5, method, style))
        return parts


def path(points: list[tuple[float, float]], style: str) -> str:
    """A line through points."""
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="{style}" d="M{steps}"/>'


def rule(x1: float, y1: float, x2: float, y2: float) -> str:
    """A line of the grid."""
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text(x: float, y: float, words: str, style: str = "tick", anchor: str = "start") -> str:
    """Words at a place."""
    return (
        f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{html.escape(words)}</text>"
    )


def picture(found: dict[str, dict[str, Curve]]) -> str:
    """The whole SVG: a panel for each kind of curve that was recorded."""
    drawn = [panel for panel in PANELS if found[panel[0]]]
    height = HEIGHT * len(drawn)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" '
        'aria-label="Cost of a tick against the window, both on logarithmic scales">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" style="fill:var(--paper)"/>',
    ]
    for j, (name, title, unit) in enumerate(drawn):
        panel = Panel(found[name], HEIGHT * j)
        parts += [*panel.axes(title, unit), *panel.lines()]
    return "\n".join([*parts, "</svg>"]) + "\n"


def draw(rows: Iterable[str]) -> None:
    """Write the picture of recorded rows."""
    Path(__file__).with_name("kernels.svg").write_text(picture(read(rows)), encoding="utf-8")
