"""The inbox: feeds write at any speed, the risk task takes all there is at its own.

A memory channel carries the items. When it is full the feed does not wait, because a reader that
blocks stops answering pings and is cut off: items pile up beside the channel, and past a bound the
pile is conflated to one tick of each asset and grid interval, the newest that the engine could use.
What is merged away is counted.

What that costs: prices within an interval, and with them peaks of VaR. The prices at which
intervals close are those that the engine would have come to by itself, with one exception: whether
a price is an outlier is not known here, so one may stand for its interval, and the engine then
quarantines it and has no close there. If a tick of each interval is still too much, one of each
asset stays, and whole intervals are lost: their returns are masked, as after any gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import trio

from rtre.kernels.layout import HIGHEST_PRICE, LOWEST_PRICE
from rtre.market import FeedItem, Int64, TickBatch

_LEAD_NS = 5_000_000_000
_NEVER = np.iinfo(np.int64).min

Mask = npt.NDArray[np.bool_]


def conflate(batch: TickBatch, interval_ns: int | None, lead_ns: int = _LEAD_NS) -> TickBatch:
    """Keep the newest tick of each asset and grid interval (None: of each asset), in order.

    Newest by event time, and of equal times the last to arrive. A tick that the engine would
    refuse, for its price, for its time, or for being older than one before it, goes into the usable
    one of its asset before it: without that one a late tick would look like a new price. If there
    is none before it, it stays only where its interval has no better one.

    Parameters
    ----------
    batch : TickBatch
        Not changed.
    interval_ns : int or None
    lead_ns : int
        How far event time may be ahead of the receipt.

    >>> batch = TickBatch.of([0, 1, 0, 0, 0], [1.0, 2.0, 3.0, 4.0, 5.0], [10, 11, 12, 25, 24])
    >>> conflate(batch, 20).price
    array([2., 3., 4.])
    >>> conflate(batch, None).price
    array([2., 4.])
    """
    asset, (good, time) = batch.asset, _usable(batch, lead_ns)
    interval = np.zeros_like(asset) if interval_ns is None else time // interval_ns
    # Stable, so the last of a group is the last to arrive, of the usable ones where there are any:
    # none of those is older than one before it. Sorting columns, no key can overflow.
    order = np.lexsort((good, interval, asset))
    ends = np.ones(len(order), np.bool_)
    ends[:-1] = (np.diff(asset[order]) != 0) | (np.diff(interval[order]) != 0)
    return batch.take(np.sort(order[ends]))


def _usable(batch: TickBatch, lead_ns: int) -> tuple[Mask, Int64]:
    """Whether the engine would take each tick, as far as the batch tells, and where it belongs.

    The second is the event time of the newest usable tick of the asset up to here, or the tick's
    own where there is none yet.
    """
    event, price = batch.ts_event_ns, batch.price
    good = (price >= LOWEST_PRICE) & (price <= HIGHEST_PRICE) & (event > 0)
    good[good] = event[good] - lead_ns <= batch.ts_init_ns[good]
    time = event.copy()
    order = np.argsort(batch.asset, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(batch.asset[order])) + 1):
        newest = np.maximum.accumulate(np.where(good[own], event[own], _NEVER))
        good[own] &= event[own] >= newest
        time[own] = np.where(newest == _NEVER, event[own], newest)
    return good, time


class Inbox:
    """A bounded queue of batches and link changes with one reader and any number of writers.

    Parameters
    ----------
    interval_ns : int
        Grid interval, for conflation.
    max_items : int
        Items in the channel.
    max_ticks : int
        Ticks that may wait beside a full channel before they are conflated.
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
        lead_ns: int = _LEAD_NS,
    ) -> None:
        self._send, self._receive = trio.open_memory_channel[FeedItem](max_items)
        self._interval_ns = interval_ns
        self._max_ticks = max_ticks
        self._lead_ns = lead_ns
        self._pile: list[FeedItem] = []
        self._piled = 0
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
        self._pile.append(item)
        if not isinstance(item, TickBatch):
            return
        self._piled += len(item)
        if self._piled > self._max_ticks:
            self._conflate(self._interval_ns)
            # half full afterwards would mean conflating again at every second put
            if self._piled > self._max_ticks // 2:
                self._conflate(None)

    def _conflate(self, interval_ns: int | None) -> None:
        pile, before = _merge(self._pile), self._piled
        self._pile = [
            conflate(item, interval_ns, self._lead_ns) if isinstance(item, TickBatch) else item
            for item in pile
        ]
        self._piled = sum(len(i) for i in self._pile if isinstance(i, TickBatch))
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
        return _merge(self._taken(items))

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


def _merge(items: list[FeedItem]) -> list[FeedItem]:
    """Join neighbouring batches."""
    if len(items) == 1:
        return items
    merged: list[FeedItem] = []
    run: list[TickBatch] = []
    for item in (*items, None):
        if isinstance(item, TickBatch):
            run.append(item)
            continue
        if run:
            merged.append(TickBatch.concat(run))
            run = []
        if item is not None:
            merged.append(item)
    return merged
