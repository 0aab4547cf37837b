"""The inbox: feeds write at any speed, the risk task takes all there is at its own.

A memory channel carries the items. When it is full the feed does not wait, because a reader that
blocks stops answering pings and is cut off: items pile up beside the channel, and past a bound the
pile is conflated to the newest tick of each asset and grid interval. That keeps every closed return
exact; what is lost are prices in between, and they are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import trio

from rtre.market import FeedItem, TickBatch


def conflate(batch: TickBatch, interval_ns: int | None) -> TickBatch:
    """Keep the newest tick of each asset and grid interval (None: of each asset), in order.

    >>> batch = TickBatch.of([0, 1, 0, 0], [1.0, 2.0, 3.0, 4.0], [10, 11, 12, 25])
    >>> conflate(batch, 20).price
    array([2., 3., 4.])
    """
    key = batch.asset.astype(np.int64)
    if interval_ns is not None:
        interval = batch.ts_event_ns // interval_ns
        key += (interval - interval.min()) * (int(key.max()) + 1)
    _, last = np.unique(key[::-1], return_index=True)
    keep = np.sort(len(key) - 1 - last)
    return batch.take(keep)


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

    Attributes
    ----------
    conflated : int
        Ticks merged away so far.
    waiting : int
        Ticks written and not yet taken.
    """

    def __init__(self, interval_ns: int, *, max_items: int = 64, max_ticks: int = 65_536) -> None:
        self._send, self._receive = trio.open_memory_channel[FeedItem](max_items)
        self._interval_ns = interval_ns
        self._max_ticks = max_ticks
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
            conflate(item, interval_ns) if isinstance(item, TickBatch) else item for item in pile
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
