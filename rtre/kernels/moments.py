"""Rolling mean and variance by adding and removing values, with an exact restart when in doubt.

Sums of x and x^2 about zero are accurate for returns, whose mean is small beside their spread, but
a huge value that has left the window leaves its rounding behind. So a sum that a removed value
dominated is thrown away and built again from the window.
"""

from __future__ import annotations

import math

from rtre.kernels import layout
from rtre.kernels.books import refresh
from rtre.kernels.jit import kernel
from rtre.kernels.layout import C_AMENDED, H_ASSETS, H_HEAD, H_ROWS, LAST
from rtre.market import Float64, Int64

COUNT, SUM, SQUARES = 0, 1, 2
SUMS = 3
DOMINATED = 1e6
"""A removed square this many times what remains costs 6 of 16 digits: time to start again."""

MEAN, SD, N = 0, 1, 2  #: columns of a result
MOMENTS = 3


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
def roll(F: Float64, I: Int64, sums: Float64, evicted: int) -> None:  # noqa: E741
    """Close the open ring column and drop column `evicted`, for every asset.

    A return that was amended since it closed has its sums rebuilt, and everything is each time the
    ring comes round, so that rounding cannot pile up.

    Parameters
    ----------
    sums : (N, 3) float64
        Count, sum and sum of squares over closed, observed returns; changed in place.
    evicted : int
        Ring column that opens next; it still holds what leaves.
    """
    returns, clocks, head = layout.returns(F, I), layout.clocks(I), I[H_HEAD]
    for i in range(I[H_ASSETS]):
        new, old = returns[i, head], returns[i, evicted]
        tainted = clocks[i, C_AMENDED] != 0 or evicted == 0
        if not math.isnan(new):
            sums[i, COUNT] += 1.0
            sums[i, SUM] += new
            sums[i, SQUARES] += new * new
        if not math.isnan(old):
            sums[i, COUNT] -= 1.0
            sums[i, SUM] -= old
            sums[i, SQUARES] -= old * old
            tainted = tainted or old * old > DOMINATED * sums[i, SQUARES]
        if tainted:
            rebuild(sums[i], returns[i], evicted)


@kernel
def of_symbol(sums: Float64, x: float, ddof: int, out: Float64) -> None:
    """Mean, deviation (NaN for fewer than ``ddof + 1`` values) and count, with `x` unless NaN."""
    n, s1, s2 = sums[COUNT], sums[SUM], sums[SQUARES]
    if not math.isnan(x):
        n, s1, s2 = n + 1.0, s1 + x, s2 + x * x
    out[N] = n
    out[MEAN] = s1 / n if n > 0 else math.nan
    out[SD] = math.sqrt(max(s2 - s1 * s1 / n, 0.0) / (n - ddof)) if n > ddof else math.nan


@kernel
def of_book(values: Float64, gaps: Int64, rows: int, ddof: int, out: Float64) -> None:
    """Mean, deviation and count of a book's complete rows, in two passes."""
    n, total = 0, 0.0
    for s in range(rows):
        if gaps[s] == 0:
            n += 1
            total += values[s]
    mean = total / n if n > 0 else math.nan
    squares = 0.0
    for s in range(rows):
        if gaps[s] == 0:
            squares += (values[s] - mean) * (values[s] - mean)
    out[MEAN], out[N] = mean, n
    out[SD] = math.sqrt(squares / (n - ddof)) if n > ddof else math.nan


@kernel
def of_lines(
    F: Float64,
    I: Int64,  # noqa: E741
    sums: Float64,
    which: Int64,
    ddof: int,
    out: Float64,
) -> None:
    """Mean and standard deviation (divisor ``n - ddof``) of P&L in currency, and the count.

    Parameters
    ----------
    which : (m,) int64
        Lines wanted.
    out : (>= m, 3) float64
        In the order of `which`.
    """
    assets, head = I[H_ASSETS], I[H_HEAD]
    returns, prices, net = layout.returns(F, I), layout.prices(F, I), layout.net(F, I)
    clocks, pnl, missing = layout.clocks(I), layout.pnl(F, I), layout.missing(I)
    for j in range(len(which)):
        i = which[j]
        if i >= assets:
            refresh(F, I, i - assets)
            of_book(pnl[i - assets], missing[i - assets], I[H_ROWS], ddof, out[j])
            continue
        if clocks[i, C_AMENDED] != 0:  # late ticks changed a closed interval
            rebuild(sums[i], returns[i], head)
        of_symbol(sums[i], returns[i, head], ddof, out[j])
        exposure = net[i] * prices[i, LAST]
        out[j, MEAN] *= exposure
        out[j, SD] *= abs(exposure)
