"""The law of a GARCH(1,1) or GJR, and its fit by (quasi) maximum likelihood.

    pnl_t = mu + e_t,   h_{t+1} = omega + (alpha + gamma [e_t < 0]) e_t^2 + beta h_t

The likelihood starts from the mean of e^2 at the current mu, for the presample shock and variance
alike: the start under which Fiorentini, Calzolari and Panattoni (1996) give their benchmark. Other
starts move the coefficients in the second digit, so the start is part of the definition.
"""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
from scipy import special

from rtre.errors import DataError
from rtre.kernels.garch import (
    DF_HIGH,
    DF_LOW,
    PERSISTENCE,
    likelihood_sums,
    search_cost,
    simplex_search,
    unpack,
    variance_path,
)
from rtre.market import Float64
from rtre.models.sample import deviation_of, mean_of

FAR, NEAR = 0.5, 0.1  #: first steps of the searches, in logarithms
ROUGH, FINE = 1e-4, 1e-7  #: where they end
MOST_STEPS = 2000  #: of one search
MOST_SEARCHES = 8  #: from the best point so far


__all__ = [
    "DF_HIGH",
    "DF_LOW",
    "PERSISTENCE",
    "GarchFit",
    "check_flag",
    "fit_garch",
    "garch_loglik",
    "garch_variances",
    "horizon_variance",
    "relative_fit",
]


def check_flag(instance: Any, attribute: Any, value: Any) -> None:
    """Check an attribute that is True or False: a 1 or a "no" in a configuration is a mistake."""
    if not isinstance(value, bool):
        where = f"{type(instance).__name__}.{attribute.name}"
        raise DataError(f"{where} must be true or false; got {value!r}")


@attrs.frozen
class GarchFit:
    """Parameters of a fitted GARCH, in the units of the sample (`scaled` changes them).

    Attributes
    ----------
    mu, omega : float
        Mean per observation (P&L), and the constant of the variance (P&L squared).
    alpha, gamma, beta : float
        Free of scale; gamma is 0 in a symmetric model and may be negative for a short position.
    df : float
        Degrees of freedom of unit-variance Student-t innovations; inf for normal ones.
    loglik : float
        At the sample of the fit, in its units.
    covariance : (k, k) float64 or None
        Robust covariance of the free parameters (`free_parameters`); None where it was not asked
        for, NaN where it does not exist (see `garch_errors`).
    """

    mu: float
    omega: float
    alpha: float
    gamma: float
    beta: float
    df: float = math.inf
    loglik: float = math.nan
    covariance: Float64 | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def persistence(self) -> float:
        """``alpha + gamma / 2 + beta``, for innovations as often negative as positive."""
        return self.alpha + 0.5 * self.gamma + self.beta

    @property
    def variance(self) -> float:
        """Long-run variance ``omega / (1 - persistence)``; inf at a persistence of one or more."""
        left = 1.0 - self.persistence
        return self.omega / left if left > 0.0 else math.inf

    def scaled(self, unit: float) -> GarchFit:
        """Return the same law of P&L multiplied by `unit` (positive)."""
        covariance = self.covariance
        if covariance is not None:
            units = np.ones(len(covariance))
            units[:2] = unit, unit * unit
            covariance = units[:, None] * covariance * units
        return attrs.evolve(
            self, mu=self.mu * unit, omega=self.omega * unit * unit, covariance=covariance
        )

    def following(self, variance: float, pnl: float) -> float:
        """Return the variance forecast after `pnl`, whose own forecast was `variance`; O(1)."""
        shock = pnl - self.mu
        weight = self.alpha + (self.gamma if shock < 0.0 else 0.0)
        return self.omega + weight * shock * shock + self.beta * variance


def garch_loglik(pnl: Float64, fit: GarchFit) -> float:
    """Log likelihood of `pnl` under `fit`; -inf outside the parameter space."""
    normal = math.isinf(fit.df)
    logs, second = likelihood_sums(
        pnl, fit.mu, fit.omega, fit.alpha, fit.gamma, fit.beta, 0.0 if normal else fit.df
    )
    n = len(pnl)
    if normal:
        return -0.5 * (n * math.log(2.0 * math.pi) + logs + second)
    df = fit.df
    norm = float(special.gammaln(0.5 * (df + 1.0)) - special.gammaln(0.5 * df))
    norm -= 0.5 * math.log((df - 2.0) * math.pi)
    return n * norm - 0.5 * logs - 0.5 * (df + 1.0) * second


def garch_variances(pnl: Float64, fit: GarchFit) -> Float64:
    """Variance forecasts, shape (n+1,): ``h[t]`` is known before ``pnl[t]``; ``h[n]`` is next."""
    shocks = np.ascontiguousarray(pnl - fit.mu)
    start = float(np.mean(shocks * shocks))
    first = fit.omega + fit.persistence * start
    out = np.empty(len(pnl) + 1)
    variance_path(shocks, fit.omega, fit.alpha, fit.gamma, fit.beta, first, out)
    return out


def horizon_variance(fit: GarchFit, following: float, steps: int) -> float:
    """Variance of the sum of the next `steps` P&Ls, given the forecast for the first of them.

    ``sum over k of v + p^(k-1) (following - v)``, v the long-run variance and p the persistence:
    the expectation of the recursion, in closed form (also at p = 1, where v does not exist).
    """
    total, variance = 0.0, following
    for _ in range(steps):
        total += variance
        variance = fit.omega + fit.persistence * variance
    return total


def _start(alpha: float, persistence: float, *, asymmetric: bool, student: bool) -> Float64:
    rest = 1.0 - persistence
    logit = math.log(0.5 * alpha / rest)
    x = [0.0, math.log(rest), logit]
    if asymmetric:
        x.append(logit)
    x.append(math.log((persistence - alpha) / rest))
    if student:
        x.append(math.log((8.0 - DF_LOW) / (DF_HIGH - 8.0)))
    return np.array(x)


def fit_garch(pnl: Float64, *, asymmetric: bool = False, innovations: str = "normal") -> GarchFit:
    """Fit by maximum likelihood; with normal innovations it is quasi maximum likelihood.

    QML estimates mean and variance consistently whatever the law of the innovations (Bollerslev
    and Wooldridge 1992). The search works on the sample in units of its deviation, from the best
    three of nine starts, and begins anew around the best point until that gains nothing: a simplex
    can collapse short of the top. Each search is one kernel call that runs without the GIL.

    Parameters
    ----------
    pnl : (n,) float64
        Oldest first; must vary. Fewer than a few hundred observations give unstable parameters.
    asymmetric : bool
        GJR: negative shocks have a coefficient of their own.
    innovations : {"normal", "t"}
        Unit-variance Student-t innovations have fitted degrees of freedom above 2.

    Returns
    -------
    GarchFit
        In the units of `pnl`, with its log likelihood.
    """
    student = innovations == "t"
    centre = mean_of(pnl)
    unit = deviation_of(pnl, centre, 0)
    scaled = np.ascontiguousarray((pnl - centre) / unit)

    starts = [
        _start(alpha, persistence, asymmetric=asymmetric, student=student)
        for alpha in (0.02, 0.08, 0.2)
        for persistence in (0.7, 0.95, 0.99)
    ]
    k = len(starts[0])
    S, best = np.empty((k + 4, k + 1)), np.full(k + 1, math.inf)

    def search(x: Float64, step: float, closeness: float) -> float:
        """Search from x; return by how much it is better than the best so far."""
        S[0, :k] = x
        simplex_search(scaled, S, step, closeness, MOST_STEPS, asymmetric, student)
        gain = float(best[k] - S[0, k])
        if gain > 0.0:
            best[:] = S[0]
        return gain

    for start in sorted(starts, key=lambda x: search_cost(scaled, x, asymmetric, student))[:3]:
        search(start, FAR, ROUGH)
    for turn in range(MOST_SEARCHES):
        # to either side in turn: what one simplex misses, the other has in its way
        if search(best[:k], NEAR if turn % 2 == 0 else -NEAR, FINE) < 1e-11 and turn:
            break
    mu, omega, alpha, gamma, beta, df = unpack(best[:k], asymmetric, student)
    fit = GarchFit(mu, omega, alpha, gamma, beta, df if student else math.inf).scaled(unit)
    fit = attrs.evolve(fit, mu=fit.mu + centre)
    return attrs.evolve(fit, loglik=garch_loglik(np.ascontiguousarray(pnl), fit))


def relative_fit(pnl: Float64, *, asymmetric: bool, innovations: str) -> GarchFit:
    """Fit in units of the sample's own deviation, which must not be zero: free of scale."""
    unit = deviation_of(pnl, mean_of(pnl), 0)
    return fit_garch(pnl, asymmetric=asymmetric, innovations=innovations).scaled(1.0 / unit)
