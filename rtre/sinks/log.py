"""Reports as lines for people, where there is no terminal to draw a table on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TextIO

import trio

from rtre.market import Quality
from rtre.sinks.base import heaviest
from rtre.sinks.lines import StreamWriter, write_lines
from rtre.sinks.text import clean, level, money, price, utc

if TYPE_CHECKING:
    from rtre.feeds.base import FeedStatistics
    from rtre.figures import LineReport
    from rtre.pipeline.fanout import Subscription
    from rtre.pipeline.pipeline import PipelineStatistics
from rtre.report import RiskReport

_MIN_PERIOD_S = 1.0
_MOST_SYMBOLS = 4
_MOST_BOOKS = 3


def estimates(of: LineReport, *, highest: bool = False) -> str:
    """Format VaR and ES at each confidence, or what keeps them away; always says "VaR".

    ``VaR95 1.56 ES95 2.04 VaR99 2.31 ES99 2.98``, or ``VaR WARMING 12/60``.
    """
    if not of.estimates:
        if of.n_obs < of.min_obs:
            return f"VaR WARMING {of.n_obs}/{of.min_obs}"
        unknown = "" if Quality.WARMING in of.quality else "unknown: "
        return f"VaR {unknown}{clean(of.problem)}"
    found = sorted(of.estimates, key=lambda e: e.confidence)[-1 if highest else 0 :]
    return " ".join(
        f"VaR{level(e.confidence)} {money(e.var)} ES{level(e.confidence)} {money(e.es)}"
        for e in found
    )


def line(report: RiskReport, feeds: Sequence[FeedStatistics] = ()) -> str:
    """Return `report` as one line, without its end: time, books, then the heaviest symbols.

    Those of `feeds` that have no connection are named at the end, with their notice.
    """
    symbols, books = range(report.n_assets), range(report.n_assets, len(report))
    parts = []
    for book in map(report.line, heaviest(report, books, _MOST_BOOKS)):
        parts.append(f"{clean(book.name)} {estimates(book)} {book.quality.label}")
    if len(books) > _MOST_BOOKS:
        parts.append(f"+{len(books) - _MOST_BOOKS} more books")
    for symbol in map(report.line, heaviest(report, symbols, _MOST_SYMBOLS)):
        parts.append(f"{symbol.name} {price(symbol.price)} {estimates(symbol, highest=True)}")
    if len(symbols) > _MOST_SYMBOLS:
        parts.append(f"+{len(symbols) - _MOST_SYMBOLS} more")
    parts += [
        f"{clean(feed.name)} down: {clean(feed.notice)}"
        for feed in feeds
        if feed.notice and not feed.connected
    ]
    return f"{utc(report.as_of_ns)} " + " | ".join(parts)


class _Feeds:
    """The feeds, asked for at most once a second: statistics cost more than a line."""

    def __init__(self, statistics: Callable[[], PipelineStatistics]) -> None:
        self._statistics = statistics
        self._next = -math.inf
        self._feeds: tuple[FeedStatistics, ...] = ()

    def __call__(self) -> tuple[FeedStatistics, ...]:
        if trio.current_time() >= self._next:
            self._next = trio.current_time() + _MIN_PERIOD_S
            self._feeds = self._statistics().feeds
        return self._feeds


async def run(
    reports: Subscription,
    statistics: Callable[[], PipelineStatistics],
    *,
    stream: TextIO | None = None,
    refresh_s: float = 0.5,
) -> None:
    """Write reports to `stream` as text; see `rtre.sinks.base.Sink`.

    Each line is written out at once. A subscription to `every` report gets a line for each, and
    then a slow reader slows the risk task down; any other gets at most one in `refresh_s` or in a
    second, whichever is longer.
    """
    feeds = _Feeds(statistics)
    period_s = max(refresh_s, _MIN_PERIOD_S)
    await write_lines(
        reports, lambda report: partial(line, report, feeds()), StreamWriter(stream), period_s
    )
