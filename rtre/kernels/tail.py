"""VaR, ES, the interval of VaR and the error of ES, from order statistics.

One rule for all: with losses sorted from the worst, L(1) >= L(2) >= ..., and the ranks of
`rtre.models.order`, VaR = L(k) and ES = (L(1) + ... + L(k-1) + weight L(k)) / m.
"""

from __future__ import annotations

import math

from rtre.kernels import layout
from rtre.kernels.jit import kernel
from rtre.kernels.layout import C_OBSERVED, H_ASSETS, H_ROWS, LAST
from rtre.market import Float64, Int64

K, HIGH, LOW = 0, 1, 2  #: columns of a rank table
VAR, ES, VAR_LOW, VAR_HIGH, ES_SE = 0, 1, 2, 3, 4  #: columns of a result
RESULTS = 5


@kernel
def tail_of_ascending(
    values: Float64, n: int, scale: float, ranks: Int64, m: float, out: Float64
) -> None:
    """Tail of the P&L ``scale * values[:n]``, with `values` in ascending order.

    Parameters
    ----------
    values : (>= n,) float64
        Returns or P&L, ascending. Only the ends are read: at least ``max(k, low)`` values at the
        end where the losses are.
    scale : float
        Exposure; where it is negative the losses are at the upper end.
    ranks : (3,) int64
        ``k, high, low`` for n losses.
    m : float
        Expected number of losses in the tail, n times the tail probability.
    out : (5,) float64
        var, es, var_low, var_high, es_se. ``var_high`` is inf and ``var_low`` -inf where the
        sample is too small to bound VaR; ``es_se`` is NaN for a tail of one loss.

    Notes
    -----
    A loss is ``0.0 - pnl`` and not ``-pnl``: no loss is minus zero.
    """
    k, high, low = ranks[K], ranks[HIGH], ranks[LOW]
    step = 1 if scale >= 0.0 else -1
    worst = 0 if scale >= 0.0 else n - 1
    var = 0.0 - scale * values[worst + step * (k - 1)]
    total = 0.0
    for j in range(k - 1):
        total += 0.0 - scale * values[worst + step * j]
    weight = m - (k - 1)
    es = max((total + weight * var) / m, var)
    spread = weight * (var - es) * (var - es)
    for j in range(k - 1):
        excess = 0.0 - scale * values[worst + step * j] - es
        spread += excess * excess
    out[VAR], out[ES] = var, es
    out[VAR_HIGH] = 0.0 - scale * values[worst + step * (high - 1)] if high > 0 else math.inf
    out[VAR_LOW] = 0.0 - scale * values[worst + step * (low - 1)] if low <= n else -math.inf
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


@kernel
def tails_of_lines(
    F: Float64,
    I: Int64,  # noqa: E741
    which: Int64,
    ranks: Int64,
    m: Float64,
    scratch: Float64,
    out: Float64,
) -> None:
    """Tails of several lines at several confidences.

    A symbol's is read off its sorted window; a book's is selected from its P&L vector.

    Parameters
    ----------
    F, I : (..,) float64 and int64
        The arenas of `rtre.kernels.layout`; not changed.
    which : (j,) int64
        Lines to evaluate; each has at least one observation.
    ranks : (C, W + 1, 3) int64, m : (C, W + 1) float64
        Rank tables by confidence and number of observations.
    scratch : (W + 1,) float64
        Working space.
    out : (L, C, 5) float64
        Rows of `which` are written.
    """
    assets, levels = I[H_ASSETS], len(ranks)
    prices, net, clocks = layout.prices(F, I), layout.net(F, I), layout.clocks(I)
    ascending, pnl, missing = layout.ascending(F, I), layout.pnl(F, I), layout.missing(I)
    for j in range(len(which)):
        i = which[j]
        if i < assets:
            n = clocks[i, C_OBSERVED]
            exposure = net[i] * prices[i, LAST]
            for c in range(levels):
                tail_of_ascending(ascending[i], n, exposure, ranks[c, n], m[c, n], out[i, c])
        else:
            b = i - assets
            n = complete_rows(pnl[b], missing[b], I[H_ROWS], scratch)
            need = 0
            for c in range(levels):
                need = max(need, ranks[c, n, K], min(ranks[c, n, LOW], n))
            select_smallest(scratch, n, need)
            for c in range(levels):
                tail_of_ascending(scratch, n, 1.0, ranks[c, n], m[c, n], out[i, c])
