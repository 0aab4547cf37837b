"""Closing a grid interval: the oldest row leaves, an empty one opens.

Rows exist only for intervals in which something traded, so a night costs no window; a return that
would span the hole is masked by its interval numbers.

No book is summed afresh here: a row more and a row less concern a few numbers of each asset and of
each holding, whatever the window is.
"""

from __future__ import annotations

import math

from rtre.kernels import layout
from rtre.kernels.books import cell
from rtre.kernels.candidates import floor_of
from rtre.kernels.choose import pack
from rtre.kernels.ends import slide_ends
from rtre.kernels.jit import brief, inlined
from rtre.kernels.layout import (
    AMENDED,
    C_AMENDED,
    C_INTERVAL,
    C_OBSERVED,
    CHANGED,
    CLOSE,
    CLOSED,
    H_ASSETS,
    H_BOOKS,
    H_HEAD,
    H_OPEN,
    H_PLACES,
    H_ROWS,
    H_WINDOW,
    L_FLOOR,
    L_OPEN,
    L_START,
    LAST,
    NEVER,
    W_COUNT,
    W_FRESH,
    W_SINCE,
    W_STALE,
    W_TOUCHED,
)
from rtre.market import Float64, Int64, Quality

GAP = int(Quality.GAP)


@inlined
def roll_asset(F: Float64, I: Int64, i: int, closing: int, opened: int) -> None:  # noqa: E741
    """Let the oldest return of an asset go, and the one in column `closing` (-1: none) join.

    The grid has rolled already; `opened` is the interval that closes.
    """
    returns, prices, clocks = layout.returns(F, I), layout.prices(F, I), layout.clocks(I)
    new, old = math.nan, math.nan
    if closing >= 0:
        new, old = returns[i, closing], returns[i, I[H_HEAD]]
    if not math.isnan(new) and clocks[i, C_INTERVAL] == opened:
        # a whole interval was seen again: its return is there, and nothing was lost since
        layout.flags(I)[i] &= ~GAP
    returns[i, I[H_HEAD]] = math.nan
    clocks[i, C_OBSERVED] -= int(not math.isnan(old))
    slide_ends(F, I, i, old, new)
    prices[i, CLOSE] = prices[i, LAST]
    clocks[i, C_AMENDED] = 0


@inlined
def close_row(F: Float64, I: Int64, b: int, slot: int) -> None:  # noqa: E741
    """Let the row of the open interval, in ring column `slot`, join the others as it closes."""
    watch, limits = layout.watch(I), layout.limits(F, I)
    if watch[b, W_TOUCHED] != 0 or watch[b, W_STALE] != 0 or layout.missing(I)[b, slot] != 0:
        return
    if cell(F, I, b, slot, True) >= limits[b, L_START]:
        return
    count = watch[b, W_COUNT]
    if count == I[H_PLACES]:
        watch[b, W_STALE] = AMENDED
        return
    layout.columns(I)[b, count] = slot
    layout.values(F, I)[b, count] = cell(F, I, b, slot, False)
    layout.order(I)[b, count] = count
    pack(F, I, b, count)
    watch[b, W_COUNT] = count + 1


@inlined
def drop_row(F: Float64, I: Int64, b: int, slot: int) -> None:  # noqa: E741
    """Forget the row in ring column `slot`, which is about to be evicted; the last place moves."""
    watch, columns = layout.watch(I), layout.columns(I)[b]
    if watch[b, W_TOUCHED] != 0:
        return
    place, last = 0, watch[b, W_COUNT] - 1
    while place <= last and columns[place] != slot:
        place += 1
    if place > last:
        return
    values, order = layout.values(F, I)[b], layout.order(I)[b]
    packed, held, bounds = layout.packed(F, I), layout.held(I), layout.bounds(I)
    columns[place], values[place] = columns[last], values[last]
    for k in range(bounds[b], bounds[b + 1]):
        packed[held[k, 0], place] = packed[held[k, 0], last]
    kept = 0
    for j in range(last + 1):
        if order[j] != place:
            order[kept] = place if order[j] == last else order[j]
            kept += 1
    watch[b, W_COUNT] = last


@inlined
def roll_book(F: Float64, I: Int64, b: int, head: int, slot: int) -> None:  # noqa: E741
    """Take the closing row of a book in and the oldest one out; the new one is empty."""
    watch, missing, bounds = layout.watch(I), layout.missing(I), layout.bounds(I)
    if I[H_PLACES] > 0:
        if I[H_ROWS] > 0:
            close_row(F, I, b, head)
        drop_row(F, I, b, slot)
    if I[H_ROWS] > 0 and slot != head:
        layout.complete(I)[b] -= int(missing[b, slot] == 0 and layout.rows(I)[slot] != NEVER)
    missing[b, slot] = bounds[b + 1] - bounds[b]
    layout.complete(I)[b] += int(missing[b, slot] == 0)  # a book that holds nothing
    layout.limits(F, I)[b, L_OPEN] = 0.0
    watch[b, W_FRESH] = 0


@inlined
def recover(F: Float64, I: Int64, b: int) -> None:  # noqa: E741
    """After the assets have rolled: the floor under new extremes, another try after a fall back."""
    watch = layout.watch(I)
    if I[H_PLACES] == 0:
        return
    if watch[b, W_TOUCHED] != 0:
        watch[b, W_TOUCHED], watch[b, W_STALE], watch[b, W_SINCE] = 0, AMENDED, -1
    elif watch[b, W_STALE] == 0:
        layout.limits(F, I)[b, L_FLOOR] = floor_of(F, I, b)


@brief
def open_row(F: Float64, I: Int64, interval: int) -> None:  # noqa: E741
    """Open the row of grid interval `interval`; where the ring is full the oldest row is evicted.

    Where every tick is evaluated, `rtre.kernels.marks.keep_all` comes next.

    Cost: O(1) for each asset, O(1) for each holding, O(candidates) a book.
    """
    head, opened = I[H_HEAD], I[H_OPEN]
    closing = head if I[H_ROWS] > 0 else -1
    slot = closing + 1
    if slot == I[H_WINDOW]:
        slot = 0
    for b in range(I[H_BOOKS]):
        roll_book(F, I, b, head, slot)
    layout.rows(I)[slot] = interval
    I[H_HEAD] = slot
    I[H_ROWS] = min(I[H_ROWS] + 1, I[H_WINDOW])
    I[H_OPEN] = interval
    for i in range(I[H_ASSETS]):
        roll_asset(F, I, i, closing, opened)
    for b in range(I[H_BOOKS]):
        recover(F, I, b)
    layout.dirty(I)[:] = CHANGED | CLOSED


@brief
def break_chain(I: Int64, i: int) -> None:  # noqa: E741
    """Data of asset `i` were lost: its next return starts nowhere and will be masked."""
    layout.clocks(I)[i, C_INTERVAL] = NEVER
