"""Closing a grid interval: the oldest row leaves, an empty one opens, the books are summed afresh.

Rows exist only for intervals in which something traded, so a night costs no window; a return that
would span the hole is masked by its interval numbers.
"""

from __future__ import annotations

import math

from rtre.kernels import layout
from rtre.kernels.books import revalue
from rtre.kernels.jit import kernel
from rtre.kernels.layout import (
    C_AMENDED,
    C_INTERVAL,
    C_OBSERVED,
    CHANGED,
    CLOSE,
    CLOSED,
    H_ASSETS,
    H_HEAD,
    H_OPEN,
    H_ROWS,
    H_WINDOW,
    LAST,
    NEVER,
)
from rtre.kernels.sorted_window import remove
from rtre.market import Float64, Int64, Quality

GAP = int(Quality.GAP)


@kernel
def open_row(F: Float64, I: Int64, interval: int) -> None:  # noqa: E741
    """Open the row of grid interval `interval`; where the ring is full the oldest row is evicted.

    Cost: O(N log W + N W) worst case for the sorted windows, and one pass over each holding's
    returns, which also removes whatever rounding the ticks of the interval left in the books.
    """
    returns, ascending = layout.returns(F, I), layout.ascending(F, I)
    prices, clocks, flags = layout.prices(F, I), layout.clocks(I), layout.flags(I)
    if I[H_ROWS] > 0:
        for i in range(I[H_ASSETS]):
            # a whole interval was seen again: its return is there, and nothing was lost since
            if clocks[i, C_INTERVAL] == I[H_OPEN] and not math.isnan(returns[i, I[H_HEAD]]):
                flags[i] &= ~GAP
    slot = I[H_HEAD] + 1 if I[H_ROWS] > 0 else 0
    if slot == I[H_WINDOW]:
        slot = 0
    for i in range(I[H_ASSETS]):
        old = returns[i, slot]
        if not math.isnan(old):
            remove(ascending[i], clocks[i, C_OBSERVED], old)
            clocks[i, C_OBSERVED] -= 1
            returns[i, slot] = math.nan
        prices[i, CLOSE] = prices[i, LAST]
        clocks[i, C_AMENDED] = 0
    layout.rows(I)[slot] = interval
    I[H_HEAD] = slot
    I[H_ROWS] = min(I[H_ROWS] + 1, I[H_WINDOW])
    I[H_OPEN] = interval
    revalue(F, I)
    layout.dirty(I)[:] = CHANGED | CLOSED


@kernel
def break_chain(I: Int64, i: int) -> None:  # noqa: E741
    """Data of asset `i` were lost: its next return starts nowhere and will be masked."""
    layout.clocks(I)[i, C_INTERVAL] = NEVER
