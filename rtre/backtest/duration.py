"""The duration test: does the hazard of an exceedance depend on the time since the last one?"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from scipy import optimize, special, stats

from rtre.backtest.exceedances import Counts
from rtre.backtest.result import BacktestResult, Direction, direction_of
from rtre.errors import DataError
from rtre.market import Float64
from rtre.order import tail_probability

Law = Literal["discrete", "continuous"]

#: Fewest exceedances that can tell memory. Where the one wait between two is longer than both open
#: ones, as in a third of right samples, the likelihood rises with the shape without end.
_LEAST = {"discrete": 3, "continuous": 2}
#: The search for the Weibull shape; rugarch's own bounds.
_SHAPES = (1e-3, 10.0)
#: Where the search in two dimensions begins: a fifth to each side.
_SIMPLEX = np.array([[0.0, 0.0], [0.2, 0.0], [0.0, 0.2]])


def durations(counts: Counts) -> tuple[Float64, Float64]:
    """Waits between exceedances, with the open ones at both ends.

    Returns
    -------
    waits : (m,) float64
        Periods until the first exceedance, between each and the next, and after the last.
    whole : (m,) float64
        1.0 for a wait that began and ended with an exceedance, 0.0 for an open one. A first period
        (or a last) with an exceedance leaves no open wait on that side.
    """
    if not counts.positions:
        return np.array([float(counts.n)]), np.zeros(1)
    waits, whole = list(map(float, counts.gaps[1:])), [1.0] * (counts.x - 1)
    if counts.positions[0] > 1:
        waits, whole = [float(counts.positions[0]), *waits], [0.0, *whole]
    if counts.positions[-1] < counts.n:
        waits, whole = [*waits, float(counts.n - counts.positions[-1])], [*whole, 0.0]
    return np.array(waits), np.array(whole)


def weibull_loglik(waits: Float64, whole: Float64, shape: float, log_rate: float) -> float:
    """Log likelihood of waits with survival ``exp(-r d^b)``: density where whole, else survival."""
    powers = np.exp(np.minimum(log_rate + shape * np.log(waits), 700.0))
    m = float(np.sum(whole))
    logs = (shape - 1.0) * float(np.sum(whole * np.log(waits)))
    return m * (math.log(shape) + log_rate) + logs - float(np.sum(powers))


def discrete_weibull_loglik(waits: Float64, whole: Float64, shape: float, log_rate: float) -> float:
    """The same for whole periods: ``P(d) = S(d - 1) - S(d)`` with ``S(d) = exp(-r d^b)``.

    Shape 1 is the geometric law itself, with an exceedance probability of ``1 - exp(-r)``.
    """
    rate = math.exp(log_rate)
    after = np.minimum(rate * waits**shape, 1e300)
    before = np.minimum(rate * (waits - 1.0) ** shape, 1e300)
    with np.errstate(divide="ignore"):
        ended = -before + np.log(-np.expm1(before - after))
    return float(np.sum(np.where(whole > 0.0, ended, -after)))


def _continuous(waits: Float64, whole: Float64) -> tuple[float, float]:
    """Highest likelihood ratio against shape 1, and its shape; the best rate has a closed form."""
    logs, log_m = np.log(waits), math.log(float(np.sum(whole)))

    def profile(log_shape: float) -> float:
        shape = math.exp(log_shape)
        return weibull_loglik(waits, whole, shape, log_m - float(special.logsumexp(shape * logs)))

    top = optimize.minimize_scalar(
        lambda log_shape: -profile(log_shape),
        bounds=(math.log(_SHAPES[0]), math.log(_SHAPES[1])),
        method="bounded",
        options={"xatol": 1e-8},
    )
    return 2.0 * (-float(top.fun) - profile(0.0)), math.exp(top.x)


def _discrete(waits: Float64, whole: Float64) -> tuple[float, float]:
    """The same for whole periods, by a search in shape and rate from the geometric law."""
    m, total = float(np.sum(whole)), float(np.sum(waits))
    if m == total:  # every wait is one period: the geometric law of certainty fits without a rest
        return 0.0, 1.0
    typical = math.log(total / m)

    def cost(x: Float64) -> float:
        shape = math.exp(x[0])
        # the rate at a typical wait: it hardly moves when the shape does
        return -discrete_weibull_loglik(waits, whole, shape, x[1] - (shape - 1.0) * typical)

    start = np.array([0.0, math.log(-math.log1p(-m / total))])
    ends = [(math.log(end) for end in _SHAPES), (start[1] - 10.0, start[1] + 10.0)]
    top = optimize.minimize(
        cost, start, method="Nelder-Mead", bounds=[tuple(e) for e in ends],
        options={"xatol": 1e-7, "fatol": 1e-10, "initial_simplex": start + _SIMPLEX},
    )  # fmt: skip
    return 2.0 * (cost(start) - float(top.fun)), math.exp(top.x[0])


def duration(
    counts: Counts, confidence: float, *, law: Law = "discrete", coverage: bool = False
) -> BacktestResult:
    """Waits have no memory: Christoffersen and Pelletier, J. of Financial Econometrics 2 (2004).

    Against waits without memory stand Weibull waits, whose hazard falls with time where exceedances
    cluster (shape below 1). The wait before the first exceedance and the one after the last are
    open.

    Parameters
    ----------
    counts : Counts
    confidence : float
        Of the VaR.
    law : {"discrete", "continuous"}
        ``discrete``: whole periods, geometric under a right VaR (Haas, Improved duration-based
        backtesting of value-at-risk, Journal of Risk 8, 2005). ``continuous``: exponential, as in
        the paper and in rugarch's ``VaRDurTest``; a day is then taken for an instant, and a right
        95 % VaR is rejected at 5 % in 10 % of samples of 1000 periods, 24 % of 4000.
    coverage : bool
        False: any rate without memory is right, chi2(1). True: the rate must be the promised one
        too, chi2(2).

    Notes
    -----
    With fewer than three exceedances (``continuous``, as in rugarch: two), or with nothing but
    exceedances, memory cannot be told: its part of the statistic is 0. With few of them the law is
    rough: at 5 % waits without memory are rejected in 15 % of samples with 3 exceedances, 10 % with
    6 and 7 % with 12; with 2, where ``continuous`` still answers, in 34 %.
    """
    if law not in ("discrete", "continuous"):
        raise DataError(f"law must be discrete or continuous, got {law!r}")
    tail = float(tail_probability(confidence))
    waits, whole = durations(counts)
    search = _continuous if law == "continuous" else _discrete
    if law == "discrete" and counts.positions and counts.positions[0] > 1:
        waits[0] -= 1.0  # calm periods only: how long it had been calm before is not known
    ratio, shape, note = 0.0, 1.0, ""
    if counts.x < _LEAST[law] or counts.x == counts.n:
        note = f"{counts.x} exceedances in {counts.n} periods: too few waits between them to test"
    else:
        ratio, shape = search(waits, whole)
        ratio = max(ratio, 0.0)
    inputs = {"n": counts.n, "x": counts.x, "confidence": confidence, "shape": shape}
    freedom = 1
    direction: Direction = "in line" if note else direction_of(1.0, shape)
    if coverage:
        ratio += _rate_ratio(waits, whole, tail, law)
        freedom, direction = 2, direction_of(counts.x, counts.n * tail)
    return BacktestResult(
        "duration-coverage" if coverage else "duration",
        ratio,
        float(stats.chi2.sf(ratio, freedom)),
        f"chi2({freedom})",
        direction,
        inputs,
        note,
    )


def _rate_ratio(waits: Float64, whole: Float64, tail: float, law: Law) -> float:
    """Likelihood ratio of waits without memory at their own rate against the promised one."""
    m, total = float(np.sum(whole)), float(np.sum(waits))
    if not total:
        return 0.0
    if law == "continuous":
        free = float(special.xlogy(m, m / total)) - m
        return max(2.0 * (free - (m * math.log(tail) - tail * total)), 0.0)
    calm = total - m
    free = float(special.xlogy(m, m / total) + special.xlogy(calm, calm / total))
    return max(2.0 * (free - m * math.log(tail) - calm * math.log1p(-tail)), 0.0)
