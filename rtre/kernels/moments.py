"""Rolling mean and variance by adding and removing values, with an exact restart when in doubt.

Sums of x and x^2 about zero are accurate for returns, whose mean is small beside their spread, but
a huge value that has left the window leaves its rounding behind. So a sum that a removed value
dominated is thrown away and built again from the window.
"""

from __future__ import annotations

import math

from rtre.kernels.jit import kernel
from rtre.market import Float64, Int64

COUNT, SUM, SQUARES = 0, 1, 2
SUMS = 3
DOMINATED = 1e6
"""A removed square this many times what remains costs 6 of 16 digits: time to start again."""


@kernel
def rebuild(sums: Float64, row: Float64, skip: int) -> None:
    """Sum one asset's observed returns exactly as they stand, all but ring column `skip`."""
    sums[:] = 0.0
    for s in range(len(row)):
        x = row[s]
        if s != skip and not math.isnan(x):
            sums[COUNT] += 1.0
            sums[SUM] += x
            sums[SQUARES] += x * x


@kernel
def roll(sums: Float64, returns: Float64, amended: Int64, head: int, evicted: int) -> None:
    """Close ring column `head` and drop column `evicted` for every asset.

    Parameters
    ----------
    sums : (N, 3) float64
        Count, sum and sum of squares over closed, observed returns; changed in place.
    returns : (N, W) float64
        Grid returns, NaN where masked; column `evicted` still holds what leaves.
    amended : (N,) int64
        Not 0 where a closed return was amended since the last roll: those are rebuilt, and so is
        everything each time the ring comes round, so that rounding cannot pile up.
    """
    for i in range(len(sums)):
        new, old = returns[i, head], returns[i, evicted]
        if not math.isnan(new):
            sums[i, COUNT] += 1.0
            sums[i, SUM] += new
            sums[i, SQUARES] += new * new
        tainted = amended[i] != 0 or evicted == 0
        if evicted != head and not math.isnan(old):
            sums[i, COUNT] -= 1.0
            sums[i, SUM] -= old
            sums[i, SQUARES] -= old * old
            tainted = tainted or old * old > DOMINATED * sums[i, SQUARES]
        if tainted:
            rebuild(sums[i], returns[i], evicted)


@kernel
def mean_and_std(
    sums: Float64, provisional: Float64, which: Int64, ddof: int, out: Float64
) -> None:
    """Mean, standard deviation and count with the open interval's return added.

    Parameters
    ----------
    provisional : (N,) float64
        Return of the open interval, NaN where the asset has not traded in it.
    which : (m,) int64
        Assets wanted.
    out : (m, 3) float64
        Mean, standard deviation (NaN for fewer than ``ddof + 1`` values), count.
    """
    for j in range(len(which)):
        i = which[j]
        n, s1, s2 = sums[i, COUNT], sums[i, SUM], sums[i, SQUARES]
        x = provisional[i]
        if not math.isnan(x):
            n, s1, s2 = n + 1.0, s1 + x, s2 + x * x
        out[j, 2] = n
        out[j, 0] = s1 / n if n > 0 else math.nan
        out[j, 1] = math.sqrt(max(s2 - s1 * s1 / n, 0.0) / (n - ddof)) if n > ddof else math.nan


@kernel
def of_books(
    which: Int64, pnl: Float64, missing: Int64, ddof: int, out: Float64
) -> None:
    """Mean, standard deviation and count of the complete rows of several books, in two passes.

    `pnl` and `missing` have shape (B, W), `out` (m, 3) as in `mean_and_std`.
    """
    for j in range(len(which)):
        values, gaps = pnl[which[j]], missing[which[j]]
        n, total = 0, 0.0
        for s in range(len(values)):
            if gaps[s] == 0:
                n += 1
                total += values[s]
        mean = total / n if n > 0 else math.nan
        squares = 0.0
        for s in range(len(values)):
            if gaps[s] == 0:
                squares += (values[s] - mean) * (values[s] - mean)
        out[j, 0], out[j, 2] = mean, n
        out[j, 1] = math.sqrt(squares / (n - ddof)) if n > ddof else math.nan
