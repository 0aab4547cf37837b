"""Exponentially weighted second moment of the observed returns, by recursion.

S = sum of decay^age r^2 and V = sum of decay^age over closed observations, age counted in
observations, so a masked interval freezes both. The estimate S / V is normalised at every length:
no start-up bias and no initial value to guess (RiskMetrics 1996, section 5.3, with the finite sum
kept finite).
"""

from __future__ import annotations

import math

from rtre.kernels.jit import kernel
from rtre.market import Float64, Int64

COUNT, SQUARES, WEIGHT = 0, 1, 2
STATE = 3
DOMINATED = 1e6  #: as in `rtre.kernels.moments`


@kernel
def rebuild(state: Float64, row: Float64, oldest: int, skip: int, decay: float) -> None:
    """Run the recursion over one asset's closed returns, from ring column `oldest` on."""
    state[:] = 0.0
    window = len(row)
    for step in range(window):
        s = (oldest + step) % window
        if s != skip and not math.isnan(row[s]):
            state[COUNT] += 1.0
            state[SQUARES] = decay * state[SQUARES] + row[s] * row[s]
            state[WEIGHT] = decay * state[WEIGHT] + 1.0


@kernel
def roll(
    state: Float64,
    returns: Float64,
    amended: Int64,
    head: int,
    evicted: int,
    decay: float,
) -> None:
    """Close ring column `head` and drop column `evicted` for every asset; see `moments.roll`."""
    for i in range(len(state)):
        new, old = returns[i, head], returns[i, evicted]
        tainted = amended[i] != 0
        if not math.isnan(new):
            state[i, COUNT] += 1.0
            state[i, SQUARES] = decay * state[i, SQUARES] + new * new
            state[i, WEIGHT] = decay * state[i, WEIGHT] + 1.0
        if evicted != head and not math.isnan(old):
            state[i, COUNT] -= 1.0
            weight = decay ** state[i, COUNT]
            state[i, SQUARES] -= weight * old * old
            state[i, WEIGHT] -= weight
            tainted = tainted or weight * old * old > DOMINATED * state[i, SQUARES]
        if tainted:
            rebuild(state[i], returns[i], (evicted + 1) % returns.shape[1], evicted, decay)


@kernel
def variance(
    state: Float64, provisional: Float64, which: Int64, decay: float, out: Float64
) -> None:
    """EWMA variance (per interval) with the open interval's return, where there is one, as newest.

    `out` has shape (m, 2), in the order of `which`: the variance, NaN without an observation, and
    the number of observations.
    """
    for j in range(len(which)):
        i = which[j]
        n, squares, weight = state[i, COUNT], state[i, SQUARES], state[i, WEIGHT]
        x = provisional[i]
        if not math.isnan(x):
            n, squares, weight = n + 1.0, decay * squares + x * x, decay * weight + 1.0
        out[j, 0] = squares / weight if weight > 0.0 else math.nan
        out[j, 1] = n


@kernel
def of_books(
    which: Int64,
    pnl: Float64,
    missing: Int64,
    rows: int,
    oldest: int,
    decay: float,
    out: Float64,
) -> None:
    """EWMA variance of the complete rows of several books; `out` as in `variance`."""
    window = pnl.shape[1]
    for j in range(len(which)):
        b = which[j]
        n, squares, weight = 0, 0.0, 0.0
        for step in range(rows):
            s = oldest + step
            if s >= window:
                s -= window
            if missing[b, s] == 0:
                n += 1
                squares = decay * squares + pnl[b, s] * pnl[b, s]
                weight = decay * weight + 1.0
        out[j, 0] = squares / weight if n > 0 else math.nan
        out[j, 1] = n
