"""Reports and statistics made by hand, for the tests of the sinks."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from rtre.feeds.base import FeedStatistics
from rtre.figures import Horizon, TickCounts
from rtre.market import Quality
from rtre.pipeline.pipeline import PipelineStatistics
from rtre.report import RiskReport
from rtre.sheet import Sheet

AS_OF_NS = 1_772_461_800_123_000_000  # 2026-03-02 14:30:00.123 UTC
MIN_OBS = 60
NAN = float("nan")


def make_report(
    symbols: Sequence[str] = ("AAPL", "MSFT"),
    books: Sequence[str] = ("portfolio",),
    *,
    scale: Sequence[float] | None = None,
    prices: Sequence[float] | None = None,
    changes: Sequence[float] | None = None,
    exposures: Sequence[float] | None = None,
    n_obs: Sequence[int] | int = 500,
    qualities: Sequence[int] | None = None,
    confidences: tuple[float, ...] = (0.95, 0.99),
    low: float = 0.9,
    high: float = 1.2,
    se: float = 0.1,
    problems: dict[int, str] | None = None,
    sequence: int = 1,
    as_of_ns: int = AS_OF_NS,
) -> RiskReport:
    """Build a report; line i has VaR ``scale[i]`` at the first confidence, twice it at the next.

    ES is 1.25 times VaR; `low`, `high` and `se` are multiples of VaR, NaN for none.
    """
    names = (*symbols, *books)
    n, n_lines = len(symbols), len(names)
    var = np.arange(1.0, n_lines + 1.0) * 10.0 if scale is None else np.array(scale, float)
    values = np.empty((n_lines, len(confidences), 5))
    for c in range(len(confidences)):
        shape = np.array([1.0, 1.25, low, high, se]) * (c + 1.0)
        values[:, c] = var[:, None] * shape
    obs = np.full(n_lines, n_obs) if isinstance(n_obs, int) else np.array(n_obs)
    values[obs < MIN_OBS] = NAN
    flags = np.array([0] * n_lines if qualities is None else qualities, np.int64)
    flags[obs < MIN_OBS] |= int(Quality.WARMING)
    return RiskReport(
        sequence=sequence,
        as_of_ns=as_of_ns,
        model="historical",
        confidences=confidences,
        horizon=Horizon(23_400_000_000_000, 1_000_000_000, "1d of 6h30m from 1s grid, sqrt-time"),
        min_obs=MIN_OBS,
        names=names,
        index={name: i for i, name in enumerate(names)},
        n_assets=n,
        sheet=Sheet.of(
            values,
            prices=np.array(prices or [189.32 + i for i in range(n)]),
            changes=np.array(changes or [0.0001] * n),
            exposures=np.array(exposures or [1000.0 + i for i in range(n_lines)]),
            n_obs=obs.astype(np.int64),
            qualities=flags,
            received_ns=np.full(n_lines, as_of_ns - 400_000_000),
        ),
        problems=problems or {},
        outside=TickCounts(
            applied=900, conflated=70, rejected=20, late=6, quarantined=3, duplicate=1
        ),
    )


def altered(report: RiskReport, values: dict[tuple[int, ...], float]) -> RiskReport:
    """Return the report with some of its `values` replaced, by index."""
    sheet = report.sheet.copy()
    for place, value in values.items():
        sheet.values[place] = value
    return attrs.evolve(report, sheet=sheet)


def make_statistics(*feeds: FeedStatistics) -> PipelineStatistics:
    """Build statistics that differ in every field."""
    return PipelineStatistics(
        uptime_s=12.5,
        counts=TickCounts(
            applied=9000, conflated=700, rejected=20, late=6, quarantined=3, duplicate=1
        ),
        waiting=4,
        batches=8100,
        reports=8200,
        conflated_reports=8150,
        ticks_per_s=778.4,
        latency_us={"p50": 96.0, "p90": 148.0, "p99": 312.0, "max": 1840.0},
        feeds=feeds or (FeedStatistics("simulated", connected=True),),
    )
