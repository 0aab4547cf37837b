"""The fan-out: one report in, one to every subscriber; a slow one delays nobody.

Each subscriber has its own memory channel. By default it holds one report, and a newer one takes
the place of one that was not read in time; that is counted, and the peaks of the lost one are
carried over, since they are all that tells of a breach that is over by now. A subscriber that must
see every report asks for that, and then the risk task waits for it (its inbox conflates meanwhile),
after all others have been served.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import numpy as np
import trio

from rtre.market import Float64
from rtre.report import RiskReport

_Parcel = tuple[RiskReport, Float64 | None]  #: a report, and the peaks of those that it replaced


def _higher(one: Float64 | None, other: Float64 | None) -> Float64 | None:
    if one is None or other is None:
        return other if one is None else one
    return np.fmax(one, other)


class Subscription:
    """The reading end: ``with pipeline.subscribe() as reports: async for report in reports``.

    The `peaks` of a report that replaced others are the highest of all of them: what a reader sees
    is the highest since the report that it read before. Other subscribers' reports stay as they
    are.

    Attributes
    ----------
    conflated : int
        Reports that a newer one replaced before they were read.
    """

    def __init__(self, fanout: Fanout, *, every: bool) -> None:
        self.conflated = 0
        self.every = every
        self._fanout = fanout
        self._send, self._receive = trio.open_memory_channel[_Parcel](1)

    async def receive(self, *, instead_of: RiskReport | None = None) -> RiskReport:
        """Wait for the next report; raises trio.EndOfChannel after the last one.

        Parameters
        ----------
        instead_of : RiskReport, optional
            One that was received and that nobody will see, because the next is to be shown in its
            place: its peaks are carried over. Where no report comes it is as it was.
        """
        report, carried = await self._receive.receive()
        if instead_of is not None:
            carried = _higher(carried, instead_of.peaks)
        if carried is None or report.peaks is None:
            return report
        peaks = np.fmax(carried, report.peaks)
        if np.array_equal(peaks, report.peaks, equal_nan=True):
            return report
        return report.with_peaks(peaks)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RiskReport:
        try:
            return await self.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the subscription; whoever waits to hand it a report goes on."""
        self._receive.close()
        self._fanout._forget(self)

    def _replace(self, report: RiskReport) -> None:
        try:
            self._send.send_nowait((report, None))
        except trio.WouldBlock:
            old, carried = self._receive.receive_nowait()
            self.conflated += 1
            self._send.send_nowait((report, _higher(carried, old.peaks)))
        except trio.BrokenResourceError:
            pass  # nobody reads any more


class Fanout:
    """Hands each report to all subscribers; see `Subscription`."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []
        self._closed = False
        self._conflated = 0

    def subscribe(self, *, every: bool = False) -> Subscription:
        """Open a subscription; with `every`, publishing waits for it to take each report."""
        subscription = Subscription(self, every=every)
        if self._closed:
            subscription._send.close()
        else:
            self._subscriptions.append(subscription)
        return subscription

    async def publish(self, report: RiskReport) -> None:
        """Hand `report` to everyone; waits only for subscribers to every report."""
        for subscription in self._subscriptions:
            if not subscription.every:
                subscription._replace(report)
        for subscription in [s for s in self._subscriptions if s.every]:
            try:
                await subscription._send.send((report, None))
            except trio.BrokenResourceError:
                self._forget(subscription)  # closed while we waited

    def close(self) -> None:
        """No report will follow: subscribers end once they have read what is there."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription._send.close()

    @property
    def conflated(self) -> int:
        """Reports replaced before they were read, over all subscribers so far."""
        return self._conflated + sum(s.conflated for s in self._subscriptions)

    def _forget(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self._conflated += subscription.conflated
