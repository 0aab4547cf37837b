"""Variance recursions of the GARCH family: sequential by nature, so compiled.

One recursion serves them all:

    h[t+1] = omega + (alpha + gamma * [e[t] < 0]) * e[t]^2 + beta * h[t]

with GARCH(1,1) at gamma = 0 and EWMA at omega = gamma = 0, alpha = 1 - beta. Along one series it is
a chain in which each variance waits for the one before; across symbols it is one vector operation.
"""

from __future__ import annotations

import math

from rtre.kernels.jit import kernel
from rtre.market import Float64

VARIANCE, OMEGA, ALPHA, GAMMA, BETA = 0, 1, 2, 3, 4  #: rows of a panel, for `variance_step`
PANEL = 5

LARGEST = 1e150  #: in size; what lies beyond counts as NaN: its square overflows


@kernel
def variance_step(F: Float64, shocks: Float64) -> int:
    """Take the variances of many symbols one step on; return how many shocks were masked.

    Parameters
    ----------
    F : (PANEL, n) float64
        Variances, changed in place; parameters of each symbol.
    shocks : (n,) float64
        Returns less their means; NaN, infinite or beyond 1e150: that symbol stays as it is.

    Notes
    -----
    Branches would keep the loop from being vectorised: each symbol computes, and a mask picks, all
    loads before the choice. A masked shock is replaced before it is squared, so that nothing
    overflows on the way. One array is written: LLVM gives up where too many might overlap, and with
    the square roots in the same loop it ran one symbol at a time (4.7 ns where this takes 0.7).
    """
    variance, omega = F[VARIANCE], F[OMEGA]
    alpha, gamma, beta = F[ALPHA], F[GAMMA], F[BETA]
    seen = 0
    for i in range(len(shocks)):
        if abs(shocks[i]) <= LARGEST:
            seen += 1
    for i in range(len(shocks)):
        given, before, weight, leverage = shocks[i], variance[i], alpha[i], gamma[i]
        known = abs(given) <= LARGEST
        shock = given if known else 0.0
        weight = weight + leverage if shock < 0.0 else weight
        following = omega[i] + weight * shock * shock + beta[i] * before
        variance[i] = following if known else before
    return len(shocks) - seen


@kernel
def variance_path(
    shocks: Float64,
    omega: float,
    alpha: float,
    gamma: float,
    beta: float,
    first: float,
    out: Float64,
) -> None:
    """Fill `out`, shape (n+1,), with the variance forecast for each shock and for the next one.

    ``out[0] = first``; ``out[t]`` is known before ``shocks[t]``; ``out[n]`` is the forecast.
    Nothing is checked.
    """
    variance = first
    out[0] = variance
    for t in range(shocks.shape[0]):
        shock = shocks[t]
        weight = alpha
        if shock < 0.0:
            weight = alpha + gamma
        variance = omega + weight * shock * shock + beta * variance
        out[t + 1] = variance


@kernel
def likelihood_sums(
    pnl: Float64,
    mu: float,
    omega: float,
    alpha: float,
    gamma: float,
    beta: float,
    df: float,
) -> tuple[float, float]:
    """Return the two data-dependent sums of a GARCH log likelihood.

    The first is ``sum log h``. The second is ``sum e^2 / h`` for ``df <= 2`` (which stands for the
    normal law), else ``sum log(1 + e^2 / ((df - 2) h))``. The presample shock and variance are the
    mean of e^2 at this `mu`, and half of the presample shocks count as negative: the start of
    Fiorentini, Calzolari and Panattoni (1996). A variance that is not positive gives inf.
    """
    n = pnl.shape[0]
    start = 0.0
    for t in range(n):
        start += (pnl[t] - mu) * (pnl[t] - mu)
    start /= n
    variance = omega + (alpha + 0.5 * gamma + beta) * start
    logs = 0.0
    second = 0.0
    for t in range(n):
        if not (variance > 0.0 and variance < math.inf):
            return math.inf, math.inf
        shock = pnl[t] - mu
        square = shock * shock
        logs += math.log(variance)
        if df > 2.0:
            second += math.log1p(square / ((df - 2.0) * variance))
        else:
            second += square / variance
        weight = alpha
        if shock < 0.0:
            weight = alpha + gamma
        variance = omega + weight * square + beta * variance
    return logs, second
