"""The Student-t model: location, scale and degrees of freedom by maximum likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from scipy import special

from rtre.checks import between, optional
from rtre.kernels.student import LOC, SCALE, location_scale, score_data
from rtre.market import Float64
from rtre.models.base import Model, Tail
from rtre.models.gaussian import Z95
from rtre.models.sample import invalid, sample_problem
from rtre.order import tail_probability

#: The search for the degrees of freedom stays in this range; the upper end is normal to the eye.
DF_RANGE = (0.3, 300.0)

EQUAL = "all observations are equal: there is no scale to fit"
TIED = "too many equal observations: the likelihood has no maximum"


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
    """Return location and scale of highest likelihood at a given `df`; see the kernel."""
    state = np.array([loc, scale])
    location_scale(pnl, df, state)
    return float(state[LOC]), float(state[SCALE])


def _score(pnl: Float64, df: float, loc: float, scale: float) -> float:
    """Twice the derivative by `df` of the mean log likelihood."""
    fixed = float(special.digamma(0.5 * (df + 1.0)) - special.digamma(0.5 * df)) - 1.0 / df
    return fixed + score_data(pnl, df, loc, scale)


def t_loglik(pnl: Float64, df: float, loc: float, scale: float) -> float:
    """Log likelihood of a location-scale t sample."""
    u = (pnl - loc) / scale
    norm = float(special.gammaln(0.5 * (df + 1.0)) - special.gammaln(0.5 * df))
    norm -= 0.5 * math.log(df * math.pi) + math.log(scale)
    return len(pnl) * norm - 0.5 * (df + 1.0) * float(np.sum(np.log1p(u * u / df)))


def _standardised(pnl: Float64) -> tuple[Float64, float, float]:
    """Return the sample less its median and over its spread, and these two; a spread may be 0."""
    n = len(pnl)
    quarter, half, rest = n // 4, n // 2, (3 * n) // 4
    # order statistics near the quartiles do; np.quantile takes as long as the rest of an estimate
    ordered = np.partition(pnl, (quarter, half, rest))
    median = float(ordered[half])
    unit = float(ordered[rest] - ordered[quarter]) or float(np.max(pnl) - np.min(pnl))
    return (pnl - median) / (unit or 1.0), median, unit


def locate_t(pnl: Float64, df: float) -> tuple[float, float] | str:
    """Location and scale of highest likelihood at a known `df`; a text says why there are none.

    Parameters
    ----------
    pnl : (n,) float64
        Finite.
    df : float

    Notes
    -----
    Cost: some ten passes over the sample, 50 us for 500 observations.
    """
    scaled, median, unit = _standardised(pnl)
    if unit == 0.0:
        return EQUAL
    loc, scale = _location_scale(scaled, df, 0.0, 0.7)
    return TIED if scale == 0.0 else (median + unit * loc, unit * scale)


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
    if df is None:
        found = best_df(pnl)
        if isinstance(found, str):
            return found
        df = found
    at = locate_t(pnl, df)
    return at if isinstance(at, str) else FittedT(df, *at, t_loglik(pnl, df, *at))


def best_df(pnl: Float64) -> float | str:
    """Degrees of freedom of highest likelihood; a text says why there are none. See `fit_t`."""
    return common_df([pnl])


def common_df(samples: Sequence[Float64]) -> float | str:
    """Degrees of freedom that several samples share; each has a location and scale of its own.

    Those of the highest product of likelihoods, as if the samples were independent (a composite
    likelihood: Varin, Reid and Firth 2011), which needs no correlations and is consistent whatever
    these are. A text says why there are none.
    """
    from scipy import optimize  # a quarter of a second, and an estimate does not need it

    standardised = [_standardised(sample) for sample in samples]
    if any(unit == 0.0 for _, _, unit in standardised):
        return EQUAL
    at = [(0.0, 0.7)] * len(samples)

    def profile(log_df: float) -> float:
        total, df = 0.0, math.exp(log_df)
        for i, (scaled, _, _) in enumerate(standardised):
            at[i] = _location_scale(scaled, df, at[i][0], at[i][1] or 0.7)
            total += _score(scaled, df, *at[i]) if at[i][1] > 0.0 else math.nan
        return total

    ends = [math.log(end) for end in DF_RANGE]
    if profile(ends[1]) >= 0.0:
        return DF_RANGE[1]
    above = ends[1]
    for log_df in np.linspace(ends[1], ends[0], 15)[1:].tolist():
        value = profile(log_df)
        if math.isnan(value):
            return TIED
        if value >= 0.0:
            return math.exp(optimize.brentq(profile, log_df, above, xtol=1e-12, rtol=1e-12))
        above = log_df
    return f"the tail is heavier than {DF_RANGE[0]} degrees of freedom"


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


@lru_cache(maxsize=8192)
def _unit_tail(
    df: float, n: int, confidence: float, *, df_known: bool
) -> tuple[float, float, float, float]:
    """VaR and ES of n draws from a t of unit scale, and their standard errors.

    All that costs something and does not change from close to close: a fit is kept for many.
    """
    q, c = t_factors(confidence, df)
    # at the normal limit df is not identified, and does not matter either
    df_known = df_known or df >= DF_RANGE[1]
    step = 1e-4 * df
    ahead, behind = t_factors(confidence, df + step), t_factors(confidence, df - step)
    covariance = t_covariance(df, n, df_known=df_known)
    errors = []
    for factor, up, down in zip((q, c), ahead, behind, strict=True):
        if not (math.isfinite(factor) and math.isfinite(down)):
            errors.append(math.nan)  # ES that does not exist, or only just, has no error
            continue
        gradient = np.array([-1.0, factor, (up - down) / (2.0 * step)])
        errors.append(math.sqrt(float(np.sum(gradient[:, None] * covariance * gradient))))
    return q, c, errors[0], errors[1]


def t_tail(
    df: float, loc: float, scale: float, n: int, confidence: float, *, df_known: bool
) -> Tail:
    """VaR and ES of a fitted t law with the delta-method interval of n observations."""
    q, c, q_error, c_error = _unit_tail(df, n, confidence, df_known=df_known)
    var = -loc + scale * q
    half = Z95 * scale * q_error
    return Tail(var, max(-loc + scale * c, var), var - half, var + half, scale * c_error)


@attrs.frozen
class StudentT(Model):
    """Student-t P&L: ``VaR = -loc + scale q``, with ES infinite where fitted ``df <= 1``.

    The law is parameterised by its scale, not by its variance: in a crisis the fitted df is often
    below 2, where there is no variance but VaR and ES still exist. The interval is the delta
    method's from the expected information.

    Cost: `fit`, in a worker, some 20 Newton steps over the sample; an estimate, when an interval
    closes, locates the law again, O(n); until then a symbol's numbers follow its exposure.

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
        found = best_df(pnl)
        return None if isinstance(found, str) else found

    def estimate(
        self, pnl: Float64, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """VaR and ES of the fitted law.

        Cost: some ten passes over the sample with `fitted`, some hundred without.
        """
        problem = sample_problem(pnl, self.min_obs)
        if problem:
            return invalid(problem, confidences)
        if not np.any(pnl):
            return [Tail(0.0, 0.0, 0.0, 0.0, 0.0) for _ in confidences]
        df = self.df if self.df is not None else fitted
        if df is None:
            df = best_df(pnl)
            if isinstance(df, str):
                return invalid(df, confidences)
        at = locate_t(pnl, df)
        if isinstance(at, str):
            return invalid(at, confidences)
        known = self.df is not None
        return [t_tail(df, *at, len(pnl), c, df_known=known) for c in confidences]


MODEL = StudentT
