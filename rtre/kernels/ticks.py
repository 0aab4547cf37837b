"""The hot path: one call applies a whole batch of ticks to an engine's state.

For each tick, in order: judge it; find its grid interval; re-mark the provisional return of its
asset there; move the books that hold it; and, where every tick is evaluated, bring VaR and ES of
the asset and of those books up to date (`rtre.kernels.marks`), with the peak they have reached.
A tick that opens a new grid interval ends the call: the caller rolls the grid (`rtre.kernels.roll`)
and calls again from that tick. Nothing is done to a tick before it is certain which of these it is,
so the second call sees it afresh.

All of it is one kernel with the usual case inlined; what is seldom stands in kernels of its
own, which cost nothing while they are not called. With everything inlined a tick took 3 % more.

What a tick changes depends on the ticks before it and on nothing else, so any batching of the same
ticks gives the same bits.
"""

from __future__ import annotations

import math

import numpy as np

from rtre.kernels import layout
from rtre.kernels.books import reprice, sum_book
from rtre.kernels.candidates import advance
from rtre.kernels.ends import slide_ends
from rtre.kernels.jit import brief, inlined, kernel
from rtre.kernels.layout import (
    AMENDED,
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
    CHOSEN,
    CLOSE,
    CLOSED,
    H_ASSETS,
    H_CONFIRM,
    H_EVERY_TICK,
    H_HEAD,
    H_INTERVAL_NS,
    H_LEAD_NS,
    H_OPEN,
    H_ROWS,
    H_WINDOW,
    HF_JUMP,
    HIGHEST_PRICE,
    L_OPEN,
    LAST,
    LATE,
    LOWEST_PRICE,
    QUARANTINED,
    SUSPECT,
    UNITS,
    UNKNOWN_ASSET,
    W_COUNT,
    W_FRESH,
    W_STALE,
    W_TOUCHED,
)
from rtre.kernels.marks import keep_holders
from rtre.market import ASSET, PRICE, TS_EVENT, TS_INIT, Float64, Int64


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


@kernel
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
def mark_cell(F: Float64, I: Int64, i: int, slot: int, new: float) -> None:  # noqa: E741
    """Write the return of asset `i` in ring column `slot` (NaN: masked).

    The open interval's is in no end of the window yet; a closed one may be.
    """
    returns, clocks = layout.returns(F, I), layout.clocks(I)
    old = returns[i, slot]
    returns[i, slot] = new
    if math.isnan(old) != math.isnan(new):
        clocks[i, C_OBSERVED] += 1 if math.isnan(old) else -1
    if slot != I[H_HEAD]:
        clocks[i, C_AMENDED] = 1
        amend_window(F, I, i, old, new)


@kernel
def amend_window(F: Float64, I: Int64, i: int, old: float, new: float) -> None:  # noqa: E741
    """Put `new` in the place of `old` among an asset's closed returns; NaN stands for none."""
    slide_ends(F, I, i, old, new)


@inlined
def apply(F: Float64, I: Int64, i: int, price: float, interval: int) -> bool:  # noqa: E741
    """Take an accepted tick into marks, grid and books; False where a book's tail is pending."""
    prices, clocks = layout.prices(F, I), layout.clocks(I)
    last = prices[i, LAST]
    if interval != clocks[i, C_INTERVAL]:  # first tick of this asset in this interval
        prices[i, BASE] = last
        clocks[i, C_BASE_INTERVAL] = clocks[i, C_INTERVAL]
        clocks[i, C_INTERVAL] = interval
    slot = I[H_HEAD] if interval == I[H_OPEN] else find_row(I, interval)
    one_interval = clocks[i, C_BASE_INTERVAL] == interval - 1  # not across a gap
    new = price / prices[i, BASE] - 1.0 if one_interval else math.nan

    far = update_books(F, I, i, slot, price, last, new)
    if slot >= 0:
        mark_cell(F, I, i, slot, new)
    prices[i, LAST] = price
    prices[i, SUSPECT] = math.nan
    clocks[i, C_CONFIRMED] = 0
    if math.isnan(last):
        price_holdings(F, I, i)
    if I[H_EVERY_TICK] == 0:
        return True
    if far or (slot >= 0 and slot != I[H_HEAD]):
        sum_holders(F, I, i)
    return keep_holders(F, I, i)


@inlined
def update_books(
    F: Float64,
    I: Int64,  # noqa: E741
    i: int,
    slot: int,
    price: float,
    last: float,
    new: float,
) -> bool:
    """Move the books that hold asset `i` to `price`, and its return in column `slot` to `new`.

    Returns whether `price` is far from the one at which some book was last summed afresh: what a
    far move and the way back leave in running sums is of the size of the larger price.
    """
    holdings, book, first = layout.holdings(F, I), layout.book(I), layout.first(I)
    complete, dirty, missing = layout.complete(I), layout.dirty(I), layout.missing(I)
    limits, watch = layout.limits(F, I), layout.watch(I)
    column = layout.returns(F, I)[i]
    what = CHANGED if slot < 0 or slot == I[H_HEAD] else CHANGED | CLOSED
    dirty[i] |= what
    old = column[slot] if slot >= 0 else math.nan
    before = 0.0 if math.isnan(old) else old
    after = 0.0 if math.isnan(new) else new
    priced, every_tick, far = not math.isnan(last), I[H_EVERY_TICK] != 0, False
    for h in range(first[i], first[i + 1]):
        b = book[h]
        dirty[I[H_ASSETS] + b] |= what
        watch[b, W_FRESH] = 0
        chosen = holdings[h, CHOSEN]
        far |= price > 2.0 * chosen or 2.0 * price < chosen
        if every_tick and watch[b, W_TOUCHED] != 0:
            touch_book(F, I, i, h, slot, price, last, after - before)
        elif every_tick and watch[b, W_STALE] == 0 and priced:
            advance(
                layout.values(F, I)[b],
                layout.packed(F, I)[h],
                limits[b],
                holdings[h],
                layout.extremes(F, I)[i],
                watch[b, W_COUNT],
                price,
                last,
            )
            if slot == I[H_HEAD]:
                limits[b, L_OPEN] += holdings[h, UNITS] * (price * after - last * before)
        if slot >= 0:
            if slot != I[H_HEAD]:
                watch[b, W_STALE] = AMENDED
            if math.isnan(old) != math.isnan(new):
                gaps = missing[b, slot]
                missing[b, slot] = gaps + (1 if math.isnan(new) else -1)
                complete[b] += int(missing[b, slot] == 0) - int(gaps == 0)
    return far


@kernel
def touch_book(
    F: Float64,
    I: Int64,  # noqa: E741
    i: int,
    h: int,
    slot: int,
    price: float,
    last: float,
    rise: float,
) -> None:
    """`update_books` for holding `h` of a book whose rows are all moved by each tick.

    `rise` is what the return in column `slot` gains.
    """
    units, rows = layout.holdings(F, I)[h, UNITS], layout.moving(F, I)[layout.book(I)[h]]
    if not math.isnan(last):
        reprice(rows, layout.returns(F, I)[i], units * (price - last))
    if slot >= 0:
        rows[slot] += units * price * rise


@kernel
def price_holdings(F: Float64, I: Int64, i: int) -> None:  # noqa: E741
    """An asset has its first price: its holdings are valued from here."""
    prices, holdings, first = layout.prices(F, I), layout.holdings(F, I), layout.first(I)
    prices[i, CLOSE] = prices[i, LAST]
    for h in range(first[i], first[i + 1]):
        holdings[h, CHOSEN] = prices[i, LAST]


@kernel
def sum_holders(F: Float64, I: Int64, i: int) -> None:  # noqa: E741
    """Leave nothing of what ticks have added up in the books that hold asset `i`."""
    watch, book, first = layout.watch(I), layout.book(I), layout.first(I)
    for h in range(first[i], first[i + 1]):
        b = book[h]
        if watch[b, W_TOUCHED] != 0:
            sum_book(F, I, b, layout.moving(F, I)[b])
            layout.holdings(F, I)[h, CHOSEN] = layout.prices(F, I)[i, LAST]
        else:
            watch[b, W_STALE] = AMENDED


@brief
def apply_ticks(F: Float64, I: Int64, block: Int64, start: int, stop: int) -> int:  # noqa: E741
    """Apply ticks `start` and up until one opens a new grid interval, or `stop` is reached.

    Parameters
    ----------
    F, I : (..,) float64 and int64
        The arenas of `rtre.kernels.layout`; changed in place.
    block : (5, k) int64
        The columns of a `TickBatch`. Any value may stand in them: what cannot be used is counted.

    Returns
    -------
    int
        `stop` when all are done, else the index of the tick that needs a new grid row. ``~next``,
        which is negative, where tick ``next - 1`` has left a book's tail pending: after
        `rtre.kernels.choose.renew_books` and `rtre.kernels.marks.keep_all` go on with `next`.
    """
    prices, clocks, counts = layout.prices(F, I), layout.clocks(I), layout.counts(I)
    assets, ts_event, ts_init = block[ASSET], block[TS_EVENT], block[TS_INIT]
    price = block[PRICE].view(np.float64)
    # spares a division a tick; before the first row no tick lies in the open interval
    length = I[H_INTERVAL_NS] if I[H_OPEN] >= 0 else 0
    opened = I[H_OPEN] * length
    for j in range(start, stop):
        i = assets[j]
        verdict = judge(F, I, prices, clocks, i, price[j], ts_event[j], ts_init[j])
        if verdict == APPLIED:
            interval = I[H_OPEN]
            if not 0 <= ts_event[j] - opened < length:
                interval = ts_event[j] // I[H_INTERVAL_NS]
                if interval > I[H_OPEN]:
                    return j
            ready = apply(F, I, i, price[j], interval)
            clocks[i, C_EVENT] = ts_event[j]
            clocks[i, C_INIT] = ts_init[j]
            if not ready:
                counts[APPLIED] += 1
                return ~(j + 1)
        elif verdict == QUARANTINED:
            quarantine(F, prices, clocks, i, price[j])
        counts[verdict] += 1
    return stop
