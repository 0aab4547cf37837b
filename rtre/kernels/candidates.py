"""The tail of a book without touching its whole P&L: a few candidate rows, and a bound on the rest.

A book's VaR and ES need only its worst rows. `rtre.kernels.choose` looks at all rows once and keeps
the ones with the lowest P&L as candidates, about twice as many as are needed; the lowest P&L among
the others is the *floor*. From then on a tick updates the candidates alone, and lowers the floor by
the most that any row can lose by it: an exposure that has changed by d since the choice has moved a
row by d times a return, and the returns of an asset lie between its extremes. As long as the last
candidate that is needed lies below the floor, no other row can be among the worst, and the tail is
exact. Else the candidates are chosen anew.

The bound uses the change since the choice and not the path, so prices that go to and fro spend no
margin; a price that comes back to where it was restores the floor.

The row of the open interval changes in another way, with the return as well as with the price. It
is kept apart and merged when the tail is read. When its interval closes it joins the candidates, or
the others if it lies above the floor.

Candidates have fixed places: `columns`, `values` and the columns of `packed`, the returns of each
holding side by side, so that a tick is one short vectorised loop. `order` lists the places from the
worst P&L up; it is nearly sorted from one tick to the next.
"""

from __future__ import annotations

import math

from rtre.kernels import layout
from rtre.kernels.books import cell
from rtre.kernels.jit import inlined, kernel
from rtre.kernels.layout import (
    CHOSEN,
    H_EVERY_TICK,
    H_HEAD,
    H_ROWS,
    KEPT,
    L_FLOOR,
    L_GROSS,
    L_OPEN,
    L_START,
    LAST,
    SHOWN,
    UNITS,
    W_COUNT,
    W_FRESH,
    W_PENDING,
    W_SINCE,
    W_STALE,
    W_TOUCHED,
)
from rtre.kernels.tail import complete_rows, select_smallest
from rtre.kernels.touch import collect
from rtre.market import Float64, Int64

TOLERANCE = 1e-11  #: of the gross P&L: far above the rounding of an audit's span


@inlined
def displacement(change: float, low: float, high: float) -> float:
    """The most that a row can lose by a change of exposure; [low, high] has all returns and 0."""
    return -min(change * low, change * high)


@inlined
def advance(
    values: Float64,
    packed: Float64,
    limits: Float64,
    holding: Float64,
    extremes: Float64,
    count: int,
    price: float,
    last: float,
) -> None:
    """Move a book's candidates and its floor with one price, from `last` to `price`.

    `holding` and `packed` are the rows of the asset's holding in the book.
    """
    units, chosen = holding[UNITS], holding[CHOSEN]
    low, high = extremes[0], extremes[1]
    limits[L_FLOOR] -= displacement(units * (price - chosen), low, high) - displacement(
        units * (last - chosen), low, high
    )
    change = units * (price - last)
    v, r = values[:count], packed[:count]
    for q in range(count):
        v[q] += r[q] * change


@kernel
def floor_of(F: Float64, I: Int64, b: int) -> float:  # noqa: E741
    """The floor at the last prices, worked out from the prices of the choice."""
    prices, extremes, holdings = layout.prices(F, I), layout.extremes(F, I), layout.holdings(F, I)
    held, bounds = layout.held(I), layout.bounds(I)
    floor = layout.limits(F, I)[b, L_START]
    for k in range(bounds[b], bounds[b + 1]):
        h, i = held[k, 0], held[k, 1]
        change = holdings[h, UNITS] * (prices[i, LAST] - holdings[h, CHOSEN])
        if not math.isnan(change):
            floor -= displacement(change, extremes[i, 0], extremes[i, 1])
    return float(floor)


@inlined
def recall(F: Float64, I: Int64, b: int, count: int, out: Float64) -> None:  # noqa: E741
    """Write the P&L of a book's candidates to `out`, as `rtre.kernels.books.sum_book` has it."""
    prices, holdings, packed = layout.prices(F, I), layout.holdings(F, I), layout.packed(F, I)
    held, bounds = layout.held(I), layout.bounds(I)
    values = out[:count]
    values[:] = 0.0
    for k in range(bounds[b], bounds[b + 1]):
        h, i = held[k, 0], held[k, 1]
        exposure, returns = holdings[h, UNITS] * prices[i, LAST], packed[h, :count]
        for q in range(count):
            values[q] += exposure * returns[q]


@inlined
def sort_front(values: Float64, order: Int64, first: int, last: int) -> None:
    """Bring places `first` to `last` of `order` into order, those before being so; by insertion."""
    for j in range(first, last):
        place = order[j]
        x = values[place]
        k = j - 1
        while k >= 0 and values[order[k]] > x:
            order[k + 1] = order[k]
            k -= 1
        order[k + 1] = place


@inlined
def read_front(values: Float64, order: Int64, count: int, want: int, out: Float64) -> bool:
    """Write the `want` first of `order` to `out`; whether they are the lowest, ascending.

    `want` is at least 1 and at most `count`. Nearly always they are: of 1,000 ticks of 3 bp in 50
    assets one changes the order of 18 places, and 14 that of 65. There is no branch that could be
    foretold wrongly, and the look at the places behind vectorises. Sorting by insertion at each
    tick instead, and then copying, took 1.5 to 1.8 times as long for the book.
    """
    last = values[order[0]]
    out[0], ascending = last, True
    for t in range(1, want):
        x = values[order[t]]
        out[t] = x
        ascending &= x >= last
        last = x
    below = 0
    for x in values[:count]:
        below += int(x < last)
    front = want - 1
    while front > 0 and out[front - 1] == last:
        front -= 1
    return bool(ascending) and below == front


@kernel
def settle(values: Float64, order: Int64, count: int, want: int) -> None:
    """Sort `order` by value as far as the `want` lowest; it is nearly sorted already.

    The front is put in order, then all values are compared with its last one, which vectorises.
    Only if more lie below it than the front has, the others are sorted, too.
    """
    if want < count:
        sort_front(values, order, 1, want)
        last = values[order[want - 1]]
        below, front = 0, 0
        for x in values[:count]:
            below += int(x < last)
        while values[order[front]] < last:
            front += 1
        if below == front:
            return
        sort_front(values, order, want, count)
    else:
        sort_front(values, order, 1, count)


@inlined
def closed_rows(I: Int64, b: int) -> int:  # noqa: E741
    """Complete rows of a book, that of the open interval left out."""
    n = layout.complete(I)[b]
    return int(n) - int(I[H_ROWS] > 0 and layout.missing(I)[b, I[H_HEAD]] == 0)


@inlined
def find_worst(F: Float64, I: Int64, b: int, out: Float64) -> bool:  # noqa: E741
    """Write the worst P&L of a book at the last prices to `out`, ascending: those KEPT.

    Returns False, and marks the book as pending, where that takes a look at all rows: then
    `rtre.kernels.choose.renew_books` comes first, once for all books that wait.

    Cost: a few operations a candidate where every tick is evaluated, else one more for each
    holding. Where the book is touched: a count over its rows.
    """
    watch, n = layout.watch(I), layout.complete(I)[b]
    want = layout.need(I)[KEPT, n]
    if watch[b, W_TOUCHED] != 0:
        ready = n == 0 or find_touched(F, I, b, n, want, out)
    else:
        values, order, count = layout.values(F, I)[b], layout.order(I)[b], watch[b, W_COUNT]
        limits, closed = layout.limits(F, I)[b], closed_rows(I, b)
        ready = watch[b, W_STALE] == 0
        if ready:
            if I[H_EVERY_TICK] == 0:
                catch_up(F, I, b)
            if not (0 < want <= count and read_front(values, order, count, want, out)):
                settle(values, order, count, want)
                copy_front(values, order, min(count, want), out)
            # just chosen, they are right; among equal rows the bound could not tell
            ready = watch[b, W_SINCE] == 0 or suffices(out, limits, count, closed, want)
        if ready and n > closed:
            merge(limits[L_OPEN], min(count, want), want, out)
    watch[b, W_PENDING] = int(not ready)
    watch[b, W_SINCE] += int(ready)
    return bool(ready)


@kernel
def catch_up(F: Float64, I: Int64, b: int) -> None:  # noqa: E741
    """Bring the candidates of a book, its floor and its open row to the last prices."""
    limits = layout.limits(F, I)[b]
    recall(F, I, b, layout.watch(I)[b, W_COUNT], layout.values(F, I)[b])
    limits[L_FLOOR] = floor_of(F, I, b)
    limits[L_OPEN] = cell(F, I, b, I[H_HEAD], False)


@kernel
def find_touched(
    F: Float64,
    I: Int64,  # noqa: E741
    b: int,
    n: int,
    want: int,
    out: Float64,
) -> bool:
    """`find_worst` of a book whose rows are all looked at."""
    missing = layout.missing(I)[b]
    if I[H_EVERY_TICK] != 0:
        rows = layout.moving(F, I)[b]
        return bool(collect(rows, missing, want, layout.columns(I)[b], out) == want)
    if layout.watch(I)[b, W_FRESH] == 0:
        return False
    complete_rows(layout.pnl(F, I)[b], missing, I[H_ROWS], out)
    select_smallest(out, n, want)
    return True


@inlined
def publish_worst(F: Float64, I: Int64, b: int, out: Float64) -> bool:  # noqa: E741
    """Write the worst P&L of a book whose every tick is evaluated to `out`, ascending: those SHOWN.

    To the bits of `rtre.kernels.books.sum_book`; nothing changes that a later tick could see.
    False: `pnl` must be refreshed first, because the candidates do not reach so far.
    """
    watch, n = layout.watch(I), layout.complete(I)[b]
    want = layout.need(I)[SHOWN, n]
    if watch[b, W_TOUCHED] == 0 and watch[b, W_STALE] == 0:
        count, closed = watch[b, W_COUNT], closed_rows(I, b)
        recall(F, I, b, count, out)
        found = count
        if n > closed:
            out[found] = cell(F, I, b, I[H_HEAD], False)
            found += 1
        select_smallest(out, found, min(want, found))
        if count == closed:
            return True
        limits = layout.limits(F, I)[b]
        if found >= want and below_floor(out[want - 1], out[0], limits):
            return True
    if watch[b, W_FRESH] == 0:
        return False
    complete_rows(layout.pnl(F, I)[b], layout.missing(I)[b], I[H_ROWS], out)
    select_smallest(out, n, want)
    return True


@inlined
def below_floor(last: float, worst: float, limits: Float64) -> bool:
    """Whether P&L up to `last`, `worst` being the lowest, certainly lies below every other row."""
    return bool(last <= limits[L_FLOOR] - TOLERANCE * (limits[L_GROSS] + abs(worst)))


@inlined
def suffices(worst: Float64, limits: Float64, count: int, closed: int, want: int) -> bool:
    """Whether the `want` worst of `closed` rows are certainly among the `count` candidates."""
    if count == closed:
        return True
    if count < want:
        return False
    return below_floor(worst[want - 1], worst[0], limits)


@inlined
def copy_front(values: Float64, order: Int64, n: int, out: Float64) -> None:
    """Write the values of the n first places of `order` to `out`."""
    for t in range(n):
        out[t] = values[order[t]]


@inlined
def merge(open_pnl: float, n: int, want: int, out: Float64) -> None:
    """Put the open interval's row among the n worst others in `out`, and keep the `want` lowest."""
    j = min(n, want - 1)
    if j < n and not open_pnl < out[j]:
        return
    while j > 0 and open_pnl < out[j - 1]:
        out[j] = out[j - 1]
        j -= 1
    out[j] = open_pnl
