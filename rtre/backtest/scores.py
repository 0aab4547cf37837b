"""Scores: which of two forecasts was better?

A score is consistent when its mean is lowest for the true forecast. VaR has one of its own; ES has
none, but the pair (VaR, ES) has (Fissler and Ziegel 2016).
"""

from __future__ import annotations

import math

import attrs
import numpy as np
import numpy.typing as npt
from scipy import special

from rtre.backtest.result import as_series
from rtre.errors import DataError
from rtre.market import Float64
from rtre.order import tail_probability


def pinball(losses: npt.ArrayLike, var: npt.ArrayLike, confidence: float) -> Float64:
    """Quantile score of each period, ``(1{loss > VaR} - tail) (loss - VaR)``; in currency, >= 0.

    Koenker and Bassett, Econometrica 46 (1978).

    >>> pinball([1.0, 4.0], [2.0, 2.0], 0.95).round(3)
    array([0.05, 1.9 ])
    """
    lost, quantile = as_series(losses=losses, var=var)
    tail = float(tail_probability(confidence))
    return np.asarray(((lost > quantile) - tail) * (lost - quantile))


def fz0(losses: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike, confidence: float) -> Float64:
    """Joint score of (VaR, ES) of each period, free of currency up to a constant.

    ``1{loss >= VaR} (loss - VaR) / (tail ES) + VaR/ES + ln ES - 1``: Patton, Ziegel and Chen,
    Dynamic semiparametric models for expected shortfall, Journal of Econometrics 211 (2019),
    in losses. A change of currency adds the same constant to every score.

    Raises
    ------
    DataError
        ES that is not positive, or below VaR.
    """
    lost, quantile, shortfall = as_series(losses=losses, var=var, es=es)
    if np.any(shortfall <= 0.0) or np.any(shortfall < quantile):
        raise DataError("the score needs ES positive and not below VaR")
    tail = float(tail_probability(confidence))
    beyond = np.maximum(lost - quantile, 0.0) / (tail * shortfall)
    return np.asarray(beyond + quantile / shortfall + np.log(shortfall) - 1.0)


@attrs.frozen
class Comparison:
    """Mean difference of two forecasts' scores, with its error.

    Attributes
    ----------
    difference : float
        Mean of first minus second; negative when the first forecast was better.
    low, high : float
        95 % interval of the mean difference; infinite for a single period.
    statistic, p_value : float
        Diebold-Mariano statistic, t(n - 1) if both are equally good, and its two-sided p.
    lags, n : int
    """

    difference: float
    low: float
    high: float
    statistic: float
    p_value: float
    lags: int
    n: int


def diebold_mariano(
    first: npt.ArrayLike, second: npt.ArrayLike, *, lags: int | None = None
) -> Comparison:
    """Compare two series of scores of the same periods.

    Diebold and Mariano, Journal of Business and Economic Statistics 13 (1995), with the
    Newey-West variance, whose Bartlett weights keep it non-negative, and the quantiles of t(n - 1)
    (Harvey, Leybourne and Newbold, International Journal of Forecasting 13, 1997). Below some
    thirty periods that variance is still too small: of two equally good forecasts one is found
    better at 5 % in 15 % of runs of 5 periods and in 8 % of 20.

    Parameters
    ----------
    first, second : (n,) array_like
        Scores, lower is better.
    lags : int, optional
        Autocovariances in the variance; None takes ``floor(4 (n/100)^(2/9))``. For forecasts over
        h overlapping periods use at least h - 1.

    Notes
    -----
    Scores that never differ have difference 0 and p-value 1. A difference that never varies has
    no error: its interval is a point, the statistic infinite and the p-value 0. A single period
    says nothing of its error: statistic 0 and p-value 1.
    """
    a, b = as_series(first=first, second=second)
    n = len(a)
    gap = a - b
    if lags is None:
        lags = math.floor(4.0 * (n / 100.0) ** (2.0 / 9.0))
    if lags < 0:
        raise DataError(f"lags cannot be negative, got {lags}")
    lags = min(lags, n - 1)
    if n == 1:
        return Comparison(float(gap[0]), -math.inf, math.inf, 0.0, 1.0, 0, 1)
    if float(np.min(gap)) == float(np.max(gap)):
        mean = float(gap[0])
        statistic = math.copysign(math.inf, mean) if mean else 0.0
        return Comparison(mean, mean, mean, statistic, 0.0 if mean else 1.0, lags, n)
    mean = float(np.mean(gap))
    unit = float(np.max(np.abs(gap - mean)))  # squares of tiny scores must not vanish
    centred = (gap - mean) / unit
    variance = float(np.sum(centred * centred)) / n
    plain = variance
    for lag in range(1, lags + 1):
        weight = 1.0 - lag / (lags + 1.0)
        variance += 2.0 * weight * float(np.sum(centred[lag:] * centred[:-lag])) / n
    if variance < 1e-12 * plain:  # the autocovariances can cancel the variance to the last bit
        variance = plain
    error = unit * math.sqrt(variance / n)
    statistic = mean / error
    half = float(special.stdtrit(n - 1, 0.975)) * error
    return Comparison(
        mean,
        mean - half,
        mean + half,
        statistic,
        2.0 * float(special.stdtr(n - 1, -abs(statistic))),
        lags,
        n,
    )
