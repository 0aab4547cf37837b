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
from scipy import optimize, special

from rtre.errors import DataError
from rtre.kernels.garch import likelihood_sums, variance_path
from rtre.market import Float64
from rtre.models.sample import deviation_of, mean_of

#: Below, the variance of a t law all but vanishes from the likelihood; above, it is normal.
DF_LOW, DF_HIGH = 2.05, 300.0

#: A sample without clusters drives persistence to one, where the long-run variance is lost.
PERSISTENCE = 0.9999


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


def _unpack(x: Float64, *, asymmetric: bool, student: bool) -> GarchFit:
    """Map any real vector to parameters with omega > 0, alpha, beta >= 0 and persistence < 1.

    The shares (alpha of gains / 2, alpha of losses / 2, beta, rest) are a softmax, so the search
    needs no constraints and gamma may have either sign.
    """
    logits = np.array([x[2], x[3] if asymmetric else x[2], x[-1 - student], 0.0])
    shares = np.exp(logits - np.max(logits))
    gains, losses, beta, _ = (PERSISTENCE * shares / float(np.sum(shares))).tolist()
    df = DF_LOW + (DF_HIGH - DF_LOW) / (1.0 + math.exp(-x[-1])) if student else math.inf
    gamma = 2.0 * (losses - gains) if asymmetric else 0.0
    return GarchFit(float(x[0]), math.exp(min(x[1], 50.0)), 2.0 * gains, gamma, beta, df)


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
    three of nine starts.

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

    def unpack(x: Float64) -> GarchFit:
        return _unpack(x, asymmetric=asymmetric, student=student)

    def cost(x: Float64) -> float:
        if not float(np.max(np.abs(x))) < 60.0:
            return 1e10
        value = -garch_loglik(scaled, unpack(x)) / len(scaled)
        return value if math.isfinite(value) else 1e10

    starts = [
        _start(alpha, persistence, asymmetric=asymmetric, student=student)
        for alpha in (0.02, 0.08, 0.2)
        for persistence in (0.7, 0.95, 0.99)
    ]
    best = None
    for start in sorted(starts, key=cost)[:3]:
        found = optimize.minimize(cost, start, method="L-BFGS-B", options={"maxiter": 300})
        if best is None or found.fun < best.fun:
            best = found
    assert best is not None  # three starts were tried
    # forward differences stop L-BFGS a little early; a simplex from there needs no slopes
    best = optimize.minimize(
        cost, best.x, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-13, "maxiter": 2000}
    )
    fit = unpack(best.x).scaled(unit)
    fit = attrs.evolve(fit, mu=fit.mu + centre)
    return attrs.evolve(fit, loglik=garch_loglik(np.ascontiguousarray(pnl), fit))


def relative_fit(pnl: Float64, *, asymmetric: bool, innovations: str) -> GarchFit:
    """Fit in units of the sample's own deviation, which must not be zero: free of scale."""
    unit = deviation_of(pnl, mean_of(pnl), 0)
    return fit_garch(pnl, asymmetric=asymmetric, innovations=innovations).scaled(1.0 / unit)
