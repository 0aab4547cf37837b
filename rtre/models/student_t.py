"""The Student-t model: location, scale and degrees of freedom by maximum likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from scipy import optimize, special

from rtre.checks import between, optional
from rtre.market import Float64
from rtre.models.base import Model, Tail
from rtre.models.gaussian import Z95
from rtre.models.sample import invalid, sample_problem
from rtre.order import tail_probability

#: The search for the degrees of freedom stays in this range; the upper end is normal to the eye.
DF_RANGE = (0.3, 300.0)


def t_density(x: float, df: float) -> float:
    """Density of a standard t at `x`."""
    log_norm = special.gammaln(0.5 * (df + 1.0)) - special.gammaln(0.5 * df)
    log_norm -= 0.5 * math.log(df * math.pi)
    return math.exp(float(log_norm) - 0.5 * (df + 1.0) * math.log1p(x * x / df))


def t_factors(confidence: float, df: float, *, matched: bool = False) -> tuple[float, float]:
    """VaR and ES of a t loss with location 0: ``(q, f(q)/tail * (df + q^2)/(df - 1))``.

    McNeil, Frey and Embrechts, Quantitative Risk Management (2015), section 2.3.

    Parameters
    ----------
    confidence : float
        In (0.5, 1).
    df : float
        Degrees of freedom, positive. ES is infinite for ``df <= 1``.
    matched : bool
        False: unit *scale* (variance df/(df-2)). True: unit *variance*, which needs ``df > 2``;
        NaN otherwise.

    >>> [round(f, 4) for f in t_factors(0.99, 4.0)]
    [3.7469, 5.2206]
    """
    tail = float(tail_probability(confidence))
    q = -float(special.stdtrit(df, tail))
    es = t_density(q, df) / tail * (df + q * q) / (df - 1.0) if df > 1.0 else math.inf
    if matched:
        shrink = math.sqrt((df - 2.0) / df) if df > 2.0 else math.nan
        return shrink * q, shrink * es
    return q, es


@attrs.frozen
class FittedT:
    """A fitted t law. Only `df` is free of scale; a refit of the other two is cheap."""

    df: float
    loc: float
    scale: float
    loglik: float


def _location_scale(pnl: Float64, df: float, loc: float, scale: float) -> tuple[float, float]:
    """Return location and scale of highest likelihood at a given `df`, by EM with weights.

    Each step is a weighted mean and a weighted variance with weights (df+1)/(df + u^2). The step
    divides by the sum of the weights (Kent, Tyler and Vardi 1994), which converges faster than EM.
    A scale of zero is returned where too many values coincide for a maximum to exist.
    """
    for _ in range(2000):
        u = (pnl - loc) / scale
        weights = (df + 1.0) / (df + u * u)
        total = float(np.sum(weights))
        new_loc = float(np.sum(weights * pnl)) / total
        new_scale = math.sqrt(float(np.sum(weights * (pnl - new_loc) ** 2)) / total)
        moved = abs(new_loc - loc) + abs(new_scale - scale)
        loc, scale = new_loc, new_scale
        if not scale > 1e-9:  # the sample was brought to a spread of order one
            return loc, 0.0
        if moved < 1e-13 * scale:
            break
    return loc, scale


def _score(pnl: Float64, df: float, loc: float, scale: float) -> float:
    """Twice the derivative by `df` of the mean log likelihood."""
    square = ((pnl - loc) / scale) ** 2
    fixed = float(special.digamma(0.5 * (df + 1.0)) - special.digamma(0.5 * df)) - 1.0 / df
    data = (df + 1.0) / df * square / (df + square) - np.log1p(square / df)
    return fixed + float(np.mean(data))


def t_loglik(pnl: Float64, df: float, loc: float, scale: float) -> float:
    """Log likelihood of a location-scale t sample."""
    u = (pnl - loc) / scale
    norm = float(special.gammaln(0.5 * (df + 1.0)) - special.gammaln(0.5 * df))
    norm -= 0.5 * math.log(df * math.pi) + math.log(scale)
    return len(pnl) * norm - 0.5 * (df + 1.0) * float(np.sum(np.log1p(u * u / df)))


def fit_t(pnl: Float64, df: float | None = None) -> FittedT | str:
    """Maximum likelihood of a location-scale t law; a text says why there is none.

    The profile score in log(df) is brought to zero, with location and scale at their best for
    each df: robust where a search in three dimensions stalls (df below 2, or the normal limit,
    for which the upper end of `DF_RANGE` is returned).

    Parameters
    ----------
    pnl : (n,) float64
        Finite.
    df : float, optional
        Fixed degrees of freedom.
    """
    median = float(np.median(pnl))
    low, high = np.quantile(pnl, [0.25, 0.75])
    unit = float(high - low) or float(np.max(pnl) - np.min(pnl))
    if unit == 0.0:
        return "all observations are equal: there is no scale to fit"
    scaled = (pnl - median) / unit
    at = [0.0, 0.7]

    def profile(log_df: float) -> float:
        at[:] = _location_scale(scaled, math.exp(log_df), at[0], at[1] or 0.7)
        return _score(scaled, math.exp(log_df), *at) if at[1] > 0.0 else math.nan

    if df is None:
        ends = [math.log(end) for end in DF_RANGE]
        top = profile(ends[1])
        if top >= 0.0:
            df = DF_RANGE[1]
        else:
            grid = np.linspace(ends[1], ends[0], 15)
            above = ends[1]
            for log_df in grid[1:]:
                value = profile(float(log_df))
                if math.isnan(value):
                    return "too many equal observations: the likelihood has no maximum"
                if value >= 0.0:
                    df = math.exp(optimize.brentq(profile, log_df, above, xtol=1e-12, rtol=1e-12))
                    break
                above = float(log_df)
            else:
                return f"the tail is heavier than {DF_RANGE[0]} degrees of freedom"
    loc, scale = _location_scale(scaled, df, at[0], at[1] or 0.7)
    if scale == 0.0:
        return "too many equal observations: the likelihood has no maximum"
    loc, scale = median + unit * loc, unit * scale
    return FittedT(df, loc, scale, t_loglik(pnl, df, loc, scale))


def t_covariance(df: float, n: int, *, df_known: bool) -> Float64:
    """Return the covariance of (loc, scale, df) of n unit-scale t draws: inverse information.

    Lange, Little and Taylor, JASA 84 (1989). With `df_known` the row and column of df are zero.
    """
    info = np.zeros((3, 3))
    info[0, 0] = (df + 1.0) / (df + 3.0)
    info[1, 1] = 2.0 * df / (df + 3.0)
    info[1, 2] = info[2, 1] = -2.0 / ((df + 1.0) * (df + 3.0))
    trigamma = special.polygamma(1, 0.5 * df) - special.polygamma(1, 0.5 * (df + 1.0))
    info[2, 2] = 0.25 * trigamma - 0.5 * (df + 5.0) / (df * (df + 1.0) * (df + 3.0))
    covariance = np.zeros((3, 3))
    free = 2 if df_known else 3
    covariance[:free, :free] = np.linalg.inv(info[:free, :free]) / n
    return covariance


def t_tail(fit: FittedT, n: int, confidence: float, *, df_known: bool) -> Tail:
    """VaR and ES of a fitted t law with the delta-method interval of n observations."""
    q, c = t_factors(confidence, fit.df)
    var = -fit.loc + fit.scale * q
    es = max(-fit.loc + fit.scale * c, var)
    # at the normal limit df is not identified, and does not matter either
    df_known = df_known or fit.df >= DF_RANGE[1]
    step = 1e-4 * fit.df
    ahead, behind = t_factors(confidence, fit.df + step), t_factors(confidence, fit.df - step)
    covariance = t_covariance(fit.df, n, df_known=df_known)
    errors = []
    for factor, up, down in zip((q, c), ahead, behind, strict=True):
        if not (math.isfinite(factor) and math.isfinite(down)):
            errors.append(math.nan)  # ES that does not exist, or only just, has no error
            continue
        gradient = np.array([-1.0, factor, (up - down) / (2.0 * step)])
        variance = float(np.sum(gradient[:, None] * covariance * gradient))
        errors.append(fit.scale * math.sqrt(variance))
    half = Z95 * errors[0]
    return Tail(var, es, var - half, var + half, errors[1])


@attrs.frozen
class StudentT(Model):
    """Student-t P&L: ``VaR = -loc + scale q``, with ES infinite where fitted ``df <= 1``.

    The law is parameterised by its scale, not by its variance: in a crisis the fitted df is often
    below 2, where there is no variance but VaR and ES still exist. The interval is the delta
    method's from the expected information.

    Attributes
    ----------
    df : float, optional
        Degrees of freedom; None fits them. Only df survives from `fit` to a later sample; location
        and scale are found again on each, so `fit` does not depend on the scale of its sample.
    """

    name: ClassVar[str] = "student-t"
    cadence: ClassVar[Literal["tick", "interval"]] = "interval"
    min_obs: ClassVar[int] = 50

    df: float | None = attrs.field(default=None, validator=optional(between(0.5, 300.0)))

    def fit(self, pnl: Float64) -> float | None:
        """Degrees of freedom, or None where they cannot be found (then `estimate` says why)."""
        if self.df is not None or sample_problem(pnl, self.min_obs):
            return self.df
        found = fit_t(pnl)
        return None if isinstance(found, str) else found.df

    def estimate(
        self, pnl: Float64, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """VaR and ES of the fitted law; cost: some hundred passes over the sample."""
        problem = sample_problem(pnl, self.min_obs)
        if problem:
            return invalid(problem, confidences)
        if not np.any(pnl):
            return [Tail(0.0, 0.0, 0.0, 0.0, 0.0) for _ in confidences]
        df = self.df if self.df is not None else fitted
        found = fit_t(pnl, df)
        if isinstance(found, str):
            return invalid(found, confidences)
        known = self.df is not None
        return [t_tail(found, len(pnl), c, df_known=known) for c in confidences]


MODEL = StudentT
