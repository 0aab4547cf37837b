"""The live backtest as people read it: a line for one model, a table where several compete."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rtre.sinks.columns import GAP, Cell, Column
from rtre.sinks.text import MISSING, clean, level

if TYPE_CHECKING:
    from rtre.report import RiskReport
    from rtre.track import Standing, Track

_MOST_LINES = 3  #: in the closing words


def shown(report: RiskReport, most: int = 1) -> list[str]:
    """Pick the tracked lines to show: books before symbols, the largest VaR first."""
    if report.track is None:
        return []
    highest = int(np.argmax(report.confidences))
    at = [report.index[name] for name in report.track]
    var = np.nan_to_num(np.abs(report.values[at, highest, 0]), nan=-1.0)
    order = sorted(range(len(at)), key=lambda j: (at[j] < report.n_assets, -var[j]))
    return [report.names[at[j]] for j in order[:most]]


def competes(track: Track, line: str) -> bool:
    """Whether several models forecast a line."""
    return len({standing.model for standing in track[line]}) > 1


def state(track: Track, line: str) -> str:
    """Return the live backtest of a line's only model, one phrase a confidence.

    ``backtest of portfolio, 1s ahead: 95% 12 of 10.5 expected in 210, green``
    """
    parts = []
    for s in track[line]:
        text = f"{level(s.confidence)}% "
        if not s.n:
            parts.append(text + _waiting(s))
            continue
        text += f"{s.exceedances:,} of {_expected(s)} expected in {s.n:,}, {s.zone}"
        parts.append(text + (f", e-value {wealth(s.e_value)}" if s.e_value >= 20.0 else ""))
    return f"backtest of {clean(line)}, {_ahead(track)}: {'; '.join(parts)}"


def _waiting(standing: Standing) -> str:
    if standing.masked:
        return f"{standing.masked:,} forecasts without an outcome"
    return "no forecast yet"


def _expected(standing: Standing) -> str:
    """One decimal; below one, two digits that count: 0.02 is not 0.0."""
    value = standing.expected
    if value >= 1.0 or not value > 0.0:
        return f"{value:,.1f}"
    return f"{value:.2g}" if value >= 1e-4 else f"{value:.0e}"


def _ahead(track: Track) -> str:
    seconds = track.interval_ns / 1e9
    if seconds < 60.0:
        return f"{seconds:g}s ahead"
    return f"{seconds / 60.0:g}m ahead" if seconds < 3600.0 else f"{seconds / 3600.0:g}h ahead"


def wealth(value: float) -> str:
    """Format an e-value.

    >>> wealth(0.604), wealth(240.2), wealth(1e9), wealth(math.inf)
    ('0.60', '240', '1e+09', '∞')
    """
    if math.isinf(value):
        return "∞"
    if value >= 1e5 or 0.0 < value < 0.005:
        return f"{value:.0e}"
    return f"{value:.2f}" if value < 10.0 else f"{value:.0f}"


def title(track: Track, line: str, confidence: float) -> str:
    """Say what a table of standings is about."""
    return f"models on {clean(line)}, {_ahead(track)}, {level(confidence)}%, best by FZ0 first"


def standing_columns(standings: Sequence[Standing]) -> list[Column]:
    """Fill the columns of the table, a row a standing; see `rtre.sinks.columns.Column`."""

    def cells(texts: Sequence[str], styles: Sequence[str] | None = None) -> tuple[Cell, ...]:
        return tuple(zip(texts, styles or [""] * len(texts), strict=True))

    beyond = [f"{s.exceedances:,}/{_expected(s)}" if s.n else MISSING for s in standings]
    return [
        Column("model", "", 0, cells([clean(s.model) for s in standings]), True),
        Column("n", "scored intervals", 30, cells([f"{s.n:,}" for s in standings])),
        Column("beyond VaR", "exceedances", 5, cells(beyond)),
        Column(
            "zone", "zone", 20,
            # a zone is named as its colour is
            cells([s.zone or MISSING for s in standings], [s.zone or "dim" for s in standings]),
            True,
        ),
        Column(
            "e-value", "e-value", 40,
            cells([wealth(s.e_value) for s in standings],
                  ["red" if s.e_value >= 20.0 else "" for s in standings]),
        ),
        Column("FZ0", "mean score", 15, cells([_score(s.fz0) for s in standings])),
        Column("behind (95%)", "difference to the best", 10,
               cells([_behind(s) for s in standings]), True),
    ]  # fmt: skip


def _score(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"


def _behind(s: Standing) -> str:
    if s.place == 1:
        return "best"
    if s.behind is None:
        return _waiting(s) if not s.n else "not scored"
    text = f"{s.behind:+.3f}"
    if s.behind_low is not None and s.behind_high is not None:
        text += f" ({s.behind_low:+.3f} to {s.behind_high:+.3f})"
    return text


def closing(report: RiskReport) -> list[str]:
    """Return the live backtests of the heaviest lines as text, for the end of a run."""
    track, lines = report.track, []
    if track is None:
        return []
    for name in shown(report, _MOST_LINES):
        if not competes(track, name):
            lines.append(state(track, name))
            continue
        for confidence in track.confidences:
            kept = standing_columns(track.at(name, confidence))
            lines.append(title(track, name, confidence))
            lines.append("  " + (" " * GAP).join(c.pad(c.header) for c in kept).rstrip())
            for row in range(len(kept[0].cells)):
                texts = (c.pad(c.cells[row][0]) for c in kept)
                lines.append("  " + (" " * GAP).join(texts).rstrip())
    if len(track.lines) > _MOST_LINES:
        lines.append(f"and {len(track.lines) - _MOST_LINES:,} more lines with a backtest")
    return lines
