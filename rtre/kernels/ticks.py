"""The hot path: one call applies a whole batch of ticks to an engine's state.

For each tick, in order: judge it; find its grid interval; re-mark the provisional return of its
asset there; move the asset's sorted window; add the change to the P&L of every book that holds it.
A tick that opens a new grid interval ends the call: the caller rolls the grid (`rtre.kernels.roll`)
and calls again from that tick. Nothing is done to a tick before it is certain which of these it is,
so the second call sees it afresh.

What a tick changes depends on the ticks before it and on nothing else, so any batching of the same
ticks gives the same bits.
"""

from __future__ import annotations

import math

from rtre.kernels import layout
from rtre.kernels.books import reprice, revalue
from rtre.kernels.jit import inlined, kernel
from rtre.kernels.layout import (
    APPLIED,
    BAD_PRICE,
    BAD_TIME,
    BASE,
    C_AMENDED,
    C_BASE_INTERVAL,
    C_CONFIRMED,
    C_EVENT,
    C_INIT,
    C_INTERVAL,
    C_OBSERVED,
    CHANGED,
    CLOSE,
    CLOSED,
    H_ASSETS,
    H_CONFIRM,
    H_HEAD,
    H_INTERVAL_NS,
    H_LEAD_NS,
    H_OPEN,
    H_ROWS,
    H_WINDOW,
    HF_JUMP,
    HIGHEST_PRICE,
    LAST,
    LATE,
    LOWEST_PRICE,
    QUARANTINED,
    SUSPECT,
    UNKNOWN_ASSET,
)
from rtre.kernels.sorted_window import insert, remove, replace
from rtre.market import Float64, Int32, Int64


@inlined
def agrees(price: float, suspect: float, last: float, jump: float) -> bool:
    """Whether an outlier confirms the one before it: near the same level, or further out.

    Further out counts, because in a crash each print may lie a whole jump below the one before.
    """
    beyond = (price < suspect < last) or (last < suspect < price)
    return abs(price - suspect) <= jump * suspect or beyond


@inlined
def judge(
    F: Float64,
    I: Int64,  # noqa: E741
    prices: Float64,
    clocks: Int64,
    i: int,
    price: float,
    event: int,
    init: int,
) -> int:
    """Decide what a tick is, without changing anything.

    An outlier lies further than `jump` (relative) from the last price. It is quarantined until
    `confirm` outliers in a row agree; the one that completes them is applied.
    """
    if i < 0 or i >= I[H_ASSETS]:
        return UNKNOWN_ASSET
    if not LOWEST_PRICE <= price <= HIGHEST_PRICE:  # NaN is outside, too
        return BAD_PRICE
    if event <= 0 or event - I[H_LEAD_NS] > init:
        return BAD_TIME
    if event < clocks[i, C_EVENT]:
        return LATE
    last = prices[i, LAST]
    jump = F[HF_JUMP]
    if abs(price - last) > jump * last:  # False for the first price, where last is NaN
        confirmed = 1
        if agrees(price, prices[i, SUSPECT], last, jump):
            confirmed += clocks[i, C_CONFIRMED]
        if confirmed < I[H_CONFIRM]:
            return QUARANTINED
    return APPLIED


@inlined
def quarantine(F: Float64, prices: Float64, clocks: Int64, i: int, price: float) -> None:
    """Remember an outlier, or one more that agrees with it."""
    if agrees(price, prices[i, SUSPECT], prices[i, LAST], F[HF_JUMP]):
        clocks[i, C_CONFIRMED] += 1
    else:
        clocks[i, C_CONFIRMED] = 1
        prices[i, SUSPECT] = price


@inlined
def find_row(I: Int64, interval: int) -> int:  # noqa: E741
    """Ring column of a grid interval that is not newer than the open one; -1 if it has none."""
    rows = layout.rows(I)
    slot = I[H_HEAD]
    for _ in range(I[H_ROWS]):
        if rows[slot] <= interval:
            return slot if rows[slot] == interval else -1
        slot = slot - 1 if slot > 0 else I[H_WINDOW] - 1
    return -1


@inlined
def mark_cell(
    returns: Float64, ascending: Float64, clocks: Int64, i: int, slot: int, new: float
) -> None:
    """Write the return of asset `i` in ring column `slot` (NaN: masked); keep its window sorted."""
    old = returns[i, slot]
    n = clocks[i, C_OBSERVED]
    if old == new:
        return
    returns[i, slot] = new
    if math.isnan(old):
        if not math.isnan(new):
            insert(ascending[i], n, new)
            clocks[i, C_OBSERVED] = n + 1
    elif math.isnan(new):
        remove(ascending[i], n, old)
        clocks[i, C_OBSERVED] = n - 1
    else:
        replace(ascending[i], n, old, new)


@inlined
def apply(
    F: Float64,
    I: Int64,  # noqa: E741
    prices: Float64,
    clocks: Int64,
    returns: Float64,
    ascending: Float64,
    pnl: Float64,
    missing: Int64,
    i: int,
    price: float,
    interval: int,
) -> None:
    """Take an accepted tick into marks, grid, sorted window and books."""
    last = prices[i, LAST]
    if interval != clocks[i, C_INTERVAL]:  # first tick of this asset in this interval
        prices[i, BASE] = last
        clocks[i, C_BASE_INTERVAL] = clocks[i, C_INTERVAL]
        clocks[i, C_INTERVAL] = interval
    slot = find_row(I, interval)
    one_interval = clocks[i, C_BASE_INTERVAL] == interval - 1  # not across a gap
    new = price / prices[i, BASE] - 1.0 if one_interval else math.nan

    update_books(F, I, returns, pnl, missing, i, slot, price, last, new)
    if slot >= 0:
        mark_cell(returns, ascending, clocks, i, slot, new)
        if slot != I[H_HEAD]:
            clocks[i, C_AMENDED] = 1
    prices[i, LAST] = price
    if math.isnan(prices[i, CLOSE]):
        prices[i, CLOSE] = price
    prices[i, SUSPECT] = math.nan
    clocks[i, C_CONFIRMED] = 0
    if price > 2.0 * last or 2.0 * price < last:
        # what such a move and the way back leave in the sums is of the size of the larger price
        revalue(F, I)


@inlined
def update_books(
    F: Float64,
    I: Int64,  # noqa: E741
    returns: Float64,
    pnl: Float64,
    missing: Int64,
    i: int,
    slot: int,
    price: float,
    last: float,
    new: float,
) -> None:
    """Move the books that hold asset `i` to `price`, and its return in column `slot` to `new`."""
    quantity, book, first = layout.quantity(F, I), layout.book(I), layout.first(I)
    complete, dirty = layout.complete(I), layout.dirty(I)
    what = CHANGED if slot < 0 or slot == I[H_HEAD] else CHANGED | CLOSED
    dirty[i] |= what
    column = returns[i]
    change = price - last
    old = column[slot] if slot >= 0 else math.nan
    for h in range(first[i], first[i + 1]):
        b = book[h]
        dirty[I[H_ASSETS] + b] |= what
        if change == change:  # noqa: PLR0124 - NaN: the first price, and no return to reprice
            reprice(pnl[b], column, quantity[h] * change)
        if slot >= 0:
            before = 0.0 if math.isnan(old) else old
            after = 0.0 if math.isnan(new) else new
            pnl[b, slot] += quantity[h] * price * (after - before)
            gaps = missing[b, slot]
            missing[b, slot] = gaps + int(math.isnan(new)) - int(math.isnan(old))
            complete[b] += int(missing[b, slot] == 0) - int(gaps == 0)


@kernel
def apply_ticks(
    F: Float64,
    I: Int64,  # noqa: E741
    asset: Int32,
    price: Float64,
    ts_event: Int64,
    ts_init: Int64,
    start: int,
) -> int:
    """Apply ticks `start` and up until one opens a new grid interval.

    Parameters
    ----------
    F, I : (..,) float64 and int64
        The arenas of `rtre.kernels.layout`; changed in place.
    asset, price, ts_event, ts_init : (k,)
        Columns of a `TickBatch`. Any value may stand in them: what cannot be used is counted.

    Returns
    -------
    int
        k when all are done, else the index of the tick that needs a new grid row.
    """
    prices, clocks, counts = layout.prices(F, I), layout.clocks(I), layout.counts(I)
    returns, ascending = layout.returns(F, I), layout.ascending(F, I)
    pnl, missing = layout.pnl(F, I), layout.missing(I)
    for j in range(start, len(asset)):
        i = asset[j]
        verdict = judge(F, I, prices, clocks, i, price[j], ts_event[j], ts_init[j])
        if verdict == APPLIED:
            interval = ts_event[j] // I[H_INTERVAL_NS]
            if interval > I[H_OPEN]:
                return j
            apply(F, I, prices, clocks, returns, ascending, pnl, missing, i, price[j], interval)
            clocks[i, C_EVENT] = ts_event[j]
            clocks[i, C_INIT] = ts_init[j]
        elif verdict == QUARANTINED:
            quarantine(F, prices, clocks, i, price[j])
        counts[verdict] += 1
    return len(asset)
