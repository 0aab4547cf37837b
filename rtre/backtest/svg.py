"""Charts as inline SVG: a few shapes on two linear axes, and nothing that needs a script.

Colours and fonts are classes of the page's style sheet, so a chart follows light and dark. Long
series are thinned to what the width can show: lines to the mean of each pixel column, ranges to
its lowest and highest value.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rtre.backtest.prices import Dates
from rtre.market import Float64

_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 12.0, 10.0, 24.0
_TICK_YEARS = (1, 2, 5, 10, 20, 50)
_TICK_MONTHS = (1, 2, 3, 6)


def steps(low: float, high: float, count: int) -> list[float]:
    """Round numbers from `low` to `high`, about `count` of them.

    >>> steps(0.0, 0.94, 5)
    [0.0, 0.2, 0.4, 0.6, 0.8]
    """
    span = high - low
    if not span > 0.0 or not math.isfinite(span):
        return [low]
    raw = span / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def date_ticks(dates: Dates, count: int = 9) -> list[tuple[int, str]]:
    """Rows at which a year (or a month) begins, with its label; at most about `count`."""
    years = dates.astype("datetime64[Y]").astype(np.int64) + 1970
    months = dates.astype("datetime64[M]").astype(np.int64)
    if int(years[-1] - years[0]) >= 3:
        step = next((s for s in _TICK_YEARS if (years[-1] - years[0]) / s <= count), 100)
        starts = np.flatnonzero(np.diff(years, prepend=years[0]))
        return [(int(i), str(years[i])) for i in starts if years[i] % step == 0]
    step = next((s for s in _TICK_MONTHS if (months[-1] - months[0]) / s <= count), 12)
    starts = np.flatnonzero(np.diff(months, prepend=months[0] - 1))
    found = [(int(i), str(dates[i])[:7]) for i in starts if months[i] % step == 0]
    return found or [(0, str(dates[0]))]


def _number(value: float) -> str:
    return f"{value:.6g}"


class Plot:
    """One chart: set the ranges, add shapes, ask for `text`.

    Parameters
    ----------
    width, height : int
        Of the whole chart, in its own units; the page scales it.
    x, y : tuple of float
        Ranges of the data.
    title : str
        For those who cannot see it.
    """

    def __init__(
        self,
        width: int,
        height: int,
        x: tuple[float, float],
        y: tuple[float, float],
        title: str,
        left: float = _LEFT,
    ) -> None:
        self._size = (width, height)
        self._left = left
        self._x, self._y = x, y
        self._columns = max(int(width - left - _RIGHT), 1)
        self._parts = [
            f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="{html.escape(title, quote=True)}">'
        ]

    def across(self, x: npt.ArrayLike) -> Float64:
        """Horizontal place of data."""
        low, high = self._x
        width = self._size[0] - self._left - _RIGHT
        share = (np.asarray(x, np.float64) - low) / ((high - low) or 1.0)
        return np.asarray(self._left + share * width)

    def up(self, y: npt.ArrayLike) -> Float64:
        """Vertical place of data."""
        low, high = self._y
        height = self._size[1] - _TOP - _BOTTOM
        share = (np.asarray(y, np.float64) - low) / ((high - low) or 1.0)
        return np.asarray(_TOP + (1.0 - share) * height)

    def axis_y(self, unit: str = "", count: int = 5) -> None:
        """Horizontal grid lines with their values."""
        right = self._size[0] - _RIGHT
        for value in steps(*self._y, count):
            y = float(self.up(value))
            kind = "zero" if value == 0.0 else "grid"
            self._parts.append(
                f'<line class="{kind}" x1="{self._left:.0f}" x2="{right:.0f}" y1="{y:.1f}" '
                f'y2="{y:.1f}"/>'
                f'<text class="tick end" x="{self._left - 6:.0f}" y="{y + 3.5:.1f}">'
                f"{_number(value)}{html.escape(unit)}</text>"
            )

    def axis_x(self, ticks: Sequence[tuple[float, str]], *, grid: bool = False) -> None:
        """Labels along the bottom."""
        bottom = self._size[1] - _BOTTOM
        for value, label in ticks:
            x = float(self.across(value))
            top = _TOP if grid else bottom - 4.0
            self._parts.append(
                f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.0f}" y2="{bottom:.0f}"/>'
                f'<text class="tick mid" x="{x:.1f}" y="{bottom + 15:.0f}">'
                f"{html.escape(label)}</text>"
            )

    def _buckets(self, n: int) -> Float64:
        """Bounds of the pixel columns; one point each where there are fewer than columns."""
        count = min(n, self._columns)
        return np.linspace(0, n, count + 1).astype(np.int64).astype(np.float64)

    def line(self, y: Float64, kind: str) -> None:
        """Draw a series over the rows 0, 1, ...; NaN interrupts it."""
        bounds = self._buckets(len(y)).astype(np.int64)
        known = ~np.isnan(y)
        counts = np.add.reduceat(known.astype(np.float64), bounds[:-1])
        sums = np.add.reduceat(np.where(known, y, 0.0), bounds[:-1])
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.where(counts > 0.0, sums / counts, np.nan)
        xs, ys = self.across((bounds[:-1] + bounds[1:] - 1) / 2.0), self.up(means)
        path, pen = [], "M"
        for x, value in zip(xs.tolist(), ys.tolist(), strict=True):
            if math.isnan(value):
                pen = "M"
                continue
            path.append(f"{pen}{x:.1f} {value:.1f}")
            pen = "L"
        self._parts.append(f'<path class="{kind}" d="{"".join(path)}"/>')

    def bars(self, y: Float64, kind: str) -> None:
        """Draw a series as one vertical stroke a pixel column, from its lowest to its highest."""
        bounds = self._buckets(len(y)).astype(np.int64)
        low = np.fmin.reduceat(y, bounds[:-1])
        high = np.fmax.reduceat(y, bounds[:-1])
        xs = self.across((bounds[:-1] + bounds[1:] - 1) / 2.0)
        tops, ends = self.up(np.maximum(high, 0.0)), self.up(np.minimum(low, 0.0))
        path = [
            f"M{x:.1f} {top:.1f}V{end:.1f}"
            for x, top, end in zip(xs.tolist(), tops.tolist(), ends.tolist(), strict=True)
            if not (math.isnan(top) or math.isnan(end))
        ]
        self._parts.append(f'<path class="{kind}" d="{"".join(path)}"/>')

    def band(self, low: Float64, high: Float64, kind: str) -> None:
        """Fill between two series over the rows 0, 1, ..."""
        pick = np.unique(np.linspace(0, len(low) - 1, min(len(low), 200)).astype(np.int64))
        xs = self.across(pick).tolist()
        above = [f"{x:.1f} {y:.1f}" for x, y in zip(xs, self.up(high[pick]).tolist(), strict=True)]
        below = [f"{x:.1f} {y:.1f}" for x, y in zip(xs, self.up(low[pick]).tolist(), strict=True)]
        self._parts.append(
            f'<path class="{kind}" d="M{"L".join(above)}L{"L".join(reversed(below))}Z"/>'
        )

    def segment(self, start: tuple[float, float], end: tuple[float, float], kind: str) -> None:
        """Draw one straight line between two points of the data."""
        (x1, x2), (y1, y2) = self.across((start[0], end[0])), self.up((start[1], end[1]))
        self._parts.append(
            f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
        )

    def dots(
        self, x: npt.ArrayLike, y: npt.ArrayLike, kind: str, labels: Sequence[str], radius: float
    ) -> None:
        """Mark points; each label shows when it is pointed at."""
        for cx, cy, label in zip(self.across(x).tolist(), self.up(y).tolist(), labels, strict=True):
            self._parts.append(
                f'<circle class="{kind}" cx="{cx:.1f}" cy="{cy:.1f}" r="{radius:g}">'
                f"<title>{html.escape(label)}</title></circle>"
            )

    def label(self, x: float, y: float, text: str, kind: str) -> None:
        """Write beside a point of the data."""
        self._parts.append(
            f'<text class="{kind}" x="{float(self.across(x)):.1f}" '
            f'y="{float(self.up(y)) + 3.5:.1f}">{html.escape(text)}</text>'
        )

    @property
    def text(self) -> str:
        """The chart, to be put into a page."""
        return "".join((*self._parts, "</svg>"))
