"""VaR and ES read off the tails of `rtre.kernels.tail_only`."""

from __future__ import annotations

import math

from rtre.kernels import tail_layout as lay
from rtre.kernels.blocks import total
from rtre.kernels.jit import inlined, kernel
from rtre.kernels.tail_sums import SHORT
from rtre.market import Float64, Int64


@inlined
def lerp(a: float, b: float, t: float) -> float:
    """Between a and b at the fraction t, rounded as numpy rounds it (`numpy.quantile`)."""
    if t >= 0.5:
        return b - (b - a) * (1.0 - t)
    return a + (b - a) * t


@inlined
def figure(A: Float64, I: Int64, at: int, which: int, c: int) -> tuple[float, float]:  # noqa: E741
    """VaR and ES of a side and level, for a window that has the numbers for them.

    ES is that of Rockafellar and Uryasev (2002, eq. 25 for a sample), under every rule of VaR:
    ``(L(1) + ... + L(k-1) + (m - k + 1) L(k)) / m``. A short tail is added up anew each time, the
    sum of a long one is carried along (`rtre.kernels.tail_sums`). Rounding could leave ES an ulp
    below VaR, and the rule "lower" can lie deeper by itself: then ES = VaR.
    """
    tail, r = lay.tail(I, at, which, 0), lay.level(I, at, c)
    k = I[r + lay.R_K]
    # no loss is minus zero: 0.0 - x, not -x
    var = 0.0 - lerp(A[tail + I[r + lay.R_A]], A[tail + I[r + lay.R_B]], A[r + lay.R_GAMMA])
    if I[at + lay.S_SUMMED] and k - 1 > SHORT:
        u = lay.running(I, at, which, c)
        worst = A[u + lay.U_HIGH] + A[u + lay.U_LOW]
    else:
        worst = total(A, tail, k - 1)
        I[at + lay.S_TOUCHED] += k
    es = 0.0 - (worst + A[r + lay.R_WEIGHT] * A[tail + k - 1]) / A[r + lay.R_M]
    return var, max(es, var)


@kernel
def refresh(A: Float64, I: Int64, at: int) -> None:  # noqa: E741
    """Write VaR and ES of every side and level of the series at `at`; NaN while it warms."""
    I[at + lay.S_STALE] = 0
    levels = I[lay.H_LEVELS]
    out = lay.results(I, at)
    if I[at + lay.S_VALID] < I[lay.H_MIN_OBS]:
        for j in range(2 * I[lay.H_SIDES] * levels):
            A[out + j] = math.nan
        return
    for s in range(I[lay.H_SIDES]):
        for c in range(levels):
            A[out], A[out + 1] = figure(A, I, at, s, c)
            out += 2
