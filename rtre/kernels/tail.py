"""VaR, ES, the interval of VaR and the error of ES, from order statistics.

One rule for all: with losses sorted from the worst, L(1) >= L(2) >= ..., and the ranks of
`rtre.order`, VaR = L(k) and ES = (L(1) + ... + L(k-1) + weight L(k)) / m.
"""

from __future__ import annotations

import math

from rtre.kernels.jit import inlined, kernel
from rtre.market import Float64, Int64

K, HIGH, LOW = 0, 1, 2  #: columns of a rank table
VAR, ES, VAR_LOW, VAR_HIGH, ES_SE = 0, 1, 2, 3, 4  #: columns of a result
PROBES, SHORT = 8, 24  # of a selection; measured


@inlined
def var_of_ascending(values: Float64, scale: float, k: int) -> float:
    """VaR of the P&L ``scale * values``, `values` ascending and `scale` not negative.

    A loss is ``0.0 - pnl`` and not ``-pnl``: no loss is minus zero.
    """
    return float(0.0 - scale * values[k - 1])


@inlined
def es_of_ascending(values: Float64, scale: float, k: int, m: float, var: float) -> float:
    """ES of the P&L ``scale * values``; never below `var`, whatever the rounding."""
    total = 0.0
    for j in range(k - 1):
        total += 0.0 - scale * values[j]
    return max((total + (m - (k - 1)) * var) / m, var)


@kernel
def tail_of_ascending(
    values: Float64, n: int, scale: float, ranks: Int64, m: float, out: Float64
) -> None:
    """Tail of a P&L of n numbers, of which `values` are the lowest, in ascending order.

    Parameters
    ----------
    values : (>= max(k, low),) float64
        The lowest numbers, ascending; times `scale`, which is not negative, they are P&L.
    n : int
        How many numbers there are in all.
    ranks : (3,) int64
        ``k, high, low`` for n losses.
    m : float
        Expected number of losses in the tail, n times the tail probability.
    out : (5,) float64
        var, es, var_low, var_high, es_se. ``var_high`` is inf and ``var_low`` -inf where the
        sample is too small to bound VaR; ``es_se`` is NaN for a tail of one loss.
    """
    k, high, low = ranks[K], ranks[HIGH], ranks[LOW]
    var = var_of_ascending(values, scale, k)
    es = es_of_ascending(values, scale, k, m, var)
    spread = (m - (k - 1)) * (var - es) * (var - es)
    for j in range(k - 1):
        excess = 0.0 - scale * values[j] - es
        spread += excess * excess
    out[VAR], out[ES] = var, es
    out[VAR_HIGH] = 0.0 - scale * values[high - 1] if high > 0 else math.inf
    out[VAR_LOW] = 0.0 - scale * values[low - 1] if low <= n else -math.inf
    if k > 1:
        out[ES_SE] = math.sqrt((spread / m + (1.0 - m / n) * (es - var) * (es - var)) / m)
    else:
        out[ES_SE] = math.nan


@inlined
def divider(values: Float64, left: int, right: int, count: int) -> float:
    """Pick a value with about `count` or somewhat more of ``values[left : right + 1]`` not above.

    Of `PROBES` spread values, which are put in order at the left end.
    """
    size = right - left + 1
    for probe in range(PROBES):
        place = left + probe * (size // PROBES)
        x, values[place] = values[place], values[left + probe]
        j = left + probe - 1
        while j >= left and values[j] > x:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = x
    return float(values[left + min(PROBES * count // size + 1, PROBES - 1)])


@inlined
def divide(values: Float64, left: int, right: int, bound: float, closed: bool) -> int:
    """Bring what is below `bound`, with `closed` also what equals it, to the left end.

    Returns the place after the last of them. Every value is swapped, and none asked about: where
    each is a coin's throw, the branch not taken costs more than the swap.
    """
    end = left
    for place in range(left, right + 1):
        x = values[place]
        values[place] = values[end]
        values[end] = x
        end += int(x < bound or (closed and x == bound))
    return end


@kernel
def sort_part(values: Float64, start: int, count: int) -> None:
    """Sort ``values[start : start + count]``, no NaN among them: insertion with shrinking gaps.

    Up to 300 numbers as fast as numba's quicksort, and 1.3 times slower for 7,500; but that takes
    1.3 s to compile, in each kernel that sorts.
    """
    gap, end = 1, start + count
    while 9 * gap < count:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(start + gap, end):
            x = values[i]
            j = i - gap
            while j >= start and values[j] > x:
                values[j + gap] = values[j]
                j -= gap
            values[j + gap] = x
        gap //= 3


@kernel
def select_smallest(values: Float64, n: int, count: int) -> None:
    """Reorder ``values[:n]`` so that its `count` smallest come first, in ascending order.

    Quickselect with a divider that looks at the rank, then a sort of the front. No NaN. Hoare's
    FIND with the median of three took three times as long (500 random values, 21 or 42 wanted: 8.8
    and 9 us against 2.7 and 3.2).
    """
    left, right = 0, n - 1
    while right - left >= SHORT and count < n:
        want = count - left
        bound = divider(values, left, right, want)
        end = divide(values, left, right, bound, True)
        if end - left < want:
            left = end
            continue
        if end == right + 1:  # none is larger: without those that equal it there is progress
            end = divide(values, left, right, bound, False)
        right = end - 1
        if end - left < want:  # the others that are wanted equal the bound
            break
    sort_part(values, 0, right + 1)


@kernel
def complete_rows(pnl: Float64, missing: Int64, rows: int, out: Float64) -> int:
    """Copy the P&L of a book's complete rows to `out`, (W + 1,), in any order; returns how many."""
    n = 0
    for s in range(rows):  # the ring fills from column 0 on
        out[n] = pnl[s]
        n += int(missing[s] == 0)
    return n
