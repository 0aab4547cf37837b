"""The three charts of a backtest: forecasts, counts and severity."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from rtre.backtest.judge import Verdict
from rtre.backtest.rolling import LineForecasts
from rtre.backtest.svg import Plot, date_ticks, steps
from rtre.market import Float64
from rtre.order import tail_probability

WIDTH = 1080
#: Model number m is drawn in colour ``c{m % COLOURS}`` of the style sheet.
COLOURS = 8


def colour(m: int) -> str:
    """Class of model number `m`."""
    return f"c{m % COLOURS}"


def _in_percent(forecasts: LineForecasts, values: Float64) -> Float64:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(forecasts.gross > 0.0, 100.0 * values / forecasts.gross, np.nan))


def _finite(values: Float64) -> Float64:
    return np.asarray(np.where(np.isfinite(values), values, np.nan))


def forecast_range(forecasts: LineForecasts, c: int) -> tuple[float, float]:
    """Range of the P&L and of what VaR and ES make visible, for all models alike, in per cent."""
    pnl = _in_percent(forecasts, -forecasts.losses)
    shown = [pnl]
    for m in range(len(forecasts.var)):
        depth = _finite(_in_percent(forecasts, -forecasts.es[m, :, c]))
        known = depth[~np.isnan(depth)]
        if len(known):  # an ES out of all proportion is cut off, it must not flatten the rest
            shown.append(np.array([float(np.quantile(known, 0.005)) * 1.05]))
    everything = np.concatenate(shown)
    if np.isnan(everything).all():
        return -1.0, 1.0
    low, high = float(np.nanmin(everything)), float(np.nanmax(everything))
    pad = 0.05 * ((high - low) or 1.0)
    return low - pad, high + pad


def forecast_chart(
    forecasts: LineForecasts, verdict: Verdict, m: int, c: int, y: tuple[float, float]
) -> str:
    """P&L of each row with the VaR and ES that were forecast for it, and the exceedances."""
    n = len(forecasts.losses)
    title = f"{verdict.model}: P&L, VaR and ES at {verdict.confidence:g} of {forecasts.name}"
    plot = Plot(WIDTH, 230, (-0.5, n - 0.5), y, title)
    plot.axis_y("%")
    plot.axis_x([(float(i), label) for i, label in date_ticks(forecasts.dates)])
    pnl = _in_percent(forecasts, -forecasts.losses)
    var = _finite(_in_percent(forecasts, -forecasts.var[m, :, c]))
    es = _finite(_in_percent(forecasts, -forecasts.es[m, :, c]))
    plot.bars(pnl, "pnl")
    plot.line(np.clip(es, *y), f"es {colour(m)}")
    plot.line(np.clip(var, *y), f"var {colour(m)}")
    rows = np.flatnonzero(verdict.hits)
    labels = [
        f"{forecasts.dates[i]}: {pnl[i]:.2f}%, VaR {-var[i]:.2f}%, ES {-es[i]:.2f}%" for i in rows
    ]
    plot.dots(rows, pnl[rows], "hit", labels, 3.0 if len(rows) < 120 else 2.3)
    return plot.text


def count_chart(forecasts: LineForecasts, verdicts: tuple[Verdict, ...], confidence: float) -> str:
    """Exceedances added up, against what a right model has, with its 95 % band at each row."""
    n = len(forecasts.losses)
    tail = float(tail_probability(confidence))
    so_far = np.arange(1.0, n + 1.0)
    low, high = (np.asarray(stats.binom.ppf(q, so_far, tail), np.float64) for q in (0.025, 0.975))
    counts = [np.cumsum(v.hits).astype(np.float64) for v in verdicts]
    top = max([float(high[-1]), *(float(c[-1]) for c in counts)]) * 1.05 + 1.0
    plot = Plot(WIDTH // 2, 300, (0.0, n - 1.0), (0.0, top), f"exceedances of {forecasts.name}")
    plot.axis_y()
    plot.axis_x([(float(i), label) for i, label in date_ticks(forecasts.dates, 5)])
    plot.band(low, high, "band")
    plot.segment((0.0, tail), (n - 1.0, n * tail), "expected")
    for m, count in enumerate(counts):
        plot.line(count, f"step {colour(m)}")
    return plot.text


def severity_chart(forecasts: LineForecasts, verdicts: tuple[Verdict, ...], c: int) -> str:
    """How far the exceedances went: loss over VaR, a row of dots a model.

    The long tick is the mean of the dots, the short one what ES over VaR had promised.
    """
    ratios, promised = [], []
    for m, verdict in enumerate(verdicts):
        var, es = forecasts.var[m, :, c], forecasts.es[m, :, c]
        usable = verdict.hits & (var > 0.0)
        ratios.append((np.flatnonzero(usable), forecasts.losses[usable] / var[usable]))
        share = es[usable] / var[usable]
        promised.append(float(np.mean(share)) if len(share) and np.isfinite(share).all() else None)
    top = max([1.5, *(float(r.max()) for _, r in ratios if len(r))]) * 1.03
    rows = len(verdicts)
    height = max(300, 40 + 34 * rows)
    left = 20.0 + 6.4 * min(max(len(v.model) for v in verdicts), 24)
    plot = Plot(
        WIDTH // 2, height, (1.0, top), (rows - 0.5, -0.5), "loss over VaR of the exceedances", left
    )
    plot.axis_x([(x, f"{x:g}x") for x in steps(1.0, top, 5)], grid=True)
    spread = np.random.default_rng(0)
    for m, (where, ratio) in enumerate(ratios):
        plot.label(1.0, m, _short(verdicts[m].model), "tick row")
        jitter = m + spread.uniform(-0.26, 0.26, len(ratio))
        labels = [
            f"{forecasts.dates[i]}: {r:.2f} times VaR"
            for i, r in zip(where, ratio.tolist(), strict=True)
        ]
        plot.dots(ratio, jitter, f"dot {colour(m)}", labels, 2.6)
        if len(ratio):
            mean = float(np.mean(ratio))
            plot.segment((mean, m - 0.42), (mean, m + 0.42), "mean")
        if promised[m] is not None and math.isfinite(promised[m] or math.nan):
            expected = min(float(promised[m] or 1.0), top)
            plot.segment((expected, m - 0.3), (expected, m + 0.3), "promise")
    return plot.text


def _short(text: str) -> str:
    return text if len(text) <= 24 else text[:23] + "…"
