"""What may be merged away when ticks come faster than they are worked off.

Two ways, and both only ever lose in the safe direction. `conflate` keeps one tick of each asset and
grid interval: prices within an interval are lost, and its close stays. `fold` keeps of many losses
of a connection one: ticks between two of them are lost but for the newest, and the break before and
after it stays, so no return that was masked becomes one that counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt

from rtre.kernels.layout import HIGHEST_PRICE, LOWEST_PRICE
from rtre.market import FeedItem, Int64, LinkChange, TickBatch

LEAD_NS = 5_000_000_000
_NEVER = np.iinfo(np.int64).min

Mask = npt.NDArray[np.bool_]


def conflate(batch: TickBatch, interval_ns: int | None, lead_ns: int = LEAD_NS) -> TickBatch:
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
    return batch.take(_kept(batch, interval_ns, lead_ns))


def _kept(batch: TickBatch, interval_ns: int | None, lead_ns: int) -> Int64:
    """Places in the batch, in order, of what `conflate` keeps."""
    asset, (good, time) = batch.asset, _usable(batch, lead_ns)
    interval = np.zeros_like(asset) if interval_ns is None else time // interval_ns
    # Stable, so the last of a group is the last to arrive, of the usable ones where there are any:
    # none of those is older than one before it. Sorting columns, no key can overflow.
    order = np.lexsort((good, interval, asset))
    ends = np.ones(len(order), np.bool_)
    ends[:-1] = (np.diff(asset[order]) != 0) | (np.diff(interval[order]) != 0)
    return np.sort(order[ends])


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


@attrs.define
class _Link:
    """What a pile says about the connection that serves some assets."""

    last: LinkChange
    first_down: LinkChange | None = None
    last_down: LinkChange | None = None


def fold(items: Sequence[FeedItem], lead_ns: int = LEAD_NS) -> list[FeedItem]:
    """Leave three batches of ticks at most, and three link changes of each connection.

    What came before the first change and after the last one stays. Of an asset whose connection
    changed, the newest tick between the two stays, as `conflate` knows it, with a break before and
    after it where there was a break at all. Each connection ends up or down as it did.

    Parameters
    ----------
    items : sequence of TickBatch or LinkChange
        In order of arrival. Changes of the same `assets` are of one connection.
    lead_ns : int
        As for `conflate`.
    """
    places = [i for i, item in enumerate(items) if isinstance(item, LinkChange)]
    if not places:
        return merge(items)
    links: dict[tuple[int, ...], _Link] = {}  # in the order of their last changes
    for item in items:
        if isinstance(item, LinkChange):
            link = links.pop(item.assets, None) or _Link(item)
            link.last = item
            if not item.up:
                link.first_down = link.first_down or item
                link.last_down = item
            links[item.assets] = link
    changed = np.unique([asset for assets in links for asset in assets]).astype(np.int64)
    between = [i for i in items[places[0] : places[-1]] if isinstance(i, TickBatch)]
    middle = [_one_of_each(TickBatch.concat(between), changed, lead_ns)] if between else []
    seen = set(middle[0].asset.tolist()) if middle else set()
    before: list[FeedItem] = []
    after: list[FeedItem] = []
    for assets, link in links.items():
        if link.first_down and link.last_down and not seen.isdisjoint(assets):
            before.append(link.first_down)
        if link.last_down and link.last.up:
            after.append(link.last_down)
        after.append(link.last)
    return merge([*items[: places[0]], *before, *middle, *after, *items[places[-1] + 1 :]])


def _one_of_each(batch: TickBatch, assets: Int64, lead_ns: int) -> TickBatch:
    """Keep the newest tick of each of some assets, and all of the others, in order."""
    among = np.isin(batch.asset, assets)
    own = np.flatnonzero(among)
    kept = own[_kept(batch.take(own), None, lead_ns)]
    return batch.take(np.sort(np.concatenate([np.flatnonzero(~among), kept])))


def merge(items: Sequence[FeedItem]) -> list[FeedItem]:
    """Join neighbouring batches."""
    if len(items) == 1:
        return list(items)
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
