"""Choosing a book's candidates (`rtre.kernels.candidates`): by a look at all rows, when it must be.

Choosing costs a look at all rows for each holding. A book that has to choose again sooner than that
pays off, several times in a row, falls back to touching every row until the grid interval closes.
"""

from __future__ import annotations

import math

from rtre.kernels import layout
from rtre.kernels.books import refresh
from rtre.kernels.jit import brief, inlined, kernel
from rtre.kernels.layout import (
    AMENDED,
    CHOSEN,
    H_BOOKS,
    H_EVERY_TICK,
    H_HEAD,
    H_PLACES,
    H_ROWS,
    H_WINDOW,
    KEPT,
    L_DRIFT,
    L_FLOOR,
    L_GROSS,
    L_OPEN,
    L_START,
    LAST,
    SPARE_PLACES,
    UNITS,
    W_COUNT,
    W_FALLBACKS,
    W_PENDING,
    W_REBUILDS,
    W_SINCE,
    W_STALE,
    W_STRIKES,
    W_TOUCHED,
)
from rtre.kernels.sorted_window import lower_bound
from rtre.kernels.tail import select_smallest
from rtre.kernels.touch import collect, settle
from rtre.market import Float64, Int64

STRIKES = 3  #: choices in a row that did not pay off and are still forgiven


@inlined
def worth_it(I: Int64, holdings: int, since: int) -> bool:  # noqa: E741
    """Whether candidates that lasted `since` evaluations were cheaper than touching every row.

    In units of one number read, changed and written: choosing is a sum over all holdings and a
    selection; touching every row is one such pass and a look at each; a candidate is updated and
    compared.
    """
    window, places = I[H_WINDOW], I[H_PLACES]
    choosing = (holdings + 8.0) * window
    saved = 4.0 * window - 3.0 * places
    return bool(saved > 0.0 and since * saved >= choosing)


@kernel
def choose(F: Float64, I: Int64, b: int) -> None:  # noqa: E741
    """Choose a book's candidates from all its rows. Cost: O(W) for each holding."""
    holdings, held, bounds = layout.holdings(F, I), layout.held(I), layout.bounds(I)
    limits, watch, prices = layout.limits(F, I), layout.watch(I), layout.prices(F, I)
    extremes = layout.extremes(F, I)
    refresh(F, I, b)
    rows = layout.pnl(F, I)[b]
    if I[H_EVERY_TICK] != 0:
        audit(layout.values(F, I)[b], layout.columns(I)[b], rows, limits[b], watch[b])
    if watch[b, W_REBUILDS] > 0 and watch[b, W_SINCE] >= 0:  # not the first, nor after a close
        paid = worth_it(I, bounds[b + 1] - bounds[b], watch[b, W_SINCE])
        watch[b, W_STRIKES] = 0 if paid else watch[b, W_STRIKES] + 1
    watch[b, W_REBUILDS] += 1
    watch[b, W_STALE] = 0
    watch[b, W_SINCE] = 0
    gross = 0.0
    for k in range(bounds[b], bounds[b + 1]):
        h, i = held[k, 0], held[k, 1]
        holdings[h, CHOSEN] = prices[i, LAST]
        exposure = abs(holdings[h, UNITS] * prices[i, LAST])
        if not math.isnan(exposure):
            gross += exposure * max(-extremes[i, 0], extremes[i, 1])
    limits[b, L_GROSS] = gross
    pick(F, I, b, rows)
    limits[b, L_OPEN] = rows[I[H_HEAD]]
    limits[b, L_FLOOR] = limits[b, L_START]


@inlined
def audit(values: Float64, columns: Int64, rows: Float64, limits: Float64, watch: Int64) -> None:
    """Compare the candidates with sums made afresh; keep the largest relative difference.

    Relative to the gross P&L: a hedged book adds up large numbers to small ones.
    """
    if watch[W_STALE] == AMENDED or watch[W_COUNT] == 0:
        return
    size, drift = limits[L_GROSS], 0.0
    for q in range(watch[W_COUNT]):
        size = max(size, abs(rows[columns[q]]))
        drift = max(drift, abs(values[q] - rows[columns[q]]))
    if size > 0.0:
        limits[L_DRIFT] = max(limits[L_DRIFT], drift / size)


@kernel
def pick(F: Float64, I: Int64, b: int, rows: Float64) -> None:  # noqa: E741
    """Take the rows with the lowest P&L as candidates, in order, and set the floor."""
    missing, watch, order = layout.missing(I)[b], layout.watch(I), layout.order(I)[b]
    columns, values = layout.columns(I)[b], layout.values(F, I)[b]
    front, head = layout.scratch(F, I)[1], I[H_HEAD]
    n = 0
    for s in range(I[H_ROWS]):
        if missing[s] == 0 and s != head:
            front[n] = rows[s]
            n += 1
    count = min(n, I[H_PLACES] - SPARE_PLACES)
    if count < n:
        select_smallest(front, n, count + 1)
        floor = front[count]
    else:
        select_smallest(front, n, n)
        floor = math.inf
    order[:count] = -1
    at_floor = count - lower_bound(front, count, floor)  # candidates that equal the floor
    place = 0
    for s in range(I[H_ROWS]):
        x = rows[s]
        if missing[s] != 0 or s == head or x > floor:
            continue
        if x == floor:
            if at_floor == 0:
                continue
            at_floor -= 1
        columns[place], values[place] = s, x
        rank = lower_bound(front, count, x)
        while order[rank] >= 0:  # equal ones stand side by side
            rank += 1
        order[rank] = place
        place += 1
    watch[b, W_COUNT] = count
    layout.limits(F, I)[b, L_START] = floor
    for place in range(count):
        pack(F, I, b, place)


@inlined
def pack(F: Float64, I: Int64, b: int, place: int) -> None:  # noqa: E741
    """Copy the returns of a candidate's row to its place, for each holding."""
    returns, packed = layout.returns(F, I), layout.packed(F, I)
    held, bounds, s = layout.held(I), layout.bounds(I), layout.columns(I)[b, place]
    for k in range(bounds[b], bounds[b + 1]):
        packed[held[k, 0], place] = returns[held[k, 1], s]


@inlined
def fall_back(F: Float64, I: Int64, b: int) -> None:  # noqa: E741
    """Touch every row of a book from now on, until the grid interval closes."""
    watch = layout.watch(I)
    watch[b, W_TOUCHED] = 1
    watch[b, W_FALLBACKS] += 1
    layout.columns(I)[b] = 0  # from here on the state of `rtre.kernels.touch`
    rows, pnl = layout.moving(F, I)[b], layout.pnl(F, I)[b]
    for s in range(len(rows)):  # not a slice: see `rtre.kernels.jit`
        rows[s] = pnl[s]


@brief
def renew_books(F: Float64, I: Int64) -> None:  # noqa: E741
    """Take the look at all rows that books wait for (`rtre.kernels.candidates.find_worst`).

    Candidates are chosen anew; a book for which that has not paid off for too long falls back.
    """
    watch = layout.watch(I)
    for b in range(I[H_BOOKS]):
        if watch[b, W_PENDING] == 0:
            continue
        if watch[b, W_TOUCHED] == 0:
            choose(F, I, b)
            if watch[b, W_STRIKES] <= STRIKES:
                continue
            watch[b, W_STRIKES] = STRIKES  # one more failure after the next close is enough
            fall_back(F, I, b)
        if I[H_EVERY_TICK] == 0:
            refresh(F, I, b)
            continue
        want = layout.need(I)[KEPT, layout.complete(I)[b]]
        rows, missing, state = layout.moving(F, I)[b], layout.missing(I)[b], layout.columns(I)[b]
        if collect(rows, missing, want, state, layout.scratch(F, I)[0]) != want:
            settle(rows, missing, want, state, layout.scratch(F, I)[0])
