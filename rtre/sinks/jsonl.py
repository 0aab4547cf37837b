"""Reports as JSON, one object a line: the schema of `RiskReport.to_dict`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TextIO

import msgspec

from rtre.sinks.lines import StreamWriter, write_lines

if TYPE_CHECKING:
    from rtre.pipeline.fanout import Subscription
    from rtre.pipeline.pipeline import PipelineStatistics
    from rtre.report import RiskReport


def line(report: RiskReport) -> str:
    """Return `report` as one line of JSON, without its end; keys are always in the same order.

    There is no NaN and no Infinity in it: JSON has neither. A VaR, ES or e-value without bound
    is the string ``"inf"``; any other number that is not finite is null.
    """
    return msgspec.json.encode(report.to_dict()).decode()


async def run(
    reports: Subscription,
    statistics: Callable[[], PipelineStatistics],
    *,
    stream: TextIO | None = None,
    refresh_s: float = 0.5,
) -> None:
    """Write reports to `stream` as UTF-8; see `rtre.sinks.base.Sink`.

    Each line is written out at once. A subscription to `every` report gets a line for each, and
    then a slow reader slows the risk task down; any other gets at most one in `refresh_s`.
    `statistics` is not asked: a report carries its counts.
    """
    writer = StreamWriter(stream, "utf-8")
    await write_lines(reports, lambda report: partial(line, report), writer, refresh_s)
