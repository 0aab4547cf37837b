"""Exponentially weighted second moment of the observed returns, by recursion.

S = sum of decay^age r^2 and V = sum of decay^age over closed observations, age counted in
observations, so a masked interval freezes both. The estimate S / V is normalised at every length:
no start-up bias and no initial value to guess (RiskMetrics 1996, section 5.3, with the finite sum
kept finite).
"""

from __future__ import annotations

import math

from rtre.kernels import layout
from rtre.kernels.books import refresh
from rtre.kernels.jit import kernel
from rtre.kernels.layout import C_AMENDED, H_ASSETS, H_HEAD, H_ROWS, H_WINDOW, LAST
from rtre.kernels.moments import DOMINATED
from rtre.market import Float64, Int64

COUNT, SQUARES, WEIGHT = 0, 1, 2
STATE = 3

VARIANCE, N = 0, 1  #: columns of a result
RESULTS = 2


@kernel
def rebuild(state: Float64, row: Float64, oldest: int, skip: int, decay: float) -> None:
    """Run the recursion over one asset's returns from ring column `oldest` on, without `skip`."""
    state[:] = 0.0
    window = len(row)
    for step in range(window):
        s = oldest + step
        if s >= window:
            s -= window
        if s != skip and not math.isnan(row[s]):
            state[COUNT] += 1.0
            state[SQUARES] = decay * state[SQUARES] + row[s] * row[s]
            state[WEIGHT] = decay * state[WEIGHT] + 1.0


@kernel
def roll(
    F: Float64,
    I: Int64,  # noqa: E741
    state: Float64,
    evicted: int,
    decay: float,
) -> None:
    """Close the open ring column and drop column `evicted`; see `rtre.kernels.moments.roll`."""
    returns, clocks, head = layout.returns(F, I), layout.clocks(I), I[H_HEAD]
    following = evicted + 1 if evicted + 1 < returns.shape[1] else 0
    for i in range(I[H_ASSETS]):
        new, old = returns[i, head], returns[i, evicted]
        tainted = clocks[i, C_AMENDED] != 0 or evicted == 0
        if not math.isnan(new):
            state[i, COUNT] += 1.0
            state[i, SQUARES] = decay * state[i, SQUARES] + new * new
            state[i, WEIGHT] = decay * state[i, WEIGHT] + 1.0
        if not math.isnan(old):
            state[i, COUNT] -= 1.0
            weight = decay ** state[i, COUNT]
            state[i, SQUARES] -= weight * old * old
            state[i, WEIGHT] -= weight
            tainted = tainted or weight * old * old > DOMINATED * state[i, SQUARES]
        if tainted:
            rebuild(state[i], returns[i], following, evicted, decay)


@kernel
def of_symbol(state: Float64, x: float, decay: float, out: Float64) -> None:
    """Variance per interval (NaN without an observation) and count, with `x` unless NaN."""
    n, squares, weight = state[COUNT], state[SQUARES], state[WEIGHT]
    if not math.isnan(x):
        n, squares, weight = n + 1.0, decay * squares + x * x, decay * weight + 1.0
    out[VARIANCE] = squares / weight if weight > 0.0 else math.nan
    out[N] = n


@kernel
def of_book(
    pnl: Float64, missing: Int64, rows: int, oldest: int, decay: float, out: Float64
) -> None:
    """Variance per interval and count of a book's complete rows, oldest first."""
    window = len(pnl)
    n, squares, weight = 0, 0.0, 0.0
    for step in range(rows):
        s = oldest + step
        if s >= window:
            s -= window
        if missing[s] == 0:
            n += 1
            squares = decay * squares + pnl[s] * pnl[s]
            weight = decay * weight + 1.0
    out[VARIANCE] = squares / weight if n > 0 else math.nan
    out[N] = n


@kernel
def of_lines(
    F: Float64,
    I: Int64,  # noqa: E741
    state: Float64,
    which: Int64,
    decay: float,
    out: Float64,
) -> None:
    """EWMA variance of P&L per interval, in currency squared, and the count.

    The open interval's return counts as the newest, where there is one.

    Parameters
    ----------
    which : (m,) int64
        Lines wanted.
    out : (>= m, 2) float64
        In the order of `which`.
    """
    assets, head, window = I[H_ASSETS], I[H_HEAD], I[H_WINDOW]
    returns, prices, net = layout.returns(F, I), layout.prices(F, I), layout.net(F, I)
    clocks, pnl, missing = layout.clocks(I), layout.pnl(F, I), layout.missing(I)
    oldest = head - I[H_ROWS] + 1
    if oldest < 0:
        oldest += window
    for j in range(len(which)):
        i = which[j]
        if i >= assets:
            b = i - assets
            refresh(F, I, b)
            of_book(pnl[b], missing[b], I[H_ROWS], oldest, decay, out[j])
            continue
        if clocks[i, C_AMENDED] != 0:  # late ticks changed a closed interval
            rebuild(state[i], returns[i], oldest, head, decay)
        of_symbol(state[i], returns[i, head], decay, out[j])
        out[j, VARIANCE] *= (net[i] * prices[i, LAST]) ** 2
