"""Closing a grid interval: the oldest row leaves, an empty one opens, the books are summed afresh.

Rows exist only for intervals in which something traded, so a night costs no window; a return that
would span the hole is masked by its interval numbers.
"""

from __future__ import annotations

import math

from rtre.kernels import layout
from rtre.kernels.jit import kernel
from rtre.kernels.layout import (
    C_INTERVAL,
    C_OBSERVED,
    H_ASSETS,
    H_BOOKS,
    H_HEAD,
    H_OPEN,
    H_ROWS,
    H_WINDOW,
    LAST,
    NEVER,
)
from rtre.kernels.sorted_window import remove
from rtre.kernels.ticks import reprice
from rtre.market import Float64, Int64


@kernel
def open_row(F: Float64, I: Int64, interval: int) -> None:  # noqa: E741
    """Open the row of grid interval `interval`; where the ring is full the oldest row is evicted.

    Cost: O(N log W + N W) worst case for the sorted windows, and one pass over each holding's
    returns, which also removes whatever rounding the ticks of the interval left in the books.
    """
    returns, ascending = layout.returns(F, I), layout.ascending(F, I)
    clocks = layout.clocks(I)
    slot = I[H_HEAD] + 1 if I[H_ROWS] > 0 else 0
    if slot == I[H_WINDOW]:
        slot = 0
    for i in range(I[H_ASSETS]):
        old = returns[i, slot]
        if not math.isnan(old):
            remove(ascending[i], clocks[i, C_OBSERVED], old)
            clocks[i, C_OBSERVED] -= 1
            returns[i, slot] = math.nan
    layout.rows(I)[slot] = interval
    I[H_HEAD] = slot
    I[H_ROWS] = min(I[H_ROWS] + 1, I[H_WINDOW])
    I[H_OPEN] = interval
    revalue(F, I)
    layout.dirty(I)[:] = 1


@kernel
def revalue(F: Float64, I: Int64) -> None:  # noqa: E741
    """Sum the P&L of every book from its holdings and the returns, in the order of the assets."""
    returns, prices = layout.returns(F, I), layout.prices(F, I)
    quantity, book, first = layout.quantity(F, I), layout.book(I), layout.first(I)
    pnl, missing = layout.pnl(F, I), layout.missing(I)
    for b in range(I[H_BOOKS]):
        pnl[b, :] = 0.0
        missing[b, :] = 0
    for i in range(I[H_ASSETS]):
        for h in range(first[i], first[i + 1]):
            b = book[h]
            count_missing(missing[b], returns[i])
            if not math.isnan(prices[i, LAST]):
                reprice(pnl[b], returns[i], quantity[h] * prices[i, LAST])


@kernel
def count_missing(missing: Int64, column: Float64) -> None:
    """Add one to the rows in which an asset has no return."""
    for s in range(len(missing)):
        missing[s] += int(math.isnan(column[s]))


@kernel
def break_chain(I: Int64, i: int) -> None:  # noqa: E741
    """Data of asset `i` were lost: its next return starts nowhere and will be masked."""
    layout.clocks(I)[i, C_INTERVAL] = NEVER
