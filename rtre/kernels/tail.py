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
RESULTS = 5  #: `rtre.kernels.layout.TAIL`


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


@kernel
def select_smallest(values: Float64, n: int, count: int) -> None:
    """Reorder ``values[:n]`` so that its `count` smallest come first, in ascending order.

    Quickselect (Hoare's FIND with the median of three), then a sort of the front, by insertion
    where it is short.
    """
    left, right = 0, n - 1
    while left < right and count < n:
        middle = (left + right) >> 1
        a, b, c = values[left], values[middle], values[right]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = left, right
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if j < count - 1:
            left = i
        if count - 1 < i:
            right = j
    if count > 64:
        values[:count].sort()
        return
    for i in range(1, min(count, n)):
        x = values[i]
        j = i - 1
        while j >= 0 and values[j] > x:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = x


@kernel
def complete_rows(pnl: Float64, missing: Int64, rows: int, out: Float64) -> int:
    """Copy the P&L of a book's complete rows to `out`, (W + 1,), in any order; returns how many."""
    n = 0
    for s in range(rows):  # the ring fills from column 0 on
        out[n] = pnl[s]
        n += int(missing[s] == 0)
    return n
