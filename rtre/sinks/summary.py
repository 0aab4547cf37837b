"""The closing words of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from rtre.sinks.log import estimates
from rtre.sinks.standings import closing
from rtre.sinks.text import clean, latency

if TYPE_CHECKING:
    from rtre.pipeline.pipeline import PipelineStatistics
    from rtre.report import RiskReport


def outcomes(statistics: PipelineStatistics) -> list[tuple[str, int]]:
    """What became of the ticks, and of how many: ``[("applied", 1200), ("late", 3), ...]``."""
    fields = attrs.asdict(statistics.counts) | {"waiting": statistics.waiting}
    first = ("applied", "conflated", "rejected")
    names = (*first, *(name for name in fields if name not in first))
    return [(name, fields[name]) for name in names]


def summary(statistics: PipelineStatistics, last_report: RiskReport | None) -> str:
    """Return what a run did, in some lines of text: ticks, reports, last risk, live backtests.

    Books whose tails are kept by touching every scenario at the end are named.

    Parameters
    ----------
    statistics : PipelineStatistics
        At the end.
    last_report : RiskReport or None
        None where there was none.
    """
    s = statistics
    ticks = ", ".join(f"{n:,} {name}" for name, n in outcomes(s))
    past = f" after {s.history:,} of history" if s.history else ""
    lines = [
        f"{s.counts.received + s.waiting:,} ticks in {s.uptime_s:,.1f} s "
        f"({s.ticks_per_s:,.1f} ticks/s{past}): {ticks}"
    ]
    reports = f"{s.reports:,} reports ({s.conflated_reports:,} conflated)"
    if s.latency_us:
        reports += ", tick to report " + ", ".join(
            f"{name} {latency(s.latency_us[name])}" for name in ("p50", "p99", "max")
        )
    lines.append(reports)
    if touched := [clean(book.name) for book in s.books if book.touched]:
        lines.append(f"books that touch every scenario (exact, but slower): {', '.join(touched)}")
    if last_report is not None:
        lines += [
            f"{clean(book.name)} {estimates(book)} {book.quality.label} "
            f"({clean(book.model)}, {last_report.horizon.label})"
            for book in last_report.books
        ]
        lines += closing(last_report)
    return "\n".join(lines)
