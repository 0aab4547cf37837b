"""What a sink is; the newest report no more often than it is of use; the lines that matter most."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO

import numpy as np
import trio

if TYPE_CHECKING:
    from rtre.pipeline.fanout import Subscription
    from rtre.pipeline.pipeline import PipelineStatistics
    from rtre.report import RiskReport

_NAP_S = 0.05
_GRACE_S = 0.001


class Sink(Protocol):
    """The function ``run`` of a sink's file.

    It ends when the subscription has ended and its last report is out, or when nobody reads the
    stream any more; then it closes the subscription, so that the risk task never waits for it.
    """

    async def __call__(
        self,
        reports: Subscription,
        statistics: Callable[[], PipelineStatistics],
        *,
        stream: TextIO | None = None,
        refresh_s: float = 0.5,
    ) -> None:
        """Write reports to `stream` (None: ``sys.stdout``), at most one in `refresh_s`."""


def heaviest(report: RiskReport, lines: range, most: int) -> list[int]:
    """Pick at most `most` of `lines`, those with the largest VaR at the highest confidence first.

    In their own order where all of them fit. A line without a VaR weighs nothing.
    """
    if len(lines) <= most:
        return list(lines)
    highest = int(np.argmax(report.confidences))
    var = np.nan_to_num(np.abs(report.values[lines.start : lines.stop, highest, 0]), nan=-1.0)
    return [lines[i] for i in np.argsort(-var, kind="stable")[: max(most, 0)].tolist()]


class Paced:
    """The newest report of a subscription, at most one a period; the last one without delay.

    Between two reports it naps, and the subscription conflates. Taking each report as it comes
    would be as right, and cost the loop a task switch (5 us) for every one that is thrown away.
    A nap is short, so that the end of the subscription is seen within 50 ms even where the period
    is an hour. A breach in a report that is thrown away still shows: the peaks of the next contain
    it.
    """

    def __init__(self, reports: Subscription, period_s: float) -> None:
        self._reports = reports
        self._period_s = period_s
        self._due = 0.0

    async def receive(self) -> RiskReport:
        """Wait for the period to pass and for a report; raises trio.EndOfChannel after the last."""
        report = await self._reports.receive()
        try:
            while (left := self._due - trio.current_time()) > 0.0:
                await trio.sleep(min(left, _NAP_S))
                # A deadline that has passed would not even take the report that is there.
                with trio.move_on_at(max(self._due, trio.current_time() + _GRACE_S)):
                    report = await self._reports.receive(instead_of=report)
        except trio.EndOfChannel:
            pass  # the next call raises it again
        self._due = trio.current_time() + self._period_s
        return report

    def hold_back(self, seconds: float) -> None:
        """Let no report out for so long from now, where the period alone would let one out."""
        self._due = max(self._due, trio.current_time() + seconds)
