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

#: Below, the variance of a t law all but vanishes from the likelihood; above, it is normal.
DF_LOW, DF_HIGH = 2.05, 300.0

#: A sample without clusters drives persistence to one, where the long-run variance is lost.
PERSISTENCE = 0.9999

FARTHEST = 60.0  #: a coordinate of the search beyond this in size is outside
OUTSIDE = 1e10  #: what it costs to be there

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


@kernel
def _log_norm(df: float) -> float:
    """Constant of the log density of an innovation of unit variance; normal for ``df <= 2``."""
    if df > 2.0:
        norm = math.lgamma(0.5 * (df + 1.0)) - math.lgamma(0.5 * df)
        return norm - 0.5 * math.log((df - 2.0) * math.pi)
    return -0.5 * math.log(2.0 * math.pi)


@kernel
def log_densities(pnl: Float64, laws: Float64, out: Float64) -> None:
    """Write the log density of each P&L given those before it, under each of many laws.

    A row adds up to the log likelihood that `likelihood_sums` is for, with the same start.

    Parameters
    ----------
    pnl : (n,) float64
    laws : (m, 6) float64
        Of each: mu, omega, alpha, gamma, beta, df; ``df <= 2`` stands for the normal law.
    out : (m, n) float64
        NaN from where a variance is not positive and finite.
    """
    n = len(pnl)
    for i in range(len(laws)):
        mu, omega, alpha, gamma, beta, df = laws[i]
        norm, start = _log_norm(df), 0.0
        for t in range(n):
            start += (pnl[t] - mu) * (pnl[t] - mu)
        variance = omega + (alpha + 0.5 * gamma + beta) * start / n
        for t in range(n):
            if not (variance > 0.0 and variance < math.inf):
                variance = math.nan
            shock = pnl[t] - mu
            square = shock * shock
            if df > 2.0:
                bend = (df + 1.0) * math.log1p(square / ((df - 2.0) * variance))
            else:
                bend = square / variance
            out[i, t] = norm - 0.5 * (math.log(variance) + bend)
            weight = alpha + gamma if shock < 0.0 else alpha
            variance = omega + weight * square + beta * variance


@kernel
def unpack(
    x: Float64, asymmetric: bool, student: bool
) -> tuple[float, float, float, float, float, float]:
    """Map any real vector to mu, omega > 0, alpha, gamma, beta >= 0 and df, persistence < 1.

    The shares (alpha of gains / 2, alpha of losses / 2, beta, rest) are a softmax, so the search
    needs no constraints and gamma may have either sign. Coordinates: mu, log omega, gains, losses
    if `asymmetric`, beta, df if `student`. A df of 0 stands for the normal law.
    """
    gains, losses, at = x[2], x[2], 3
    if asymmetric:
        losses, at = x[3], 4
    beta = x[at]
    top = max(gains, losses, beta, 0.0)
    gains, losses = math.exp(gains - top), math.exp(losses - top)
    beta, rest = math.exp(beta - top), math.exp(-top)
    share = PERSISTENCE / (gains + losses + beta + rest)
    gamma = 2.0 * share * (losses - gains) if asymmetric else 0.0
    df = DF_LOW + (DF_HIGH - DF_LOW) / (1.0 + math.exp(-x[at + 1])) if student else 0.0
    return x[0], math.exp(min(x[1], 50.0)), 2.0 * share * gains, gamma, share * beta, df


@kernel
def search_cost(pnl: Float64, x: Float64, asymmetric: bool, student: bool) -> float:
    """Negative mean log likelihood at a vector of `unpack`; `OUTSIDE` where there is none."""
    for j in range(len(x)):
        if not abs(x[j]) < FARTHEST:
            return OUTSIDE
    mu, omega, alpha, gamma, beta, df = unpack(x, asymmetric, student)
    logs, second = likelihood_sums(pnl, mu, omega, alpha, gamma, beta, df)
    weight = df + 1.0 if student else 1.0
    cost = 0.5 * (logs + weight * second) / len(pnl) - _log_norm(df)
    return cost if cost < OUTSIDE else OUTSIDE


@kernel
def _ends(S: Float64, k: int) -> tuple[int, int, int]:
    """Rows of the lowest, the highest and the second highest cost."""
    best, worst, next_worst = 0, 0, -1
    for i in range(1, k + 1):
        if S[i, k] < S[best, k]:
            best = i
        if S[i, k] >= S[worst, k]:
            worst, next_worst = i, worst
        elif next_worst < 0 or S[i, k] > S[next_worst, k]:
            next_worst = i
    return best, worst, next_worst


@kernel
def _close(S: Float64, k: int, best: int, closeness: float) -> bool:
    for i in range(k + 1):
        if S[i, k] - S[best, k] > 1e-6 * closeness:
            return False
        for j in range(k):
            if abs(S[i, j] - S[best, j]) > closeness:
                return False
    return True


@kernel
def _try(
    pnl: Float64, S: Float64, worst: int, far: float, to: int, asymmetric: bool, student: bool
) -> None:
    """Go from the worst corner through the centre of the others, `far` times beyond it."""
    k = S.shape[1] - 1
    for j in range(k):
        S[to, j] = S[k + 1, j] + far * (S[k + 1, j] - S[worst, j])
    S[to, k] = search_cost(pnl, S[to, :k], asymmetric, student)


@kernel
def _copy(S: Float64, source: int, to: int) -> None:
    for j in range(S.shape[1]):
        S[to, j] = S[source, j]


@kernel
def _centre(S: Float64, k: int, worst: int) -> None:
    """Write the mean of all corners but the worst into the row after them."""
    for j in range(k):
        total = 0.0
        for i in range(k + 1):
            if i != worst:
                total += S[i, j]
        S[k + 1, j] = total / k


@kernel
def _shrink(pnl: Float64, S: Float64, best: int, asymmetric: bool, student: bool) -> None:
    """Draw all corners half way to the best."""
    k = S.shape[1] - 1
    for i in range(k + 1):
        if i != best:
            for j in range(k):
                S[i, j] = S[best, j] + 0.5 * (S[i, j] - S[best, j])
            S[i, k] = search_cost(pnl, S[i, :k], asymmetric, student)


@kernel
def simplex_search(
    pnl: Float64,
    S: Float64,
    step: float,
    closeness: float,
    most: int,
    asymmetric: bool,
    student: bool,
) -> int:
    """Bring the first row of `S` downhill on `search_cost`; return the steps that it took.

    Nelder and Mead (1965) with the usual coefficients. All of it in one kernel: an optimiser in
    Python takes three times as long, most of it with the GIL, which a fit in a worker thread should
    leave to the event loop (``benchmarks/test_fit_stall.py``).

    Parameters
    ----------
    pnl : (n,) float64
        Of mean near zero and deviation near one.
    S : (k + 4, k + 1) float64
        Work space for k coordinates. Where to start, and where it ended, are the first k of the
        first row; its last is the cost there.
    step : float
        Size of the first simplex; a fifth of it in the mean, whose errors are smaller.
    closeness : float
        Ends when all corners are as close as this, and their costs to within 1e-6 of it.
    most : int
        Ends after so many steps in any case.
    """
    k = S.shape[1] - 1
    tried, again = k + 2, k + 3
    S[0, k] = search_cost(pnl, S[0, :k], asymmetric, student)
    for i in range(1, k + 1):
        _copy(S, 0, i)
        S[i, i - 1] += 0.2 * step if i == 1 else step
        S[i, k] = search_cost(pnl, S[i, :k], asymmetric, student)
    steps = 0
    while steps < most:
        best, worst, next_worst = _ends(S, k)
        if _close(S, k, best, closeness):
            break
        steps += 1
        _centre(S, k, worst)
        _try(pnl, S, worst, 1.0, tried, asymmetric, student)
        if S[tried, k] < S[best, k]:
            _try(pnl, S, worst, 2.0, again, asymmetric, student)
            _copy(S, again if S[again, k] < S[tried, k] else tried, worst)
        elif S[tried, k] < S[next_worst, k]:
            _copy(S, tried, worst)
        else:
            outside = S[tried, k] < S[worst, k]
            _try(pnl, S, worst, 0.5 if outside else -0.5, again, asymmetric, student)
            if S[again, k] < min(S[tried, k], S[worst, k]):
                _copy(S, again, worst)
            else:
                _shrink(pnl, S, best, asymmetric, student)
    best, worst, next_worst = _ends(S, k)
    _copy(S, best, 0)
    return steps
