"""The inbox: feeds write at any speed, the risk task takes all there is at its own.

A memory channel carries the items. When it is full the feed does not wait, because a reader that
blocks stops answering pings and is cut off: items pile up beside the channel, and past a bound the
pile is conflated to one tick of each asset and grid interval, the newest that the engine could use.
What is merged away is counted. The pile is gone through only when it has doubled, so what a put
costs in the feed's task does not grow with it.

What that costs: prices within an interval, and with them peaks of VaR. The prices at which
intervals close are those that the engine would have come to by itself, with one exception: whether
a price is an outlier is not known here, so one may stand for its interval, and the engine then
quarantines it and has no close there. If a tick of each interval is still too much, one of each
asset stays, and whole intervals are lost: their returns are masked, as after any gap.

A connection that goes down or up stands between two ticks, and must go on doing so, since the
return across it is masked. Where such changes are too many, or keep too many ticks apart, they are
folded (`rtre.pipeline.conflation.fold`): more is marked as a gap then, never less.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from rtre.market import FeedItem, LinkChange, TickBatch
from rtre.pipeline.conflation import LEAD_NS, conflate, fold, merge

_MANY_ITEMS = 1024  #: in the pile, before neighbouring batches are joined
_MANY_CHANGES = 256  #: in the pile, before they are folded


class Inbox:
    """A bounded queue of batches and link changes with one reader and any number of writers.

    Parameters
    ----------
    interval_ns : int
        Grid interval, for conflation.
    max_items : int
        Items in the channel.
    max_ticks : int
        Ticks that may wait beside a full channel before they are conflated. Where that leaves more
        than half, which is three of each asset at most, up to twice as many as were left.
    lead_ns : int
        How far event time may be ahead of the receipt; see `conflate`.

    Attributes
    ----------
    conflated : int
        Ticks merged away so far.
    waiting : int
        Ticks written and not yet taken.
    """

    def __init__(
        self,
        interval_ns: int,
        *,
        max_items: int = 64,
        max_ticks: int = 65_536,
        lead_ns: int = LEAD_NS,
    ) -> None:
        self._send, self._receive = trio.open_memory_channel[FeedItem](max_items)
        self._interval_ns = interval_ns
        self._max_ticks = max_ticks
        self._lead_ns = lead_ns
        self._pile: list[FeedItem] = []
        self._piled = 0
        self._full, self._crowded = max_ticks, _MANY_ITEMS  # more than this, and it is tidied up
        self.conflated = 0
        self.waiting = 0

    @contextmanager
    def writer(self) -> Iterator[InboxWriter]:
        """Open a writing end. The inbox ends once all are closed and `no_more_writers` was said."""
        with self._send.clone() as channel:
            yield InboxWriter(self, channel)

    def no_more_writers(self) -> None:
        """Say that no further writer will be opened."""
        self._send.close()

    def _put_beside(self, item: FeedItem) -> None:
        if isinstance(item, TickBatch):
            if not len(item):
                return  # nothing is nothing to wait for, and a list of it could grow
            self._piled += len(item)
        self._pile.append(item)
        if self._piled > self._full or len(self._pile) > self._crowded:
            self._tidy()

    def _tidy(self) -> None:
        """Join, and where that is not enough merge away, the gentlest way first."""
        self._pile = merge(self._pile)
        changes = sum(isinstance(item, LinkChange) for item in self._pile)
        if changes > _MANY_CHANGES:
            self._keep(fold(self._pile, self._lead_ns))
        if self._piled > self._full:
            half = self._max_ticks // 2  # or conflating again would be due at every second put
            self._conflate(self._interval_ns)
            if changes and self._piled > half:
                self._keep(fold(self._pile, self._lead_ns))
                self._conflate(self._interval_ns)
            if self._piled > half:
                self._conflate(None)
            self._full = max(self._max_ticks, 2 * self._piled)
        self._crowded = max(_MANY_ITEMS, 2 * len(self._pile))

    def _conflate(self, interval_ns: int | None) -> None:
        self._keep([
            conflate(item, interval_ns, self._lead_ns) if isinstance(item, TickBatch) else item
            for item in self._pile
        ])  # fmt: skip

    def _keep(self, pile: list[FeedItem]) -> None:
        """Go on with what is left of the pile, and count what is not."""
        before = self._piled
        self._pile = pile
        self._piled = sum(len(item) for item in pile if isinstance(item, TickBatch))
        self.conflated += before - self._piled
        self.waiting -= before - self._piled

    async def receive(self) -> list[FeedItem]:
        """Wait for an item, then take all that are there; neighbouring batches come joined.

        Raises
        ------
        trio.EndOfChannel
            All writers are closed and everything was taken.
        """
        items = [await self._receive.receive()]
        try:
            while True:
                items.append(self._receive.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            pass
        if self._pile:
            items += self._pile
            self._pile, self._piled = [], 0
            self._full, self._crowded = self._max_ticks, _MANY_ITEMS
        return merge(self._taken(items))

    async def receive_one(self) -> list[FeedItem]:
        """Wait for one item and take only that: the batches of a replay must stay as they are."""
        return self._taken([await self._receive.receive()])

    def _taken(self, items: list[FeedItem]) -> list[FeedItem]:
        self.waiting -= sum(len(item) for item in items if isinstance(item, TickBatch))
        return items


class InboxWriter:
    """A writing end of an `Inbox`: the `rtre.feeds.base.TickChannel` of a feed."""

    def __init__(self, inbox: Inbox, channel: trio.MemorySendChannel[FeedItem]) -> None:
        self._inbox = inbox
        self._channel = channel

    def send_nowait(self, item: FeedItem) -> None:
        """Hand `item` on without ever blocking."""
        self._count(item)
        if self._inbox._pile:  # the channel is full, and order must hold
            self._inbox._put_beside(item)
            return
        try:
            self._channel.send_nowait(item)
        except trio.WouldBlock:
            self._inbox._put_beside(item)

    async def send(self, item: FeedItem) -> None:
        """Hand `item` on, waiting for room."""
        self._count(item)
        await self._channel.send(item)

    def _count(self, item: FeedItem) -> None:
        if isinstance(item, TickBatch):
            self._inbox.waiting += len(item)
