"""The two ends of a window of returns: enough of its lowest and of its highest for any tail.

VaR and ES of a long position lie among the lowest returns, those of a short one among the highest;
what is between does not matter. So an end holds the m lowest returns (or highest, with the sign
turned), ascending, m being more than a tail needs. Most returns that come and go are in neither
end and cost one comparison. A return that leaves an end is not replaced until the reserve is used
up; then the end is filled again from the whole window.

Among equal returns it does not matter which one leaves: an end is a multiset.
"""

from __future__ import annotations

import math

from rtre.kernels import layout
from rtre.kernels.jit import inlined, kernel
from rtre.kernels.layout import C_HIGHEST, C_LOWEST, C_OBSERVED, H_ENDS, H_HEAD, H_ROWS, SHOWN
from rtre.kernels.sorted_window import insert, remove
from rtre.kernels.tail import select_smallest
from rtre.market import Float64, Int64

LOWEST, HIGHEST = 0, 1  #: sides of `rtre.kernels.layout.ends`


@inlined
def slide(end: Float64, m: int, n: int, old: float, new: float) -> int:
    """Take `old` out of an end and `new` in; NaN stands for none. Returns its m afterwards.

    Parameters
    ----------
    end : (E,) float64
        The m lowest of n values, ascending; changed in place.
    """
    if not math.isnan(old):
        n -= 1
        if m > 0 and old <= end[m - 1]:
            remove(end, m, old)
            m -= 1
    if not math.isnan(new):
        if m == len(end):
            if new < end[m - 1]:  # the largest may always be left out
                insert(end, m - 1, new)
        elif m == n or (m > 0 and new < end[m - 1]):
            insert(end, m, new)
            m += 1
    return m


@kernel
def refill(F: Float64, I: Int64, i: int, side: int) -> int:  # noqa: E741
    """Choose an end of an asset's closed returns afresh; returns its m. Cost: O(W)."""
    returns, end = layout.returns(F, I)[i], layout.ends(F, I)[i, side]
    values, n = layout.scratch(F, I)[1], 0
    sign = 1.0 if side == LOWEST else -1.0
    for s in range(I[H_ROWS]):
        if s != I[H_HEAD] and not math.isnan(returns[s]):
            values[n] = sign * returns[s]
            n += 1
    m = min(n, len(end))
    select_smallest(values, n, m)
    for j in range(m):  # not a slice: see `rtre.kernels.jit`
        end[j] = values[j]
    return m


@inlined
def slide_ends(F: Float64, I: Int64, i: int, old: float, new: float) -> None:  # noqa: E741
    """Take one closed return of asset `i` out of its ends and another in; NaN stands for none.

    The counts and the ring are those after the change, the extremes become so.
    """
    if I[H_ENDS] == 0:
        return
    clocks, ends = layout.clocks(I), layout.ends(F, I)
    newest = layout.returns(F, I)[i, I[H_HEAD]]
    closed = clocks[i, C_OBSERVED] - int(not math.isnan(newest))
    before = closed + int(not math.isnan(old)) - int(not math.isnan(new))
    low = slide(ends[i, LOWEST], clocks[i, C_LOWEST], before, old, new)
    high = slide(ends[i, HIGHEST], clocks[i, C_HIGHEST], before, -old, -new)
    least = min(layout.need(I)[SHOWN, min(closed + 1, I[layout.H_WINDOW])], closed)
    if low < least:
        low = refill(F, I, i, LOWEST)
    if high < least:
        high = refill(F, I, i, HIGHEST)
    clocks[i, C_LOWEST], clocks[i, C_HIGHEST] = low, high
    extremes = layout.extremes(F, I)
    extremes[i, 0] = min(ends[i, LOWEST, 0], 0.0) if low > 0 else 0.0
    extremes[i, 1] = max(-ends[i, HIGHEST, 0], 0.0) if high > 0 else 0.0
